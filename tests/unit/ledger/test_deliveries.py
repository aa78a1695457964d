"""Which deliveries and event files have a say in which partition."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.declarations.named_days import misread_day
from cinestream_platform.declarations.partitioning import WHOLE, Partitioning, PartitionUnit
from cinestream_platform.ledger.deliveries import effective_at, holding, touches

LANDED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TIME_UNITS = [PartitionUnit.YEAR, PartitionUnit.QUARTER, PartitionUnit.MONTH]


# ---- when a delivery takes effect ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("chinook/customer/customer_2024-05-01.csv", (2024, 5, 1)),
        ("chinook/customer/2024-05-01/customer.csv", (2024, 5, 1)),
        ("chinook/customer/2024-05-01/customer_2024-06-02.csv", (2024, 6, 2)),
        ("chinook/release/2024-05-01.sqlite#customer", (2024, 5, 1)),
        ("chinook/customer/customer_2024-05-01T10.csv", (2024, 5, 1)),
        ("chinook/customer/customer_1900-01-01.csv", (1900, 1, 1)),
        ("chinook/customer/customer_20240501.csv", (2024, 5, 1)),
        ("chinook/customer/20240501/customer.csv", (2024, 5, 1)),
        ("chinook/customer/customer20240501T123000Z.csv", (2024, 5, 1)),
        ("chinook/customer/customer_20240501123000.csv", (2024, 5, 1)),
        ("chinook/customer/customer_2024-05-01_20240602.csv", (2024, 6, 2)),
        ("chinook/customer/2024-05-01/customer_2024-02-30.csv", (2024, 5, 1)),
    ],
)
def test_a_delivery_holds_from_the_day_that_its_key_names_last(key, expected):
    assert effective_at(key, LANDED) == datetime(*expected, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        *("customer.csv", "customer_2024-13-01.csv", "customer_2024-02-30.csv", "customer_20241301.csv"),
        *(
            "customer_12024-05-01.csv",
            "customer_2024-05-012.csv",
            "customer_2024-5-1.csv",
            "customer_２０２４-05-01.csv",
        ),
        *("customer_1899-12-31.csv", "customer_0001-01-01.csv"),  # before the beginning of every history
    ],
)
def test_without_a_day_in_its_key_it_holds_from_when_it_landed(name):
    assert effective_at(f"chinook/customer/{name}", LANDED) == LANDED


def test_a_state_of_a_database_holds_from_the_moment_of_its_extraction():
    assert effective_at("dvdrental/film/20260304T050607.000000Z", LANDED) == LANDED


@pytest.mark.parametrize(
    "name",
    [
        *("customer_2024-13-45.csv", "customer_01-05-2024.csv", "customer_2024-02-30.csv", "customer_20241345.csv"),
        *("customer_01052024.csv", "customer_31122023.csv", "customer_2024_05_01.csv", "customer_2024.05.01.csv"),
        *("2024/05/01/customer.csv", "year=2024/month=05/day=01/customer.csv", "customer_2024-5-1.csv"),
        *("customer_1.5.2024.csv", "customer_24-05-01.csv", "customer_5-1-24.csv", "customer_2024-05.csv"),
        *("customer_1-May-2024.csv", "customer_may2024.csv", "customer_01may24.csv", "customer_2024may01.csv"),
        *(
            "customer_1899-12-31.csv",
            "customer_２０２４-05-01.csv",
            "customer_2024–05–01.csv",
            "customer_2024-05-012.csv",
        ),
        *("2024-05-01/customer_01-05-2024.csv", "customer_2024-05-01_2024-13-45.csv", "customer_20241345120000.csv"),
        *("customer_240501.csv", "customer_24-5-1.csv", "customer_05-2024.csv", "customer_052024.csv"),
        *("customer_2024Q1.csv", "customer_Q1-2024.csv", "customer_2024-W18.csv", "customer_2024-122.csv"),
    ],
)
def test_what_looks_like_a_date_and_is_none_is_said_with_the_spelling_that_is_read(name):
    assert "Write the day as 2024-05-01 or 20240501" in (misread_day(f"chinook/customer/{name}") or "")


@pytest.mark.parametrize(
    "name",
    [
        *("customer.csv", "customer_20240501.csv", "2024-05-01/customer.csv", "customer_2024-05-01T12-30-00.csv"),
        *("customer_20240501T123000Z.csv", "customer_2024-05-01 (2).csv", "customer_2024-05-01_1.csv", "mayor_3.csv"),
        *(
            "customer_2024-05-01_12-30-00.csv",
            "customer_1714521600.csv",
            "customer_12345678.csv",
            "customer_v1.4.5.csv",
            "customer_1-2-3.csv",
            "customer_000123.csv",
            "customer_2024.csv",
        ),
        *("part-00000-3f2a1b4c-2024-4abc-9def-20240501abcd-c000.csv", "dt=2024-05-01/hour=05/customer.csv"),
        "20260304T050607.000000Z",
    ],
)
def test_days_times_and_other_numbers_are_not_taken_for_misread_days(name):
    assert misread_day(f"chinook/customer/{name}") is None


@given(st.dates(date(1900, 1, 1), date(2999, 12, 31)), st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%Y%m%dT%H%M%S"]))
def test_every_day_from_1900_on_is_read_in_both_spellings(day, spelling):
    key = f"chinook/employee/employee_{day.strftime(spelling)}.csv"
    assert effective_at(key, LANDED).date() == day
    assert misread_day(key) is None


# ---- event files -----------------------------------------------------------------------------------------------------


def test_an_event_file_touches_the_partitions_that_its_own_lie_in():
    assert touches(["2024", "2026"], PartitionUnit.YEAR, "2026")
    assert not touches(["2024", "2026"], PartitionUnit.YEAR, "2025")
    assert touches(["2007-05"], PartitionUnit.QUARTER, "2007-04")
    assert not touches(["2007-05"], PartitionUnit.QUARTER, "2007-07")
    assert touches(["2007-12"], PartitionUnit.YEAR, "2007")
    assert not touches([], PartitionUnit.YEAR, "2007")


def test_a_file_without_times_touches_every_partition_and_every_file_a_whole_table():
    assert touches([WHOLE], PartitionUnit.YEAR, "1995")
    assert touches(["2024"], PartitionUnit.WHOLE, WHOLE)


# ---- deliveries ------------------------------------------------------------------------------------------------------


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)


def test_a_partition_is_made_from_the_deliveries_up_to_its_end_and_the_next_one():
    effective = {1: at(2023, 6, 1), 2: at(2024, 12, 31, 23), 3: at(2025, 1, 1), 4: at(2025, 7, 1), 5: at(2025, 1, 1)}
    assert holding(effective, PartitionUnit.YEAR, "2021") == {1}
    assert holding(effective, PartitionUnit.YEAR, "2022") == {1}
    assert holding(effective, PartitionUnit.YEAR, "2023") == {1, 2}
    assert holding(effective, PartitionUnit.YEAR, "2024") == {1, 2, 3, 5}
    assert holding(effective, PartitionUnit.YEAR, "2025") == {1, 2, 3, 4, 5}
    assert holding(effective, PartitionUnit.YEAR, "2026") == {1, 2, 3, 4, 5}
    assert holding({}, PartitionUnit.YEAR, "2024") == set()


moments = st.dictionaries(
    st.integers(1, 20), st.integers(0, 72).map(lambda months: at(2020 + months // 12, months % 12 + 1, 15)), max_size=8
)


@settings(deadline=None)
@given(moments, st.integers(2019, 2027))
def test_a_new_delivery_changes_only_partitions_from_the_delivery_before_it_on(effective, year):
    """Years long past do not become stale by every new list of customers."""
    if not effective:
        return
    newest = max(effective.values())
    before = {file_id: moment for file_id, moment in effective.items() if moment < newest}
    is_past = any(moment >= at(year + 1, 1, 1) for moment in before.values())
    same = holding(effective, PartitionUnit.YEAR, str(year)) == holding(before, PartitionUnit.YEAR, str(year))
    assert same is is_past


@settings(deadline=None)
@given(moments, st.integers(2019, 2027), st.integers(0, 364))
def test_the_delivery_in_force_at_any_event_of_a_partition_is_among_those_that_hold(effective, year, days):
    event = at(year, 1, 1) + timedelta(days=days)
    found = holding(effective, PartitionUnit.YEAR, str(year))
    if past := [moment for moment in effective.values() if moment <= event]:
        assert {file_id for file_id, moment in effective.items() if moment == max(past)} <= found
    elif effective:
        assert {file_id for file_id, moment in effective.items() if moment == min(effective.values())} <= found


# ---- partitions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "month", "key", "first", "after"),
    [
        (PartitionUnit.YEAR, 7, "2007", date(2007, 1, 1), date(2008, 1, 1)),
        (PartitionUnit.QUARTER, 6, "2007-04", date(2007, 4, 1), date(2007, 7, 1)),
        (PartitionUnit.QUARTER, 12, "2007-10", date(2007, 10, 1), date(2008, 1, 1)),
        (PartitionUnit.MONTH, 12, "2007-12", date(2007, 12, 1), date(2008, 1, 1)),
    ],
)
def test_keys_of_partitions_name_their_first_month(unit, month, key, first, after):
    assert unit.key_of(2007, month) == key
    assert unit.first_days(key) == (first, after)
    bounds = tuple(int(f"{day:%Y%m%d}") for day in (first, after))
    assert Partitioning(unit).bounds(key) == bounds


@given(st.sampled_from(TIME_UNITS), st.dates(date(1900, 1, 1), date(9998, 12, 31)))
def test_every_day_lies_in_the_partition_that_its_month_has_and_partitions_follow_each_other(unit, day):
    key = unit.key_of(day.year, day.month)
    first, after = unit.first_days(key)
    assert first <= day < after
    assert (after.year - first.year) * 12 + after.month - first.month == unit.months
    assert unit.key_of(first.year, first.month) == key
    assert unit.first_days(unit.key_of(after.year, after.month))[0] == after


@given(st.dates(date(1900, 1, 1), date(9998, 12, 31)), st.data())
def test_a_finer_partition_lies_in_the_coarser_one_of_the_same_day(day, data):
    fine, coarse = sorted(data.draw(st.tuples(*[st.sampled_from(TIME_UNITS)] * 2)), key=lambda unit: unit.months)
    key = fine.key_of(day.year, day.month)
    assert coarse.containing(key) == coarse.key_of(day.year, day.month)
    assert PartitionUnit.WHOLE.containing(key) == coarse.containing(WHOLE) == WHOLE
    begin, end = coarse.first_days(coarse.containing(key))
    assert begin <= fine.first_days(key)[0] < fine.first_days(key)[1] <= end
