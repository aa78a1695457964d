"""A source as one object, and the catalogue of several."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.source import Source


@pytest.mark.parametrize("source", CATALOG.sources, ids=lambda source: source.name)
def test_a_source_takes_no_tables_of_another(source: Source) -> None:
    other = next(candidate for candidate in CATALOG.sources if candidate is not source)
    with pytest.raises(ValueError, match=f"source {source.name} declares tables or feeds of .*{other.name}"):
        replace(source, raw_tables=(*source.raw_tables, other.raw_tables[0]))


@pytest.mark.parametrize("source", CATALOG.sources, ids=lambda source: source.name)
def test_every_raw_table_is_filled_by_one_feed(source: Source) -> None:
    assert sorted(feed.table.name for feed in source.all_feeds) == sorted(table.name for table in source.raw_tables)
    assert all(CATALOG.feed_of_table(source.name, feed.table.name) is feed for feed in source.all_feeds)


def test_every_schema_belongs_to_one_source_or_is_shared() -> None:
    schemas = [schema for source in CATALOG.sources for schema in sorted(source.schemas - {"ml"})]
    assert len(schemas) == len(set(schemas))
    assert {CATALOG.source_of_schema(source.mart_schema) for source in CATALOG.sources} == set(CATALOG.sources)
    assert all(CATALOG.source_of_schema(table.schema) is None for table in CATALOG.shared)


def test_an_unknown_name_is_no_source() -> None:
    assert CATALOG.source("spotify") is None
    with pytest.raises(KeyError):
        CATALOG.feed_of_table("spotify", "songs")
