"""Whatever is asked of a landed file in whatever order: only allowed transitions happen, in the database itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from psycopg import Connection
from psycopg.sql import Identifier

from cinestream_platform.ledger import corrections, extractions, file_states, file_writes, landed_files, sightings
from cinestream_platform.ledger.file_results import FileResult, Overlap
from cinestream_platform.ledger.file_states import TRANSITIONS, FileState, IllegalTransitionError, Transition
from cinestream_platform.sources.movielens.feeds import FEEDS
from cinestream_platform.sources.movielens.tables import RATINGS
from cinestream_platform.warehouse.connection import connect
from tests.support import ledger as ledger_by_hand
from tests.support.platform import Platform

BUCKET, RAW = "file:///landing", Identifier("raw_movielens", "ratings")
[FEED] = (feed for feed in FEEDS if feed.table is RATINGS)
START = datetime(2026, 1, 1, tzinfo=UTC)
WATCH = """
    CREATE TABLE ops.seen (step bigint GENERATED ALWAYS AS IDENTITY, file_id bigint, before text, after text);
    CREATE FUNCTION ops.note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO ops.seen (file_id, before, after) VALUES (
            CASE WHEN TG_OP = 'DELETE' THEN OLD.file_id ELSE NEW.file_id END,
            CASE WHEN TG_OP <> 'INSERT' THEN OLD.status END, CASE WHEN TG_OP <> 'DELETE' THEN NEW.status END);
        RETURN NULL;
    END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON ops.landed_file FOR EACH ROW EXECUTE FUNCTION ops.note();
