"""Numbered SQL files that bring schema ``ops``, and whatever no declaration covers, from one version to the next."""
