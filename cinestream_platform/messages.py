"""What may be said to everybody: sentences of bounded length that quote no values of records.

Reasons in the ledger, events and metadata in Dagster, logs and the terminal are read by people who may not read every
column. Postgres, polars, pandera and Python itself quote values in their errors: ``describe`` says what went wrong
without them. What does not belong here: which columns are personal (``declarations.column``), words for a rejected
record (``reading.reject_words``).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import psycopg

MAX_MESSAGE = 2_000
"""Characters of a reason, a log line or an error."""
MAX_METADATA = 20_000
"""Characters of a metadata value."""
MAX_VALUE = 60
"""Characters of one value of a record, where it may be shown at all."""

DOUBTFUL = "\N{REPLACEMENT CHARACTER}"
"""Stands for a character that must not be shown."""

OWN = "cinestream_platform"
WORLD = ("botocore", "obstore", "urllib3", "requests", "httpx", "ssl", "socket", "dagster", "dagster_dbt", "click")
"""Libraries whose errors speak of servers, files and settings, never of records."""
DATA_EXCEPTION = "22"
"""Class of the errors whose primary message quotes a value: https://www.postgresql.org/docs/18/errcodes-appendix.html."""
QUOTED = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`[^`\n]*`|“[^”\n]*”""")
BRACKETED = re.compile(r"\[[^\[\]]*\]|\{[^{}]*\}|\([^()]*\)")
DETAILS = re.compile(r"^\s*(DETAIL|HINT|CONTEXT|QUERY|STATEMENT)\s*:", re.MULTILINE)
OF_ROWS = re.compile(r"^\s*(DETAIL|CONTEXT)\s*:")
AFTER_ROWS = re.compile(r"^\s*(compiled code at |LINE \d+:|HINT\s*:)")
NAMED = re.compile(
    r"\b(column|constraint|database|extension|file|function|index|model|operator|relation|role|schema|table|test|type"
    r"|view) $",
    re.IGNORECASE,
)
COLUMN = re.compile(r"""column ['"`](\w{1,63})['"`]""")

P = ParamSpec("P")
R = TypeVar("R")


class DescribedError(RuntimeError):
    """An error of a library, in words that quote no value."""


def bounded(text: str, limit: int = MAX_MESSAGE) -> str:
    """The text, or its beginning with the number of characters that are left out."""
    if len(text) <= limit:
        return text
    note = f" … ({len(text) - limit:,} characters more)"
    return text[: limit - len(note)] + note


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun and perhaps a verb: 1 row is, 2 rows are. ``many`` is ``one`` with an s if not given."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def first_of(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first ``most`` names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return separator.join(names[:most]) + more


def one_line(text: str) -> str:
    """The text without line ends and runs of blanks."""
    return " ".join(text.split())


def minute(value: datetime) -> str:
    """A time in UTC, for people."""
    utc = value.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def printable(text: str) -> str:
    """The text as one line without signs that a terminal would obey: names of files and values may hold any."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def form_of(text: str) -> str:
    """The text with an ``a`` for each letter and a ``9`` for each digit: how it is written, not what it says."""
    return "".join("9" if char.isdigit() else "a" if char.isalnum() else char for char in text)


def describe(error: BaseException) -> str:
    """What went wrong, in one bounded line that quotes no value of a record.

    Errors of our own say what they say: whoever raises one must not put values of records into it.
    """
    return bounded(one_line(_described(error)) or type(error).__name__)


def _described(error: BaseException) -> str:
    module, name = type(error).__module__.partition(".")[0], type(error).__name__
    if isinstance(error, psycopg.Error):
        return _postgres(error)
    if module == OWN:
        return str(error)
    if isinstance(error, UnicodeError):
        return f"{name}: a text is not valid {getattr(error, 'encoding', 'Unicode')}"
    if module == "pandera":
        return f"{name}: {_pandera(error)}"
    if module == "polars":
        columns = ", ".join(dict.fromkeys(COLUMN.findall(str(error))))
        return f"{name}{f' in column {columns}' if columns else ''}: {without_values(str(error))}"
    if module in WORLD or isinstance(error, OSError):
        return f"{name}: {DETAILS.split(str(error))[0]}"
    return f"{name}: {without_values(str(error))}"


def _postgres(error: psycopg.Error) -> str:
    """Message, SQLSTATE and the names of what is concerned: never DETAIL and CONTEXT, which quote rows."""
    name, diag = type(error).__name__, error.diag
    if diag.message_primary is None:  # of psycopg itself: mostly a connection that fails or is lost
        is_connection = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
        return f"{name}: {DETAILS.split(str(error))[0] if is_connection else without_values(str(error))}"
    quotes_values = not diag.sqlstate or diag.sqlstate.startswith(DATA_EXCEPTION)
    message = without_values(diag.message_primary) if quotes_values else diag.message_primary
    places = {"table": diag.table_name, "column": diag.column_name, "constraint": diag.constraint_name}
    where = "".join(f", {what} {place}" for what, place in places.items() if place and f'"{place}"' not in message)
    return f"{name}: {message} (SQLSTATE {diag.sqlstate}{where})"


def _pandera(error: BaseException) -> str:
    """Which check of which table failed: the message itself holds failing rows."""
    schema, check = getattr(error, "schema", None), getattr(error, "check", None)
    reason = getattr(error, "reason_code", None)
    parts = [getattr(schema, "name", None), getattr(reason, "name", None), getattr(check, "name", None)]
    return ", ".join(str(part) for part in parts if part) or "a frame does not keep its schema"


def without_values(text: str) -> str:
    """The first sentence of a library's error, with … where it quotes something."""
    first = text.strip().split("\n", 1)[0]
    bare = QUOTED.sub("…", first)
    while (shorter := BRACKETED.sub("…", bare)) != bare:
        bare = shorter
    # An odd quote or bracket is left where a value held one: what follows may be part of it.
    return re.split(r"""["'`\[{(]""", bare, maxsplit=1)[0].strip()


def without_rows(text: str) -> str:
    """What another program says of an error of Postgres, bounded, with names of tables and without values of rows.

    Where only a text is left of an error, DETAIL and CONTEXT are dropped, and of what is quoted only names stay.
    """
    kept, is_dropped = [], False
    for line in text.splitlines():
        is_dropped = bool(OF_ROWS.match(line)) or (is_dropped and not AFTER_ROWS.match(line))
        if not is_dropped:
            kept.append(QUOTED.sub(_name_or_nothing, line))
    return bounded("\n".join(kept))


def _name_or_nothing(quoted: re.Match[str]) -> str:
    return quoted[0] if NAMED.search(quoted.string[: quoted.start()]) else "…"


def harmless(error: BaseException) -> BaseException:
    """The error to raise instead: a described one for a library's, and none behind it that quotes values."""
    if type(error).__module__.partition(".")[0] != OWN:
        return DescribedError(describe(error)).with_traceback(error.__traceback__)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    error.__cause__ = harmless(cause) if isinstance(cause, Exception) else None
    error.__suppress_context__ = True
    return error


@contextmanager
def quoting_no_values() -> Iterator[None]:
    """Turn errors that may quote values of records into described ones, with the traceback of the original."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("dagster", "dagster_dbt", "click"):
            raise
        told = harmless(error)
        if told is error:
            raise
        raise told from None


def quotes_no_values(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function or a generator whose errors everybody sees (``quoting_no_values``)."""
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def generate(*args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
            with quoting_no_values():
                yield from function(*args, **kwargs)

        return cast("Callable[P, R]", generate)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with quoting_no_values():
            return function(*args, **kwargs)

    return call
