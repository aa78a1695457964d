"""PostgreSQL Tutorial's dvdrental: the tables of a live operational database of a film rental shop."""
