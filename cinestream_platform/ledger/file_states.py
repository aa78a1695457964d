"""The states of a landed file, and every transition between them. Pure: ``file_writes`` carries the transitions out.

What belongs here: names, and which state may follow which. What a transition writes beside the state is for
``file_writes``; when one is due is for those who call it. ``docs/architecture.md`` has the same table, for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cinestream_platform.errors import CineStreamError


class FileState(StrEnum):
    """What has become of a version of a file, as ``ops.landed_file.status`` holds it."""

    PENDING = "pending"
    LOADED = "loaded"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    PARKED = "parked"
    RETRACTED = "retracted"
    GONE = "gone"


class IllegalTransitionError(CineStreamError):
    """A file was to pass into a state that may not follow its own; nothing was changed."""


@dataclass(frozen=True)
class Transition:
    """A change that a version of a file may undergo.

    ``of`` are the states in which it may happen; none where the version is new in the ledger. ``to`` is the state
    afterwards; ``None`` where the version leaves the ledger, as if it had never been.
    """

    name: str
    of: frozenset[FileState]
    to: FileState | None

    @property
    def sql_states(self) -> str:
        """The states in which it may happen, as a list for SQL's ``IN``."""
        return ", ".join(f"'{state}'" for state in FileState if state in self.of)


def _transition(name: str, *of: FileState, to: FileState | None) -> Transition:
    return Transition(name, frozenset(of), to)


PENDING, LOADED, DUPLICATE, SUPERSEDED, PARKED, RETRACTED, GONE = FileState

# New versions.
SEE = _transition("see", to=PENDING)
REFUSE = _transition("refuse", to=PARKED)
EXTRACT = _transition("extract", to=PENDING)
READ_AGAIN = _transition("read again", to=PENDING)

# A version that waits. Whoever finds it settled meanwhile, by another run or by an operator, changes nothing.
ATTEMPT = _transition("attempt", PENDING, to=PENDING)
TAKE_BACK = _transition("take back", PENDING, to=PENDING)
RETRY = _transition("retry", PENDING, to=PENDING)
HOLD = _transition("hold", PENDING, to=PENDING)
LOAD = _transition("load", PENDING, to=LOADED)
REPEAT = _transition("repeat", PENDING, to=DUPLICATE)
OVERTAKE = _transition("overtake", PENDING, to=SUPERSEDED)
PARK = _transition("park", PENDING, to=PARKED)
VANISH = _transition("vanish", PENDING, to=GONE)
FORGET = _transition("forget", PENDING, to=None)

# A version that is replaced by another, or waits again when that one leaves.
OVERWRITE = _transition("overwrite", PENDING, PARKED, DUPLICATE, to=SUPERSEDED)
REPLACE = _transition("replace", LOADED, to=SUPERSEDED)
RETURN_DUPLICATE = _transition("return as the only one", DUPLICATE, to=PENDING)
RETURN_SNAPSHOT = _transition("return as the latest", SUPERSEDED, to=PENDING)

# What an operator asks for. A loaded version is read again as a new version beside it (``READ_AGAIN``).
RELOAD = _transition("reload", *(state for state in FileState if state is not LOADED), to=PENDING)
RETRACT = _transition("retract", *FileState, to=RETRACTED)

TRANSITIONS = (
    *(SEE, REFUSE, EXTRACT, READ_AGAIN),
    *(ATTEMPT, TAKE_BACK, RETRY, HOLD, LOAD, REPEAT, OVERTAKE, PARK, VANISH, FORGET),
    *(OVERWRITE, REPLACE, RETURN_DUPLICATE, RETURN_SNAPSHOT),
    *(RELOAD, RETRACT),
)
"""All that can happen to a version of a landed file."""


def is_allowed(before: FileState | None, after: FileState | None) -> bool:
    """Whether any transition leads from one state to another; ``None`` stands for no row."""
    return any(one.to == after and (before in one.of if before else not one.of) for one in TRANSITIONS)
