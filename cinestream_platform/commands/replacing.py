"""What landing a file would take the place of: a key is not given other content unless somebody says so.

What belongs here: the comparison of files with what lies under their keys, and the words for it. What does not: which
key a file gets, and landing it (``files``).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from cinestream_platform.errors import CineStreamError
from cinestream_platform.lake.store import (
    KeyChangedError,
    NoConditionsError,
    ObjectChangedError,
    ObjectGoneError,
    ObjectStore,
    StoredObject,
)
from cinestream_platform.messages import counted
from cinestream_platform.reading.record_count import count_records
from cinestream_platform.regular_files import NotRegularError, open_below

SHOWN_KEYS = 5


class KeyTakenError(CineStreamError):
    """Other content lies under the key of a file that is to be landed; that file was not landed."""


@dataclass(frozen=True)
class Landing:
    """A local file and the key it is to have. ``has_header`` says whether its first line is not a record."""

    key: str
    path: Path
    has_header: bool

    @property
    def folder(self) -> str:
        """The folder of the landing zone that the feed reads."""
        return "/".join(self.key.split("/")[:2])


@dataclass(frozen=True)
class Replaced:
    """Sizes of a file and of what lies under its key; records where they can be counted."""

    new_bytes: int
    old_bytes: int
    new_rows: int | None
    old_rows: int | None

    @property
    def words(self) -> str:
        """Both sizes, for people."""
        return f"{_size(self.new_rows, self.new_bytes)} in place of {_size(self.old_rows, self.old_bytes)}"


def _size(rows: int | None, size: int) -> str:
    return f"{size:,} bytes" if rows is None else f"{counted(rows, 'row')} ({size:,} bytes)"


@dataclass(frozen=True)
class Found:
    """What lies under the keys of files that are to be landed, and which of it is other content than theirs."""

    there: Mapping[str, StoredObject]
    replaced: Mapping[str, Replaced]


def compare(store: ObjectStore, landings: Sequence[Landing]) -> Found:
    """Compare files with what lies under their keys."""
    there = _objects_under(store, landings)
    compared = (
        (landing.key, _compare(store, there[landing.key], landing)) for landing in landings if landing.key in there
    )
    return Found(there, {key: sizes for key, sizes in compared if sizes})


def put_as_compared(store: ObjectStore, landing: Landing, there: StoredObject | None) -> bool:
    """Land a file if its key still holds what it was compared with; False if the store could not be asked to see to it.

    Raises:
        KeyTakenError: Something else lies there by now, and is not the same content.
        NotRegularError: The file is a link, a FIFO or the like.
    """
    try:
        store.put_file_if(landing.key, landing.path, there)
    except NoConditionsError:
        store.put_file(landing.key, landing.path)
        return False
    except KeyChangedError as error:
        # A request that was sent twice, its answer being lost, meets the object of the first.
        if landing.key not in find_equal(store, [landing]):
            raise KeyTakenError(
                f"{landing.key} was not landed: somebody else has put something under that key meanwhile. What was "
                "landed before it stays. Repeat the command: it compares again."
            ) from error
    return True


def find_equal(store: ObjectStore, landings: Sequence[Landing]) -> set[str]:
    """The keys of the files whose content lies under their key already."""
    there = _objects_under(store, landings)
    found = (landing for landing in landings if landing.key in there)
    return {landing.key for landing in found if not _compare(store, there[landing.key], landing)}


def refusal(replaced: Mapping[str, Replaced]) -> str:
    """Why nothing is landed: rows and bytes of both, and the remedy."""
    shown = "; ".join(f"{key} would hold {sizes.words}" for key, sizes in list(replaced.items())[:SHOWN_KEYS])
    more = f"; and {len(replaced) - SHOWN_KEYS:,} more" if len(replaced) > SHOWN_KEYS else ""
    return (
        f"nothing was landed, for other content has that name: {shown}{more}. --replace puts the new in its place "
        "(rows of the old one leave the warehouse); --as NAME lands it beside."
    )


def _objects_under(store: ObjectStore, landings: Iterable[Landing]) -> dict[str, StoredObject]:
    """What lies under the keys; each folder is listed once, however many files go there."""
    found: dict[str, StoredObject] = {}
    ordered = sorted(landings, key=lambda landing: landing.key)
    for folder, group in groupby(ordered, key=lambda landing: landing.folder):
        keys = {landing.key for landing in group}
        with suppress(FileNotFoundError):  # a folder that was never landed in
            objects = store.look(min(keys) if len(keys) == 1 else f"{folder}/")
            found |= {thing.key: thing for thing in objects if thing.key in keys and thing.problem is None}
    return found


def _compare(store: ObjectStore, there: StoredObject, landing: Landing) -> Replaced | None:
    """Both sizes where the contents differ. What cannot be read, for want of a permission, differs."""
    path = landing.path
    with tempfile.TemporaryDirectory(prefix="cinestream-") as scratch, open_below(path.parent, path.name) as new:
        size = os.fstat(new.fileno()).st_size
        old_rows = None
        try:
            old = store.fetch(there, Path(scratch, "old"))
            if old.size == size and hashlib.file_digest(new, "sha256").hexdigest() == old.sha256:
                return None
            old_rows = count_records(old.path, there.key, has_header=landing.has_header)
        except (ObjectGoneError, NotRegularError):
            return None
        except (ObjectChangedError, PermissionError):
            pass
        new_rows = count_records(path, landing.key, has_header=landing.has_header)
        return Replaced(size, there.size, new_rows, old_rows)
