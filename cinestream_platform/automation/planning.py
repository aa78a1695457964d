"""What to build when: from what is stale to the runs to ask for, as pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dagster import AssetKey

from cinestream_platform.orchestration.partitions import YEARS, contiguous_ranges
from cinestream_platform.orchestration.staleness import Node, stale_partitions
from cinestream_platform.warehouse.publications import LedgerState
from cinestream_platform.warehouse.table import WHOLE

Span = tuple[str, str]
"""First and last key of a range of partitions."""


@dataclass
class BuildPlan:
    """Runs to request: assets by range of partitions; those without partitions go with the first or the last."""

    by_span: dict[Span, set[AssetKey]] = field(default_factory=dict)
    first: set[AssetKey] = field(default_factory=set)
    last: set[AssetKey] = field(default_factory=set)

    def runs(self) -> list[tuple[Span | None, list[AssetKey]]]:
        """The runs in order: dims with the first range, marts of everything with the last."""
        spans: list[tuple[Span | None, set[AssetKey]]] = [
            (span, set(keys)) for span, keys in sorted(self.by_span.items())
        ]
        if not spans and (self.first or self.last):
            spans = [(None, set())]
        if spans:
            spans[0][1].update(self.first)
            spans[-1][1].update(self.last)
        return [(span, sorted(keys)) for span, keys in spans]


def plan_builds(source: str, nodes: Mapping[AssetKey, Node], state: LedgerState) -> BuildPlan:
    """What to build for a source: all that is stale, and the marts that will be stale by that."""
    plan = BuildPlan()
    known = list(YEARS.get_partition_keys())
    # A year that has not begun (files may be dated a day ahead) waits: nothing could make it fresh before.
    stale = {
        key: [partition for partition in stale_partitions(node, nodes, state) if partition in (WHOLE, *known)]
        for key, node in nodes.items()
        if key.path[0] in (source, "conformed")
    }
    for key, node in nodes.items():
        if node.is_mart and key in stale:
            inherited = [stale[up] for up in node.upstream if up in stale]
            if node.is_partitioned:
                facts = [stale[up] for up in node.upstream if up in stale and nodes[up].is_partitioned]
                stale[key] = sorted({*stale[key], *(partition for fact in facts for partition in fact)})
            elif any(inherited):
                stale[key] = [WHOLE]
    for key, partitions in stale.items():
        if not partitions:
            continue
        if nodes[key].is_partitioned:
            for span in contiguous_ranges(partitions, known):
                plan.by_span.setdefault(span, set()).add(key)
        else:
            (plan.last if nodes[key].is_mart else plan.first).add(key)
    return plan
