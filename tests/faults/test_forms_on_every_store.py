"""The forms of files are loaded alike from a folder and from S3: rows, line numbers, and rejected records."""

from __future__ import annotations

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.platform import RATINGS_HEADER, Y2005, Platform

NAMES = RATINGS_HEADER.split(",")
SHARED = [(1, "4.5", Y2005), (2, "0.5", Y2005 + 1), (3, "9.9", Y2005 + 2)]
"""(movie, rating, seconds); the last breaks a rule, and is one of so few that the file is loaded."""


def content(form: str, user: int) -> bytes:
    rows = [(user, *row) for row in SHARED]
    if form == "csv":
        return "\n".join([RATINGS_HEADER, *(",".join(map(str, row)) for row in rows)]).encode()
    if form == "jsonl":
        return "".join(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in rows).encode()
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))), sink)
    return sink.getvalue()


def packed(data: bytes, packing: str) -> bytes:
    if packing == ".gz":
        half = len(data) // 2
        return gzip.compress(data[:half]) + gzip.compress(data[half:])
    return pa.compress(data, "zstd", asbytes=True) if packing == ".zst" else data


def test_each_form_of_the_same_records_gives_the_same_rows_and_rejects(any_platform: Platform) -> None:
    endings = [f"{form}{packing}" for form in ("csv", "jsonl", "parquet") for packing in ("", ".gz", ".zst")]
    for user, ending in enumerate(endings, 1):
        form, _, packing = ending.partition(".")
        any_platform.land(f"movielens/ratings/r.{ending}", packed(content(form, user), packing and f".{packing}"))

    any_platform.load()

    assert {status for _, status in any_platform.files()} == {"loaded"}
    hashes = any_platform.query(
        "SELECT user_id, string_agg(concat_ws(' ', movie_id, rating, timestamp), ',' ORDER BY movie_id)"
        " FROM raw_movielens.ratings GROUP BY 1"
    )
    assert len(hashes) == len(endings)
    assert len({rows for _, rows in hashes}) == 1
    rejects = dict(any_platform.query("SELECT key, line FROM ops.rejected_row JOIN ops.landed_file USING (file_id)"))
    assert rejects == {f"movielens/ratings/r.{e}": 4 if e.startswith("csv") else 3 for e in endings}
