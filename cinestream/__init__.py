"""CineStream for notebooks and scripts: ``cinestream.read("netflix_dw.fact_ratings", partition="2005-12")``."""

from cinestream_platform.reader import read

__all__ = ["read"]
