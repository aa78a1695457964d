"""What a listing of a store shows, what a fetch gives, and what may be wrong with either; the same for every store.

What does not belong here: how a store is reached (``store``, ``folder``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cinestream_platform.declarations.landing_keys import MAX_KEY_BYTES
from cinestream_platform.errors import CineStreamError

CHUNK_BYTES = 8 * 1024 * 1024
ESCAPE = "\x1a"
"""Stands before what no key may hold. It is a control character itself, so that the grammar refuses such a key."""


class ObjectChangedError(CineStreamError):
    """The object is no longer the listed version; the next listing sees the new one."""


class KeyChangedError(CineStreamError):
    """Something else lies under a key than what was looked at before putting an object there; nothing was put."""


class NoConditionsError(CineStreamError):
    """This store knows no conditional put; nothing was put."""


class ObjectGoneError(CineStreamError):
    """The object was deleted after it was listed."""


@dataclass(frozen=True)
class StoredObject:
    """One listed version of an object. ``etag`` tells versions of a key apart and is never its hash.

    ``problem`` says why this version can never be read, ``waits`` why it cannot be read yet.
    """

    key: str
    etag: str
    size: int
    last_modified: datetime
    problem: str | None = None
    waits: str | None = None


@dataclass(frozen=True)
class LocalCopy:
    """A fetched object on local disk."""

    path: Path
    size: int
    sha256: str


def storable(name: str) -> str:
    """A store's name of an object as a text that Postgres can keep and index; two names never become one.

    A name that is a key stays as it is. Of others, bytes that are not UTF-8, NULs and U+001A become U+001A with two
    digits, and a longer text than a key may be is cut and ends with its hash. Neither is inside the grammar of keys.
    """
    # Nearly all names are printable, and a listing has many: what is escaped never is.
    text = name if name.isprintable() else "".join(_escaped(char) for char in name)
    if len(text.encode()) <= MAX_KEY_BYTES + len(ESCAPE):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{text.encode()[:MAX_KEY_BYTES].decode(errors='ignore')}…{ESCAPE}{digest}"


def _escaped(char: str) -> str:
    if 0xDC80 <= ord(char) <= 0xDCFF:  # a byte of a file's name that is not UTF-8 ("surrogateescape")
        return f"{ESCAPE}{ord(char) - 0xDC00:02x}"
    if 0xD800 <= ord(char) <= 0xDFFF:
        return f"{ESCAPE}{ord(char):04x}"
    return f"{ESCAPE}{ord(char):02x}" if char in ("\0", ESCAPE) else char
