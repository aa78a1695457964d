"""Today (``/``): is everything fresh and right, what landed, what waits, and what needs a look."""
