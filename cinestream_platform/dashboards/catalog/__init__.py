"""The catalogue (``/catalog``): every table by the question that it answers, and a search over names and meanings."""
