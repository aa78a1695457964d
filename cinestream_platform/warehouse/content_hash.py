"""A hash of a table's content that does not depend on the order of rows, on the machine or on a library's version.

Every row is mixed into 64 bits column by column with splitmix64's finalizer (Steele, Lea, Flood 2014,
"Fast splittable pseudorandom number generators"), and rows are added modulo 2^64 together with their number.
polars' own ``hash`` promises no stability between versions; hashing in Postgres needs a second scan of the data.
"""

from __future__ import annotations

import hashlib
import json

import polars as pl

_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_NULL = 0x6E756C6C6E756C6C


def _mix(value: pl.Series) -> pl.Series:
    """splitmix64's finalizer on UInt64; polars' multiplication wraps, and ``//`` by a power of two shifts right.

    Series and not expressions: each line uses its value twice, and polars would compute the nested expression anew
    for each use, 2^3 times a column (5 million rows: 88 s).
    """
    value = (value ^ (value // (1 << 30))) * _MIX_1
    value = (value ^ (value // (1 << 27))) * _MIX_2
    return value ^ (value // (1 << 31))


def _text_hashes(column: pl.Series) -> pl.Series:
    """64 bits of BLAKE2b of every distinct text, joined back; texts are few beside keys and measures."""
    distinct = column.drop_nulls().unique()
    digests = [int.from_bytes(hashlib.blake2b(t.encode(), digest_size=8).digest(), "little") for t in distinct]
    lookup = pl.DataFrame({"text": distinct, "hash": pl.Series(digests, dtype=pl.UInt64)})
    joined = column.to_frame("text").join(lookup, on="text", how="left", maintain_order="left")
    return joined["hash"]


def _as_u64(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if isinstance(dtype, pl.List):
        # JSON tells ["a", "b"] from ["a,b"], and an empty list from NULL.
        return _text_hashes(
            pl.Series([None if v is None else json.dumps(v) for v in column.to_list()], dtype=pl.String)
        )
    if dtype == pl.String:
        return _text_hashes(column)
    if isinstance(dtype, pl.Decimal):
        # The unscaled integer: exact, and the same for every polars version.
        column = (column.cast(pl.Decimal(38, dtype.scale)) * 10**dtype.scale).cast(pl.Int64)
    elif dtype.is_float():
        # The bits of the double, -0.0 as 0.0 (polars skips an addition of 0.0); Arrow can look at them as integers.
        double = column.cast(pl.Float64)
        double = double.zip_with((double != 0).fill_null(True), pl.Series([0.0]))
        return pl.Series(pl.from_arrow(double.to_arrow().view("uint64")))
    return column.cast(pl.Int64).reinterpret(signed=False)


def content_hash(frame: pl.DataFrame) -> str:
    """Hash of a frame's rows: 16 hexadecimal digits and the number of rows, e.g. ``9f8a…-100836``."""
    if frame.is_empty():
        return f"{0:016x}-0"
    row = pl.repeat(_GOLDEN, frame.height, dtype=pl.UInt64, eager=True)
    for column in frame:
        row = _mix((row + _GOLDEN) ^ _as_u64(column).fill_null(_NULL))
    # Halves are summed apart: no sum can then overflow 64 bits below 4 billion rows.
    low, high = int((row % (1 << 32)).sum()), int((row // (1 << 32)).sum())
    return f"{(low + (high << 32)) % (1 << 64):016x}-{frame.height}"
