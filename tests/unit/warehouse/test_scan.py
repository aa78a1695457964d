"""The rows of partitions as a condition: exactly theirs, with neighbours as one range."""

from hypothesis import given
from hypothesis import strategies as st

from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.sources.netflix.tables import DIM_MOVIE, FACT_RATINGS
from cinestream_platform.warehouse.scan import of_partitions

MONTHS = [PartitionUnit.MONTH.key_of(year, month) for year in (2004, 2005) for month in range(1, 13)]


def condition(*keys: str) -> str:
    found = of_partitions(FACT_RATINGS, keys)
    assert found is not None
    return found.as_string()


def test_a_partition_ends_before_the_first_day_of_the_next_and_neighbours_are_one_range() -> None:
    assert condition("2004-12") == '("date_key" >= 20041201 AND "date_key" < 20050101)'
    assert condition("2005-01", "2004-12") == '("date_key" >= 20041201 AND "date_key" < 20050201)'
    assert condition("2004-12", "2005-02") == (
        '("date_key" >= 20041201 AND "date_key" < 20050101 OR "date_key" >= 20050201 AND "date_key" < 20050301)'
    )


@given(st.sets(st.sampled_from(MONTHS), min_size=1), st.sampled_from(MONTHS), st.sampled_from((1, 28)))
def test_a_day_is_read_with_its_month_and_with_no_other(keys: set[str], month: str, day: int) -> None:
    date_key = int(month.replace("-", "")) * 100 + day
    rule = condition(*keys).replace('"date_key"', str(date_key)).replace("AND", "and").replace("OR", "or")
    assert eval(rule) is (month in keys)


def test_of_no_partition_no_row_is_read_and_a_table_without_has_no_condition() -> None:
    assert condition() == "false"
    assert of_partitions(DIM_MOVIE, ["whole"]) is None
