"""The generator of sample data of the music shop."""
