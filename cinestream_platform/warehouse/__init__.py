"""Postgres: table declarations, DDL, staging, publish, ledger, access. Knows nothing of Dagster."""
