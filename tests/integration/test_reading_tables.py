"""Tables as inputs of assets (``load_input``) and in notebooks (``cinestream.read``): whole, by partition, exact."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import cinestream
from cinestream_platform.catalog import CATALOG, TABLES
from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.declarations.column import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    SMALLINT,
    TEXT,
    TEXT_ARRAY,
    TIMESTAMP,
    Between,
    Column,
    numeric,
)
from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.declarations.star_table import PartitionedFact, WholeFact
from cinestream_platform.declarations.table import Table
from cinestream_platform.ledger.publications import MadeFrom, Publication, latest, read_state, record
from cinestream_platform.orchestration.asset import table_asset
from cinestream_platform.orchestration.calendar import dim_date
from cinestream_platform.orchestration.io_managers import RawIOManager, WarehouseIOManager
from cinestream_platform.orchestration.partitions import YEARS, partitions_of
from cinestream_platform.orchestration.resources import given as handed
from cinestream_platform.orchestration.resources import platform_resources
from cinestream_platform.orchestration.staleness import nodes_of, stale_partitions
from cinestream_platform.publishing.partitions import PartitionPublisher
from cinestream_platform.reader import ClosedTableError, UnknownPartitionError, UnknownTableError
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.movielens import assets as movielens
from cinestream_platform.sources.netflix import assets as netflix
from cinestream_platform.sources.netflix.source import SOURCE
from cinestream_platform.sources.netflix.tables import FACT_RATINGS
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.ddl import ensure_tables
from cinestream_platform.warehouse.scan import ReadFailedError, described, of_partitions, scan
from cinestream_platform.warehouse.scan import declared as relation_of
from tests.support.platform import (
    MOVIES,
    Y2005,
    Y2018,
    Platform,
    platform_of,
    ratings_csv,
)

MONTHS = partitions_of(FACT_RATINGS.partitioning)
RATINGS = {  # month: (customer, movie, day, stars)
    "2004-11": [(1, 1, 20041105, 5)],
    "2004-12": [(2, 2, 20041211, 2)],
    "2005-01": [(3, 1, 20050102, 4), (1, 2, 20050103, 3)],
}
MEMBERS = """
INSERT INTO netflix_dw.dim_movie (movie_key, movie_id, title, release_year, is_inferred, is_in_source)
    VALUES (1, 10, 'Alpha', 2000, false, true), (2, 20, 'Beta', NULL, false, true);
INSERT INTO netflix_dw.dim_customer
        (customer_key, customer_id, first_rating_date, last_rating_date, total_ratings, is_inferred, is_in_source)
    VALUES (1, 101, '2004-11-05', '2005-01-03', 2, false, true), (2, 102, '2004-12-11', '2004-12-11', 1, false, true),
        (3, 103, '2005-01-02', '2005-01-02', 1, false, true);
CREATE TABLE netflix_marts.mart_daily_ratings (month_start date, rating_mean numeric(7,6), at timestamptz, words text[]);
INSERT INTO netflix_marts.mart_daily_ratings VALUES
    ('2004-12-01', 2.5, '2004-12-11 01:00+02', '{a,NULL}'), ('2005-01-01', 3.500001, NULL, '{}');
