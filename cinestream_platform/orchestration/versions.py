"""From which deliveries a fact is made, so that it points at versions that are published.

A fact and the type-2 dim that it references are folded from the same deliveries, each by its own step, and perhaps by
different runs. Which tables a run builds is settled when it is asked for; a delivery that is loaded before it runs is
read by the fact, but not by a dim that the run does not build. So a fact reads the deliveries that its dim was last
published from, and no others. The ledger then shows that newer ones are not in it yet, and both are asked for again.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from psycopg import Connection

from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.declarations.star_table import versioned_dimensions
from cinestream_platform.declarations.table import Table
from cinestream_platform.errors import CineStreamError
from cinestream_platform.ledger.publications import latest
from cinestream_platform.loading.raw_rows import RawRows


class DimensionOutdatedError(CineStreamError):
    """A type-2 dim still has versions from deliveries that count no more."""


def with_published_versions(conn: Connection[Any], table: Table, raw: Mapping[str, RawRows]) -> dict[str, RawRows]:
    """The inputs of a fact, those of its type-2 dims cut down to the deliveries that these were published from.

    Of a dim that was never published none is read: its members are inferred.

    Raises:
        DimensionOutdatedError: Of those deliveries one was retracted or corrected since. The dim has to be built first.
    """
    inputs = dict(raw)
    for dimension in versioned_dimensions(table):
        published = latest(conn, dimension.schema, dimension.name, WHOLE)
        made_from = set(published.file_ids) if published else set()
        names = [made_from.name for made_from in dimension.versions_of if made_from.name in raw]
        gone = made_from - {file.file_id for name in names for file in raw[name].files}
        if gone:
            raise DimensionOutdatedError(
                f"{table.qualified_name} is not built: {dimension.qualified_name} is made from {len(gone):,} "
                "deliveries that were retracted or corrected since. The staleness sensor asks for both again; by hand, "
                "materialize the dimension together with the table."
            )
        for name in names:
            inputs[name] = replace(raw[name], files=[file for file in raw[name].files if file.file_id in made_from])
    return inputs
