"""Benchmarks: ratios of arms that run in turns on the same files. Figures go to docs/benchmarks.md."""