CREATE VIEW netflix_marts.v_daily_rating_summary AS SELECT month_start, rating_mean FROM netflix_marts.mart_daily_ratings;
CREATE TABLE movielens_marts.mart_genre_trends (year smallint, rating_count bigint);
INSERT INTO movielens_marts.mart_genre_trends VALUES (2004, 1), (2005, 2);
CREATE VIEW netflix_marts.v_unscaled AS SELECT sum(rating) / 3.0 AS mean FROM netflix_dw.fact_ratings;
"""


@pytest.fixture(scope="module")
def built(
    postgres: PostgresTarget, calendar_template: str, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """MovieLens loaded and built; months of the Netflix facts and marts put there by hand. Tests only read."""
    with platform_of(
        postgres, f"t{uuid.uuid4().hex[:12]}", calendar_template, manifest_home, tmp_path_factory.mktemp("stores")
    ) as platform:
        platform.land("movielens/movies/movies.csv", MOVIES)
        platform.land("movielens/ratings/a.csv", ratings_csv([(1, 1, 4.5, Y2005), (2, 1, 3, Y2018), (2, 9, 1, Y2018)]))
        platform.land("movielens/ratings/b.csv", ratings_csv([(1, 1, 2.0, Y2005 + 9)]))  # beats the first of a.csv
        platform.load_and_build()
        with connect(platform.target) as conn, conn.transaction():
            conn.execute(MEMBERS.encode())
            for month, rows in RATINGS.items():
                add_month(conn, month, rows)
        yield platform


def add_month(conn: psycopg.Connection[Any], month: str, rows: list[tuple[int, int, int, int]]) -> None:
    """A partition of Netflix' ratings, attached."""
    low, high = FACT_RATINGS.bounds(month)
    child = f"netflix_dw.{FACT_RATINGS.partition_name(month)}"
    conn.execute(
        f"CREATE TABLE {child} (LIKE netflix_dw.fact_ratings INCLUDING DEFAULTS INCLUDING CONSTRAINTS)".encode()
    )
    for customer, movie, day, stars in rows:
        values = {"rating_key": movie * 2**31 + customer, "customer_key": customer, "movie_key": movie}
        values |= {"date_key": day, "rating": stars}
        names, marks = ", ".join(values), ", ".join("%s" for _ in values)
        conn.execute(f"INSERT INTO {child} ({names}) VALUES ({marks})".encode(), list(values.values()))
    attach = f"ALTER TABLE netflix_dw.fact_ratings ATTACH PARTITION {child} FOR VALUES FROM ({low}) TO ({high})"
    conn.execute(attach.encode())


def resources(of: Catalog = CATALOG) -> dict[str, Any]:
    """As ``definitions`` makes them."""
    catalog = handed(of)
    own = platform_resources(of, handed(get_settings()))
    warehouse, stores = own["warehouse"], own["stores"]
    return own | {
        "raw_io_manager": RawIOManager(warehouse=warehouse, stores=stores, catalog=catalog),
        "warehouse_io_manager": WarehouseIOManager(warehouse=warehouse, catalog=catalog),
    }


def mart(source: str, name: str, partitions: Any = None) -> dg.AssetSpec:
    """A mart as dbt's assets declare it to Dagster."""
    spec = dg.AssetSpec([source, name], partitions_def=partitions)
    return spec.with_io_manager_key("warehouse_io_manager")


def given_to(
    key: list[str], *, asked: Any = pl.LazyFrame, span: tuple[str, str] | None = None, partitions: Any = None
) -> Any:
    """What an asset gets that names a table as its input, materialized by Dagster."""
    got = []

    def consumer(context: dg.AssetExecutionContext, rows: Any) -> None:
        got.append((type(rows), rows.lazy().collect()))

    consumer.__annotations__["rows"] = asked
    consumer.__annotations__["context"] = dg.AssetExecutionContext
    made = dg.asset(
        ins={"rows": dg.AssetIn(dg.AssetKey(key))},
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        io_manager_key="nowhere",
    )(consumer)
    tables: list[Any] = [
        *(
            one
            for module in (movielens, netflix)
            for one in vars(module).values()
            if isinstance(one, dg.AssetsDefinition)
        ),
        *(dim_date, *movielens.raw_assets, *netflix.raw_assets),
        mart("netflix", "mart_daily_ratings", MONTHS),
        mart("netflix", "v_daily_rating_summary"),
        mart("movielens", "mart_genre_trends", YEARS),
        mart("movielens", "mart_never_built"),
    ]
    tags = (
        {"dagster/asset_partition_range_start": span[0], "dagster/asset_partition_range_end": span[1]} if span else {}
    )
    result = dg.materialize(
        [made, *tables], selection=[made], resources={**resources(), "nowhere": dg.mem_io_manager}, tags=tags
    )
    assert result.success
    [(kind, frame)] = got
    assert kind is asked
    return frame


def in_postgres(platform: Platform, table: str, order: str) -> list[tuple[Any, ...]]:
    return platform.query(f"SELECT * FROM {table} ORDER BY {order}")


