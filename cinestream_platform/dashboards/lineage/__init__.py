"""Lineage (``/lineage/<table>[/<column>]``): what a table or column is made from and what is made from it."""
