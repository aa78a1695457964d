"""The generator of a sample operational database of the DVD shop."""
