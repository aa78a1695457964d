"""Once and whole, whenever it dies: loading and building is killed at random moments until it is done."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support import crash
from tests.support.netflix import FACTS, facts, leftovers, ratings_txt, star_hashes, titles_csv
from tests.support.platform import Platform, database, environment_of, settled

KILLS, SEED = 8, 7
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


@pytest.fixture
def database_template(calendar_template: str) -> str:
    """Every test begins with a prepared database."""
    return calendar_template


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


@pytest.fixture(scope="module")
def clean(
    postgres: PostgresTarget, calendar_template: str, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Content, float]]:
    """The content after one load and build that nothing disturbs, and how long a process takes for them."""
    stores = tmp_path_factory.mktemp("clean_netflix")
    with database(postgres, "clean_netflix", calendar_template) as target:
        variables = environment_of(target, manifest_home)
        with settled(variables, stores):
            platform = Platform()
            places = {name: (stores / name).as_uri() for name in ("landing", "lake")}
            variables |= {f"CINESTREAM_{name.upper()}_URL": url for name, url in places.items()}
            assert crash.run_in_child(variables, crash.load) == 0  # the first child has to import everything
            land(platform)
            begin = time.monotonic()
            assert crash.run_in_child(variables, crash.load_and_build) == 0
            seconds = time.monotonic() - begin
            yield Content.of(platform), seconds


def test_what_is_killed_at_random_moments_ends_in_the_content_of_an_undisturbed_load(
    clean: tuple[Content, float], platform: Platform, environment: dict[str, str]
) -> None:
    content, seconds = clean
    assert len(content.facts) < sum(rows for _, rows, *_ in content.raw)  # ratings of the common film gave way
    land(platform)
    rng, killed = random.Random(SEED), 0
    # Later and later, so that the first die however fast this machine is at the moment.
    for moment in sorted(rng.uniform(0.25, 1.0) for _ in range(KILLS)):
        child = crash.start_child(environment | ATTEMPTS, crash.load_and_build)
        child.join(moment * seconds)
        if child.exitcode is not None:
            assert child.exitcode == 0
            break
        child.kill()
        child.join()
        killed += 1
    deadline = time.monotonic() + 60
    while True:  # a session of the dead may hold its file for a moment
        assert crash.run_in_child(environment | ATTEMPTS, crash.load_and_build) == 0
        if {status for _, status in platform.files()} == {"loaded"}:
            break
        assert time.monotonic() < deadline, platform.files()

    assert killed > 0
    assert Content.of(platform) == content
    assert leftovers(platform) == []
    assert platform.build() == []
    assert platform.query("SELECT 1 FROM raw_netflix.ratings GROUP BY _file_id, _line HAVING count(*) > 1") == []
    latest = "SELECT 1 FROM ops.publication WHERE is_latest GROUP BY schema_name, table_name, partition_key HAVING count(*) > 1"
    assert platform.query(latest) == []
