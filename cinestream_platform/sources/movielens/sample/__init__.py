"""The generator of sample files in the layout of GroupLens' releases."""