"""
WRITES_BESIDE = {("loaded", "loaded"), ("superseded", "superseded"), ("retracted", "retracted"), ("gone", "gone")}
"""What a row undergoes that is written without a transition: another is the newest of its key, its rows move."""


@pytest.fixture
def database_template(prepared_template: str) -> str:
    return prepared_template


@pytest.fixture
def conn(platform: Platform) -> Iterator[Connection[Any]]:
    with connect(platform.target) as conn:
        conn.execute(WATCH.encode())
        yield conn


class LandedFiles(RuleBasedStateMachine):
    """The ledger of one snapshot feed and one of files, and everybody who may change it."""

    conn: Connection[Any]
    clock = 0

    @initialize()
    def begin(self) -> None:
        ledger_by_hand.forget_everything(self.conn)

    def states(self) -> dict[int, FileState]:
        rows = self.conn.execute("SELECT file_id, status FROM ops.landed_file ORDER BY file_id")
        return {file_id: FileState(status) for file_id, status in rows}

    def rows(self) -> list[tuple[Any, ...]]:
        return self.conn.execute("SELECT to_jsonb(f)::text FROM ops.landed_file f ORDER BY file_id").fetchall()

    def one(self, pick: int) -> int:
        """One of the files that the ledger knows."""
        return self.chosen([pick])[0]

    def chosen(self, picks: Sequence[int]) -> list[int]:
        known = list(self.states())
        return list(dict.fromkeys(known[pick % len(known)] for pick in picks)) if known else []

    def expect(self, do: Callable[[], Any], *transitions: Transition) -> Any:
        """Do something that may make these transitions; whatever else happened is a fault."""
        self.conn.execute("TRUNCATE ops.seen")
        result = do()
        allowed = {(before, one.to) for one in transitions for before in (one.of or {None})}
        seen = self.conn.execute("SELECT before, after FROM ops.seen").fetchall()
        happened = {
            (FileState(before) if before else None, FileState(after) if after else None) for before, after in seen
        }
        assert happened - allowed - {(FileState(a), FileState(b)) for a, b in WRITES_BESIDE} == set()
        return result

    def strictly(self, do: Callable[[], Any], transition: Transition, file_ids: Sequence[int]) -> None:
        """Do something to all of these files: it happens to all, or it is an error and changes nothing."""
        states, before = self.states(), self.rows()
        if all(states.get(file_id) in transition.of for file_id in file_ids):
            self.expect(do, transition, file_states.RETURN_DUPLICATE)
            after = self.states()
            assert {after[file_id] for file_id in file_ids} <= {transition.to}
        else:
            with pytest.raises(IllegalTransitionError, match=transition.name):
                do()
            assert self.rows() == before

    def gently(self, do: Callable[[], bool], transition: Transition, file_id: int, *more: Transition) -> None:
        """Do something to a file that may be settled: it happens, or the caller is told and nothing is changed."""
        waits, before = self.states()[file_id] in transition.of, self.rows()
        assert bool(self.expect(do, transition, *more)) is waits
        if not waits:
            assert self.rows() == before

    @rule(
        key=st.sampled_from("abc"),
        etag=st.integers(0, 3),
        dataset=st.sampled_from(["ratings", "movies"]),
        is_bad=st.booleans(),
    )
    def list_zone(self, key: str, etag: int, dataset: str, is_bad: bool) -> None:
        self.clock += 1
        listed = SimpleNamespace(
            key=f"movielens/{dataset}/{key}.csv",
            etag=str(etag),
            size=1,
            last_modified=START + timedelta(minutes=self.clock),
        )
        sighting = sightings.Sighting(listed, "movielens", dataset, "not a key" if is_bad else None)
        self.expect(
            lambda: sightings.register(self.conn, BUCKET, [sighting]),
            *(file_states.SEE, file_states.REFUSE, file_states.OVERWRITE, file_states.RETURN_SNAPSHOT),
        )

    @rule(end=st.sampled_from(["forget", "abandon", "leave"]))
    def extract(self, end: str) -> None:
        self.clock += 1
        moment = START + timedelta(minutes=self.clock)
        table = self.expect(
            lambda: extractions.begin(self.conn, RATINGS, moment, sha256="s", size=1, lake_path="raw/x"),
            file_states.EXTRACT,
        )
        assert table.status == FileState.PENDING
        if end == "forget":
            self.expect(lambda: extractions.forget(self.conn, table), file_states.FORGET)
            assert table.file_id not in self.states()
        elif end == "abandon":
            self.expect(lambda: extractions.abandon(self.conn, [FEED]), file_states.VANISH)
            assert self.states()[table.file_id] is FileState.GONE

    @rule(picks=st.lists(st.integers(0, 50), max_size=4), is_taken_back=st.booleans())
    def attempt(self, picks: list[int], is_taken_back: bool) -> None:
        file_ids, states = self.chosen(picks), self.states()
        begun = self.expect(
            lambda: file_writes.begin_attempts(self.conn, file_ids, "raw/y", backoff_seconds=1), file_states.ATTEMPT
        )
        assert begun == {file_id for file_id in file_ids if states[file_id] is FileState.PENDING}
        if is_taken_back:
            self.expect(lambda: file_writes.take_attempts_back(self.conn, file_ids), file_states.TAKE_BACK)

    @precondition(lambda self: self.states())
    @rule(pick=st.integers(0, 50), what=st.sampled_from(["fail", "park", "vanish", "overtake", "repeat", "hold"]))
    def settle(self, pick: int, what: str) -> None:
        file_id = self.one(pick)
        does = {
            "fail": (lambda: file_writes.fail(self.conn, file_id, "no", attempts=2), file_states.RETRY),
            "park": (
                lambda: file_writes.park(self.conn, file_id, "no", sha256=None, counts=(2, 1)),
                file_states.PARK,
            ),
            "vanish": (lambda: file_writes.vanish(self.conn, file_id), file_states.VANISH),
            "overtake": (lambda: file_writes.overtake(self.conn, file_id, "s", file_id), file_states.OVERTAKE),
            "repeat": (lambda: file_writes.repeat(self.conn, file_id, "s", file_id), file_states.REPEAT),
        }
        if what == "hold":
            ended = datetime.now(UTC) + timedelta(days=1)
            self.expect(lambda: file_writes.hold(self.conn, [file_id], ended, "held"), file_states.HOLD)
        else:
            self.gently(*does[what], file_id, file_states.PARK)

    @precondition(lambda self: self.states())
    @rule(picks=st.lists(st.integers(0, 50), min_size=1, max_size=3), content=st.sampled_from("st"))
    def load(self, picks: list[int], content: str) -> None:
        file_ids = self.chosen(picks)
        results = {file_id: FileResult(content, 1, 1, False, f"raw/{file_id}") for file_id in file_ids}

        def do() -> None:
            with self.conn.transaction():
                file_writes.load(self.conn, results, {file_id: Overlap(1) for file_id in file_ids}, "run")

        self.strictly(do, file_states.LOAD, file_ids)

    @precondition(lambda self: self.states())
    @rule(picks=st.lists(st.integers(0, 50), min_size=1, max_size=3), by=st.integers(0, 50))
    def replace(self, picks: list[int], by: int) -> None:
        file_ids = self.chosen(picks)
        replaced = dict.fromkeys(file_ids, self.one(by))
        self.strictly(lambda: file_writes.replace(self.conn, replaced), file_states.REPLACE, file_ids)

    @precondition(lambda self: self.states())
    @rule(pick=st.integers(0, 50), twin=st.integers(0, 50))
    def stand_back(self, pick: int, twin: int) -> None:
        """As a load does it: only for a twin that is loaded."""
        file_id, other = self.one(pick), self.one(twin)
        states, file = self.states(), landed_files.numbered(self.conn, file_id)
        stands = self.expect(
            lambda: landed_files.mark_duplicate(self.conn, file, "s", other, RAW),
            *(file_states.REPEAT, file_states.REPLACE, file_states.RETURN_DUPLICATE),
        )
        assert stands is (states[other] is FileState.LOADED)

    @precondition(lambda self: self.states())
    @rule(pick=st.integers(0, 50), what=st.sampled_from(["read again", "reload", "retract"]))
    def ask(self, pick: int, what: str) -> None:
        file_id = self.one(pick)
        newest = "SELECT FROM ops.landed_file WHERE file_id = %s AND is_newest"
        if what == "read again" and self.states()[file_id] is FileState.LOADED:
            if not self.conn.execute(newest, (file_id,)).rowcount:
                return  # corrections ask for the newest version of a key only
            self.expect(lambda: file_writes.read_again(self.conn, file_id), file_states.READ_AGAIN)
        elif what == "read again":
            with pytest.raises(IllegalTransitionError):
                file_writes.read_again(self.conn, file_id)
        elif what == "reload":
            self.strictly(lambda: file_writes.reload(self.conn, file_id), file_states.RELOAD, [file_id])
        else:
            self.strictly(lambda: file_writes.retract(self.conn, [file_id]), file_states.RETRACT, [file_id])

    @precondition(lambda self: self.states())
    @rule(pick=st.integers(0, 50), is_undone=st.booleans())
    def correct(self, pick: int, is_undone: bool) -> None:
        """As an operator asks by a key."""
        file_id = self.one(pick)
        file = landed_files.numbered(self.conn, file_id)
        if is_undone:
            self.expect(
                lambda: corrections.retract(self.conn, file.bucket, file.key, RAW),
                *(file_states.RETRACT, file_states.RETURN_DUPLICATE, file_states.RETURN_SNAPSHOT),
            )
            left = [state for number, state in self.states().items() if number == file_id]
            assert FileState.LOADED not in left
        else:
            self.expect(
                lambda: corrections.reload(self.conn, file.bucket, file.key),
                *(file_states.RELOAD, file_states.READ_AGAIN),
            )


def test_only_allowed_transitions_happen_and_an_illegal_one_changes_nothing(conn: Connection[Any]) -> None:
    machine = type("Watched", (LandedFiles,), {"conn": conn})
    run_state_machine_as_test(machine, settings=settings(max_examples=15, stateful_step_count=30))


def test_an_illegal_transition_names_the_file_its_state_and_what_was_asked(conn: Connection[Any]) -> None:
    table = extractions.begin(conn, RATINGS, START, sha256="s", size=1, lake_path="raw/x")
    with pytest.raises(IllegalTransitionError, match=rf"file {table.file_id} is pending: only .*loaded can replace"):
        file_writes.replace(conn, {table.file_id: table.file_id})
    with pytest.raises(IllegalTransitionError, match="file 99 is unknown"):
        file_writes.retract(conn, [99])


def test_no_transition_is_left_out(conn: Connection[Any]) -> None:
    used = {name for name in vars(file_states) if isinstance(getattr(file_states, name), Transition)}
    assert {getattr(file_states, name) for name in used} == set(TRANSITIONS)
