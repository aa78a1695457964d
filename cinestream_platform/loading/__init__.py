"""The way of a delivery into its raw table: claim, read, judge, write to the lake, publish. No Dagster."""
