"""Writing the rows of many small objects of the lake together into one, so that whoever reads opens few.

The ledger's commit is the only moment that counts: before it the new object is a leftover, after it the old ones are.
Both are announced before, so that a process that is killed leaves nothing unknown. Old objects stay for a day, since
builds may be reading them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from uuid import uuid4

import polars as pl

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger import lake_objects
from cinestream_platform.ledger.lake_objects import SHARED, LakeObject
from cinestream_platform.loading.raw_rows import OBJECT, of_files, put_together, scan_objects
from cinestream_platform.warehouse.connection import PostgresTarget, connect

MOST_OBJECTS = 16
"""A feed may have so many small objects before they are written together."""
SMALL_ROWS = 500_000
"""An object with more rows is left as it is."""
ROWS_TOGETHER = 2_000_000
"""At most so many rows are written together; they are in memory meanwhile (some 100 MB of ratings)."""


def compact(target: PostgresTarget, lake: ObjectStore, feed: Feed) -> int:
    """Write the small objects of a feed together if there are many; how many it were."""
    with connect(target) as conn:
        small = _chosen(lake_objects.current(conn, feed.source, feed.dataset))
        if not small:
            return 0
        paths = [item.path for item in small]
        path = f"raw/{feed.source}/{feed.table.name}/together-{uuid4().hex[:16]}{SHARED}"
        lake_objects.announce(conn, path)
        # The same file may once have been loaded into another of them: what counts of it is where the ledger says.
        owners = lake_objects.owners(conn, paths)
        rows = scan_objects(lake, feed.table, small)
        is_shared = pl.col(OBJECT).is_not_null()
        together = pl.concat([rows.filter(~is_shared), of_files(rows.filter(is_shared), owners)]).drop(OBJECT).collect()
        with tempfile.TemporaryDirectory(prefix="cinestream-") as scratch:
            put_together(together, lake, path, Path(scratch) / "together.parquet")
        lake_objects.replace(conn, paths, path)
        return len(paths)


def _chosen(objects: Sequence[LakeObject]) -> list[LakeObject]:
    """The objects to be written together: all small ones, the smallest first, if there are many."""
    small = sorted((item for item in objects if item.rows <= SMALL_ROWS), key=lambda item: item.rows)
    if len(small) <= MOST_OBJECTS:
        return []
    sizes = accumulate(item.rows for item in small)
    return [item for item, size in zip(small, sizes, strict=True) if size <= ROWS_TOGETHER]
