"""Publishing a dim, bridge or fact by its write mode: computed, validated and written, one partition in memory a core.

Frames in, a frozen result out. What does not belong here: how a table or a partition is written (``dimensions``,
``partitions``), and how the result is shown (``orchestration``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from cinestream_platform import progress
from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.declarations.star_table import Fact, StarTable, versioned_dimensions
from cinestream_platform.ledger.publications import MadeFrom, Publication
from cinestream_platform.publishing.dimensions import delete_retired_versions, publish_table
from cinestream_platform.publishing.keys import KeyResolver
from cinestream_platform.publishing.measures import measures_of
from cinestream_platform.publishing.parallel import MAX_AT_ONCE, in_parallel
from cinestream_platform.publishing.partitions import PartitionPublisher, Turn, analyze
from cinestream_platform.publishing.validation import BrokenRulesError, RuleResult, validate
from cinestream_platform.services.disk import Room
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget


@dataclass(frozen=True)
class PublishedPartition:
    """A published partition, or the table that has none.

    ``rules`` holds what validation found, ``measures`` the row count and sums of what was built.
    """

    publication: Publication
    rules: tuple[RuleResult, ...]
    measures: Mapping[str, Any]


@dataclass(frozen=True)
class PublishedTable:
    """What a publish did, in the order in which partitions were published."""

    table: StarTable
    partitions: tuple[PublishedPartition, ...]

    @property
    def publications(self) -> tuple[Publication, ...]:
        """What the ledger has of it."""
        return tuple(partition.publication for partition in self.partitions)


@dataclass(frozen=True)
class Frames:
    """Rows to be published: one lazy frame per partition. ``made_from`` says what a partition is made from."""

    table: StarTable
    by_partition: Mapping[str, pl.LazyFrame]
    made_from: Callable[[str], MadeFrom]


def publish(
    target: PostgresTarget, frames: Frames, *, run_id: str, settings: Settings, log: Callable[[str], None]
) -> PublishedTable:
    """Publish frames by the write mode of their table; the few partitions that a run changes change together.

    Raises:
        BrokenRulesError: Rows break a rule. Partitions that wait for one another, this one and later ones are not
            published.
    """
    table = frames.table
    publisher = _Publisher(target, frames, run_id, Room(settings), KeyResolver(target, run_id))
    publications = []
    for published in publisher.publish_all():
        publications.append(published)
        where = "" if published.partition_key == WHOLE else f" {published.partition_key}"
        outcome = "published" if published.changed else "unchanged"
        log(f"{table.qualified_name}{where}: {published.rows:,} rows, {outcome}")
    for dimension in versioned_dimensions(table):
        delete_retired_versions(target, dimension)
    if isinstance(table, Fact) and any(publication.changed for publication in publications):
        analyze(target, table)
    found = publisher.found
    return PublishedTable(table, tuple(PublishedPartition(p, *found[p.partition_key]) for p in publications))


@dataclass(frozen=True)
class _Publisher:
    """Computes, validates and publishes partitions, several at once. ``found``: rules and measures of each."""

    target: PostgresTarget
    frames: Frames
    run_id: str
    room: Room
    keys: KeyResolver
    found: dict[str, tuple[tuple[RuleResult, ...], dict[str, Any]]] = field(default_factory=dict)

    def publish_all(self) -> Iterator[Publication]:
        """Every partition, or the table that has none, as it is published."""
        table = self.frames.table
        if not isinstance(table, Fact):
            for key in self.frames.by_partition:
                frame, made_from = self._validated(key), self.frames.made_from(key)
                yield publish_table(self.target, table, frame, run_id=self.run_id, made_from=made_from, room=self.room)
            return
        with PartitionPublisher(self.target, table, self.run_id, self.room) as publisher:

            def built(turn: Turn) -> Publication:
                frame, made_from = self._validated(turn.partition_key), self.frames.made_from(turn.partition_key)
                return publisher.build(turn, frame, made_from=made_from, joined=self.keys.joined(table))

            for partition in in_parallel(built, publisher.turns(self.frames.by_partition), workers=MAX_AT_ONCE):
                yield from publisher.publish(partition)
            yield from publisher.finish()

    def _validated(self, partition_key: str) -> pl.DataFrame:
        """The rows with their keys. Raises ``BrokenRulesError`` where they break a rule; then nothing is written."""
        table = self.frames.table
        self.room.keep()
        frame = self.frames.by_partition[partition_key].collect(engine="streaming")
        progress.note(f"{table.qualified_name} {partition_key} is computed")
        if table.references:
            frame = self.keys.resolve(table, frame)
        if isinstance(table, Fact):
            frame = frame.sort(table.primary_key)
        results = validate(table, frame)
        if not all(result.passed for result in results):
            raise BrokenRulesError(table, partition_key, results)
        self.found[partition_key] = (tuple(results), measures_of(table, frame))
        return frame
