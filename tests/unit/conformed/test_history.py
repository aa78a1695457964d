"""Versions of members follow from all deliveries, in whatever order they arrive, and an event finds the one valid then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.conformed.history import BEGINNING, aligned, as_of, last_known, newest, versions

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
INSTANT = pl.Datetime("us", "UTC")
SCHEMA = {
    "member": pl.Int32(),
    "name": pl.String(),
    "rank": pl.Int32(),
    "_effective_at": INSTANT,
    "_changed_at": INSTANT,
    "_file_id": pl.Int64(),
    "_line": pl.Int64(),
    "partition_key": pl.String(),
}


def day(number: float) -> datetime:
    return FIRST_DAY + timedelta(days=number)


@dataclass(frozen=True)
class Record:
    """A member in a delivery."""

    member: int
    name: str | None
    rank: int | None
    effective_at: datetime
    changed_at: datetime | None
    file_id: int
    line: int

    @property
    def row(self) -> tuple[object, ...]:
        return (
            *(self.member, self.name, self.rank, self.effective_at, self.changed_at, self.file_id, self.line),
            "whole",
        )


@dataclass(frozen=True)
class Version:
    """A version as the reference model makes it."""

    member: int
    name: str | None
    rank: int | None
    valid_from: datetime
    valid_to: datetime | None
    is_in_source: bool


def frame(records: list[Record], *, says_when_changed: bool = True) -> pl.LazyFrame:
    made = pl.LazyFrame([record.row for record in records], schema=SCHEMA, orient="row")
    return made if says_when_changed else made.drop("_changed_at")


def model(records: list[Record], *, says_when_changed: bool = True) -> set[Version]:
    """Versions, made one delivery after the other in plain Python."""
    found = set()
    last_delivery = max((record.effective_at for record in records), default=None)
    for member in {record.member for record in records}:
        mine = sorted(
            (record for record in records if record.member == member),
            key=lambda record: (record.effective_at, record.file_id, record.line),
        )
        deliveries = {record.effective_at: record for record in mine}  # of one time the last
        before: Record | None = None
        begun: list[tuple[datetime, Record]] = []
        for moment, record in sorted(deliveries.items()):
            if before is None:
                begun.append((BEGINNING, record))
            elif (before.name, before.rank) != (record.name, record.rank):
                changed = record.changed_at if says_when_changed else None
                is_exact = changed is not None and before.effective_at < changed <= moment
                begun.append((changed if is_exact and changed else moment, record))
            before = record
        ends = [valid_from for valid_from, _ in begun[1:]]
        for (valid_from, record), valid_to in zip(begun, [*ends, None], strict=True):
            is_in_source = max(deliveries) == last_delivery
            found.add(Version(member, record.name, record.rank, valid_from, valid_to, is_in_source))
    return found


def found_versions(records: pl.LazyFrame, engine: str = "in-memory") -> pl.DataFrame:
    return versions(records, "member").collect(engine=engine)  # type: ignore[call-overload]


def as_model(made: pl.DataFrame) -> set[Version]:
    assert made["is_current"].to_list() == made["valid_to"].is_null().to_list()
    assert not made["is_inferred"].any()
    rows = made.select("member", "name", "rank", "valid_from", "valid_to", "is_in_source").rows()
    assert len(set(rows)) == len(rows)
    return {Version(*row) for row in rows}


@st.composite
def deliveries(draw: st.DrawFn) -> list[Record]:
    """Up to seven files, some for the same time, each with some of three members; a line may occur twice."""
    numbers = draw(st.permutations(range(1, draw(st.integers(0, 7)) + 1)))
    records = []
    for file_id in numbers:
        effective = day(draw(st.integers(0, 4)))
        members = draw(st.lists(st.integers(1, 3), max_size=4))
        for line, member in enumerate(members, start=2):
            changed = draw(st.none() | st.integers(-1, 9).map(lambda half: day(half / 2)))
            name, rank = draw(st.sampled_from(["a", "b", None])), draw(st.sampled_from([1, None]))
            records.append(Record(member, name, rank, effective, changed, file_id, line))
    return draw(st.permutations(records))


@settings(max_examples=150, deadline=None)
@given(deliveries(), st.booleans(), st.sampled_from(["in-memory", "streaming"]))
def test_versions_are_those_of_a_plain_model_in_any_order_of_arrival(records, says_when_changed, engine):
    made = found_versions(frame(records, says_when_changed=says_when_changed), engine)
    assert as_model(made) == model(records, says_when_changed=says_when_changed)


@settings(max_examples=100, deadline=None)
@given(deliveries())
def test_versions_of_a_member_follow_each_other_without_gap_from_the_beginning_and_the_last_is_open(records):
    made = found_versions(frame(records))
    assert set(made["member"]) == {record.member for record in records}
    for _, mine in made.group_by("member"):
        spans = mine.sort("valid_from").select("valid_from", "valid_to").rows()
        assert spans[0][0] == BEGINNING
        assert spans[-1][1] is None
        assert all(before < after for (before, _), (after, _) in pairwise(spans))
        assert all(ends == begins for (_, ends), (begins, _) in pairwise(spans))


events = st.lists(
    st.tuples(st.none() | st.integers(1, 4), st.integers(-2, 10).map(lambda half: day(half / 2))), max_size=6
)


@settings(max_examples=100, deadline=None)
@given(deliveries(), events, st.sampled_from(["in-memory", "streaming"]))
def test_an_event_finds_the_one_version_that_held_then(records, happened, engine):
    history = versions(frame(records), "member").select("member", "valid_from", "name")
    numbered = [(number, *event) for number, event in enumerate(happened)]
    log = pl.LazyFrame(numbered, schema={"n": pl.Int64(), "member": pl.Int32(), "at": INSTANT}, orient="row")
    found = as_of(log, history, "member", at="at", version="since").collect(engine=engine).sort("n")

    known = model(records)
    expected = []
    for number, member, at in numbered:
        held = [
            v for v in known if v.member == member and v.valid_from <= at and (v.valid_to is None or at < v.valid_to)
        ]
        assert len(held) <= 1
        version = held[0] if held else None
        since = None if member is None else version.valid_from if version else BEGINNING
        expected.append((number, member, at, version.name if version else None, since))
    assert found.select("n", "member", "at", "name", "since").rows() == expected
    assert "valid_from" not in found.columns


def test_at_the_instant_of_a_change_the_new_version_holds_and_a_microsecond_before_the_old_one():
    records = [Record(1, "old", 1, day(0), None, 1, 2), Record(1, "new", 1, day(5), None, 2, 2)]
    history = versions(frame(records), "member").select("member", "valid_from")
    log = pl.LazyFrame(
        {"member": [1, 1], "at": [day(5), day(5) - timedelta(microseconds=1)]},
        schema={"member": pl.Int32(), "at": INSTANT},
    )
    found = as_of(log, history, "member", at="at", version="since").collect()
    assert dict(found.select("at", "since").rows()) == {
        day(5): day(5),
        day(5) - timedelta(microseconds=1): BEGINNING,
    }


def test_a_value_that_changes_back_is_a_third_version():
    records = [Record(1, name, 1, day(n), None, n, 2) for n, name in enumerate(["a", "b", "a", "a"])]
    made = found_versions(frame(records)).sort("valid_from")
    assert made.select("name", "valid_from", "valid_to").rows() == [
        ("a", BEGINNING, day(1)),
        ("b", day(1), day(2)),
        ("a", day(2), None),
    ]


def test_two_changes_that_the_source_dates_on_the_delivery_between_them_do_not_begin_at_one_instant():
    records = [
        Record(1, "a", 1, day(0), None, 1, 2),
        Record(1, "b", 1, day(2), day(2), 2, 2),
        Record(1, "c", 1, day(4), day(2), 3, 2),
    ]
    assert found_versions(frame(records)).sort("valid_from")["valid_from"].to_list() == [BEGINNING, day(2), day(4)]


def test_a_member_that_the_last_delivery_lacks_goes_on_to_hold_and_is_no_longer_in_the_source():
    records = [
        Record(1, "a", 1, day(0), None, 1, 2),
        Record(2, "x", 1, day(0), None, 1, 3),
        Record(2, "y", 1, day(1), None, 2, 2),
    ]
    made = found_versions(frame(records)).sort("member", "valid_from")
    assert made.select("member", "valid_to", "is_in_source").rows() == [
        (1, None, False),
        (2, day(1), True),
        (2, None, True),
    ]


def test_newest_has_the_records_of_the_last_delivery_also_when_it_came_first():
    records = [Record(1, "new", 1, day(3), None, 1, 2), Record(1, "old", 1, day(1), None, 2, 2)]
    assert newest(frame(records)).collect()["name"].to_list() == ["new"]
    assert newest(frame([])).collect().height == 0


@settings(max_examples=100, deadline=None)
@given(deliveries())
def test_every_member_is_known_as_its_last_delivery_says_and_gone_from_the_first_that_lacks_it_since(records):
    moments = {record.effective_at for record in records}
    expected = []
    for member in {record.member for record in records}:
        last = max(record.effective_at for record in records if record.member == member)
        gone = min((moment for moment in moments if moment > last), default=None)
        expected += [(*r.row, gone) for r in records if r.member == member and r.effective_at == last]
    found = last_known(frame(records), "member").select(*SCHEMA, "_gone_at").collect().rows()
    assert sorted(found, key=repr) == sorted(expected, key=repr)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 6), min_size=1), st.sets(st.integers(0, 6), min_size=1))
def test_aligned_tables_are_each_as_they_were_at_every_delivery_of_any_of_them(ours, theirs):
    def table(name: str, days: set[int]) -> pl.LazyFrame:
        rows = [(f"{name}{number}", day(number)) for number in days]
        return pl.LazyFrame(rows, schema={name: pl.String(), "_effective_at": INSTANT}, orient="row")

    def in_force(days: set[int], moment: int) -> int:
        return max((number for number in days if number <= moment), default=min(days))

    joined = pl.concat(
        [frame.collect() for frame in aligned(table("a", ours), table("b", theirs))], how="align"
    ).sort("_effective_at")  # fmt: skip
    assert joined.select("_effective_at", "a", "b").rows() == [
        (day(moment), f"a{in_force(ours, moment)}", f"b{in_force(theirs, moment)}") for moment in sorted(ours | theirs)
    ]


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_without_deliveries_there_are_no_versions_and_every_event_is_of_an_unknown_member(engine):
    assert found_versions(frame([]), engine).height == 0
    history = versions(frame([]), "member").select("member", "valid_from")
    log = pl.LazyFrame({"member": [7, None], "at": [day(0), day(0)]}, schema={"member": pl.Int32(), "at": INSTANT})
    found = as_of(log, history, "member", at="at", version="since").collect(engine=engine)
    assert set(found.select("member", "since").rows()) == {(7, BEGINNING), (None, None)}
