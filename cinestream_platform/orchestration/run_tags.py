"""Tags of Dagster's runs that are also read without Dagster."""

NOT_LOADED_TAG = "cinestream/not_loaded/"
"""With a step's key: that step failed for files that it could not load, and for nothing else. Its value: how many."""
