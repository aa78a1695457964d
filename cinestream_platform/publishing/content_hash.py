"""A hash of a table's content that does not depend on the order of rows, on the machine or on a library's version.

Every row is mixed into 64 bits column by column with splitmix64's finalizer (Steele, Lea, Flood 2014,
"Fast splittable pseudorandom number generators"), and rows are added modulo 2^64 together with their number.
polars' own ``hash`` promises no stability between versions; hashing in Postgres needs a second scan of the data.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import numpy.typing as npt
import polars as pl

_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_NULL = 0x6E756C6C6E756C6C


SLICE_ROWS = 65_536
"""Rows that are mixed at a time: 512 kB a column, which the processor's second cache holds."""


def _mix(value: npt.NDArray[np.uint64], scratch: npt.NDArray[np.uint64]) -> None:
    """splitmix64's finalizer in place; numpy's multiplication of unsigned integers wraps."""
    for shift, factor in ((30, _MIX_1), (27, _MIX_2)):
        np.right_shift(value, np.uint64(shift), out=scratch)
        np.bitwise_xor(value, scratch, out=value)
        np.multiply(value, np.uint64(factor), out=value)
    np.right_shift(value, np.uint64(31), out=scratch)
    np.bitwise_xor(value, scratch, out=value)


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
    columns = [_as_u64(column).fill_null(_NULL).to_numpy() for column in frame]
    low = high = 0
    for begin in range(0, frame.height, SLICE_ROWS):
        rows = np.full(min(SLICE_ROWS, frame.height - begin), _GOLDEN, dtype=np.uint64)
        scratch = np.empty_like(rows)
        for column in columns:
            rows += np.uint64(_GOLDEN)
            rows ^= column[begin : begin + SLICE_ROWS]
            _mix(rows, scratch)
        # Halves are summed apart: no sum can then overflow 64 bits.
        low += int((rows & np.uint64(0xFFFFFFFF)).sum())
        high += int((rows >> np.uint64(32)).sum())
    return f"{(low + (high << 32)) % (1 << 64):016x}-{frame.height}"
