"""Tables that exist when their declaration changes: what is applied in place, and what is refused untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import polars as pl
import psycopg
import pytest

from cinestream_platform.catalog import MART_SCHEMAS, TABLES
from cinestream_platform.conformed.tables import DIM_DATE
from cinestream_platform.declarations.column import (
    BIGINT,
    DOUBLE,
    INTEGER,
    SMALLINT,
    TEXT,
    Between,
    Column,
    DataType,
    numeric,
)
from cinestream_platform.declarations.partitioning import Partitioning, PartitionUnit
from cinestream_platform.declarations.star_table import PartitionedFact, Type1Dimension, WholeFact
from cinestream_platform.declarations.table import Index, Reference, Table
from cinestream_platform.warehouse.connection import connect
from cinestream_platform.warehouse.ddl import SchemaDriftError
from cinestream_platform.warehouse.setup import prepare_warehouse
from tests.support.platform import Platform
from tests.support.publishing import publish_partition

DIM = Type1Dimension(
    source="movielens",
    schema="movielens_dw",
    name="dim_shop",
    description="Shops.",
    grain="one row per shop",
    member="shop",
    natural_ids=(Column("shop_id", SMALLINT, "Number."),),
    attributes=(
        Column("area", numeric(5, 1), "Square metres.", nullable=True),
        Column("name", TEXT, "Name.", nullable=True),
    ),
)
FACT = PartitionedFact(
    source="movielens",
    schema="movielens_dw",
    name="fact_sales",
    description="Sales.",
    grain="one row per sale",
    columns=(
        Column("sale_id", INTEGER, "Number."),
        Column("date_key", INTEGER, "Day."),
        Column("pieces", SMALLINT, "How many."),
        Column("amount", numeric(6, 2), "Money.", nullable=True),
    ),
    row_key=("sale_id",),
    references=(Reference("date_key", DIM_DATE),),
    partitioning=Partitioning(PartitionUnit.YEAR),
)
WHOLE = WholeFact(
    source=FACT.source,
    schema=FACT.schema,
    name=FACT.name,
    description=FACT.description,
    grain=FACT.grain,
    columns=FACT.columns,
    row_key=FACT.primary_key,
    references=FACT.references,
)
SALES = pl.DataFrame(
    {"sale_id": [1, 2], "date_key": [20050101, 20050630], "pieces": [3, 4], "amount": ["1.50", None]}
).cast({"sale_id": pl.Int32, "date_key": pl.Int32, "pieces": pl.Int16, "amount": pl.Decimal(6, 2)})


Declared = TypeVar("Declared", Type1Dimension, PartitionedFact)
Columns = tuple[Column, ...]


def changed(table: Declared, change: Callable[[Columns], Columns]) -> Declared:
    """The table with other columns; of a dim those that are its own."""
    if isinstance(table, Type1Dimension):
        return replace(table, natural_ids=change(table.natural_ids), attributes=change(table.attributes))
    return replace(table, columns=change(table.columns))


def with_column(table: Declared, column: Column) -> Declared:
    if isinstance(table, Type1Dimension):
        return replace(table, attributes=(*table.attributes, column))
    return replace(table, columns=(*table.columns, column))


def with_type(table: Declared, name: str, data_type: DataType) -> Declared:
    return changed(table, lambda columns: tuple(replace(c, type=data_type) if c.name == name else c for c in columns))


def without(table: Declared, name: str) -> Declared:
    return changed(table, lambda columns: tuple(column for column in columns if column.name != name))


def with_rule(table: Declared, name: str, rule: Between) -> Declared:
    return changed(table, lambda columns: tuple(replace(c, rules=(rule,)) if c.name == name else c for c in columns))


def with_null(table: Declared, name: str, *, nullable: bool) -> Declared:
    return changed(
        table, lambda columns: tuple(replace(c, nullable=nullable) if c.name == name else c for c in columns)
    )


@pytest.fixture
def database_template(prepared_template: str) -> str:
    """Days come from the tests."""
    return prepared_template


@pytest.fixture
def shop(platform: Platform) -> Platform:
    """A platform with a dim of one row and a fact with one partition of two."""
    prepare(platform, DIM, FACT)
    with connect(platform.target) as conn:
        conn.execute(
            "INSERT INTO conformed.dim_date SELECT k, DATE '2005-01-01', 2005, 1, 1, DATE '2005-01-01', 1, 1, 1,"
            " 'x', 'x', false FROM unnest(ARRAY[20050101, 20050630, 20060101]) k"
        )
        conn.execute("INSERT INTO movielens_dw.dim_shop VALUES (DEFAULT, 7, 12.5, 'North', false, true)")
    publish_partition(platform.target, FACT, "2005", SALES, run_id="one", file_ids=(1,))
    return platform


def prepare(platform: Platform, *tables: Table) -> list[str]:
    return prepare_warehouse(platform.target, [*TABLES, *tables], MART_SCHEMAS, {})


def shape(platform: Platform) -> list[tuple[object, ...]]:
    """Every column of the star, as the catalog has it."""
    return platform.query(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a"
        " JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'movielens_dw'::regnamespace"
        " AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') ORDER BY 1, a.attnum"
    )


def column(platform: Platform, table: str, name: str) -> tuple[object, ...]:
    [found] = [row[2:] for row in shape(platform) if row[:2] == (table, name)]
    return found


def test_a_new_nullable_column_is_added_in_place(shop: Platform) -> None:
    note = Column("note", TEXT, "What was said.", nullable=True)
    assert prepare(shop, with_column(DIM, note), with_column(FACT, note)) == [
        "added movielens_dw.dim_shop.note text",
        "added movielens_dw.fact_sales.note text",
    ]
    assert column(shop, "fact_sales_2005", "note") == ("text", False)
    assert shop.query("SELECT shop_id, name, note FROM movielens_dw.dim_shop") == [(7, "North", None)]
    sales = shop.query("SELECT sale_id, pieces, note FROM movielens_dw.fact_sales ORDER BY 1")
    assert sales == [(1, 3, None), (2, 4, None)]
    comment = "SELECT col_description(attrelid, attnum) FROM pg_attribute"
    where = "WHERE attrelid = 'movielens_dw.dim_shop'::regclass AND attname = 'note'"
    assert shop.scalar(f"{comment} {where}") == "What was said."


@pytest.mark.parametrize(
    ("name", "data_type", "as_written"),
    [
        ("pieces", INTEGER, "integer"),
        ("pieces", BIGINT, "bigint"),
        ("pieces", numeric(7, 2), "numeric(7,2)"),
        ("amount", numeric(8, 2), "numeric(8,2)"),
        ("amount", numeric(9, 4), "numeric(9,4)"),
    ],
)
def test_a_wider_type_is_applied_in_place_on_a_fact_with_partitions(
    shop: Platform, name: str, data_type: DataType, as_written: str
) -> None:
    before = shop.query("SELECT sale_id, pieces, amount FROM movielens_dw.fact_sales ORDER BY 1")
    [change] = prepare(shop, DIM, with_type(FACT, name, data_type))
    assert change.startswith(f"widened movielens_dw.fact_sales.{name} from ")
    for table in ("fact_sales", "fact_sales_2005"):
        assert column(shop, table, name)[0] == as_written
    assert shop.query("SELECT sale_id, pieces, amount FROM movielens_dw.fact_sales ORDER BY 1") == before


def test_a_fact_can_be_published_after_it_has_evolved(shop: Platform) -> None:
    evolved = with_column(with_type(FACT, "pieces", INTEGER), Column("note", TEXT, "Said.", nullable=True))
    prepare(shop, DIM, evolved)
    more = SALES.with_columns(pl.col("pieces").cast(pl.Int32) + 100_000, note=pl.lit("new"))
    publish_partition(shop.target, evolved, "2005", more, run_id="two", file_ids=(2,))
    later = more.with_columns(date_key=pl.lit(20060101, pl.Int32))
    publish_partition(shop.target, evolved, "2006", later, run_id="two", file_ids=(3,))
    rows = shop.query("SELECT sale_id, date_key / 10000, pieces, note FROM movielens_dw.fact_sales ORDER BY 2, 1")
    assert rows == [(s, y, p, "new") for y in (2005, 2006) for s, p in ((1, 100_003), (2, 100_004))]


def test_the_rules_of_a_new_column_hold_in_postgres_too(shop: Platform) -> None:
    stars = Column("stars", SMALLINT, "One to five.", True, (Between(1, 5),))
    prepare(shop, with_column(DIM, stars), with_column(FACT, stars))
    with connect(shop.target) as conn:
        for table in ("dim_shop", "fact_sales", "fact_sales_2005"):
            with pytest.raises(psycopg.errors.CheckViolation):
                conn.execute(f"UPDATE movielens_dw.{table} SET stars = 6")
            conn.execute(f"UPDATE movielens_dw.{table} SET stars = 5")


def test_a_description_that_changed_is_the_new_one_in_postgres(shop: Platform) -> None:
    prepare(shop, replace(DIM, description="Shops and kiosks."), FACT)
    comment = shop.scalar("SELECT obj_description('movielens_dw.dim_shop'::regclass)")
    assert comment == "Shops and kiosks. Grain: one row per shop."


def test_a_second_preparation_finds_nothing_to_do(shop: Platform) -> None:
    evolved = with_type(FACT, "pieces", BIGINT)
    assert prepare(shop, DIM, evolved)
    with connect(shop.target) as conn:
        conn.execute("COMMENT ON SCHEMA ops IS 'forgotten'")
    assert prepare(shop, DIM, evolved) == []


NOTE = Column("note", TEXT, "Said.")
REFUSED: dict[str, tuple[Callable[[], tuple[Table, Table]], str]] = {
    "a new NOT NULL column": (
        lambda: (with_column(DIM, NOTE), FACT),
        "ALTER TABLE movielens_dw.dim_shop ADD COLUMN note text NOT NULL",
    ),
    "a new NOT NULL column of a fact": (
        lambda: (DIM, with_column(FACT, NOTE)),
        "ALTER TABLE movielens_dw.fact_sales ADD COLUMN note text NOT NULL",
    ),
    "a narrower integer": (
        lambda: (DIM, with_type(FACT, "sale_id", SMALLINT)),
        "ALTER TABLE movielens_dw.fact_sales ALTER COLUMN sale_id TYPE smallint",
    ),
    "a narrower numeric": (
        lambda: (with_type(DIM, "area", numeric(4, 1)), FACT),
        "ALTER TABLE movielens_dw.dim_shop ALTER COLUMN area TYPE numeric(4,1)",
    ),
    "fewer digits before the point": (
        lambda: (with_type(DIM, "area", numeric(5, 2)), FACT),
        "ALTER TABLE movielens_dw.dim_shop ALTER COLUMN area TYPE numeric(5,2)",
    ),
    "exact to floating": (
        lambda: (with_type(DIM, "area", DOUBLE), FACT),
        "ALTER TABLE movielens_dw.dim_shop ALTER COLUMN area TYPE double precision",
    ),
    "a dropped column": (lambda: (without(DIM, "name"), FACT), "ALTER TABLE movielens_dw.dim_shop DROP COLUMN name"),
    "a column that may no longer be empty": (
        lambda: (with_null(DIM, "name", nullable=False), FACT),
        "ALTER TABLE movielens_dw.dim_shop ALTER COLUMN name SET NOT NULL",
    ),
    "a rule": (
        lambda: (DIM, with_rule(FACT, "pieces", Between(1, None))),
        "ALTER TABLE movielens_dw.fact_sales ADD CONSTRAINT fact_sales_pieces_range CHECK ((pieces >= 1))",
    ),
    "another key": (
        lambda: (DIM, replace(FACT, row_key=("date_key", "sale_id"))),
        "ALTER TABLE movielens_dw.fact_sales DROP CONSTRAINT fact_sales_pkey; "
        "ALTER TABLE movielens_dw.fact_sales ADD CONSTRAINT fact_sales_pkey PRIMARY KEY (date_key, sale_id)",
    ),
    "one reference less": (
        lambda: (DIM, replace(FACT, references=())),
        "ALTER TABLE movielens_dw.fact_sales DROP CONSTRAINT fact_sales_date_key_fkey",
    ),
    "an index": (
        lambda: (DIM, replace(FACT, indexes=(Index(("amount",), "the dearest"),))),
        "CREATE INDEX ON movielens_dw.fact_sales USING btree (amount)",
    ),
    "other partitions": (
        lambda: (DIM, WHOLE),
        "create movielens_dw.fact_sales anew, partitioned by RANGE (sale_id) (it is by RANGE (date_key))",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_needs_a_migration_is_refused_with_it_and_nothing_is_changed(shop: Platform, case: str) -> None:
    made, migration = REFUSED[case]
    before, rows = shape(shop), shop.row_hash("movielens_dw.fact_sales")
    dim, fact = made()
    # A harmless change beside the refused one must not be half of a migration.
    dim = with_column(dim, Column("harmless", TEXT, "Harmless.", nullable=True))
    with pytest.raises(SchemaDriftError) as refusal:
        prepare(shop, dim, fact)
    assert migration in str(refusal.value)
    assert shape(shop) == before
    assert shop.row_hash("movielens_dw.fact_sales") == rows


def test_all_that_must_be_migrated_is_in_one_message(shop: Platform) -> None:
    other = without(with_type(with_column(DIM, NOTE), "area", numeric(3, 1)), "name")
    with pytest.raises(SchemaDriftError) as refusal:
        prepare(shop, other, FACT)
    for part in ("ADD COLUMN note", "ALTER COLUMN area", "DROP COLUMN name"):
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    "tables",
    [
        (without(DIM, "name"), FACT),
        (with_rule(DIM, "shop_id", Between(1, 99)), FACT),
        (DIM, replace(FACT, indexes=(Index(("pieces",), "by size"), Index(("amount", "pieces"), "", method="brin")))),
    ],
    ids=["column", "rule", "indexes"],
)
def test_the_message_of_a_refusal_is_a_migration_that_works(shop: Platform, tables: tuple[Table, ...]) -> None:
    with pytest.raises(SchemaDriftError) as refusal:
        prepare(shop, *tables)
    migration = str(refusal.value).partition("cinestream upgrade: ")[2]
    with connect(shop.target) as conn:
        conn.execute(migration.encode())
    assert prepare(shop, *tables) == []
    assert shop.query("SELECT shop_id FROM movielens_dw.dim_shop") == [(7,)]


def test_an_index_that_somebody_added_is_left_alone_and_no_scratch_is_left(shop: Platform) -> None:
    with connect(shop.target) as conn:
        conn.execute("CREATE INDEX by_hand ON movielens_dw.dim_shop (name); COMMENT ON SCHEMA ops IS 'forgotten'")
    assert prepare(shop, DIM, FACT) == []
    assert shop.scalar("SELECT to_regclass('movielens_dw.by_hand') IS NOT NULL") is True
    assert shop.query("SELECT nspname FROM pg_namespace WHERE nspname = 'cinestream_declared'") == []
