"""A small Netflix star whose load and build are killed and begun again, and the content that must come of it."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support import crash
from tests.support.netflix import FACTS, facts, leftovers, ratings_txt, star_hashes, titles_csv
from tests.support.platform import Platform, database, environment_of, settled

ATTEMPTS = {"CINESTREAM_LOAD_ATTEMPTS": "100"}  # a file may be killed more often than a user would try it
RAW = "SELECT key, count(*), count(DISTINCT _line), sum(rating) FROM raw_netflix.ratings JOIN ops.landed_file ON file_id = _file_id GROUP BY 1 ORDER BY 1"


def some_ratings(films: range, first: int) -> bytes:
    """150 ratings of each film, of seven months of 2003; where two files share films some say something else."""
    return ratings_txt(
        {
            film: [
                (
                    customer,
                    1 + (film * customer + first) % 5,
                    f"2003-{1 + (film + customer) % 7:02d}-{1 + (customer + first) % 28:02d}",
                )
                for customer in range(first, first + 300, 2)
            ]
            for film in films
        }
    )


FILES = {
    "netflix/movie-titles/movie_titles.csv": titles_csv(*((film, 2000, f"Film, {film}") for film in range(1, 30))),
    "netflix/ratings/combined_data_1.txt": some_ratings(range(1, 11), 1),
    "netflix/ratings/combined_data_2.txt": some_ratings(range(11, 33), 2),  # films 30 to 32 have no title
    "netflix/ratings/mv_0000010.txt": some_ratings(range(10, 11), 101),
}


@dataclass(frozen=True)
class Content:
    """What must be the same whatever happened; surrogate keys may skip numbers after a rollback."""

    raw: list[tuple[str, int, int, int]]
    facts: list[tuple[int, int, int, str]]
    months: str
    dims: dict[tuple[str, str], str]
    rows: dict[tuple[str, str], str]

    @classmethod
    def of(cls, platform: Platform) -> Content:
        hashes = star_hashes(platform)
        return cls(
            platform.query(RAW),
            facts(platform),
            platform.row_hash(
                "netflix_dw.fact_customer_months JOIN netflix_dw.dim_customer USING (customer_key)",
                "customer_id, date_key, rating_count, rating_sum, first_date_key, last_date_key",
            ),
            {key: content for key, content in hashes.items() if key[0] not in FACTS},
            {key: content.partition("-")[2] for key, content in hashes.items()},
        )


def land(platform: Platform) -> None:
    for key, content in FILES.items():
        platform.land(key, content)


@contextmanager
def undisturbed(server: PostgresTarget, template: str, home: Path, stores: Path) -> Iterator[tuple[Content, int]]:
    """The content after one load and build that nothing disturbs, and how many exchanges with Postgres they take."""
    with database(server, "clean_netflix", template) as target:
        variables = environment_of(target, home)
        with settled(variables, stores):
            platform = Platform()
            places = {name: (stores / name).as_uri() for name in ("landing", "lake")}
            variables |= {f"CINESTREAM_{name.upper()}_URL": url for name, url in places.items()}
            land(platform)
            counted = stores / "exchanges"
            counting = partial(crash.count_exchanges, str(counted), crash.load_and_build)
            assert crash.run_in_child(variables, counting) == 0
            yield Content.of(platform), int(counted.read_text())


def kill_until_done(platform: Platform, environment: dict[str, str], exchanges: int, *, kills: int, seed: int) -> int:
    """Load and build, and die at points that the seed draws; then go on to the end. How many died."""
    rng, killed = random.Random(seed), 0
    # Later and later, since there is less to do after each.
    for point in sorted(rng.randint(exchanges // 10, exchanges) for _ in range(kills)):
        dying = partial(crash.die_at_exchange, point, crash.load_and_build)
        code = crash.run_in_child(environment | ATTEMPTS, dying)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
    deadline = time.monotonic() + 300
    while True:  # a session of the dead may hold its file for a moment
        assert crash.run_in_child(environment | ATTEMPTS, crash.load_and_build) == 0
        if {status for _, status in platform.files()} == {"loaded"}:
            return killed
        assert time.monotonic() < deadline, platform.files()


def assert_undisturbed(platform: Platform, content: Content) -> None:
    """Everything is there, once, and nothing else."""
    assert Content.of(platform) == content
    assert leftovers(platform) == []
    assert platform.build() == []
    assert platform.query("SELECT 1 FROM raw_netflix.ratings GROUP BY _file_id, _line HAVING count(*) > 1") == []
    latest = "SELECT 1 FROM ops.publication WHERE is_latest GROUP BY schema_name, table_name, partition_key HAVING count(*) > 1"
    assert platform.query(latest) == []
