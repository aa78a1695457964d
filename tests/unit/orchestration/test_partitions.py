"""Years, and ranges of neighbours among them."""

import re
from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.declarations.star_table import PartitionedFact
from cinestream_platform.orchestration.partitions import YEARS, contiguous_ranges, partition_keys, partitions_of
from cinestream_platform.sources.netflix import tables as netflix

KNOWN = [str(year) for year in range(1995, 2021)]


def test_years_run_from_1995_to_the_current_one():
    now = datetime(2026, 7, 1, tzinfo=UTC)
    keys = list(YEARS.get_partition_keys(current_time=now))
    assert (keys[0], keys[-1], len(keys)) == ("1995", "2026", 32)
    assert all(re.fullmatch(r"\d{4}", key) for key in keys)


def test_the_current_year_is_there_from_its_first_second():
    assert list(YEARS.get_partition_keys(current_time=datetime(2026, 1, 1, tzinfo=UTC)))[-1] == "2026"
    assert list(YEARS.get_partition_keys(current_time=datetime(2025, 12, 31, 23, tzinfo=UTC)))[-1] == "2025"


def test_netflix_has_the_74_months_from_its_first_rating_to_its_last_and_no_more_as_time_goes_on():
    months = [f"{year}-{month:02d}" for year in range(1999, 2006) for month in range(1, 13)][10:]
    definition = partitions_of(netflix.MONTHS)
    assert definition is not None
    assert list(partition_keys(definition)) == months
    for now in (datetime(2006, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)):
        assert list(definition.get_partition_keys(current_time=now)) == months
    assert (len(months), months[0], months[-1]) == (74, "1999-11", "2005-12")


def test_the_months_of_netflix_are_those_of_its_first_and_last_day_and_one_object_for_all_its_facts():
    keys = partition_keys(partitions_of(netflix.MONTHS))
    first, last = (PartitionUnit.MONTH.key_of(day.year, day.month) for day in (netflix.FIRST_DAY, netflix.LAST_DAY))
    assert (keys[0], keys[-1]) == (first, last)
    assert PartitionUnit.MONTH.first_days(first)[0] == netflix.FIRST_DAY
    assert (PartitionUnit.MONTH.first_days(last)[1] - netflix.LAST_DAY).days == 1
    facts = [partitions_of(table.partitioning) for table in netflix.STAR_TABLES if isinstance(table, PartitionedFact)]
    assert len(facts) == 2
    assert facts[0] is facts[1]


def test_neighbours_make_one_range():
    assert contiguous_ranges(["1997", "1996", "2004"], KNOWN) == [("1996", "1997"), ("2004", "2004")]
    assert contiguous_ranges(["1995", "2020"], KNOWN) == [("1995", "1995"), ("2020", "2020")]
    assert contiguous_ranges(KNOWN, KNOWN) == [("1995", "2020")]
    assert contiguous_ranges([], KNOWN) == []


def test_keys_that_are_no_partitions_are_left_out():
    assert contiguous_ranges(["1994", "1995", "whole", "2021"], KNOWN) == [("1995", "1995")]


@given(st.sets(st.sampled_from(KNOWN)))
def test_ranges_cover_exactly_the_keys_and_no_two_of_them_touch(keys):
    ranges = contiguous_ranges(sorted(keys, key=hash), KNOWN)
    covered = [str(year) for first, last in ranges for year in range(int(first), int(last) + 1)]
    assert covered == sorted(keys)
    assert all(int(one[1]) + 1 < int(other[0]) for one, other in pairwise(ranges))
