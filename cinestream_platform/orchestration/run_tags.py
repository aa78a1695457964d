"""Tags of Dagster's runs that are also read without Dagster."""

NOT_LOADED_TAG = "cinestream/not_loaded/"
"""With a step's key: that step failed for files that it could not load, and for nothing else. Its value: how many."""
SOURCE_TAG = "cinestream/source"
"""Of every run of a source's jobs: one source's runs take turns, so that its queue leaves a place to the others
(``dagster.yaml``, ``tag_concurrency_limits``)."""
FILE_TAG = "cinestream/file"
"""Of a load: the key of its first file, and how many more there are."""
WHY_TAG = "cinestream/why"
"""Why a run was asked for, in words."""
MOST_OF_A_TAG = 400
"""Characters of a key in a tag: Postgres' index of run tags takes 2,704 bytes."""
