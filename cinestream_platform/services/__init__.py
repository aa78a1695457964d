"""Services for a machine that has none: the embedded PostgreSQL and what keeps it running."""
