"""Metrics (``/catalog/metrics``): each figure that is defined once, with its formula and SQL that runs."""
