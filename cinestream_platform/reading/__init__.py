"""Bytes of files and rows of databases become typed rows and rejected records."""
