"""The file of people: name, role and hashed password of each, for teams without a provider of identities.

A line is ``name:role:hash``. The hash is Argon2id in its usual form, which holds its parameters and salt. The file is
read again when it has changed, so that a person who is removed, or has another password or role, is so at once.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import argon2

from cinestream_platform.errors import CineStreamError
from cinestream_platform.services.process import make_private, write_whole
from cinestream_platform.web.login.person import ROLES, Role

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
FEWEST_CHARACTERS, MOST_CHARACTERS = 12, 200
# 19 MiB, two passes, one lane: OWASP's recommendation with the least memory. One password is checked at a time.
HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
NOBODY = HASHER.hash("nobody has this password")
"""Compared with the password of a name that does not exist, which then takes as long as any other."""


class PeopleError(CineStreamError):
    """The file of people cannot be used or changed; the message says why."""


@dataclass(frozen=True)
class Entry:
    """One line of the file."""

    role: Role
    hashed: str

    @property
    def fingerprint(self) -> str:
        """Changes with the password: sessions that were begun with another one end."""
        return hashlib.sha256(self.hashed.encode()).hexdigest()[:16]


class People:
    """Those who may log in.

    Args:
        path: The file; it need not exist yet, and then nobody may.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._entries: Mapping[str, Entry] = {}

    def entries(self) -> Mapping[str, Entry]:
        """By name. A file that cannot be read, or is open to other accounts, lets nobody in."""
        try:
            status = self.path.stat()
        except OSError:
            self._seen, self._entries = None, {}
            return self._entries
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen:
            try:
                self._entries = read_people(self.path)
            except PeopleError:
                self._entries = {}
            self._seen = seen
        return self._entries

    def checked(self, name: str, password: str) -> Entry | None:
        """The entry of a person who gave the right password. Takes some 30 ms, also for names that do not exist."""
        entry = self.entries().get(name)
        try:
            HASHER.verify(entry.hashed if entry else NOBODY, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return None
        return entry

    def put(self, name: str, role: Role, password: str) -> None:
        """Add a person, or give one another role and password.

        Raises:
            PeopleError: The name or password cannot be, or the file cannot be read.
        """
        if not NAME.fullmatch(name):
            raise PeopleError(
                "a name has up to 64 small letters, digits and . _ @ -, and begins with a letter or digit"
            )
        if not FEWEST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
            raise PeopleError(f"a password has {FEWEST_CHARACTERS} to {MOST_CHARACTERS} characters")
        self._write({**self._present(), name: Entry(role, HASHER.hash(password))})

    def remove(self, name: str) -> None:
        """Take a person out; sessions end at once.

        Raises:
            PeopleError: There is no such person.
        """
        entries = dict(self._present())
        if entries.pop(name, None) is None:
            raise PeopleError(f"{self.path} has nobody of that name; cinestream login list shows all")
        self._write(entries)

    def _present(self) -> Mapping[str, Entry]:
        return read_people(self.path) if self.path.exists() else {}

    def _write(self, entries: Mapping[str, Entry]) -> None:
        make_private(self.path.parent)
        lines = [f"{name}:{entry.role}:{entry.hashed}\n" for name, entry in sorted(entries.items())]
        write_whole(self.path, "".join(lines), mode=0o600)


def read_people(path: Path) -> dict[str, Entry]:
    """The entries of a file.

    Raises:
        PeopleError: A line is none, or other accounts may read or change the file.
    """
    try:
        mode, text = stat.S_IMODE(path.stat().st_mode), path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PeopleError(f"{path} cannot be read ({type(error).__name__})") from error
    if mode & 0o027:
        raise PeopleError(f"{path} is open to other accounts: chmod 600 {path}")
    found: dict[str, Entry] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.strip().partition(":")
        role, _, hashed = rest.partition(":")
        if not NAME.fullmatch(name) or role not in ROLES or not hashed.startswith("$argon2id$") or name in found:
            raise PeopleError(
                f"line {number} of {path} is not name:role:hash of one person; cinestream login add writes such lines"
            )
        found[name] = Entry(cast(Role, role), hashed)
    return found
