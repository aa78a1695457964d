"""Staleness is computed, not guessed: a table is stale when the ledger shows other inputs than those it was made from.

Decisions are pure functions of the ledger's state. No clock is asked and no event is waited for, so no update can be
missed or handled twice: a dim or fact is compared by the landed files it was made from, a mart by the publications.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dagster import AssetKey

from cinestream_platform.catalog import FEEDS, TABLES
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.warehouse.publications import LedgerState, Published
from cinestream_platform.warehouse.table import WHOLE


@dataclass(frozen=True)
class Node:
    """A published table as staleness sees it.

    A dim or fact is made from ``datasets`` of its source; a mart from the tables ``upstream``.
    """

    key: AssetKey
    schema: str
    is_partitioned: bool
    is_mart: bool
    datasets: tuple[str, ...] = ()
    upstream: tuple[AssetKey, ...] = ()

    @property
    def relation(self) -> tuple[str, str]:
        """Schema and table."""
        return self.schema, self.key.path[-1]


def nodes_of(asset_graph: Any) -> dict[AssetKey, Node]:
    """Every dim, bridge, fact and mart of the asset graph.

    Raw tables are the landing sensor's; an asset without a table (a report) is made on its schedule.
    """
    tables = {asset_key(table): table for table in TABLES}
    feeds = {asset_key(feed.table): feed for feed in FEEDS}
    nodes = {}
    for key in asset_graph.executable_asset_keys - set(feeds):
        asset = asset_graph.get(key)
        if "dagster/table_name" not in asset.metadata:
            continue
        table = tables.get(key)
        datasets = tuple(feeds[parent].dataset for parent in sorted(asset.parent_keys) if parent in feeds)
        schema = table.schema if table else f"{key.path[0]}_marts"
        upstream = () if table else tuple(sorted(asset.parent_keys))
        nodes[key] = Node(key, schema, asset.partitions_def is not None, table is None, datasets, upstream)
    return nodes


def current_upstream(
    node: Node, partition_key: str, nodes: Mapping[AssetKey, Node], state: LedgerState
) -> tuple[int, ...]:
    """The publications that a mart (or a year of it) would be made from now."""
    found: set[int] = set()
    for key in node.upstream:
        published = state.published.get(nodes[key].relation, {}) if key in nodes else {}
        same_partition = node.is_partitioned and nodes[key].is_partitioned
        wanted = [published[partition_key]] if same_partition and partition_key in published else []
        found.update(p.changed_by for p in (wanted if same_partition else published.values()))
    return tuple(sorted(found))


def stale_partitions(node: Node, nodes: Mapping[AssetKey, Node], state: LedgerState) -> list[str]:
    """The partitions of a table that are stale (``whole`` where it has none)."""
    published = state.published.get(node.relation, {})
    if node.is_mart:
        candidates = set(published) | {WHOLE}
        if node.is_partitioned:
            facts = [nodes[key] for key in node.upstream if key in nodes and nodes[key].is_partitioned]
            candidates = {key for fact in facts for key in state.published.get(fact.relation, {})} | set(published)
        wanted = {key: current_upstream(node, key, nodes, state) for key in candidates}
        return sorted(key for key, upstream in wanted.items() if upstream != _upstream(published.get(key)))
    files = {
        file_id: partitions if node.is_partitioned else {WHOLE}
        for dataset in node.datasets
        for file_id, partitions in state.files.get((node.key.path[0], dataset), {}).items()
    }
    candidates = {key for partitions in files.values() for key in partitions} | set(published)
    if not node.datasets and not node.is_partitioned:
        candidates.add(WHOLE)  # computed tables are made from nothing and must exist all the same
    return sorted(key for key in candidates if _differs(published.get(key), _touching(files, key)))


def _touching(files: Mapping[int, Iterable[str]], partition_key: str) -> tuple[int, ...]:
    return tuple(sorted(file_id for file_id, partitions in files.items() if partition_key in partitions))


def _differs(published: Published | None, file_ids: tuple[int, ...]) -> bool:
    return published is None or published.file_ids != file_ids or not published.is_intact


def _upstream(published: Published | None) -> tuple[int, ...]:
    return published.upstream if published else ()
