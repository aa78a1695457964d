"""Peak memory and CPU time of reading one hostile file, in a fresh process with all that a run worker imports.

    python -m benchmarks.memory_of_reading NAME MEGABYTES

NAME is one of ``FILES``. Prints one JSON object; docs/benchmarks.md has the figures.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path

import cinestream_platform.automation.landing
import cinestream_platform.marts.assets
import cinestream_platform.sources.netflix.assets  # noqa: F401  what a run worker imports, with Dagster and dagster-dbt
from cinestream_platform.catalog import BUNDLES, FEEDS
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.lake.store import LocalCopy
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.loading.file_reading import Reading, read_delivery
from cinestream_platform.warehouse.copy import copy_text

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Hostile:
    """A file: how it begins, and what is repeated to its end."""

    key: str
    head: bytes
    line: bytes
    tail: bytes = b""

    def write(self, path: Path, size: int) -> None:
        """Write some ``size`` bytes."""
        chunk = self.line * max(MEGABYTE // len(self.line), 1)
        with path.open("wb") as sink:
            sink.write(self.head)
            for _ in repeat(None, size // len(chunk)):
                sink.write(chunk)
            sink.write(self.line * ((size - sink.tell()) // len(self.line)))
            sink.write(self.tail)

    @property
    def feed(self) -> Feed:
        """The feed that takes it."""
        source, dataset, name = self.key.split("/")
        if "#" in name:
            feeds = next(b.feeds for b in BUNDLES if (b.source, b.dataset) == (source, dataset))
            return next(feed for feed in feeds if feed.dataset == name.partition("#")[2])
        return next(feed for feed in FEEDS if (feed.source, feed.dataset) == (source, dataset))


RATINGS = b"userId,movieId,rating,timestamp\n"
FILES = {
    "rejected_lines": Hostile("movielens/ratings/a.csv", RATINGS, b"1,1,9.5,1110000000\n"),
    "short_lines": Hostile("movielens/ratings/a.csv", RATINGS, b",,,\n"),
    "empty_lines": Hostile("movielens/ratings/a.csv", RATINGS, b"\n"),
    "long_texts": Hostile("movielens/movies/a.csv", b"movieId,title,genres\n", b"x," + b"y" * 100_000 + b",z\n"),
    "broken_quotes": Hostile("movielens/movies/a.csv", b"movieId,title,genres\n", b'1,"a"b,c\n'),
    "unclosed_quotes": Hostile("movielens/movies/a.csv", b"movieId,title,genres\n", b'5","abc\n'),
    "good_quotes": Hostile("movielens/movies/a.csv", b"movieId,title,genres\n", b'7,"Long, Winding (2001)",Drama\n'),
    "good_ratings": Hostile("movielens/ratings/a.csv", RATINGS, b"1,1,4.5,1110000000\n"),
    "wide_rejects": Hostile(
        "chinook/invoice/a.csv",
        b"InvoiceId,CustomerId,InvoiceDate,BillingAddress,BillingCity,BillingState,BillingCountry,BillingPostalCode,"
        b"Total\n",
        b"x,,,,,,,,\n",
    ),
    "json_empty_objects": Hostile("chinook/release/a.json#artist", b'{"Artist": [', b"{},", b"{}]}"),
    "json_good_objects": Hostile(
        "chinook/release/a.json#artist", b'{"Artist": [', b'{"ArtistId": 7, "Name": "Somebody"},', b"{}]}"
    ),
    "netflix_rejects": Hostile("netflix/ratings/a.txt", b"1:\n", b"x,5,2005-01-01\n"),
    "netflix_no_section": Hostile("netflix/ratings/a.txt", b"", b"7,5,2005-01-01\n"),
    "netflix_sections": Hostile("netflix/ratings/a.txt", b"1:\n", b"x:\n"),
}


def measure(name: str, size: int) -> dict[str, object]:
    """Write the file in another process' stead, read it, keep what it rejects, and say what that took."""
    hostile = FILES[name]
    with tempfile.TemporaryDirectory(prefix="cinestream-") as scratch:
        path = Path(scratch, "object")
        hostile.write(path, size)
        file = _landed(hostile.key, size)
        before, begin = time.process_time(), _peak()
        reading = read_delivery(LocalCopy(path, size, "0" * 64), file, hostile.feed, Path(scratch))
        if isinstance(reading, Reading):
            for frame in reading.rejects.rows_of(1):
                for rows in frame.iter_slices(100_000):
                    copy_text(rows)
            for frame in reading.spool.frames():
                del frame
        return {
            "file": name,
            "bytes": size,
            "peak_mb": round(_peak() / 1000),
            "imports_mb": round(begin / 1000),
            "cpu_seconds": round(time.process_time() - before, 2),
            "result": reading.reason[:300] if not isinstance(reading, Reading) else f"{reading.loaded:,} rows",
        }


def _peak() -> int:
    """The greatest resident size of this program so far, in kB.

    Linux counts a parent's size before the program began into ``ru_maxrss``, but not into ``VmHWM``.
    """
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _landed(key: str, size: int) -> LandedFile:
    now = datetime.now(UTC)
    source, dataset, _ = key.split("/")
    return LandedFile(1, source, dataset, "bucket", key, "etag", size, now, now, "pending", 0, None, None, {}, [])


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(float(sys.argv[2]) * MEGABYTE))))
