"""Pages for stakeholders: what is fresh, what is right, where a number comes from."""
