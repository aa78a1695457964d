"""The table of transitions: whole, and the same wherever it is written down."""

import re
from pathlib import Path

from cinestream_platform.ledger.file_states import TRANSITIONS, FileState, is_allowed

ROOT = Path(__file__).parents[3]
MIGRATIONS = ROOT / "cinestream_platform" / "warehouse" / "migrations"


def test_the_states_are_those_that_the_database_allows():
    ledger = (MIGRATIONS / "0001_ledger.sql").read_text(encoding="utf-8")
    [allowed] = re.findall(r"status IN \(([^)]*)\)", ledger.partition("superseded_by")[0])
    assert re.findall(r"'(\w+)'", allowed) == list(FileState)
    changed = [path.name for path in MIGRATIONS.glob("*.sql") if "landed_file_status_check" in path.read_text("utf-8")]
    assert changed == []


def test_every_state_can_be_reached_and_every_transition_has_a_name_of_its_own():
    reached: set[FileState | None] = set()
    for _ in FileState:
        reached |= {one.to for one in TRANSITIONS if not one.of or one.of & reached}
    assert reached == {*FileState, None}
    assert len({one.name for one in TRANSITIONS}) == len(TRANSITIONS)


def test_only_a_file_that_waits_is_loaded_and_what_is_loaded_only_gives_way_or_is_retracted():
    assert [before for before in (None, *FileState) if is_allowed(before, FileState.LOADED)] == [FileState.PENDING]
    after = {state for state in (None, *FileState) if is_allowed(FileState.LOADED, state)}
    assert after == {FileState.SUPERSEDED, FileState.RETRACTED}


def test_what_is_retracted_or_gone_comes_back_only_by_an_operator():
    for state in (FileState.RETRACTED, FileState.GONE, FileState.PARKED):
        assert [one.name for one in TRANSITIONS if state in one.of and one.to is FileState.PENDING] == ["reload"]


def test_the_documentation_has_the_same_table():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w ]+) \| (.*?) \| (.*?) \| .+ \|$", text.partition("| transition |")[2], re.M)
    written = {name: (re.findall(r"`(\w+)`", of), re.findall(r"`(\w+)`", to)) for name, of, to in rows}
    everything = list(FileState)
    expected = {
        one.name: (
            [] if set(one.of) == set(everything) else [state for state in everything if state in one.of],
            [one.to] if one.to else [],
        )
        for one in TRANSITIONS
    }
    assert written == expected
    assert {name: of for name, of, _ in rows}["retract"] == "any"
