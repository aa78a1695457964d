"""Commands about landed files: land, fetch, reload, retract."""

from collections.abc import Iterator
from pathlib import Path

from psycopg.sql import Identifier

from cinestream_platform.catalog import FEEDS, feeds_of, find_feed, placement_problem
from cinestream_platform.lake.feed import Feed
from cinestream_platform.lake.keys import is_in_transit, key_problem
from cinestream_platform.lake.store import open_lake, open_landing
from cinestream_platform.orchestration.warehouse import prepared_target
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse import corrections
from cinestream_platform.warehouse.connection import connect


class NotLandableError(ValueError):
    """A file belongs to no feed, or its name is no key."""


def _feed_for(path: Path, feeds: list[Feed], dataset: str | None) -> Feed | None:
    return next((f for f in feeds if (f.dataset == dataset if dataset else f.takes(path.name))), None)


def land_path(source: str, path: Path, *, dataset: str | None = None, name: str | None = None) -> Iterator[str]:
    """Put a file, or every file of a folder that a feed takes, into the landing zone; the keys.

    Raises:
        NotLandableError: The source is unknown, or no feed takes the file (a folder: any file in it).
    """
    feeds = feeds_of(source)
    if not feeds:
        known = ", ".join(dict.fromkeys(feed.source for feed in FEEDS))
        raise NotLandableError(f"there is no source {source}; sources are {known}")
    candidates = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    takers = [(file, feed) for file in candidates if (feed := _feed_for(file, feeds, dataset))]
    if dataset and dataset not in {feed.dataset for feed in feeds}:
        raise NotLandableError(
            f"{source} has no dataset {dataset}; datasets are {', '.join(feed.dataset for feed in feeds)}"
        )
    if not takers:
        names = ", ".join(f"{feed.dataset} ({', '.join(feed.file_names)})" for feed in feeds)
        raise NotLandableError(f"no feed of {source} takes {path}; feeds are {names}. Name one with --dataset.")
    store = open_landing(get_settings())
    for file, feed in takers:
        key = f"{feed.prefix}{name or file.name}"
        if problem := key_problem(key):
            raise NotLandableError(f"{key}: {problem}. Choose another --name.")
        if is_in_transit(key):
            raise NotLandableError(
                f"{key}: names that begin with a dot are taken for files in transit. Choose a --name."
            )
        store.put_file(key, file)
        yield key


def fetch_and_land(source: str, release: str, base_url: str | None) -> Iterator[str]:
    """Download a release into ``<home>/downloads`` and land its files; the keys."""
    from cinestream_platform.lake.fetch_release import fetch_release

    folder = fetch_release(release, get_settings().home_dir / "downloads", base_url=base_url)
    yield from land_path(source, folder)


def _full_key(key: str) -> str:
    """The key within the landing zone, also when it was given with the zone's own URL."""
    return key.removeprefix(f"{get_settings().landing}/")


def reload_key(key: str) -> str:
    """Ask for a file to be read again.

    Raises:
        NotLandableError: No feed takes that key, so it can never be loaded.
    """
    key = _full_key(key)
    with connect(prepared_target()) as conn:
        corrections.require_landed(conn, get_settings().landing, key)
        if problem := placement_problem(key):
            raise NotLandableError(f"{key!r} stays parked: {problem}. Land it under another key.")
        file = corrections.reload(conn, get_settings().landing, key)
    return (
        f"{file.key} waits to be read again (it was {file.status}); the landing sensor or `cinestream demo` loads it."
    )


def retract_key(key: str) -> str:
    """Undo a file."""
    key = _full_key(key)
    source, dataset = [*key.split("/"), "", ""][:2]
    feed = find_feed(source, dataset)
    table = Identifier(feed.table.schema, feed.table.name) if feed else None
    with connect(prepared_target()) as conn:
        had_rows, partitions = corrections.retract(conn, get_settings().landing, key, table)
    if not had_rows or feed is None:
        return f"{key} is retracted; it had no rows loaded."
    touched = f"; stale now: {', '.join(partitions)}" if partitions else ""
    return f"{key} is retracted, its rows left {feed.table.qualified_name}{touched}. The sensors rebuild what is stale."


def sweep() -> str:
    """Delete what crashed loads left in the lake over a day ago."""
    from cinestream_platform.automation.housekeeping import sweep_lake

    swept = sweep_lake(prepared_target(), open_lake(get_settings()))
    return f"{swept:,} folders of crashed loads deleted from {get_settings().lake}"
