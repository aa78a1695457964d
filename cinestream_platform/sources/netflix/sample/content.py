"""What Netflix samples are made of: sizes and shares of the real set, words for titles, dirt."""

from datetime import date

FULL_RATINGS, FULL_FILMS, FULL_CUSTOMERS = 100_480_507, 17_770, 480_189
"""The published set."""
LAST_CUSTOMER = 2_649_429
FIRST_DAY, LAST_DAY, LAST_START = date(1999, 11, 11), date(2005, 12, 31), date(2005, 12, 1)
"""The days of all ratings, and the last day on which a film is new."""
FILE_ENDS = (4_499, 9_210, 13_367, 17_770)
"""The last film of each of the four files."""

SLOTS = 2**16
YEAR_SLOTS = {1999: 5, 2000: 1_100, 2001: 1_850, 2002: 3_600, 2003: 8_200, 2004: 19_800, 2005: 30_981}
"""Of so many slots, how many are days of that year: a film that comes later draws only from the slots that are left."""

TILTS, TILT_STEPS = 64, 1_024
RATING_WEIGHTS = (391, 1_001, 3_010, 3_444, 2_154)
"""Weights of the ratings 1 to 5 of a middling film; tilted film by film they add up to the published shares."""

# ---- dirt ------------------------------------------------------------------------------------------------------------
# {film}, {customer}, {rating} and {date} are those of the good rating before, {x} a customer whom no good rating names.
# A template is one bad record, but for the three headers of no film: those are two, the header and the rating below.

RATING_DIRT = {
    "rating_zero": b"{customer},0,{date}",
    "rating_six": b"{customer},6,{date}",
    "rating_text": b"{customer},x,{date}",
    "rating_empty": b"{customer},,{date}",
    "date_missing": b"{customer},{rating}",
    "date_empty": b"{customer},{rating},",
    "date_not_in_calendar": b"{customer},{rating},2005-02-30",
    "date_unpadded": b"{customer},{rating},2005-1-3",
    "date_out_of_range": b"{customer},{rating},2006-01-01",
    "customer_text": b"abc,{rating},{date}",
    "customer_zero": b"0,{rating},{date}",
    "customer_over_int4": b"99999999999,{rating},{date}",
    "too_many_fields": b"{customer},{rating},{date},9",
    "invalid_utf8": b"{customer}\xff,{rating},{date}",
    "film_text": b"abc:\n{x},{rating},{date}\n{film}:",
    "film_zero": b"0:\n{x},{rating},{date}\n{film}:",
    "film_unknown": b"17771:\n{x},{rating},{date}\n{film}:",
}
HEADER_KINDS = ("film_text", "film_zero", "film_unknown")
OPENING_DIRT = {"before_first_film": b"900000001,3,2005-06-07\n"}  # the first line of the first file
CLOSING_DIRT = {"cut_line": b"900000002,3,2005-09-"}  # the end of the last file
LEGAL_ODDITIES = {"empty_line": b"", "crlf": b"{film}:\r"}
"""Nothing that a load rejects. The lines below the repeated header end in CRLF for a while, as it does itself."""
REPEATS = {"equal": 3, "conflicting": 5}
"""How many at least; a load rejects none of them, and keeps one record of each film and customer."""

TITLE_DIRT = {
    "id_text": b"x{id},{year},{title}",
    "id_zero": b"0,{year},{title}",
    "year_text": b"{id},19x9,{title}",
    "title_empty": b"{id},{year},",
    "too_few_fields": b"{id},{title}",
}

# ---- titles ----------------------------------------------------------------------------------------------------------

FIRST_YEAR, LAST_YEAR = 1896, 2005
SPECIAL_TITLES = {
    "one_comma": 302, "two_commas": 25, "three_commas": 9, "quotes": 7, "no_year": 7, "repeated": 373, "same_year": 9,
    "oldest": 1,
}  # fmt: skip
"""How many titles are special, and in what; no title is so in two ways. All others are plain."""
ACCENT = 17_770 // 3
"""The film whose title has the only character that is not ASCII: a look at the first lines does not meet it."""
ACCENTED = "Copper Kettle Café"
PLACES = (
    "Aldermoor", "Brackwater", "Cawdry", "Dunmere", "Eastvale", "Farrowby", "Gillcrest", "Hartswell", "Innesk",
    "Jorvale", "Kellstone", "Lowmarsh", "Merriton", "Nettlefold", "Oxmere", "Penhallow", "Quillby", "Ravensea",
    "Stowbridge", "Tarnfell",
)  # fmt: skip
