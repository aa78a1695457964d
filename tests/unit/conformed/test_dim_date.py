"""The calendar, against Python's own."""

from calendar import monthrange
from datetime import date, timedelta
from itertools import pairwise

from cinestream_platform.conformed import transforms
from cinestream_platform.conformed.tables import DIM_DATE
from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.publishing.validation import validate

DAYS = transforms.dim_date().collect()
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October"]
MONTHS += ["November", "December"]
NAMES = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def last_of(year: int, month: int) -> date:
    return date(year, month, monthrange(year, month)[1])


def year_before(day: date) -> date:
    return date(day.year - 1, day.month, min(day.day, monthrange(day.year - 1, day.month)[1]))


def test_a_hundred_years_have_36525_days_without_a_gap():
    assert DAYS.height == 36_525
    days = DAYS["date"].sort().to_list()
    assert (days[0], days[-1]) == (date(1950, 1, 1), date(2049, 12, 31))
    assert all(later - day == timedelta(days=1) for day, later in pairwise(days))


def test_every_column_of_every_day_is_what_pythons_calendar_says():
    """Month and day names too: they are English whatever the machine's locale."""
    for row in DAYS.iter_rows(named=True):
        day: date = row["date"]
        assert row == {
            "date_key": day.year * 10_000 + day.month * 100 + day.day,
            "date": day,
            "year": day.year,
            "quarter": (day.month + 2) // 3,
            "month": day.month,
            "month_start": day.replace(day=1),
            "day": day.day,
            "day_of_week": day.isoweekday(),
            "iso_week": day.isocalendar().week,
            "month_name": MONTHS[day.month - 1],
            "day_name": NAMES[day.weekday()],
            "is_weekend": day.weekday() >= 5,
            "iso_year": day.isocalendar().year,
            "week_start": day - timedelta(days=day.weekday()),
            "month_end": last_of(day.year, day.month),
            "quarter_start": date(day.year, (day.month - 1) // 3 * 3 + 1, 1),
            "quarter_end": last_of(day.year, (day.month - 1) // 3 * 3 + 3),
            "year_month": f"{day.year}-{day.month:02}",
            "same_day_last_year": year_before(day),
        }


def test_leap_years_and_iso_weeks_at_the_turn_of_the_year():
    rows = {row["date_key"]: row for row in DAYS.iter_rows(named=True)}
    assert 20000229 in rows
    assert 19960229 in rows
    assert 20010229 not in rows
    assert sum(key % 10_000 == 229 for key in rows) == 25
    assert rows[20050101]["iso_week"] == 53  # a Saturday of the ISO year 2004
    assert rows[20181231]["iso_week"] == 1  # a Monday of the ISO year 2019
    assert rows[20201231]["iso_week"] == 53
    assert (rows[20050101]["iso_year"], rows[20181231]["iso_year"]) == (2004, 2019)
    assert rows[20000229]["same_day_last_year"] == date(1999, 2, 28)


def test_the_calendar_keeps_the_rules_and_types_of_its_table():
    assert dict(DAYS.schema) == polars_schema(DIM_DATE)
    assert [result.name for result in validate(DIM_DATE, DAYS) if not result.passed] == []
