"""MovieLens (GroupLens): CSV files with movies, ratings, tags, links and the tag genome."""
