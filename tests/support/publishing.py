"""Publishing a single partition of a fact, as ``publishing.publish`` does for those of a run."""

from __future__ import annotations

import polars as pl

from cinestream_platform.declarations.star_table import Fact
from cinestream_platform.ledger.publications import MadeFrom, Publication
from cinestream_platform.publishing.foreign_keys import Joined
from cinestream_platform.publishing.partitions import PartitionPublisher
from cinestream_platform.warehouse.connection import PostgresTarget


def publish_partition(
    target: PostgresTarget,
    table: Fact,
    partition_key: str,
    frame: pl.DataFrame,
    *,
    run_id: str,
    file_ids: tuple[int, ...],
    joined: Joined | None = None,
) -> Publication:
    """Publish one partition by itself; arguments and errors are those of ``PartitionPublisher``."""
    with PartitionPublisher(target, table, run_id) as publisher:
        [turn] = publisher.turns([partition_key])
        publisher.publish(built := publisher.build(turn, frame, made_from=MadeFrom(file_ids), joined=joined))
        publisher.finish()
    return built
