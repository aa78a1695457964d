"""Which delivered columns a dim's or fact's columns come from, as polars' own plan of the transform has it.

What belongs here: the lineage of columns of the star, down to raw tables. A transform is given tables without rows. The
query for one of its columns then asks for the columns that it needs. Those that all columns of the table need (keys of
joins, the order of versions) say which rows there are, and are no origin of a column that has one of its own.

That takes seconds, and changes with the code alone: ``make sources`` writes it down (``star_columns.csv``), and a test
tells when that is due.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from importlib import import_module
from inspect import signature
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from cinestream_platform import sources
from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.declarations.raw_table import ORIGIN
from cinestream_platform.declarations.star_table import VERSION, StarTable
from cinestream_platform.declarations.table import Table
from cinestream_platform.ledger.declared import ColumnEdge
from cinestream_platform.loading.raw_rows import EFFECTIVE_AT
from cinestream_platform.orchestration.asset import TRANSFORMS

KNOWN = Path(__file__).with_name("star_columns.csv")
OF_FILES = {"partition_key": pl.String(), EFFECTIVE_AT: pl.Datetime("us", "UTC")}
"""What rows from the lake have beside the columns of their table: it is the file's."""
OF_ROWS = ("is_inferred", "is_in_source", *(column.name for column in VERSION))
"""Columns that say whether a row is there, and from when on: they have no origin but that."""
MOST_ORIGINS = 8
"""With more nothing is told: versions are folded from all columns together, which says nothing of one of them."""
Transform = Callable[..., pl.LazyFrame]
Origin = tuple[str, str]
"""Raw table and column."""


def known_edges(path: Path = KNOWN) -> list[ColumnEdge]:
    """The origins that were written down."""
    with path.open(encoding="utf-8", newline="") as lines:
        return [ColumnEdge(**row) for row in csv.DictReader(lines)]


def write_edges(edges: Sequence[ColumnEdge], path: Path = KNOWN) -> None:
    """Write origins down."""
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow([field.name for field in fields(ColumnEdge)])
        writer.writerows(map(astuple, edges))


def star_column_edges(catalog: Catalog, transforms: Mapping[tuple[str, str], Transform]) -> list[ColumnEdge]:
    """The origins of every column of dims, bridges and facts.

    Args:
        catalog: The declared tables.
        transforms: By source and table.
    """
    edges: set[ColumnEdge] = set()
    for (source, name), transform in transforms.items():
        table = catalog.table(source, name)
        if isinstance(table, StarTable):
            raw = {one: catalog.table(source, one) for one in signature(transform).parameters}
            found = frame_origins(transform, {one: t for one, t in raw.items() if t})
            edges.update(_edges(table, found))
    return sorted(edges)


def frame_origins(transform: Transform, raw: Mapping[str, Table]) -> dict[str, list[tuple[Table, str]]]:
    """Column of the frame that a transform gives to the raw columns that it is computed from, where these are few."""
    asked: set[tuple[str, str]] = set()
    frame = transform(**{name: _empty(name, table, asked) for name, table in raw.items()})
    read: dict[str, set[tuple[str, str]]] = {}
    for column in frame.collect_schema().names():
        asked.clear()
        frame.select(column).collect()
        read[column] = set(asked)
    of_rows = set.intersection(*read.values()) if len(read) > 1 else set()
    found = {}
    for column, needed in read.items():
        namesakes = {(table, name) for table, name in needed if name == column}
        own = needed - of_rows or namesakes or needed
        found[column] = [(raw[table], name) for table, name in sorted(own if len(own) <= MOST_ORIGINS else namesakes)]
    return found


def _empty(name: str, table: Table, asked: set[tuple[str, str]]) -> pl.LazyFrame:
    """A table without rows, which notes the delivered columns that polars asks it for."""
    schema = {**polars_schema(table), **OF_FILES}
    own = {*OF_FILES, *(origin.name for origin in ORIGIN)}

    def read(with_columns: list[str] | None, *_: object) -> Iterator[pl.DataFrame]:
        names = list(schema) if with_columns is None else with_columns
        asked.update((name, column) for column in names if column not in own)
        yield pl.DataFrame(schema={column: schema[column] for column in names})

    return register_io_source(read, schema=schema)


def _edges(table: StarTable, origins: Mapping[str, list[tuple[Table, str]]]) -> Iterator[ColumnEdge]:
    """The origins of a table's columns; of keys what they are looked up by, and the dim that gives them."""
    by_key = {r.column: (r, list(r.on.values())) for r in table.references}
    for column in table.columns:
        if column.name in OF_ROWS:
            continue
        names = [column.name]
        if column.name == table.surrogate_key:
            names = list(table.natural_key)
        elif column.name in by_key:
            reference, looked_up = by_key[column.name]
            names = looked_up or names
            yield _edge(reference.table.schema, reference.table.name, reference.target_column, table, column.name)
        for name in names:
            for raw, origin in origins.get(name, ()):
                yield _edge(raw.schema, raw.name, origin, table, column.name)


def _edge(schema: str, name: str, column: str, table: StarTable, to: str) -> ColumnEdge:
    return ColumnEdge(schema, name, column, table.schema, table.name, to)


def edges_of_assets() -> list[ColumnEdge]:
    """The origins of the columns of all stars, by the transforms of their assets."""
    for source in CATALOG.sources:
        import_module(f"{sources.__name__}.{source.name}.assets")
    return star_column_edges(CATALOG, TRANSFORMS)
