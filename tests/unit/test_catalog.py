"""What is declared fits together."""

import re

from cinestream_platform.catalog import (
    EXTRACTS,
    FEEDS,
    MART_SCHEMAS,
    RELATIONS,
    TABLES,
    raw_tables_of,
    relations_of,
)
from cinestream_platform.declarations.column import Kind
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.declarations.star_table import Fact, Type1Dimension, Type2Dimension
from cinestream_platform.declarations.table import Layer


def test_every_table_is_listed_once_and_after_those_it_refers_to():
    listed: list[str] = []
    for table in TABLES:
        assert table.qualified_name not in listed
        assert [r.table.qualified_name for r in table.references if r.table.qualified_name not in listed] == []
        listed.append(table.qualified_name)


def test_every_raw_table_has_exactly_one_feed_and_every_feed_a_listed_raw_table():
    raw = [table for table in TABLES if isinstance(table, RawTable)]
    feeds = [*FEEDS, *EXTRACTS]
    assert sorted(feed.table.qualified_name for feed in feeds) == sorted(table.qualified_name for table in raw)
    assert len({(feed.source, feed.dataset) for feed in feeds}) == len(feeds)


def test_relations_are_declared_once_between_raw_tables_of_one_source():
    assert len({(relation.child.source, str(relation)) for relation in RELATIONS}) == len(RELATIONS)
    for relation in RELATIONS:
        raw = raw_tables_of(relation.child.source)
        assert relation.child in raw
        assert relation.parent in raw
        assert relation in relations_of(relation.child.source)


def test_a_feed_has_the_columns_that_its_reader_needs():
    for feed in (*FEEDS, *EXTRACTS):
        delivered = [column for column in feed.table.columns if not column.name.startswith("_")]
        assert all(column.source_name for column in delivered)
        assert len({column.source_name for column in delivered}) == len(delivered) > 1
        assert 0 < feed.reject_threshold < 0.5
        if feed.event_time:
            assert feed.table.column(feed.event_time).type.kind in (Kind.TIMESTAMP, Kind.DATE)
        if feed.table.latest_by:
            assert feed.table.column(feed.table.latest_by).nullable is False


def test_a_dim_of_versions_is_folded_from_raw_tables_of_its_own_source():
    for table in TABLES:
        if isinstance(table, Type2Dimension):
            assert set(table.versions_of) <= set(raw_tables_of(table.source))
            assert table.versions_of


GIVEN_NAMES = ("dim_playlist_track", "transactions", "stock_prices")
GIVEN_COLUMNS = ("timestamp", "rating_key")
"""Names that the company gave before there was a grammar."""


def test_names_follow_the_grammar():
    prefixes = {Layer.DIMENSION: "dim_", Layer.BRIDGE: "bridge_", Layer.FACT: "fact_", Layer.RAW: ""}
    for table in TABLES:
        assert table.name.startswith(prefixes[table.layer]) or table.name in GIVEN_NAMES
        assert table.schema.startswith("raw_") == isinstance(table, RawTable)
        for column in table.columns:
            assert re.fullmatch(r"_?[a-z][a-z0-9_]*", column.name)
            assert column.name.endswith("_at") <= (column.type.kind is Kind.TIMESTAMP)
            is_delivered = isinstance(table, RawTable)
            assert is_delivered or column.name.startswith("is_") == (column.type.kind is Kind.BOOLEAN)
            assert column.name.endswith("_key") <= (column.type.kind in (Kind.INTEGER, Kind.BIGINT))
            assert column.description.endswith(".")
    assert all(schema.endswith("_marts") for schema in MART_SCHEMAS)


def test_keys_are_never_null():
    for table in TABLES:
        for name in (*table.primary_key, *table.natural_key):
            assert not table.column(name).nullable, f"{table.qualified_name}.{name}"
        for reference in table.references:
            column = table.column(reference.column)
            assert column.nullable <= ("NULL" in column.description), f"{table.qualified_name}.{reference.column}"


def test_a_dim_can_have_inferred_members_if_anything_refers_to_it_by_its_own_ids():
    from cinestream_platform.publishing.keys import _default, _needs_default

    for table in TABLES:
        for reference in table.references:
            target = reference.table
            if reference.on:
                assert set(reference.on) == set(target.natural_key)
                for column in target.columns:
                    if _needs_default(target, column):
                        _default(target, column)  # raises where a member cannot be made
                assert _default(target, target.column("is_inferred")) is True


def test_facts_have_a_grain_that_holds_the_partition_and_no_text():
    for table in TABLES:
        if isinstance(table, Fact):
            assert {column.type.kind for column in table.columns} & {Kind.TEXT} == set()
            referenced = {reference.column for reference in table.references}
            own = {name for name in table.primary_key if name.endswith("_id") or name in GIVEN_COLUMNS}
            assert len(own) <= 1 or table.name in GIVEN_NAMES
            assert set(table.primary_key) - own <= referenced


def test_dims_keep_their_keys_and_mark_what_vanished():
    for table in TABLES:
        if isinstance(table, Type1Dimension | Type2Dimension):
            versioned = {"valid_from", "valid_to", "is_current"} & {column.name for column in table.columns}
            assert len(versioned) == (3 if isinstance(table, Type2Dimension) else 0)
            assert table.primary_key == (table.surrogate_key,)
            assert {"is_inferred", "is_in_source"} <= {column.name for column in table.columns}
