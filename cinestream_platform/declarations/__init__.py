"""What a table, column, rule, relation, feed and bundle is. Pure: no store, no database, no Dagster."""
