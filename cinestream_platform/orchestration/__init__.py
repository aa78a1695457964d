"""How a declared table becomes a Dagster asset: decorator, IO managers, checks, partitions, resources."""
