"""Staleness is computed, not guessed: a table is stale when the ledger shows other inputs than those it was made from.

Decisions are pure functions of the ledger's state. No clock is asked and no event is waited for, so no update can be
missed or handled twice: raw tables that a table was made from are compared by their landed files, other tables by their
publications.
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
from cinestream_platform.ledger.publications import LedgerState, Published, versions_read
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.orchestration.partitions import partition_keys, unit_of

EXPORT_KIND = "export"
"""Kind of the assets that write a mart to files."""


@dataclass(frozen=True)
class Node:
    """A published table as staleness sees it, or a mart's export.

    A dim or fact is made from ``datasets`` of its source, of which those of ``histories`` hold over time, or from the
    tables ``upstream``; what ``whole`` names (datasets and tables) is read whole for each partition. A mart is made
    from tables alone. An export is to its mart what a mart is to its tables, so that it is made after it, and again if
    that failed. ``partition_keys`` are those that have begun, in order.
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
        schema = table.schema if table else asset.group_name
        upstream = tuple(sorted(_tables_read(asset) - set(feeds) if table else asset.parent_keys))
        whole = frozenset(feed.dataset for feed in read if table and feed.table.name in table.reads_whole)
        whole |= {key.path[-1] for key in upstream if table and key.path[-1] in table.reads_whole}
        datasets = tuple(feed.dataset for feed in read)
        parts = asset.partitions_def
        unit, keys = unit_of(parts), partition_keys(parts)
        nodes[key] = Node(key, schema, unit, table is None, datasets, upstream, histories, whole, keys)
    return nodes


def _tables_read(asset: Any) -> set[AssetKey]:
    """What an asset is handed as inputs. Other dependencies only say what is built before it."""
    definition = asset.assets_def
    return {
        definition.keys_by_input_name[read.name]
        for read in definition.node_def.input_defs
        if not read.dagster_type.is_nothing
    }


def current_upstream(
    node: Node, partition_key: str, nodes: Mapping[AssetKey, Node], state: LedgerState
) -> tuple[int, ...]:
    """The publications that a table (or a partition of it) would be made from now."""
    return tuple(sorted({version.changed_by for version in versions_behind(node, partition_key, nodes, state)}))


def versions_behind(
    node: Node, partition_key: str, nodes: Mapping[AssetKey, Node], state: LedgerState
) -> Iterator[Published]:
    """The partitions of other tables that a table (or a partition of it) would be made from now, as published."""
    aligned = set(_aligned_upstream(node, nodes))
    for key in node.upstream:
        if key in nodes:
            published = state.published.get(nodes[key].relation, {})
            yield from versions_read(published, partition_key if key in aligned else None)


def _aligned_upstream(node: Node, nodes: Mapping[AssetKey, Node]) -> list[AssetKey]:
    """The tables of which each partition of a node reads the same partition."""
    return [
        key
        for key in node.upstream
        if node.is_partitioned and key in nodes and nodes[key].unit is node.unit and key.path[-1] not in node.whole
    ]


def stale_partitions(node: Node, nodes: Mapping[AssetKey, Node], state: LedgerState) -> list[str]:
    """The partitions of a table that are stale (``whole`` where it has none)."""
    published = state.published.get(node.relation, {})
    if node.upstream and not any(state.published.get(nodes[up].relation) for up in own_upstream(node) if up in nodes):
        return []  # nothing of its source is there yet; the calendar alone makes no mart
    candidates = _candidates(node, nodes, state) | set(published)
    files = made_from(node, candidates, state) if node.datasets or not node.upstream else {}
    return sorted(
        key
        for key in candidates
        if _differs(published.get(key), current_upstream(node, key, nodes, state), files.get(key), node)
    )


def wanted_inputs(node: Node, partition_key: str, nodes: Mapping[AssetKey, Node], state: LedgerState) -> str:
    """A hash of what a partition would be made from now: files, and the publications of other tables."""
    upstream = current_upstream(node, partition_key, nodes, state)
    files = made_from(node, [partition_key], state)[partition_key] if not node.is_mart else ()
    found = [inputs for inputs in (files, upstream) if inputs]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def own_upstream(node: Node) -> list[AssetKey]:
    """The tables of its own source that a table is made from."""
    return [key for key in node.upstream if key.path[0] == node.key.path[0]]


def _candidates(node: Node, nodes: Mapping[AssetKey, Node], state: LedgerState) -> set[str]:
    """The partitions for which there is something to be made from."""
    if not node.upstream:
        return touched_partitions(node, state)
    if not node.is_partitioned:
        return {WHOLE}
    read = [state.published.get(nodes[key].relation, {}) for key in _aligned_upstream(node, nodes)]
    return touched_partitions(node, state).union(*read)


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


def _differs(
    published: Published | None, upstream: tuple[int, ...], file_ids: tuple[int, ...] | None, node: Node
) -> bool:
    """Whether it was made from something else, or is gone. ``file_ids`` is None for what reads no raw table."""
    if published is None:
        return bool(upstream) or not node.is_mart
    files_differ = file_ids is not None and published.file_ids != file_ids
    return files_differ or published.upstream != upstream or not published.is_intact
