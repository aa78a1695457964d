"""``cinestream new-source``: from a folder of sample CSV files to the first draft of a source's package."""
