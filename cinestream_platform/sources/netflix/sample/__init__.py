"""The generator of sample files in the layouts of the Netflix Prize."""
