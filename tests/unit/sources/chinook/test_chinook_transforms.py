"""Made-up rows of a music store: what becomes of each trap of the format."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.conformed.history import BEGINNING
from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.declarations.table import Table
from cinestream_platform.publishing.validation import validate
from cinestream_platform.sources.chinook import raw_tables, tables, transforms

DAY_1, DAY_2, DAY_3 = (datetime(2024, month, 1, tzinfo=UTC) for month in (1, 5, 9))


def raw(table: Table, *rows: dict[str, Any]) -> pl.LazyFrame:
    """Raw rows of a table; what is left out is NULL."""
    return pl.LazyFrame(list(rows), schema=polars_schema(table))


def delivered(table: Table, deliveries: dict[datetime, Sequence[dict[str, Any]]]) -> pl.LazyFrame:
    """Raw rows of deliveries (time -> rows), as ``RawRows`` hands them out."""
    frames = []
    for file_id, (moment, rows) in enumerate(deliveries.items(), start=1):
        numbered = [{**row, "_file_id": file_id, "_line": line} for line, row in enumerate(rows, start=2)]
        frames.append(raw(table, *numbered).with_columns(_effective_at=pl.lit(moment), partition_key=pl.lit("whole")))
    schema = polars_schema(table) | {"_effective_at": pl.Datetime("us", "UTC"), "partition_key": pl.String()}
    return pl.concat([pl.LazyFrame(schema=schema), *frames])


def customer(number: int, **more: Any) -> dict[str, Any]:
    return {"customer_id": number, "first_name": "Ada", "last_name": "Berg", "email": "a@example.com", **more}


def employee(number: int, manager: int | None = None, **more: Any) -> dict[str, Any]:
    return {"employee_id": number, "last_name": "Li", "first_name": "Bo", "reports_to": manager, **more}


def customers(**deliveries: Any) -> pl.LazyFrame:
    return delivered(raw_tables.CUSTOMER, {globals()[day.upper()]: rows for day, rows in deliveries.items()})


def employees(**deliveries: Any) -> pl.LazyFrame:
    return delivered(raw_tables.EMPLOYEE, {globals()[day.upper()]: rows for day, rows in deliveries.items()})


def invoice(number: int, who: int, when: datetime, total: str = "1.98", **place: str | None) -> dict[str, Any]:
    billed = {f"billing_{part}": text for part, text in place.items()}
    return {"invoice_id": number, "customer_id": who, "invoice_date": when, "total": Decimal(total), **billed}


def line(number: int, bill: int, track: int = 1, price: str = "0.99", quantity: int = 1) -> dict[str, Any]:
    return {
        "invoice_line_id": number,
        "invoice_id": bill,
        "track_id": track,
        "unit_price": Decimal(price),
        "quantity": quantity,
    }


def keeps_rules(table: Table, made: pl.DataFrame) -> bool:
    """Whether a dim without references can be published as it is."""
    frame = made.select(column.name for column in table.columns if column.name != table.surrogate_key)
    return all(result.passed for result in validate(table, frame))


# ---- dims of the newest delivery -------------------------------------------------------------------------------------


def test_plain_dims_have_the_rows_as_they_were_delivered():
    artist = transforms.dim_artist(raw(raw_tables.ARTIST, {"artist_id": 7, "name": "N/A"}, {"artist_id": 8}))
    genre = transforms.dim_genre(raw(raw_tables.GENRE, {"genre_id": 1, "name": "R&B/Soul"}))
    medium = transforms.dim_media_type(raw(raw_tables.MEDIA_TYPE, {"media_type_id": 2, "name": "AAC"}))
    playlist = transforms.dim_playlist(
        raw(raw_tables.PLAYLIST, {"playlist_id": 1, "name": "Music"}, {"playlist_id": 8, "name": "Music"})
    )
    assert artist.collect().rows() == [(7, "N/A", False, True), (8, None, False, True)]
    assert genre.collect().rows() == [(1, "R&B/Soul", False, True)]
    assert medium.collect().rows() == [(2, "AAC", False, True)]
    assert playlist.collect().rows() == [(1, "Music", False, True), (8, "Music", False, True)]
    for table, made in (
        (tables.DIM_ARTIST, artist),
        (tables.DIM_GENRE, genre),
        (tables.DIM_MEDIA_TYPE, medium),
        (tables.DIM_PLAYLIST, playlist),
    ):
        assert keeps_rules(table, made.collect())


def test_an_album_has_the_id_of_its_artist():
    album = raw(raw_tables.ALBUM, {"album_id": 3, "title": "Balls to the Wall", "artist_id": 2})
    assert transforms.dim_album(album).collect().rows() == [(3, "Balls to the Wall", 2, False, True)]


def test_a_track_has_the_artist_of_its_album_and_none_without_one():
    more = {"media_type_id": 1, "milliseconds": 343_719, "unit_price": Decimal("0.99")}
    track = raw(
        raw_tables.TRACK,
        {"track_id": 1, "name": "A", "album_id": 3, "genre_id": 4, "bytes": 2**33, "composer": "X, Y", **more},
        {"track_id": 2, "name": "B", **more},
        {"track_id": 3, "name": "C", "album_id": 99, **more},
    )
    album = raw(raw_tables.ALBUM, {"album_id": 3, "title": "T", "artist_id": 2})
    price = Decimal("0.99")
    assert sorted(transforms.dim_track(track, album).collect().rows()) == [
        (1, "A", 3, 2, 4, 1, "X, Y", 343_719, 2**33, price, False, True),
        (2, "B", None, None, None, 1, None, 343_719, None, price, False, True),
        (3, "C", 99, None, None, 1, None, 343_719, None, price, False, True),
    ]


def test_a_playlist_has_a_track_once():
    pairs = raw(raw_tables.PLAYLIST_TRACK, *({"playlist_id": 1, "track_id": t} for t in (5, 6, 5)))
    assert sorted(transforms.dim_playlist_track(pairs).collect().rows()) == [(1, 5), (1, 6)]


# ---- places ----------------------------------------------------------------------------------------------------------


def places(*billed: dict[str, str | None]) -> list[tuple[Any, ...]]:
    bills = raw(raw_tables.INVOICE, *(invoice(n, 1, DAY_1, **place) for n, place in enumerate(billed, start=1)))
    made = transforms.dim_location(bills).collect()
    assert keeps_rules(tables.DIM_LOCATION, made)
    return sorted(made.select("location_code", "country", "state", "city").rows())


def test_a_city_with_a_blank_at_its_end_is_the_same_place():
    found = places(
        {"city": "Edinburgh ", "country": "UK"}, {"city": "Edinburgh", "country": "UK"}, {"city": " Edinburgh"}
    )
    assert found == [("UK||Edinburgh", "UK", None, "Edinburgh"), ("||Edinburgh", None, None, "Edinburgh")]


def test_a_part_that_is_unknown_empty_or_blank_is_unknown():
    assert places({"city": "Oslo"}, {"city": "Oslo", "state": ""}, {"city": "Oslo", "state": "  ", "country": " "}) == [
        ("||Oslo", None, None, "Oslo")
    ]
    assert places({}) == [("||", None, None, None)]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(*[st.sampled_from([None, "", "a", "a|b", "b", "|"])] * 3), min_size=1, max_size=8), st.randoms()
)
def test_places_are_the_same_whatever_the_order_of_invoices_and_one_a_code(parts, random):
    billed = [dict(zip(("country", "state", "city"), place, strict=True)) for place in parts]
    found = places(*billed)
    random.shuffle(billed)
    assert places(*billed) == found
    assert len({code for code, *_ in found}) == len(found)


# ---- employees -------------------------------------------------------------------------------------------------------


def paths(*people: dict[str, Any]) -> dict[int, tuple[str | None, int | None]]:
    made = transforms.dim_employee(employees(day_1=people)).collect()
    assert keeps_rules(tables.DIM_EMPLOYEE, made)
    return {e: (path, level) for e, path, level in made.select("employee_id", "manager_path", "manager_level").rows()}


def test_the_path_of_managers_leads_from_the_top_down():
    assert paths(employee(3, 2), employee(2, 1), employee(1), employee(6, 1), employee(9)) == {
        1: ("1", 0),
        2: ("1/2", 1),
        3: ("1/2/3", 2),
        6: ("1/6", 1),
        9: ("9", 0),
    }


def test_who_reports_to_somebody_whom_the_delivery_lacks_is_the_top():
    assert paths(employee(3, 2), employee(2, 77)) == {2: ("2", 0), 3: ("2/3", 1)}


def test_who_reports_to_himself_over_any_number_of_steps_has_no_path_and_who_is_below_him_neither():
    circle = (employee(1, 3), employee(2, 1), employee(3, 2), employee(4, 3), employee(5, 5), employee(6))
    assert paths(*circle) == {**dict.fromkeys(range(1, 6), (None, None)), 6: ("6", 0)}


def test_a_chain_of_as_many_steps_as_are_followed_still_has_its_path():
    deep = transforms.MOST_LEVELS
    chain = paths(employee(1), *(employee(n, n - 1) for n in range(2, deep + 1)))
    assert chain[deep] == ("/".join(map(str, range(1, deep + 1))), deep - 1)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.integers(1, 6), st.none() | st.integers(1, 7), min_size=1))
def test_paths_are_those_of_walking_up_the_tree(managers):
    def walk(number: int) -> list[int] | None:
        up = [number]
        while (above := managers.get(up[-1])) in managers:
            if above in up:
                return None
            up.append(above)
        return up[::-1]

    found = paths(*(employee(number, manager) for number, manager in managers.items()))
    for number, (path, level) in found.items():
        up = walk(number)
        assert (path, level) == ((None, None) if up is None else ("/".join(map(str, up)), len(up) - 1))


def test_a_new_manager_anywhere_above_is_a_new_version_and_nothing_else_is():
    before = [employee(1), employee(2, 1), employee(3, 2), employee(4, 1)]
    after = [employee(1), employee(2, 4), employee(3, 2), employee(4, 1)]
    made = transforms.dim_employee(employees(day_1=before, day_2=after, day_3=after)).collect()
    found = made.sort("employee_id", "valid_from").select("employee_id", "manager_path", "valid_from", "valid_to")
    assert found.rows() == [
        (1, "1", BEGINNING, None),
        (2, "1/2", BEGINNING, DAY_2),
        (2, "1/4/2", DAY_2, None),
        (3, "1/2/3", BEGINNING, DAY_2),
        (3, "1/4/2/3", DAY_2, None),
        (4, "1/4", BEGINNING, None),
    ]


def test_birthdays_and_first_days_are_days_and_the_manager_keeps_his_number():
    born, hired = datetime(1962, 2, 18, tzinfo=UTC), datetime(2002, 8, 14, 9, 30, tzinfo=UTC)
    made = transforms.dim_employee(employees(day_1=[employee(2, 1, birth_date=born, hire_date=hired, city="Oslo ")]))
    found = made.select("birth_date", "hire_date", "reports_to_id", "city").collect()
    assert found.rows() == [(date(1962, 2, 18), date(2002, 8, 14), 1, "Oslo")]


# ---- customers -------------------------------------------------------------------------------------------------------


def test_a_customer_who_moves_has_a_version_from_the_delivery_on_that_says_so():
    people = customers(
        day_1=[customer(1, city="Oslo"), customer(2, city="Rome")],
        day_2=[customer(1, city="Bergen"), customer(2, city="Rome ")],
        day_3=[customer(1, city="Bergen")],
    )
    made = transforms.dim_customer(people).collect()
    assert keeps_rules(tables.DIM_CUSTOMER, made)
    found = made.sort("customer_id", "valid_from").select(
        "customer_id", "city", "valid_from", "valid_to", "is_current", "is_in_source"
    )
    assert found.rows() == [
        (1, "Oslo", BEGINNING, DAY_2, False, True),
        (1, "Bergen", DAY_2, None, True, True),
        (2, "Rome", BEGINNING, None, True, False),  # a blank at the end is not a move
    ]


# ---- facts -----------------------------------------------------------------------------------------------------------

PEOPLE = {
    "day_1": [customer(1, support_rep_id=3, city="Oslo"), customer(2)],
    "day_2": [customer(1, support_rep_id=4, city="Bergen"), customer(2)],
}
STAFF = {"day_1": [employee(3), employee(4)], "day_3": [employee(3), employee(4, 3)]}
BEFORE, AFTER = DAY_2 - timedelta(seconds=1), DAY_3


def sales(*bills: dict[str, Any]) -> dict[int, dict[str, Any]]:
    made = transforms.fact_invoice(raw(raw_tables.INVOICE, *bills), customers(**PEOPLE), employees(**STAFF))
    return {row["invoice_id"]: row for row in made.collect().to_dicts()}


def test_an_invoice_has_customer_and_representative_as_they_were_when_it_was_sold():
    found = sales(invoice(1, 1, BEFORE), invoice(2, 1, DAY_2), invoice(3, 1, AFTER, total="5.94", city="Oslo "))
    versions = ("customer_id", "customer_valid_from", "employee_id", "employee_valid_from")
    assert [tuple(found[n][name] for name in versions) for n in (1, 2, 3)] == [
        (1, BEGINNING, 3, BEGINNING),
        (1, DAY_2, 4, BEGINNING),
        (1, DAY_2, 4, DAY_3),
    ]
    assert (found[1]["date_key"], found[2]["date_key"]) == (20240430, 20240501)
    assert (found[3]["total"], found[3]["invoiced_at"], found[3]["location_code"]) == (Decimal("5.94"), AFTER, "||Oslo")


def test_an_invoice_of_an_unknown_customer_or_of_one_without_representative_stays():
    found = sales(invoice(1, 77, AFTER), invoice(2, 2, AFTER))
    keys = ("customer_id", "customer_valid_from", "employee_id", "employee_valid_from")
    assert tuple(found[1][name] for name in keys) == (77, BEGINNING, None, None)
    assert tuple(found[2][name] for name in keys) == (2, BEGINNING, None, None)


def test_a_representative_whom_no_delivery_has_is_the_first_version_of_an_unknown_employee():
    people = customers(day_1=[customer(1, support_rep_id=99)])
    made = transforms.fact_invoice(raw(raw_tables.INVOICE, invoice(1, 1, AFTER)), people, employees(**STAFF)).collect()
    assert made.select("employee_id", "employee_valid_from").rows() == [(99, BEGINNING)]


def test_an_invoice_before_the_first_delivery_has_the_first_known_version():
    found = sales(invoice(1, 1, datetime(1996, 2, 29, tzinfo=UTC)))
    assert (found[1]["customer_valid_from"], found[1]["employee_id"], found[1]["date_key"]) == (BEGINNING, 3, 19960229)


def lines(bills: Sequence[dict[str, Any]], *rows: dict[str, Any]) -> pl.DataFrame:
    return transforms.fact_invoice_line(
        raw(raw_tables.INVOICE_LINE, *rows), raw(raw_tables.INVOICE, *bills), customers(**PEOPLE), employees(**STAFF)
    ).collect()


def test_a_line_has_what_its_invoice_has_and_an_exact_amount():
    bills = [invoice(1, 1, AFTER, city="Oslo"), invoice(2, 2, BEFORE)]
    rows = line(10, 1, track=5, price="0.99", quantity=3), line(11, 2, price="99999999.99", quantity=50)
    found = {row["invoice_line_id"]: row for row in lines(bills, *rows).to_dicts()}
    bill = sales(*bills)[1]
    assert {name: found[10][name] for name in transforms.SALE} == {name: bill[name] for name in transforms.SALE}
    assert [(found[n]["invoice_id"], found[n]["amount"]) for n in (10, 11)] == [
        (1, Decimal("2.97")),
        (2, Decimal("4999999999.50")),
    ]
    assert (found[10]["track_id"], found[10]["unit_price"], found[10]["quantity"]) == (5, Decimal("0.99"), 3)


def test_a_line_whose_invoice_has_not_arrived_waits():
    assert lines([invoice(1, 1, AFTER)], line(10, 1), line(11, 2))["invoice_line_id"].to_list() == [10]
    assert lines([], line(10, 1)).height == 0


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_facts_have_the_types_that_their_tables_declare(engine):
    bills, people, staff = raw(raw_tables.INVOICE, invoice(1, 1, AFTER)), customers(**PEOPLE), employees(**STAFF)
    made = {
        tables.FACT_INVOICE: transforms.fact_invoice(bills, people, staff),
        tables.FACT_INVOICE_LINE: transforms.fact_invoice_line(raw(raw_tables.INVOICE_LINE, line(1, 1)), bills, people, staff),
    }  # fmt: skip
    for table, fact in made.items():
        frame = fact.collect(engine=engine)
        assert frame.height == 1
        declared = polars_schema(table)
        for name in set(declared) & set(frame.columns):
            assert frame.schema[name] == declared[name], name
