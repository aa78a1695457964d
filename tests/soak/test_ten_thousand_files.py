"""As many small files as a landing zone may get at once: ``FILES`` (10,000) of three rows, on a folder."""

from __future__ import annotations

import os
import time

from tests.support.platform import Y2005, Platform, ratings_csv


def test_many_small_files_are_loaded_once_each(platform: Platform) -> None:
    files = int(os.environ.get("FILES", "10000"))
    step = max(1, files // 10)
    for first in range(0, files, step):
        numbers = range(first, min(first + step, files))
        for number in numbers:
            rows = [(1 + 3 * number + n, 1 + n, "4.0", Y2005 + number) for n in range(3)]
            platform.land(f"movielens/ratings/{number:06}.csv", ratings_csv(rows))
        began = time.monotonic()
        platform.load()
        seconds = time.monotonic() - began
        print(f"{numbers.stop:>8,} files: {1000 * seconds / len(numbers):.1f} ms a file", flush=True)
    assert platform.query("SELECT status, count(*) FROM ops.landed_file GROUP BY 1") == [("loaded", files)]
    assert platform.query("SELECT count(*), count(DISTINCT user_id) FROM raw_movielens.ratings") == [
        (3 * files, 3 * files)
    ]
