"""Chinook: a digital music store's catalogue, customers and invoices, as CSV, SQLite or JSON."""
