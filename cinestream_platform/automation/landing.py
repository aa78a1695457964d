"""Seeing what landed: the listing of the landing zone against the ledger, and the sensor that asks for loads."""

from collections.abc import Iterator

from cinestream_platform.catalog import FEEDS, find_feed
from cinestream_platform.lake.keys import key_problem
from cinestream_platform.lake.store import ObjectStore, StoredObject
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse import ledger
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.ledger import Sighting


def sight(listed: StoredObject) -> Sighting:
    """Which feed a listed object belongs to, or why it belongs to none."""
    source, _, rest = listed.key.partition("/")
    dataset = rest.partition("/")[0]
    problem = key_problem(listed.key)
    if problem is None and find_feed(source, dataset) is None:
        known = ", ".join(feed.prefix for feed in FEEDS)
        problem = f"no feed takes files below {source}/{dataset}/; feeds are {known}"
    return Sighting(listed, source, dataset, problem)


def scan_landing(settings: Settings, target: PostgresTarget, landing: ObjectStore) -> int:
    """List the landing zone and enter every version that the ledger does not know; how many are new."""
    listed: Iterator[StoredObject] = landing.list(settle_seconds=settings.landing_settle_seconds)
    with connect(target) as conn:
        return ledger.register(conn, landing.url, map(sight, listed))
