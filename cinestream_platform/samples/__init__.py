"""Generators of source files in the sources' own formats, any size, with known dirt in them."""
