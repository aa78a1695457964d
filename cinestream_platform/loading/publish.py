"""Publishing files that were read: compared with what is loaded, then written by one transaction.

They are compared while no transaction is open and nothing is locked, since that reads the lake: a store that does not
answer keeps nobody waiting. The transaction then sees that nothing has changed meanwhile, or all is compared again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.types.multirange import Multirange

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger import lake_objects
from cinestream_platform.ledger.file_results import Overlap
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.ledger.standing import Standing, find_standing
from cinestream_platform.loading.overlap import Newcomer, find_overlaps
from cinestream_platform.publishing.raw import FileTransaction, RawTableChangedError
from cinestream_platform.warehouse.groups import to_multirange

COMPARISONS = 10
"""So often files are compared again because others were loaded meanwhile; then it is an error that passes."""


@dataclass(frozen=True)
class Compared:
    """What new files were found to be, and the state of what is loaded for which that holds."""

    standing: Standing
    overlaps: Mapping[int, Overlap]
    fingerprint: tuple[Any, ...]
    sharing: Multirange[int] | None


def compare(
    conn: Connection[Any],
    lake: ObjectStore,
    feed: Feed,
    newcomers: Sequence[Newcomer],
    contents: Mapping[int, str],
    *,
    replaces_all: bool | None = None,
) -> Compared:
    """Compare new files with what is loaded; not within a transaction. Where one is refused, nothing is looked for."""
    sharing = to_multirange(set().union(*(new.spool.groups for new in newcomers))) if feed.grouped_by else None
    fingerprint = lake_objects.fingerprint(conn, feed.source, feed.dataset, sharing=sharing)
    files = [new.file for new in newcomers]
    standing = find_standing(conn, feed.table, files, contents, replaces_all=replaces_all)
    if standing.refused:
        return Compared(standing, {}, fingerprint, sharing)
    replaced = standing.replaced
    others = lake_objects.current(conn, feed.source, feed.dataset, sharing=sharing, without=replaced)

    def look_up(file_ids: Iterable[int]) -> Sequence[LandedFile]:
        return lake_objects.files(conn, set(file_ids) - set(replaced))

    return Compared(standing, find_overlaps(lake, feed, newcomers, others, look_up), fingerprint, sharing)


def claim(
    transaction: FileTransaction,
    feed: Feed,
    contents: Mapping[int, str],
    compared: Compared,
    *,
    replaces_all: bool | None = None,
) -> None:
    """Begin to publish what was compared.

    Raises:
        RawTableChangedError: Other files were loaded, or left, meanwhile.
    """
    transaction.claim(contents, compared.standing, replaces_all=replaces_all)
    now = lake_objects.fingerprint(transaction.conn, feed.source, feed.dataset, sharing=compared.sharing)
    if now != compared.fingerprint:
        raise RawTableChangedError(f"files of {feed.table.qualified_name} were loaded or left meanwhile")
