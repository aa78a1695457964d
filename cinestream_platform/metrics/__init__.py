"""Figures that are defined once: read from each source's ``metrics.yml``, and asked for by questions in SQL."""
