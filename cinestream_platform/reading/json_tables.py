"""Walking a JSON file that holds an object with a list of records per table, a bounded part of it in memory.

Python's own decoder reads part after part, so that numbers stay as they are written and every other rule of ``json``
holds; a file of empty objects takes no more memory than any other. What does not belong here: which tables and columns
a file should have (``bundle_reader``).
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from cinestream_platform import progress
from cinestream_platform.declarations.file_form import FileRefusedError
from cinestream_platform.errors import CineStreamError
from cinestream_platform.reading.blocks import MAX_LINE_BYTES

PART_CHARS = 256 * 1024
MAX_TABLES = 10_000
LOOK_AHEAD = len("e+1")
"""A number may go on where the text ends: 2 may be the beginning of 2e+1."""


class NotJsonError(CineStreamError):
    """The file is no JSON; the message says why and quotes nothing."""


class NoObjectError(CineStreamError):
    """The file is JSON, but no object."""


class RepeatedNameError(CineStreamError):
    """An object has a name twice: of two values neither is the right one."""

    def __init__(self, name: str) -> None:
        super().__init__("an object has a name twice")
        self.name = name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise RepeatedNameError(next(name for name in names if names.count(name) > 1))
    return found


DECODER = json.JSONDecoder(parse_float=str, parse_int=str, object_pairs_hook=_object)
BLANKS = " \t\n\r"


class JsonTables:
    """The members of the object that a file holds."""

    def __init__(self, source: BinaryIO, size: int) -> None:
        self._source, self._size = source, size
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._passed = "", 0, 0
        self._read, self._is_end = 0, False

    @property
    def bytes_left(self) -> int:
        """The most that follows what was read, in bytes."""
        return self._size - self._read + 4 * (len(self._text) - self._at + 1)

    def members(self) -> Iterator[tuple[str, Iterator[list[Any]] | None]]:
        """Each member's name and, where it is a list, its elements in parts; what is not asked for is passed over.

        Raises:
            NotJsonError, NoObjectError, RepeatedNameError: The file is no such object.
            FileRefusedError: A value is too large, or there are too many members.
        """
        if self._next() != "{":
            self._refuse_other_json()
        self._at += 1
        names: set[str] = set()
        while self._another(names, "}"):
            name = self._name()
            if name in names:
                raise RepeatedNameError(name)
            names.add(name)
            if len(names) > MAX_TABLES:
                raise FileRefusedError(
                    f"the JSON object has more than {MAX_TABLES:,} members. Is this a file of tables?"
                )
            if self._next() == "[":
                parts = self._elements()
                yield name, parts
                for _ in parts:
                    pass
            else:
                self._value()
                yield name, None
        if self._next():
            raise self._error("Extra data", self._at)

    def _another(self, before: object, end: str) -> bool:
        """Whether another element follows, after a comma unless it is the first; passes over comma and end."""
        char = self._next()
        if char == end:
            self._at += 1
            return False
        if before:
            if char != ",":
                raise self._error("Expecting ',' delimiter", self._at)
            self._at += 1
            if self._next() == end:
                raise self._error("Illegal trailing comma", self._at)
        return True

    def _name(self) -> str:
        if self._next() != '"':
            raise self._error("Expecting property name enclosed in double quotes", self._at)
        name = self._value()
        if self._next() != ":":
            raise self._error("Expecting ':' delimiter", self._at)
        self._at += 1
        return str(name)

    def _elements(self) -> Iterator[list[Any]]:
        self._at += 1
        before: list[Any] = []
        while self._another(before, "]"):
            before = self._many() or self._some()
            yield before

    def _many(self) -> list[Any] | None:
        """The elements of a part of the text, if it ends with an object; ``None`` where it ends inside of one.

        A part that is a list with brackets around it is one in the file too: JSON is read from left to right.
        """
        if len(self._text) - self._at < PART_CHARS:
            self._more()
        end = self._text.rfind("}", self._at, self._at + PART_CHARS) + 1
        if not end:
            return None
        try:
            found: list[Any] = DECODER.decode(f"[{self._text[self._at : end]}]")
        except json.JSONDecodeError:
            return None
        self._at = end
        return found

    def _some(self) -> list[Any]:
        """At least one element, and others one by one as far as a part of the text goes."""
        found, end = [self._value()], self._passed + self._at + PART_CHARS
        while self._passed + self._at < end and self._next() == ",":
            self._another(found, "]")
            found.append(self._value())
        return found

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise self._error(error.msg, error.pos) from None
                continue
            if len(self._text) - end < LOOK_AHEAD and self._more():
                continue
            self._at = end
            return value

    def _next(self) -> str:
        """The next character that is not a blank; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in BLANKS:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Read on; False at the end.

        Raises:
            FileRefusedError: What has to be read at once is too large.
        """
        waiting = len(self._text) - self._at
        if waiting > MAX_LINE_BYTES:
            raise FileRefusedError(f"a record in the JSON file is longer than {MAX_LINE_BYTES:,} characters.")
        if self._is_end:
            return False
        chunk = self._source.read(max(PART_CHARS, waiting))  # twice as much each time
        progress.note("a part of a JSON file")
        self._read += len(chunk)
        self._is_end = not chunk
        try:
            more = self._decoder.decode(chunk, final=self._is_end)
        except UnicodeDecodeError:
            raise NotJsonError("it is not valid UTF-8") from None
        if chunk:  # at the end nothing moves: what was found before still stands there
            self._passed += self._at
            self._text, self._at = self._text[self._at :] + more, 0
        return bool(chunk)

    def _error(self, problem: str, at: int) -> NotJsonError:
        return NotJsonError(f"{problem} at character {self._passed + at + 1:,}")

    def _refuse_other_json(self) -> None:
        """Say what a file is that begins with no brace."""
        while len(self._text) <= PART_CHARS and self._more():
            pass
        if len(self._text) <= PART_CHARS:
            try:
                DECODER.decode(self._text)
            except json.JSONDecodeError as error:
                raise self._error(error.msg, error.pos) from None
        raise NoObjectError
