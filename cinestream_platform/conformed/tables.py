"""Tables that several stars share, each declared once."""

from cinestream_platform.declarations.column import BOOLEAN, DATE, INTEGER, SMALLINT, TEXT, Between, Column
from cinestream_platform.declarations.star_table import FixedDimension

SCHEMA = "conformed"

DIM_DATE = FixedDimension(
    source="conformed",
    schema=SCHEMA,
    name="dim_date",
    description="Calendar days 1950 to 2049 (UTC); every fact's date_key points here.",
    grain="one row per day",
    key=Column("date_key", INTEGER, "The day as YYYYMMDD.", rules=(Between(19500101, 20491231),)),
    attributes=(
        Column("date", DATE, "The day."),
        Column("year", SMALLINT, "Calendar year."),
        Column("quarter", SMALLINT, "1 to 4.", rules=(Between(1, 4),)),
        Column("month", SMALLINT, "1 to 12.", rules=(Between(1, 12),)),
        Column("month_start", DATE, "First day of the month."),
        Column("day", SMALLINT, "Day of the month.", rules=(Between(1, 31),)),
        Column("day_of_week", SMALLINT, "1 = Monday to 7 = Sunday (ISO 8601).", rules=(Between(1, 7),)),
        Column("iso_week", SMALLINT, "Week of the ISO year.", rules=(Between(1, 53),)),
        Column("month_name", TEXT, "English name of the month."),
        Column("day_name", TEXT, "English name of the day."),
        Column("is_weekend", BOOLEAN, "Saturday or Sunday."),
        Column("iso_year", SMALLINT, "Year that iso_week belongs to: 2005-01-01 is in week 53 of 2004.", nullable=True),
        Column("week_start", DATE, "Monday of the week.", nullable=True),
        Column("month_end", DATE, "Last day of the month.", nullable=True),
        Column("quarter_start", DATE, "First day of the quarter.", nullable=True),
        Column("quarter_end", DATE, "Last day of the quarter.", nullable=True),
        Column("year_month", TEXT, "The month as a label that sorts: 2005-03.", nullable=True),
        Column("same_day_last_year", DATE, "The same date a year before; of February 29, February 28.", nullable=True),
    ),
)
