"""Staleness is computed, not guessed: a table is stale when the ledger shows other inputs than those it was made from.

Decisions are pure functions of the ledger's state. No clock is asked and no event is waited for, so no update can be
missed or handled twice: a dim or fact is compared by the landed files it was made from, a mart by the publications.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dagster import AssetKey

from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.declarations.partitioning import WHOLE, PartitionUnit
from cinestream_platform.ledger import deliveries
from cinestream_platform.ledger.deliveries import Input
from cinestream_platform.ledger.publications import LedgerState, Published
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.orchestration.partitions import partition_keys, unit_of

EXPORT_KIND = "export"
"""Kind of the assets that write a mart to files."""


@dataclass(frozen=True)
class Node:
    """A published table as staleness sees it, or a mart's export.

    A dim or fact is made from ``datasets`` of its source, of which those of ``histories`` hold over time and those of
    ``whole`` are read whole for each partition; a mart from the tables ``upstream``. An export is to its mart what a
    mart is to its tables, so that it is made after it, and again if that failed. ``partition_keys`` are those that have
    begun, in order.
    """

    key: AssetKey
    schema: str
    unit: PartitionUnit
    is_mart: bool
    datasets: tuple[str, ...] = ()
    upstream: tuple[AssetKey, ...] = ()
    histories: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    partition_keys: tuple[str, ...] = ()

    @property
    def is_partitioned(self) -> bool:
        """Whether it is published partition by partition."""
        return self.unit is not PartitionUnit.WHOLE

    @property
    def relation(self) -> tuple[str, str]:
        """Schema and table."""
        return self.schema, self.key.path[-1]


def nodes_of(asset_graph: Any, catalog: Catalog) -> dict[AssetKey, Node]:
    """Every dim, bridge, fact, mart and export of the asset graph.

    Raw tables are the landing sensor's; any other asset without a table (a report) is made on its schedule.
    """
    tables = {asset_key(table): table for table in catalog.tables}
    feeds = {asset_key(feed.table): feed for feed in (*catalog.feeds, *catalog.extracts)}
    nodes = {}
    for key in asset_graph.executable_asset_keys - set(feeds):
        asset = asset_graph.get(key)
        if "dagster/table_name" not in asset.metadata and EXPORT_KIND not in asset.kinds:
            continue
        table = tables.get(key)
        read = [feeds[parent] for parent in sorted(asset.parent_keys) if parent in feeds]
        histories = frozenset(feed.dataset for feed in read if feed.holds_over_time)
        whole = frozenset(feed.dataset for feed in read if table and feed.table.name in table.reads_whole)
        schema = table.schema if table else asset.group_name
        upstream = () if table else tuple(sorted(asset.parent_keys))
        datasets = tuple(feed.dataset for feed in read)
        parts = asset.partitions_def
        unit, keys = unit_of(parts), partition_keys(parts)
        nodes[key] = Node(key, schema, unit, table is None, datasets, upstream, histories, whole, keys)
    return nodes


def current_upstream(
    node: Node, partition_key: str, nodes: Mapping[AssetKey, Node], state: LedgerState
) -> tuple[int, ...]:
    """The publications that a mart (or a year of it) would be made from now."""
    found: set[int] = set()
    for key in node.upstream:
        published = state.published.get(nodes[key].relation, {}) if key in nodes else {}
        same_partition = node.is_partitioned and nodes[key].unit is node.unit
        wanted = [published[partition_key]] if same_partition and partition_key in published else []
        found.update(p.changed_by for p in (wanted if same_partition else published.values()))
    return tuple(sorted(found))


def stale_partitions(node: Node, nodes: Mapping[AssetKey, Node], state: LedgerState) -> list[str]:
    """The partitions of a table that are stale (``whole`` where it has none)."""
    published = state.published.get(node.relation, {})
    if node.is_mart:
        if not any(state.published.get(nodes[up].relation) for up in own_upstream(node) if up in nodes):
            return []  # nothing of its source is there yet; the calendar alone makes no mart
        candidates = set(published) | {WHOLE}
        if node.is_partitioned:
            facts = [nodes[key] for key in node.upstream if key in nodes and nodes[key].unit is node.unit]
            candidates = {key for fact in facts for key in state.published.get(fact.relation, {})} | set(published)
        current = {key: current_upstream(node, key, nodes, state) for key in candidates}
        return sorted(key for key, upstream in current.items() if upstream != _upstream(published.get(key)))
    candidates = touched_partitions(node, state) | set(published)
    wanted = made_from(node, candidates, state)
    return sorted(key for key, file_ids in wanted.items() if _differs(published.get(key), file_ids))


def wanted_inputs(node: Node, partition_key: str, nodes: Mapping[AssetKey, Node], state: LedgerState) -> str:
    """A hash of what a partition would be made from now: files, or the publications of a mart's tables."""
    if node.is_mart:
        found = current_upstream(node, partition_key, nodes, state)
    else:
        found = made_from(node, [partition_key], state)[partition_key]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def own_upstream(node: Node) -> list[AssetKey]:
    """The tables of a mart's own source that it is made from."""
    return [key for key in node.upstream if key.path[0] == node.key.path[0]]


def touched_partitions(node: Node, state: LedgerState) -> set[str]:
    """The partitions of a dim or fact for which a loaded file has rows."""
    if not node.is_partitioned:
        # Computed tables are made from nothing and must exist all the same.
        return {WHOLE} if not node.datasets or any(_files(node, name, state) for name in node.datasets) else set()
    aligned = [name for name in node.datasets if name not in node.whole]
    raw = {p for name in aligned for partitions in _files(node, name, state).values() for p in partitions}
    return {node.unit.containing(partition) for partition in raw - {WHOLE}}


def made_from(node: Node, partition_keys: Iterable[str], state: LedgerState) -> dict[str, tuple[int, ...]]:
    """The loaded files that a dim, or each of these partitions of a fact, would be made from now."""
    inputs = list(_inputs(node, state))
    return {key: deliveries.made_from(inputs, node.unit, key) for key in partition_keys}


def _inputs(node: Node, state: LedgerState) -> Iterator[Input]:
    for dataset in node.datasets:
        files = _files(node, dataset, state)
        effective = {file_id: state.effective[file_id] for file_id in files} if dataset in node.histories else None
        yield Input(files, effective, dataset in node.whole)


def _files(node: Node, dataset: str, state: LedgerState) -> Mapping[int, frozenset[str]]:
    return state.files.get((node.key.path[0], dataset), {})


def _differs(published: Published | None, file_ids: tuple[int, ...]) -> bool:
    return published is None or published.file_ids != file_ids or not published.is_intact


def _upstream(published: Published | None) -> tuple[int, ...]:
    return published.upstream if published else ()
