"""What lies in the landing zone and is not in the ledger yet, with the reason why it waits."""

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import Connection

from cinestream_platform.declarations.bundle import object_key
from cinestream_platform.lake.store import open_landing
from cinestream_platform.lake.store_errors import explain, is_store_error
from cinestream_platform.lake.stored import StoredObject
from cinestream_platform.ledger import landed_files
from cinestream_platform.settings import Settings

NOT_SEEN = "it was not seen yet: the landing sensor or `cinestream demo` enters it at the next look"


def waiting_entries(settings: Settings, conn: Connection[Any]) -> Iterator[tuple[str, str]]:
    """(key, reason) of each entry that the ledger does not know as it is now, by a look at the landing zone.

    A zone that cannot be listed is one such entry: what the ledger knows can still be shown.
    """
    try:
        landing = open_landing(settings)
        found = list(landing.look(settle_seconds=settings.landing_settle_seconds))
    except Exception as error:
        if not (isinstance(error, OSError) or is_store_error(error)):
            raise
        yield settings.landing, f"it cannot be listed: {' '.join(explain(error, 'the store'))}"
        return
    known = _known(conn, landing.url, found)
    yield from sorted((one.key, one.waits or NOT_SEEN) for one in found if (one.key, one.etag) not in known)


def _known(conn: Connection[Any], bucket: str, found: Sequence[StoredObject]) -> set[tuple[str, str]]:
    """Key and ETag of each of these that is the newest version of its key in the ledger."""
    rows = landed_files.newest_among(conn, bucket, [one.etag for one in found])
    return {(object_key(key), etag) for key, etag in rows}
