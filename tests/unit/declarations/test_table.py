"""A declaration says what it means; the kind gives the write mode and the keys, and what cannot be meant is refused."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from textwrap import indent

import pytest

from cinestream_platform.conformed.tables import DIM_DATE
from cinestream_platform.declarations.column import (
    BIGINT,
    DATE,
    INTEGER,
    TEXT,
    TIMESTAMP,
    Between,
    Column,
    MultipleOf,
    OneOf,
    numeric,
)
from cinestream_platform.declarations.partitioning import Partitioning, PartitionUnit
from cinestream_platform.declarations.prediction import Prediction
from cinestream_platform.declarations.raw_table import RawEvents, RawHistory, RawSnapshot, RawTable
from cinestream_platform.declarations.star_table import (
    Bridge,
    Fact,
    FixedDimension,
    PartitionedFact,
    Type1Dimension,
    Type2Dimension,
    WholeFact,
)
from cinestream_platform.declarations.table import Dimension, Layer, Reference, Table, WriteMode
from cinestream_platform.sources.movielens.tables import DAY, DIM_MOVIE, FACT_GENOME_SCORES, FACT_RATINGS, MOVIE

A, B, DATE_KEY = Column("a", INTEGER, "A."), Column("b", INTEGER, "B."), Column("date_key", INTEGER, "Day.")
RAW = {"source": "s", "name": "t", "description": "Things.", "grain": "one row per thing"}
STAR = {**RAW, "schema": "s_dw"}
YEARS = Partitioning(PartitionUnit.YEAR)
HISTORY = RawHistory(**RAW, delivered=(A,), row_key=("a",))
FILM = Type1Dimension(**STAR | {"name": "dim_film"}, member="film", natural_ids=(A,), attributes=(B,))
PERSON = Type2Dimension(
    **STAR | {"name": "dim_person"}, member="person", natural_id=A, attributes=(B,), versions_of=(HISTORY,)
)
FILM_KEY, PERSON_KEY = Column("film_key", INTEGER, "Film."), Column("person_key", INTEGER, "Person.")
TO_FILM = Reference("film_key", FILM, on={"a": "film"})
TO_PERSON = Reference("person_key", PERSON, on={"a": "person", "valid_from": "since"})

KINDS = {
    "events": (RawEvents(**RAW, delivered=(A, B), row_key=("a",)), "raw", "file", (), ("a",)),
    "snapshot": (RawSnapshot(**RAW, delivered=(A, B), row_key=("a", "b")), "raw", "snapshot", (), ("a", "b")),
    "history": (HISTORY, "raw", "history", (), ("a", "_file_id")),
    "fixed dimension": (FixedDimension(**STAR, key=A, attributes=(B,)), "dim", "upsert", ("a",), ("a",)),
    "type-1 dimension": (FILM, "dim", "upsert", ("film_key",), ("a",)),
    "type-2 dimension": (PERSON, "dim", "history", ("person_key",), ("a", "valid_from")),
    "bridge": (
        Bridge(**STAR, columns=(FILM_KEY, PERSON_KEY), one=TO_FILM, other=TO_PERSON),
        *("bridge", "snapshot", ("film_key", "person_key"), ("film_key", "person_key")),
    ),
    "fact": (
        PartitionedFact(**STAR, columns=(A, DATE_KEY), row_key=("a",), partitioning=YEARS),
        *("fact", "partition", ("a", "date_key"), ("a", "date_key")),
    ),
    "fact of days": (
        PartitionedFact(**STAR, columns=(A, DATE_KEY), row_key=("date_key", "a"), partitioning=YEARS),
        *("fact", "partition", ("date_key", "a"), ("date_key", "a")),
    ),
    "whole fact": (
        WholeFact(**STAR, columns=(A, B), row_key=("b", "a")),
        *("fact", "partition", ("b", "a"), ("b", "a")),
    ),
    "prediction": (
        Prediction(**RAW, columns=(A, Column("model_version", TEXT, "Model.")), row_key=("a",)),
        *("prediction", "external", ("a", "model_version"), ("a", "model_version")),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_layer_write_mode_and_keys_follow_from_the_kind(kind: str) -> None:
    table, layer, mode, primary_key, natural_key = KINDS[kind]
    assert (table.layer, table.mode) == (Layer(layer), WriteMode(mode))
    assert (table.primary_key, table.natural_key) == (primary_key, natural_key)


def test_every_kind_that_can_be_declared_is_tried_here() -> None:
    def kinds(kind: type[Table]) -> set[type[Table]]:
        return {kind, *(found for below in kind.__subclasses__() for found in kinds(below))}

    tried = {type(table) for table, *_ in KINDS.values()}
    assert kinds(Table) - tried == {Table, RawTable, Dimension, Fact}


@pytest.mark.parametrize("kind", [Table, RawTable, Dimension, Fact])
def test_what_several_kinds_have_in_common_is_no_kind(kind: type[Table]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind()


def test_a_raw_table_says_of_every_row_where_it_came_from() -> None:
    assert [(c.name, c.type, c.nullable, c.source_name) for c in HISTORY.columns] == [
        ("a", INTEGER, False, None),
        ("_file_id", BIGINT, False, None),
        ("_line", BIGINT, False, None),
    ]
    assert HISTORY.qualified_name == "raw_s.t"
    assert [(index.columns, index.method) for index in HISTORY.indexes] == [(("_file_id",), "brin")]
    assert RawEvents(**RAW, delivered=(A,), row_key=("a",), by_file=True).indexes == ()


def test_a_dimension_has_its_key_its_ids_and_its_flags_from_its_kind() -> None:
    flags = ["is_inferred", "is_in_source"]
    assert [column.name for column in FILM.columns] == ["film_key", "a", "b", *flags]
    version = ["valid_from", "valid_to", "is_current"]
    assert [column.name for column in PERSON.columns] == ["person_key", "a", "b", *version, *flags]
    assert PERSON.columns[0].description == "Surrogate key of the version of the person, given once and kept for ever."
    assert (FILM.surrogate_key, PERSON.surrogate_key, DIM_DATE.surrogate_key) == ("film_key", "person_key", None)


@pytest.mark.parametrize(
    "declare",
    [
        lambda: PartitionedFact(**STAR, columns=(A, A, DATE_KEY), row_key=("a",), partitioning=YEARS),
        lambda: PartitionedFact(**STAR, columns=(A, DATE_KEY), row_key=("b",), partitioning=YEARS),
        lambda: PartitionedFact(**STAR, columns=(A, B), row_key=("b",), partitioning=YEARS),  # no date_key
        lambda: WholeFact(**STAR, columns=(A,), row_key=("a",), references=(TO_FILM,)),
        lambda: Bridge(**STAR, columns=(FILM_KEY,), one=TO_FILM, other=TO_PERSON),
        lambda: FixedDimension(**STAR, key=A, attributes=(A,)),
        lambda: Prediction(**RAW, columns=(A,), row_key=("a",)),  # no model_version
        lambda: RawEvents(**RAW, delivered=(A,), row_key=("b",)),
    ],
)
def test_repeated_and_unknown_columns_are_refused_by_the_tables_name(declare) -> None:
    with pytest.raises(ValueError, match=r"^(s_dw|ml|raw_s)\.t: unknown or repeated columns"):
        declare()


def test_a_raw_table_that_identifies_no_record_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^raw_s\.t: row_key names no column"):
        RawSnapshot(**RAW, delivered=(A,), row_key=())


ILLEGAL = {
    "a base": "Table(**RAW)",
    "positions": "RawSnapshot('s', 't', 'Things.', 'one row per thing', (A,), ('a',))",
    "a mode of one's own": "RawSnapshot(**RAW, delivered=(A,), row_key=('a',), mode=WriteMode.FILE)",
    "the latest of a snapshot": "RawSnapshot(**RAW, delivered=(A,), row_key=('a',), latest_by='a')",
    "a history by file": "RawHistory(**RAW, delivered=(A,), row_key=('a',), by_file=True)",
    "a raw table without key": "RawEvents(**RAW, delivered=(A,))",
    "a raw table with references": "RawEvents(**RAW, delivered=(A,), row_key=('a',), references=())",
    "a raw table elsewhere": "RawEvents(**RAW, schema='s_dw', delivered=(A,), row_key=('a',))",
    "partitions of a dimension": "Type1Dimension(**STAR, member='m', natural_ids=(A,), partitioning=YEARS)",
    "versions of a type-1 dimension": "Type1Dimension(**STAR, member='m', natural_ids=(A,), versions_of=(HISTORY,))",
    "a type-1 dimension without id": "Type1Dimension(**STAR, member='m')",
    "a type-2 dimension without versions": "Type2Dimension(**STAR, member='m', natural_id=A)",
    "a bridge to one side": "Bridge(**STAR, columns=(A,), one=TO_FILM)",
    "a bridge with partitions": "Bridge(**STAR, columns=(), one=TO_FILM, other=TO_FILM, partitioning=YEARS)",
    "a fact without key": "WholeFact(**STAR, columns=(A,))",
    "a fact with a surrogate key": "WholeFact(**STAR, columns=(A,), row_key=('a',), surrogate_key='a')",
    "a partitioned fact without partitions": "PartitionedFact(**STAR, columns=(A,), row_key=('a',))",
    "partitions of a whole fact": "WholeFact(**STAR, columns=(A,), row_key=('a',), partitioning=YEARS)",
    "whole inputs of a whole fact": "WholeFact(**STAR, columns=(A,), row_key=('a',), reads_whole=('t',))",
    "a prediction with partitions": "Prediction(**RAW, columns=(A,), row_key=('a',), partitioning=YEARS)",
}
"""What cannot be meant, as it would be written; refused when it runs, and by mypy before."""

OF_OTHER_TYPES = {
    "a reference to a fact": "Reference('t_key', FACT)",
    "versions of a snapshot": "Type2Dimension(**STAR, member='m', natural_id=A, versions_of=(SNAPSHOT,))",
    "partitions of no time": "Partitioning(PartitionUnit.WHOLE)",
}
"""What only mypy refuses: arguments of another type."""


@pytest.mark.parametrize("case", ILLEGAL)
def test_an_option_that_a_kind_does_not_have_cannot_be_written(case: str) -> None:
    with pytest.raises(TypeError, match=r"argument|abstract"):
        eval(ILLEGAL[case])


HEAD = """
from typing import Any
from cinestream_platform.declarations.column import INTEGER, Column
from cinestream_platform.declarations.partitioning import Partitioning, PartitionUnit
from cinestream_platform.declarations.prediction import Prediction
from cinestream_platform.declarations.raw_table import RawEvents, RawHistory, RawSnapshot
from cinestream_platform.declarations.star_table import Bridge, PartitionedFact, Type1Dimension, Type2Dimension
from cinestream_platform.declarations.star_table import WholeFact
from cinestream_platform.declarations.table import Reference, Table, WriteMode
A = Column("a", INTEGER, "A.")
YEARS = Partitioning(PartitionUnit.YEAR)
HISTORY = RawHistory(source="s", name="t", description="", grain="", delivered=(A,), row_key=("a",))
SNAPSHOT = RawSnapshot(source="s", name="t", description="", grain="", delivered=(A,), row_key=("a",))
FACT = WholeFact(source="s", schema="d", name="t", description="", grain="", columns=(A,), row_key=("a",))
FILM = Type1Dimension(
    source="s", schema="d", name="dim_film", description="", grain="", member="film", natural_ids=(A,)
)
TO_FILM = Reference("film_key", FILM)
"""


def test_mypy_refuses_every_illegal_combination_and_accepts_the_legal_ones(tmp_path: Path) -> None:
    given = "source='s', name='t', description='', grain=''"
    cases = {**ILLEGAL, **OF_OTHER_TYPES}
    lines = [case.replace("**RAW", given).replace("**STAR", f"schema='d', {given}") for case in cases.values()]
    script = tmp_path / "declared.py"
    script.write_text(HEAD + "\n".join(lines) + "\n")
    first = HEAD.count("\n") + 1
    done = subprocess.run([sys.executable, "-m", "mypy", str(script)], capture_output=True, text=True, timeout=120)
    refused = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    named = dict(enumerate(cases, first))
    accepted = indent("\n".join(named[line] for line in named.keys() - refused), "- ")
    assert refused == named.keys(), f"accepted:\n{accepted}\n{done.stdout}{done.stderr}"


def test_names_follow_from_schema_and_name() -> None:
    table = KINDS["whole fact"][0]
    assert (table.qualified_name, table.staging_schema) == ("s_dw.t", "s_dw_staging")
    assert table.partition_name("2005") == "t_2005"
    assert table.column("b") is B


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
    assert YEARS.bounds("2005") == FACT_RATINGS.bounds("2005") == (20050101, 20060101)
    assert FACT_GENOME_SCORES.bounds("whole") is None


def test_a_table_swapped_as_a_whole_shows_no_partitions():
    assert FACT_RATINGS.is_partitioned
    assert not FACT_GENOME_SCORES.is_partitioned
    assert not DIM_MOVIE.is_partitioned


def test_a_reference_targets_the_key_of_its_dimension():
    assert (MOVIE.target_column, DAY.target_column) == ("movie_key", "date_key")
