"""Commands about landed files: land, reload, retract."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

from psycopg.sql import Identifier

from cinestream_platform.catalog import (
    CATALOG,
    EXTRACTS,
    LANDING_FOLDERS,
    day_problem,
    landing_folders_of,
    placement_problem,
    table_keys,
)
from cinestream_platform.commands.replacing import KeyTakenError, Landing, compare, put_as_compared, refusal
from cinestream_platform.declarations.bundle import Bundle, object_key
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.landing_keys import is_in_transit
from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.errors import CineStreamError
from cinestream_platform.lake.store import open_lake, open_landing
from cinestream_platform.ledger import corrections
from cinestream_platform.messages import counted, first_of
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.regular_files import is_regular, left_out
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import connect

SHOWN_NAMES = 10
UNSURE = " (this server knows no conditional put: what others put there in that moment was replaced)"


class NotLandableError(CineStreamError):
    """A file belongs to no feed, its name is not a key, or a key is that of no file."""


def _folder_for(path: Path, folders: list[Feed | Bundle], dataset: str | None) -> Feed | Bundle | None:
    return next((p for p in folders if (p.dataset == dataset if dataset else p.takes(path.name))), None)


def plan_landing(source: str, path: Path, *, dataset: str | None = None, name: str | None = None) -> list[Landing]:
    """Which key a file gets in the landing zone, or each file of a folder that the source takes.

    ``path`` may lead through links, but no file that is a link is read. ``name`` is that of a single file, and of a
    folder's files the folder in which they lie.

    Raises:
        NotLandableError: The source is unknown, or it takes no such file (a folder: none of its files).
    """
    folders = landing_folders_of(source)
    if not folders:
        if any(feed.source == source for feed in EXTRACTS):
            raise NotLandableError(
                f"{source} takes no files: its tables are extracted from a database. "
                f"`cinestream load-source {source} FILE` creates that database from an archive."
            )
        sources = ", ".join(dict.fromkeys(folder.source for folder in LANDING_FOLDERS))
        raise NotLandableError(f"there is no source {source}; sources are {sources}")
    if dataset and dataset not in {folder.dataset for folder in folders}:
        raise NotLandableError(
            f"{source} has no dataset {dataset}; datasets are {', '.join(folder.dataset for folder in folders)}"
        )
    candidates = sorted(filter(is_regular, path.iterdir())) if path.is_dir() else [path]
    takers = [(file, folder) for file in candidates if (folder := _folder_for(file, folders, dataset))]
    if not takers:
        raise NotLandableError(_nothing_taken(source, path, folders, dataset))
    return [_landing(file, folder, name, is_of_folder=path.is_dir()) for file, folder in takers]


def _nothing_taken(source: str, path: Path, folders: list[Feed | Bundle], dataset: str | None) -> str:
    if problem := placement_problem(f"{source}/{dataset or folders[0].dataset}/{path.name}"):
        return f"{path}: {problem}."
    names = ", ".join(f"{p.dataset} ({', '.join(p.file_names)})" for p in folders if isinstance(p, Feed))
    forms = "; also as .jsonl or .parquet, and each as .gz or .zst" if any(map(_is_table, folders)) else ""
    takes = f"it takes {names}{forms}. Name one with --dataset."
    if not path.is_dir():
        return f"{source} takes no such file as {path}; {takes}"
    unread = "".join(f" Left out is {line}." for line in islice(left_out(path), 3))
    return f"{source} takes none of the files in the folder {path} (sub-folders are not looked into); {takes}{unread}"


def _is_table(folder: Feed | Bundle) -> bool:
    """Whether its files have a header, so that their records may also come in other forms."""
    return isinstance(folder, Feed) and folder.lines is None


def _landing(file: Path, folder: Feed | Bundle, name: str | None, *, is_of_folder: bool) -> Landing:
    key = f"{folder.prefix}{name}/{file.name}" if name and is_of_folder else f"{folder.prefix}{name or file.name}"
    feeds = folder.feeds if isinstance(folder, Bundle) else (folder,)
    days = (day_problem(key, feed) for feed in feeds)
    if problem := placement_problem(key) or next(filter(None, days), None):
        raise NotLandableError(f"{key}: {problem}. Choose another name with --as.")
    if is_in_transit(key):
        raise NotLandableError(
            f"{key}: names that begin with a dot are taken for files in transit. Choose another name with --as."
        )
    return Landing(key, file, has_header=_is_table(folder))


def land_planned(
    settings: Settings, landings: Sequence[Landing], *, replace: bool = False, own: Collection[str] = ()
) -> Iterator[str]:
    """Put files into the landing zone, a line for people after each.

    Before the first, all are compared with what lies under their keys, but for ``own`` keys: who calls put that there.

    Raises:
        KeyTakenError: Without ``replace``, other content would be replaced, and nothing was landed; or such content
            has come since it was compared.
        NotRegularError: A file is a link, a FIFO or the like. (In a folder these are left out.)
    """
    store = open_landing(settings)
    found = compare(store, [landing for landing in landings if landing.key not in own])
    if found.replaced and not replace:
        raise KeyTakenError(refusal(found.replaced))
    for landing in landings:
        sizes, unsure = found.replaced.get(landing.key), ""
        if landing.key in own:
            store.put_file(landing.key, landing.path)
        elif not put_as_compared(store, landing, found.there.get(landing.key)):
            unsure = UNSURE
        yield f"landed {landing.key}" + (f": {sizes.words}" if sizes else "") + unsure


def land_path(
    settings: Settings, source: str, path: Path, *, dataset: str | None = None, own: Collection[str] = ()
) -> Iterator[str]:
    """Plan and land a file or folder; the keys."""
    landings = plan_landing(source, path, dataset=dataset)
    for landing, _ in zip(landings, land_planned(settings, landings, own=own), strict=True):
        yield landing.key


def land_named(
    settings: Settings,
    source: str,
    path: Path,
    *,
    dataset: str | None = None,
    name: str | None = None,
    replace: bool = False,
) -> Iterator[str]:
    """Land what somebody named, who may have named a link; lines for people, also about what is left out."""
    if path.is_dir():
        yield from (f"left out {line}" for line in left_out(path))
        yield from _not_taken(source, path, dataset)
    elif path.is_symlink():
        dataset = dataset or next(
            (folder.dataset for folder in landing_folders_of(source) if folder.takes(path.name)), None
        )
        path, name = path.resolve(), name or path.name
    yield from land_planned(settings, plan_landing(source, path, dataset=dataset, name=name), replace=replace)


def _not_taken(source: str, folder: Path, dataset: str | None) -> Iterator[str]:
    """The entries of a folder that the source does not take, by the first few names."""
    folders = landing_folders_of(source)
    taken = {file for file in folder.iterdir() if is_regular(file) and _folder_for(file, folders, dataset)}
    others = [
        entry for entry in sorted(folder.iterdir()) if entry not in taken and (entry.is_dir() or is_regular(entry))
    ]
    if taken and others:
        names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in others]
        shown = first_of(names, SHOWN_NAMES)
        yield f"passed over {shown}: no file of {dataset or source}, or a folder in the folder"


def _table_keys(settings: Settings, key: str) -> list[tuple[str, Feed | None]]:
    """What the ledger knows of a landed file, also if its key was given with the landing zone's own URL.

    Raises:
        NotLandableError: The key is that of a table as it was extracted.
    """
    full = key.removeprefix(f"{settings.landing}/")
    if extract := next((feed for feed in EXTRACTS if full.startswith(feed.prefix)), None):
        raise NotLandableError(
            f"{key} is not a landed file: it is a state of {extract.source}'s own database, which can be neither "
            f"reloaded nor retracted. Extract again instead: materialize any raw table of {extract.source} (job "
            f"{extract.source}_load; with `full: true` everything is read)."
        )
    return table_keys(full)


def reload_key(settings: Settings, key: str) -> list[str]:
    """Ask for a file to be read again, or every table in it; what was done, line by line.

    Raises:
        NotLandableError: No feed takes that key, so it can never be loaded; or it is no file's.
    """
    done = []
    with connect(start_and_prepare(CATALOG, settings)) as conn:
        for table_key, feed in _table_keys(settings, key):
            corrections.require_landed(conn, settings.landing, table_key)
            if problem := placement_problem(object_key(table_key)) or day_problem(table_key, feed):
                raise NotLandableError(f"{table_key!r} stays parked: {problem}. Land it under another key.")
            file = corrections.reload(conn, settings.landing, table_key)
            done.append(
                f"{file.key} waits to be read again (it was {file.status}); the landing sensor or `cinestream demo` "
                "loads it."
            )
    return done


def retract_key(settings: Settings, key: str) -> list[str]:
    """Undo a file, or every table in it; what was done, line by line.

    Raises:
        NotLandableError: The key is no file's.
    """
    done = []
    with connect(start_and_prepare(CATALOG, settings)) as conn:
        for table_key, feed in _table_keys(settings, key):
            table = Identifier(feed.table.schema, feed.table.name) if feed else None
            had_rows, partitions = corrections.retract(conn, settings.landing, table_key, table)
            if not had_rows or feed is None:
                done.append(f"{table_key} is retracted; it had no rows loaded.")
                continue
            touched = f"; stale now: {', '.join(partitions)}" if set(partitions) - {WHOLE} else ""
            done.append(f"{table_key} is retracted, its rows left {feed.table.qualified_name}{touched}.")
    return [*done, "The sensors rebuild what is stale."]


def sweep(settings: Settings) -> str:
    """Delete what crashed loads left in the lake over a day ago."""
    from cinestream_platform.automation.housekeeping import sweep_lake

    swept = sweep_lake(start_and_prepare(CATALOG, settings), open_lake(settings))
    return f"{counted(swept, 'folder')} of crashed loads deleted from {settings.lake}"
