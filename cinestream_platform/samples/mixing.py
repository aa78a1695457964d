"""Pseudo-random bits in polars that are the same on any machine and in any version of polars."""

import polars as pl


def mixed(number: pl.Expr, seed: int) -> pl.Expr:
    """64 mixed bits of a UInt64 counter: splitmix64 (Steele, Lea and Flood 2014), of wrapping integers alone."""
    z = number * _u64(0x9E3779B97F4A7C15) + _u64(seed * 0xD1342543DE82EF95)
    z = (z ^ (z // 2**30)) * _u64(0xBF58476D1CE4E5B9)
    z = (z ^ (z // 2**27)) * _u64(0x94D049BB133111EB)
    return z ^ (z // 2**31)


def _u64(value: int) -> pl.Expr:
    return pl.lit(value % 2**64, dtype=pl.UInt64)
