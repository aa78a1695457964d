"""One room per source system: its feeds, tables, transforms and assets."""
