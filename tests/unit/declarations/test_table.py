"""A declaration says what it means and refuses what cannot be meant."""

from decimal import Decimal

import pytest

from cinestream_platform.declarations.table import (
    BIGINT,
    DATE,
    INTEGER,
    TEXT,
    TIMESTAMP,
    Between,
    Column,
    Layer,
    MultipleOf,
    OneOf,
    Partitioning,
    PartitionUnit,
    Reference,
    Table,
    WriteMode,
    numeric,
    raw_table,
)
from cinestream_platform.sources.movielens.tables import DIM_MOVIE, FACT_GENOME_SCORES, FACT_RATINGS, MOVIE, RATINGS


def table(*columns: Column, **keys) -> Table:
    return Table("s", "s_dw", "t", Layer.FACT, WriteMode.PARTITION, "Things.", "one row a thing", columns, **keys)


A, B = Column("a", INTEGER, "A."), Column("b", INTEGER, "B.")


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        ((A, A), {}),
        ((A,), {"primary_key": ("b",)}),
        ((A,), {"natural_key": ("b",)}),
        ((A,), {"references": (Reference("b", DIM_MOVIE),)}),
    ],
)
def test_repeated_and_unknown_columns_are_refused_by_the_tables_name(columns, keys):
    with pytest.raises(ValueError, match=r"^s_dw\.t: unknown or repeated columns"):
        table(*columns, **keys)


def test_names_follow_from_schema_and_name():
    t = table(A, B, primary_key=("a",))
    assert (t.qualified_name, t.staging_schema, t.partition_name("2005")) == ("s_dw.t", "s_dw_staging", "t_2005")
    assert t.column("b") is B


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (INTEGER, "integer"),
        (TIMESTAMP, "timestamptz"),
        (DATE, "date"),
        (numeric(5, 2), "numeric(5,2)"),
        (Between(1, 5), "from 1 to 5"),
        (Between(1, None), "at least 1"),
        (Between(None, 5), "at most 5"),
        (MultipleOf(Decimal("0.5")), "a multiple of 0.5"),
        (OneOf(("a", "b")), "one of a, b"),
    ],
)
def test_types_and_rules_read_as_people_say_them(thing, text):
    assert str(thing) == text


def test_a_year_of_date_keys_begins_and_ends_on_new_years_day():
    by_year = Partitioning("date_key", PartitionUnit.YEAR)
    assert by_year.bounds("2005") == (20050101, 20060101)
    assert Partitioning("movie_key", PartitionUnit.WHOLE).bounds("whole") is None


def test_a_table_swapped_as_a_whole_shows_no_partitions():
    assert FACT_RATINGS.is_partitioned
    assert not FACT_GENOME_SCORES.is_partitioned
    assert not DIM_MOVIE.is_partitioned


def test_a_reference_targets_the_surrogate_key_or_else_the_primary_key():
    from cinestream_platform.sources.movielens.tables import DAY

    assert (MOVIE.target_column, DAY.target_column) == ("movie_key", "date_key")


def test_a_raw_table_says_of_every_row_where_it_came_from():
    raw = raw_table("s", "t", mode=WriteMode.FILE, description="D.", grain="g", columns=(Column("a", TEXT, "A."),))
    assert [(c.name, c.type, c.nullable, c.source_name) for c in raw.columns] == [
        ("a", TEXT, False, None),
        ("_file_id", BIGINT, False, None),
        ("_line", BIGINT, False, None),
    ]
    assert (raw.qualified_name, raw.layer) == ("raw_s.t", Layer.RAW)
    assert [(index.columns, index.method) for index in raw.indexes] == [(("_file_id",), "brin")]
    assert RATINGS.columns[-2:] == raw.columns[-2:]