def test_every_declared_table_of_a_built_star_is_read_as_it_is_in_postgres(built: Platform) -> None:
    for table in TABLES:
        frame = cinestream.read(table.qualified_name, role="data_engineer").collect()
        assert frame.schema == polars_schema(table)
        columns = ", ".join(f'"{name}"' for name in frame.columns)
        rows = built.query(f"SELECT {columns} FROM {table.qualified_name}")
        assert sorted(map(repr, frame.rows())) == sorted(repr(row) for row in utc(rows)), table.qualified_name


def utc(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Times with the zone object that polars gives."""
    zone = pl.Series([datetime(2005, 1, 1)]).dt.replace_time_zone("UTC")[0].tzinfo
    return [tuple(v.astimezone(zone) if isinstance(v, datetime) else v for v in row) for row in rows]


def test_an_unpartitioned_dimension_is_an_input_whole(built: Platform) -> None:
    frame = given_to(["movielens", "dim_movie"])
    assert_frame_equal(frame, cinestream.read("movielens_dw.dim_movie").collect(), check_row_order=False)
    assert set(frame["title"]) >= {"Toy Boat", "Long, Winding", "No Year"}


@pytest.mark.parametrize(
    ("span", "months"),
    [
        (("2004-12", "2004-12"), ["2004-12"]),
        (("2004-12", "2005-02"), ["2004-12", "2005-01"]),
        (("2003-01", "2003-02"), []),
    ],
)
def test_an_asset_partitioned_alike_gets_its_partition_or_its_range(
    built: Platform, span: tuple[str, str], months: list[str]
) -> None:
    frame = given_to(["netflix", "fact_ratings"], span=span, partitions=MONTHS)
    assert frame.schema == polars_schema(FACT_RATINGS)
    assert sorted(frame["date_key"]) == sorted(day for month in months for _, _, day, _ in RATINGS[month])


def test_an_unpartitioned_asset_gets_all_partitions(built: Platform) -> None:
    assert given_to(["netflix", "fact_ratings"]).height == 4
    assert given_to(["movielens", "fact_ratings"], asked=pl.DataFrame).height == 3


def test_a_mart_is_an_input_whole_by_month_by_year_and_as_a_view(built: Platform) -> None:
    whole = given_to(["netflix", "mart_daily_ratings"])
    assert whole.schema == {
        "month_start": pl.Date(),
        "rating_mean": pl.Decimal(7, 6),
        "at": pl.Datetime("us", "UTC"),
        "words": pl.List(pl.String()),
    }
    assert whole.sort("month_start").row(0) == (
        date(2004, 12, 1), Decimal("2.500000"), datetime(2004, 12, 10, 23, tzinfo=UTC), ["a", None]
    )  # fmt: skip
    january = given_to(["netflix", "mart_daily_ratings"], span=("2005-01", "2005-03"), partitions=MONTHS)
    assert january["rating_mean"].to_list() == [Decimal("3.500001")]
    assert given_to(["netflix", "v_daily_rating_summary"]).height == 2
    year = given_to(["movielens", "mart_genre_trends"], span=("2005", "2005"), partitions=YEARS)
    assert year.rows() == [(2005, 2)]


def test_a_raw_table_is_an_input_with_all_its_rows_from_the_lake(built: Platform) -> None:
    frame = given_to(["movielens", "ratings"])
    rows = built.query("SELECT * FROM raw_movielens.ratings")
    assert frame.columns == [column.name for column in movielens_raw().columns]
    assert frame.height == len(rows) == 4  # also the record that another beats
    assert_frame_equal(
        frame, cinestream.read("raw_movielens.ratings", role="data_engineer").collect(), check_row_order=False
    )


def movielens_raw() -> Table:
    return CATALOG.feed_of_table("movielens", "ratings").table


def test_an_input_that_was_never_built_is_named(built: Platform) -> None:
    with pytest.raises(
        Exception, match=r"movielens/mart_never_built is not a table of the warehouse, or was never built"
    ):
        given_to(["movielens", "mart_never_built"])


def test_a_notebook_reads_a_partition_or_a_range(built: Platform) -> None:
    table = "netflix_dw.fact_ratings"
    assert cinestream.read(table, partition="2004-12").collect()["date_key"].to_list() == [20041211]
    assert cinestream.read(table, partition=("2004-12", "2005-01")).collect().height == 3
    assert cinestream.read("netflix_marts.mart_daily_ratings", partition="2005-01").collect().height == 1
    assert cinestream.read("movielens_marts.mart_genre_trends", partition=("2004", "2005")).collect().height == 2
    empty = cinestream.read(table, partition="2001-01").collect()
    assert (empty.height, empty.schema) == (0, polars_schema(FACT_RATINGS))


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_columns_filters_and_limits_give_what_polars_gives(built: Platform, engine: Any) -> None:
    rows = cinestream.read("netflix_dw.fact_ratings")
    everything = rows.collect(engine=engine)
    for kept in (
        pl.col("date_key") >= 20050101,
        (pl.col("rating") > 2) & (pl.col("date_key") // 100 == 200501),
        pl.col("movie_key").is_in([2, 3]) | (pl.col("rating") == 5),
    ):
        found = rows.filter(kept).select("rating").collect(engine=engine)
        assert sorted(found["rating"]) == sorted(everything.filter(kept)["rating"])
    assert rows.head(2).collect(engine=engine).height == 2
    assert rows.filter(pl.col("rating") > 2).head(1).collect(engine=engine).height == 1
    assert rows.select(pl.len()).collect(engine=engine).item() == 4
    assert rows.join(rows, on="rating_key").collect(engine=engine).height == 4


def test_a_filter_on_the_partition_column_reads_those_partitions_only(built: Platform) -> None:
    """The others may be locked, or on a disk that is gone."""
    with connect(built.target, autocommit=False) as conn:
        conn.execute("LOCK TABLE netflix_dw.fact_ratings_2004_11 IN ACCESS EXCLUSIVE MODE")
        rows = scan(built.target, relation_of(FACT_RATINGS), session="-c lock_timeout=3s")
        assert rows.filter(pl.col("date_key").is_between(20050101, 20051231)).collect().height == 2
        with pytest.raises(ReadFailedError, match=r"netflix_dw.fact_ratings could not be read: .*lock timeout"):
            rows.collect()
        conn.rollback()


def test_a_reader_that_waited_for_a_swap_sees_the_new_partition_whole(built: Platform) -> None:
    got: list[pl.DataFrame] = []
    rows = scan(built.target, relation_of(FACT_RATINGS), where=of_partitions(FACT_RATINGS, ["2005-01"]))
    with connect(built.target, autocommit=False) as conn:
        conn.execute("LOCK TABLE netflix_dw.fact_ratings IN ACCESS EXCLUSIVE MODE")
        reader = threading.Thread(target=lambda: got.append(rows.collect()))
        reader.start()
        with connect(built.target) as looking:
            waiting = (
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'netflix_dw.fact_ratings'::regclass"
            )
            while looking.execute(waiting).fetchone() == (0,) and reader.is_alive():
                time.sleep(0.02)
        conn.execute("ALTER TABLE netflix_dw.fact_ratings DETACH PARTITION netflix_dw.fact_ratings_2005_01")
        conn.execute("DROP TABLE netflix_dw.fact_ratings_2005_01")
        add_month(conn, "2005-01", RATINGS["2005-01"])
        conn.commit()
    reader.join(60)
    assert sorted(got[0]["date_key"]) == [20050102, 20050103]


def test_an_analyst_gets_no_personal_column_and_no_raw_table(built: Platform) -> None:
    dim_customer = next(table for table in TABLES if table.qualified_name == "chinook_dw.dim_customer")
    personal = {column.name for column in dim_customer.columns if column.is_personal}
    found = cinestream.read("chinook_dw.dim_customer").collect_schema().names()
    assert personal
    assert found == [column.name for column in dim_customer.columns if column.name not in personal]
    with pytest.raises(
        ClosedTableError, match=r"data_analyst may not read raw_movielens.ratings; role='data_engineer' may"
    ):
        cinestream.read("raw_movielens.ratings")
    with pytest.raises(ClosedTableError, match=r"there is no role boss; roles are admin, "):
        cinestream.read("movielens_dw.dim_movie", role="boss")


def test_a_role_without_a_login_is_acted_as(built: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CINESTREAM_LOGIN_DATA_ANALYST_PASSWORD")
    get_settings.cache_clear()
    assert cinestream.read("movielens_dw.dim_genre").collect().height == 2
    with pytest.raises(ClosedTableError):
        cinestream.read("raw_movielens.ratings")


def test_the_limits_of_a_role_hold_for_what_it_reads(built: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cinestream.read.__globals__["DEFAULTS"], "data_analyst", {"statement_timeout": "1ms"})
    with pytest.raises(
        ReadFailedError, match=r"conformed.dim_date could not be read: it took longer than the role may"
    ):
        cinestream.read("conformed.dim_date").collect()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("netflix_dw.fact_rating", "there is no table netflix_dw.fact_rating; did you mean netflix_dw.fact_ratings"),
        ("fact_ratings", "did you mean movielens_dw.fact_ratings or netflix_dw.fact_ratings"),
        ("ops.landed_file", "there is no table ops.landed_file; name it as schema.table"),
        ("x" * 500, "there is no table x{60,100}"),
    ],
)
def test_an_unknown_table_is_answered_with_names_like_it(built: Platform, asked: str, message: str) -> None:
    with pytest.raises(UnknownTableError, match=message) as raised:
        cinestream.read(asked)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("table", "partition", "message"),
    [
        ("netflix_dw.fact_ratings", "2005", "has a partition per month, with keys like 2005-12; '2005' is not a key"),
        ("netflix_dw.fact_ratings", ("2005-01", "2005-13"), "'2005-13' is not a key"),
        ("dvddw.fact_rental", "2005-05", "has a partition per quarter, with keys like 2005-04; '2005-05' is not a key"),
        ("movielens_dw.dim_movie", "2005", "has no partitions: read it without partition="),
        ("movielens_marts.mart_genre_trends", "2005-01", "has no column month_start"),
    ],
)
def test_an_unknown_partition_is_answered_with_what_there_is(
    built: Platform, table: str, partition: Any, message: str
) -> None:
    with pytest.raises(UnknownPartitionError, match=message):
        cinestream.read(table, partition=partition)


def test_a_column_without_an_exact_type_is_named(built: Platform) -> None:
    with (
        connect(built.target) as conn,
        pytest.raises(Exception, match=r"netflix_marts.v_unscaled.mean is of type numeric"),
    ):
        described(conn, "netflix_marts", "v_unscaled")


KINDS = {
    "id": (BIGINT, st.integers(-(2**63), 2**63 - 1)),
    "small": (SMALLINT, st.integers(-(2**15), 2**15 - 1)),
    "whole": (INTEGER, st.integers(-(2**31), 2**31 - 1)),
    "mean": (DOUBLE, st.floats(allow_nan=False)),
    "price": (numeric(12, 3), st.decimals(-(10**8), 10**8, places=3)),
    "title": (TEXT, st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))),
    "words": (TEXT_ARRAY, st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=4), max_size=3)),
    "is_late": (BOOLEAN, st.booleans()),
    "day": (DATE, st.dates()),
    "at": (TIMESTAMP, st.datetimes(timezones=st.just(UTC))),
}  # fmt: skip
EVERY_KIND = WholeFact(
    source="kinds",
    schema="kinds_dw",
    name="fact_kinds",
    description="A column per type.",
    grain="one row per id",
    columns=tuple(Column(name, kind, name, nullable=name != "id") for name, (kind, _) in KINDS.items()),
    row_key=("id",),
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {name: values if name == "id" else st.none() | values for name, (_, values) in KINDS.items()}
    ),
    unique_by=lambda row: row["id"],
    max_size=6,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_what_is_published_is_read_back_equal(built: Platform, rows: list[dict[str, Any]]) -> None:
    with connect(built.target) as conn:
        ensure_tables(conn, [EVERY_KIND])
    schema: Any = polars_schema(EVERY_KIND)
    frame = pl.DataFrame(rows, schema=schema)
    with PartitionPublisher(built.target, EVERY_KIND, "test") as publisher:
        for turn in publisher.turns([WHOLE]):
            publisher.publish(publisher.build(turn, frame.sort("id"), made_from=MadeFrom((1,))))
        publisher.finish()
    assert_frame_equal(
        scan(built.target, relation_of(EVERY_KIND)).collect(), frame, check_row_order=False, abs_tol=0, rel_tol=0
    )


FILM_MONTHS = PartitionedFact(
    source="netflix",
    schema="netflix_dw",
    name="fact_film_months",
    description="Ratings of films by month, beside the mean of all films.",
    grain="one row per film and month",
    columns=(
        Column("movie_key", INTEGER, "The film."),
        Column("date_key", INTEGER, "The first day of the month as YYYYMMDD."),
        Column("rating_count", BIGINT, "Its ratings in the month.", rules=(Between(1),)),
        Column("mean_of_all", numeric(7, 6), "Mean of all ratings of the month."),
    ),
    row_key=("movie_key",),
    partitioning=FACT_RATINGS.partitioning,
)
"""The example of docs/io-managers.md, as its reader writes it."""


@table_asset(FILM_MONTHS, SOURCE)
def fact_film_months(fact_ratings: pl.LazyFrame, mart_daily_ratings: pl.LazyFrame) -> pl.LazyFrame:
    """Called once per month of the run, with the rows of that month."""
    films = fact_ratings.group_by("movie_key", date_key=pl.col("date_key") // 100 * 100 + 1)
    mean = mart_daily_ratings.select(mean_of_all="rating_mean").head(1)
    return films.agg(rating_count=pl.len().cast(pl.Int64)).join(mean, how="cross")


@dg.asset(
    key=["netflix", "fact_film_months"],  # source and name of the declared table
    ins={"ratings": dg.AssetIn(["netflix", "fact_ratings"])},
    partitions_def=partitions_of(FILM_MONTHS.partitioning),
    io_manager_key="warehouse_io_manager",
)
def any_film_months(ratings: pl.LazyFrame) -> pl.LazyFrame:
    """The input holds the month of the run."""
    films = ratings.group_by("movie_key", date_key=pl.col("date_key") // 100 * 100 + 1)
    return films.agg(rating_count=pl.len().cast(pl.Int64), mean_of_all=pl.lit(1, pl.Decimal(7, 6)))


@dg.asset(
    key=["netflix", "mart_daily_ratings"],
    partitions_def=MONTHS,
    group_name="netflix_marts",
    metadata={"dagster/table_name": "netflix_marts.mart_daily_ratings"},
    io_manager_key="warehouse_io_manager",
)
def daily_ratings() -> None:
    """The mart as Dagster knows it; nothing runs it here."""


NETFLIX = [*(one for one in vars(netflix).values() if isinstance(one, dg.AssetsDefinition)), *netflix.raw_assets]


@pytest.fixture(scope="module")
def with_mine(built: Platform) -> Catalog:
    """The catalog of somebody who declared a table of their own."""
    with connect(built.target) as conn:
        ensure_tables(conn, [FILM_MONTHS])
    mine = replace(SOURCE, star_tables=(*SOURCE.star_tables, FILM_MONTHS))
    return Catalog(sources=tuple(mine if one is SOURCE else one for one in CATALOG.sources), shared=CATALOG.shared)


def publish_by_hand(platform: Platform, schema: str, table: str, month: str, *, changed: bool = True) -> None:
    """Enter a new publication of a month in the ledger."""
    entry = Publication(month, 1, uuid.uuid4().hex, (len(month),), changed)
    with connect(platform.target) as conn, conn.transaction():
        record(conn, schema, table, "by hand", entry)


def stale_months(platform: Platform, catalog: Catalog) -> list[str]:
    """The months of the reader's table that the staleness sensor would ask for."""
    graph = dg.Definitions(
        assets=[fact_film_months, daily_ratings, *NETFLIX, dim_date], resources=resources(catalog)
    ).resolve_asset_graph()
    nodes = nodes_of(graph, catalog)
    with connect(platform.target) as conn:
        return stale_partitions(nodes[fact_film_months.key], nodes, read_state(conn))


def build_film_months(catalog: Catalog, first: str, last: str) -> Any:
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    return dg.materialize(
        [fact_film_months, daily_ratings, *NETFLIX],
        selection=[fact_film_months],
        resources=resources(catalog),
        tags=tags,
        raise_on_error=False,
    )


def test_a_readers_own_table_is_built_as_any_other(built: Platform, with_mine: Catalog) -> None:
    """Staleness from the ledger, a range in one run, checks and columns in the UI, and what it is made from."""
    assert stale_months(built, with_mine) == []  # nothing that it reads is published
    for month in RATINGS:
        publish_by_hand(built, "netflix_dw", "fact_ratings", month)
        publish_by_hand(built, "netflix_marts", "mart_daily_ratings", month)
    assert stale_months(built, with_mine) == list(RATINGS)
    result = build_film_months(with_mine, "2004-11", "2005-01")
    assert result.success
    mean, december = Decimal("3.500001"), Decimal("2.500000")
    rows = "SELECT * FROM netflix_dw.fact_film_months ORDER BY date_key, movie_key"
    assert built.query(rows) == [(2, 20041201, 1, december), (1, 20050101, 1, mean), (2, 20050101, 1, mean)]
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert set(checks) == {spec.name for spec in fact_film_months.check_specs}
    assert set(checks.values()) == {True}
    assert "dagster/column_schema" in fact_film_months.metadata_by_key[fact_film_months.key]
    assert stale_months(built, with_mine) == []  # November too, although it came out empty
    [(_, file_ids)] = built.query(
        "SELECT upstream, file_ids FROM ops.publication WHERE table_name = 'fact_film_months'"
        " AND partition_key = '2005-01' AND is_latest"
    )
    assert file_ids == [7]  # the files behind its inputs


def test_a_readers_own_table_is_stale_exactly_where_its_inputs_changed(built: Platform, with_mine: Catalog) -> None:
    assert build_film_months(with_mine, "2004-11", "2005-01").success
    publish_by_hand(built, "netflix_dw", "fact_ratings", "2004-12")
    assert stale_months(built, with_mine) == ["2004-12"]
    publish_by_hand(built, "netflix_marts", "mart_daily_ratings", "2005-01")
    publish_by_hand(built, "netflix_marts", "mart_daily_ratings", "2004-11", changed=False)
    assert stale_months(built, with_mine) == ["2004-12", "2005-01"]
    assert build_film_months(with_mine, "2004-12", "2005-01").success
    assert stale_months(built, with_mine) == []


def test_a_broken_rule_of_a_readers_own_table_fails_its_check(built: Platform, with_mine: Catalog) -> None:
    column = replace(FILM_MONTHS.columns[2], rules=(Between(2),))
    table = replace(FILM_MONTHS, columns=(*FILM_MONTHS.columns[:2], column, FILM_MONTHS.columns[3]))

    @table_asset(table, SOURCE)
    def strict(fact_ratings: pl.LazyFrame, mart_daily_ratings: pl.LazyFrame) -> pl.LazyFrame:
        films = fact_ratings.group_by("movie_key", date_key=pl.lit(20050101)).agg(rating_count=pl.len().cast(pl.Int64))
        return films.join(mart_daily_ratings.select(mean_of_all="rating_mean").head(1), how="cross")

    result = dg.materialize(
        [strict, daily_ratings, *NETFLIX],
        selection=[strict],
        resources=resources(with_mine),
        partition_key="2005-01",
        raise_on_error=False,
    )
    assert not result.success
    assert [c.check_name for c in result.get_asset_check_evaluations() if not c.passed] == ["column_rating_count"]


def test_a_plain_asset_of_a_declared_table_is_published_too(built: Platform, with_mine: Catalog) -> None:
    result = dg.materialize(
        [any_film_months, *NETFLIX],
        selection=[any_film_months],
        resources=resources(with_mine),
        partition_key="2005-01",
    )
    assert result.success
    with connect(built.target) as conn:
        published = latest(conn, "netflix_dw", "fact_film_months", "2005-01")
    assert published is not None
    assert published.rows == 2


def test_the_guide_shows_the_example_that_is_tested() -> None:
    guide = Path(__file__).parents[2].joinpath("docs", "io-managers.md").read_text(encoding="utf-8")
    here = Path(__file__).read_text(encoding="utf-8")
    blocks = [block for block in guide.split("```") if block.startswith("python") and "_asset(" in block]
    shown = "\n\n".join(block.removeprefix("python").strip() for block in blocks)
    assert shown
    assert all(part.strip() in here for part in shown.split("\n\n\n"))
