"""Frames become tables: whole, by key, as history or by partition, validated and with a content hash."""
