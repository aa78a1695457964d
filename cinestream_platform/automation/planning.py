"""What to build when: from what is stale to the runs to ask for, as pure functions."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from dagster import AssetKey

from cinestream_platform.catalog import SOURCES, main_unit
from cinestream_platform.declarations.partitioning import WHOLE, PartitionUnit
from cinestream_platform.ledger.publications import LedgerState
from cinestream_platform.orchestration.partitions import contiguous_ranges, ranges_to_build
from cinestream_platform.orchestration.staleness import Node, own_upstream, stale_partitions, touched_partitions

Span = tuple[str, str]
"""First and last key of a range of partitions."""
Place = tuple[bool, Span]
"""Where an asset is built: after the facts or with them, and over which range."""


@dataclass
class BuildPlan:
    """Runs to request: assets by range of partitions; those without partitions go with the first or the last.

    ``unit`` is that of most of the source's partitions; assets of another cannot be in one run with these.
    """

    unit: PartitionUnit = PartitionUnit.YEAR
    by_place: dict[tuple[PartitionUnit, Place], set[AssetKey]] = field(default_factory=dict)
    first: set[AssetKey] = field(default_factory=set)
    last: set[AssetKey] = field(default_factory=set)

    def add(self, node: Node, spans: Iterable[Span]) -> None:
        """Build these ranges of a node: one that reads facts with these, or after all of them.

        After them if they are not built over the very same range: it would be made, and compared, from half of what is
        about to change.
        """
        for span in spans:
            read = [place for up in node.upstream for place in self._places(up, node.unit) if _overlap(place[1], span)]
            place = (bool(node.upstream) and any(place != (False, span) for place in read), span)
            self.by_place.setdefault((node.unit, place), set()).add(node.key)

    def _places(self, key: AssetKey, unit: PartitionUnit) -> list[Place]:
        return [place for (of_unit, place), keys in self.by_place.items() if of_unit is unit and key in keys]

    def runs(self) -> list[tuple[Span | None, list[AssetKey]]]:
        """The runs in order: dims with the first range, marts of everything with the last, then other units."""
        in_order = [(unit, span, keys) for (unit, (_, span)), keys in sorted(self.by_place.items())]
        spans: list[tuple[Span | None, set[AssetKey]]] = [
            (span, set(keys)) for unit, span, keys in in_order if unit is self.unit
        ]
        if not spans and (self.first or self.last):
            spans = [(None, set())]
        if spans:
            spans[0][1].update(self.first)
            spans[-1][1].update(self.last)
        spans += [(span, keys) for unit, span, keys in in_order if unit is not self.unit]
        return [(span, sorted(keys)) for span, keys in spans]


def _overlap(one: Span, other: Span) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def plan_builds(
    source: str,
    nodes: Mapping[AssetKey, Node],
    state: LedgerState,
    *,
    everything: bool = False,
    held: Mapping[AssetKey, Set[str]] | None = None,
    due: Mapping[AssetKey, Sequence[str]] | None = None,
) -> BuildPlan:
    """What to build for a source: all that is stale, and the marts that will be stale by that.

    ``everything`` takes every table of its own, over all partitions from the first to the last that a loaded file
    touches.
    ``held`` are partitions that wait although they are stale, since their build was cancelled. ``due`` is ``all_due``,
    if it is known already.
    """
    plan = BuildPlan(main_unit(source))
    if not _has_begun(source, nodes, state):
        return plan
    own = {key: node for key, node in nodes.items() if key.path[0] in (source, "conformed")}
    if everything:
        due = all_due({key: node for key, node in own.items() if key.path[0] != source}, state, nodes)
        wanted = {key: due[key] if key in due else _everything(node, own, state) for key, node in own.items()}
    else:
        held, due = held or {}, all_due(own, state, nodes) if due is None else due
        stale = {key: [partition for partition in due[key] if partition not in held.get(key, ())] for key in own}
        if held.keys() & own.keys() and not any(found for key, found in stale.items() if key.path[0] == source):
            return plan  # what sources share is not built for one whose own work waits
        wanted = _with_downstream(stale, own)
    for key in _upstream_first(own):
        node = own[key]
        if node.is_partitioned:
            # What waits because it was cancelled is not built along.
            ranges = contiguous_ranges if (held or {}).get(key) else ranges_to_build
            plan.add(node, ranges(wanted[key], list(node.partition_keys)))
        elif wanted[key]:
            (plan.last if node.upstream else plan.first).add(key)
    return plan


def _upstream_first(nodes: Mapping[AssetKey, Node]) -> list[AssetKey]:
    order = TopologicalSorter({key: node.upstream for key, node in nodes.items()}).static_order()
    return [key for key in order if key in nodes]


def _has_begun(source: str, nodes: Mapping[AssetKey, Node], state: LedgerState) -> bool:
    """Whether anything of a source is loaded or was published; the calendar alone is not a reason to build."""
    return is_published(source, nodes, state) or is_loaded(source, state)


def is_published(source: str, nodes: Mapping[AssetKey, Node], state: LedgerState) -> bool:
    """Whether any table of a source was ever built."""
    return any(state.published.get(node.relation) for key, node in nodes.items() if key.path[0] == source)


def is_loaded(source: str, state: LedgerState) -> bool:
    """Whether any file or extraction of a source is loaded."""
    return any(files for feed, files in state.files.items() if feed[0] == source)


def due_partitions(node: Node, nodes: Mapping[AssetKey, Node], state: LedgerState) -> list[str]:
    """Its stale partitions. Those that have not begun (files may be dated a day ahead) wait."""
    known = {WHOLE, *node.partition_keys}
    return [partition for partition in stale_partitions(node, nodes, state) if partition in known]


def all_due(
    nodes: Mapping[AssetKey, Node], state: LedgerState, graph: Mapping[AssetKey, Node] | None = None
) -> dict[AssetKey, list[str]]:
    """The stale partitions of each of these nodes of a graph (by default these nodes are all of it)."""
    return {key: due_partitions(node, nodes if graph is None else graph, state) for key, node in nodes.items()}


def stale_tables(
    nodes: Mapping[AssetKey, Node], state: LedgerState, due: Mapping[AssetKey, Sequence[str]] | None = None
) -> dict[tuple[str, str], int]:
    """What a person calls stale: (schema, table) -> stale partitions, of sources that have begun.

    Also what waits since its build was cancelled. ``due`` is ``all_due``, if it is known already.
    """
    due = all_due(nodes, state) if due is None else due
    begun = {source for source in SOURCES if _has_begun(source, nodes, state)}
    begun |= {"conformed"} if begun else set()
    return {nodes[key].relation: len(found) for key, found in due.items() if found and key.path[0] in begun}


def _with_downstream(stale: dict[AssetKey, list[str]], nodes: Mapping[AssetKey, Node]) -> dict[AssetKey, list[str]]:
    """What is made from other tables is stale by what is about to be published, too."""
    for key in _upstream_first(nodes):
        node = nodes[key]
        if not node.upstream:
            continue
        upstream = [up for up in own_upstream(node) if up in stale]
        if node.is_partitioned:
            facts = [stale[up] for up in upstream if nodes[up].unit is node.unit]
            stale[key] = sorted({*stale[key], *(partition for fact in facts for partition in fact)})
        elif any(stale[up] for up in upstream):
            stale[key] = [WHOLE]
    return stale


def _everything(node: Node, nodes: Mapping[AssetKey, Node], state: LedgerState) -> list[str]:
    if not node.is_partitioned:
        return [WHOLE]
    same_unit = [other for other in nodes.values() if other.unit is node.unit and not other.is_mart]
    touched = {partition for other in same_unit for partition in touched_partitions(other, state)}
    return [key for key in node.partition_keys if touched and min(touched) <= key <= max(touched)]
