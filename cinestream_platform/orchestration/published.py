"""What Dagster shows of a published table, in one place: row counts, content hash, files and checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from dagster import AssetCheckResult, AssetExecutionContext, AssetKey, DataVersion, MaterializeResult, MetadataValue
from psycopg import Connection

from cinestream_platform.ledger.publications import Publication, rows_published
from cinestream_platform.ledger.quality import keys_of_files
from cinestream_platform.orchestration.table_checks import table_check_results
from cinestream_platform.publishing.publish import PublishedTable

ROW_COUNT, PARTITION_ROW_COUNT = "dagster/row_count", "dagster/partition_row_count"
"""Of the whole table, and of the partition that an event is about."""
SHOWN_FILES = 40
"""So many files are shown in the metadata of a materialization or a failure; the ledger has all of them."""


def version_of(content_hashes: Mapping[str, str]) -> DataVersion:
    """What Dagster compares, to tell what was made from other inputs: the same for the same content.

    Args:
        content_hashes: Of each partition that was published. Dagster has one version for all of a run: of several a
            hash of their hashes.
    """
    if len(content_hashes) == 1:
        return DataVersion(*content_hashes.values())
    return DataVersion(sha256(repr(sorted(content_hashes.items())).encode()).hexdigest()[:32])


def report(
    context: AssetExecutionContext, conn: Connection[Any], published: PublishedTable, key: AssetKey
) -> Iterator[MaterializeResult[None] | AssetCheckResult]:
    """The materialization, with the metadata of each partition, and the checks."""
    table = published.table
    for publication, metadata in metadata_of(conn, published.publications):
        if table.is_partitioned:
            metadata[PARTITION_ROW_COUNT] = metadata.pop(ROW_COUNT)
        context.add_asset_metadata(metadata, partition_key=publication.partition_key if table.is_partitioned else None)
    yield MaterializeResult(
        asset_key=key,
        metadata={ROW_COUNT: rows_published(conn, table.schema, table.name)},
        data_version=version_of({p.partition_key: p.content_hash for p in published.publications}),
    )
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
                ROW_COUNT: publication.rows,
                "content_hash": publication.content_hash,
                "changed": publication.changed,
                "files": len(publication.file_ids),
                "made_from": MetadataValue.json(files),
            },
        )
