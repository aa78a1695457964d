"""What Dagster shows of a published table, in one place: row counts, content hash, files and checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dagster import AssetCheckResult, AssetExecutionContext, AssetKey, MaterializeResult, MetadataValue
from psycopg import Connection

from cinestream_platform.ledger.publications import Publication
from cinestream_platform.ledger.quality import keys_of_files
from cinestream_platform.orchestration.table_checks import table_check_results
from cinestream_platform.publishing.publish import PublishedTable

SHOWN_FILES = 40
"""So many files are shown in the metadata of a materialization or a failure; the ledger has all of them."""


def report(
    context: AssetExecutionContext, conn: Connection[Any], published: PublishedTable, key: AssetKey
) -> Iterator[MaterializeResult[None] | AssetCheckResult]:
    """The materialization, with the metadata of each partition, and the checks."""
    for publication, metadata in metadata_of(conn, published.publications):
        partition_key = publication.partition_key if published.table.is_partitioned else None
        context.add_asset_metadata(metadata, partition_key=partition_key)
    yield MaterializeResult(asset_key=key)
    yield from table_check_results(conn, published, key)


def metadata_of(
    conn: Connection[Any], publications: Sequence[Publication]
) -> Iterator[tuple[Publication, dict[str, Any]]]:
    """What a stakeholder sees of each publication; the ledger has the rest (``ops.v_lineage``)."""
    keys = keys_of_files(conn, {file_id for p in publications for file_id in p.file_ids[:SHOWN_FILES]})
    for publication in publications:
        files = [keys[file_id] for file_id in publication.file_ids[:SHOWN_FILES] if file_id in keys]
        yield (
            publication,
            {
                "dagster/row_count": publication.rows,
                "content_hash": publication.content_hash,
                "changed": publication.changed,
                "files": len(publication.file_ids),
                "made_from": MetadataValue.json(files),
            },
        )
