"""A small warehouse's tables and a ledger that can be loaded and published in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from dagster import AssetKey

from cinestream_platform.declarations.partitioning import WHOLE, PartitionUnit
from cinestream_platform.ledger.publications import LedgerState, Published
from cinestream_platform.orchestration.partitions import YEARS, partition_keys
from cinestream_platform.orchestration.staleness import Node, current_upstream, stale_partitions

UNITS = (PartitionUnit.WHOLE, PartitionUnit.YEAR)
KEYS: tuple[tuple[str, ...], ...] = ((), partition_keys(YEARS))


def key(name: str, source: str = "movielens") -> AssetKey:
    return AssetKey([source, name])


def _table(name: str, *datasets: str, by_year: bool = False, source: str = "movielens") -> Node:
    return Node(key(name, source), f"{source}_dw", UNITS[by_year], False, datasets, partition_keys=KEYS[by_year])


def _mart(name: str, *upstream: AssetKey, by_year: bool = False) -> Node:
    return Node(key(name), "movielens_marts", UNITS[by_year], True, (), upstream, partition_keys=KEYS[by_year])


NODES = {
    node.key: node
    for node in (
        _table("dim_date", source="conformed"),
        _table("dim_movie", "movies", "links"),
        _table("dim_user", "ratings", "tags"),
        _table("fact_ratings", "ratings", by_year=True),
        _table("fact_tags", "tags", by_year=True),
        _mart("mart_movies", key("fact_ratings"), key("dim_movie")),
        _mart("mart_years", key("fact_ratings"), key("dim_movie"), by_year=True),
    )
}
READERS = {
    "movies": ["dim_movie"],
    "links": ["dim_movie"],
    "ratings": ["dim_user", "fact_ratings"],
    "tags": ["dim_user", "fact_tags"],
}
MARTS = ("mart_movies", "mart_years")


@dataclass
class Ledger:
    """``LedgerState`` with what changes it."""

    state: LedgerState = field(default_factory=lambda: LedgerState({}, {}))
    publications: int = 0
    files: int = 0

    def load(self, dataset: str, *partitions: str) -> int:
        self.files += 1
        self.state.files.setdefault(("movielens", dataset), {})[self.files] = frozenset(partitions)
        return self.files

    def unload(self, dataset: str, file_id: int) -> None:
        """Superseded or retracted."""
        del self.state.files["movielens", dataset][file_id]

    def touch(self, dataset: str, file_id: int, *partitions: str) -> None:
        """A later file shares events with this one, in other years."""
        files = self.state.files["movielens", dataset]
        files[file_id] |= set(partitions)

    def stale(self) -> dict[str, list[str]]:
        """Table to stale partitions, tables without any left out."""
        found = {node.key.path[-1]: stale_partitions(node, NODES, self.state) for node in NODES.values()}
        return {name: partitions for name, partitions in found.items() if partitions}

    def stale_tables(self) -> dict[str, list[str]]:
        """The same without marts."""
        return {name: partitions for name, partitions in self.stale().items() if name not in MARTS}

    def publish(self, name: str, partitions: Iterable[str] | None = None, *, changed: bool = True) -> None:
        """Publish stale (or the named) partitions from the current inputs."""
        node = next(node for node in NODES.values() if node.key.path[-1] == name)
        for partition in list(stale_partitions(node, NODES, self.state) if partitions is None else partitions):
            self.publications += 1
            published = self.state.published.setdefault(node.relation, {})
            before = published.get(partition)
            files = {
                file_id
                for dataset in node.datasets
                for file_id, touched in self.state.files.get((node.key.path[0], dataset), {}).items()
                if not node.is_partitioned or partition in touched
            }
            upstream = current_upstream(node, partition, NODES, self.state) if node.is_mart else ()
            changed_by = self.publications if changed or before is None else before.changed_by
            published[partition] = Published(tuple(sorted(files)), upstream, changed_by, True)

    def publish_all(self, *, changed: bool = True) -> None:
        for node in NODES.values():
            self.publish(node.key.path[-1], changed=changed)

    def drop_partition(self, name: str, partition: str) -> None:
        """Somebody dropped the table of a partition."""
        node = next(node for node in NODES.values() if node.key.path[-1] == name)
        published = self.state.published[node.relation]
        published[partition] = replace(published[partition], is_intact=False)


def built() -> Ledger:
    """A ledger in which something of everything is loaded and published."""
    ledger = Ledger()
    ledger.load("movies")
    ledger.load("links")
    ledger.load("ratings", "2004", "2005")
    ledger.load("ratings", "2005", "2006")
    ledger.load("tags", "2005")
    ledger.publish_all()
    return ledger


__all__ = ["MARTS", "NODES", "READERS", "WHOLE", "Ledger", "built", "key"]
