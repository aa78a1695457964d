"""The Chinook sample, read back line by line with the csv module and with rules written down a second time here."""

import csv
import hashlib
import json
import math
import re
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.reading.bundle_reader import read_bundle_table
from cinestream_platform.reading.csv_reader import read_csv
from cinestream_platform.samples.planting import SampleSizeError
from cinestream_platform.sources.chinook.feeds import FEEDS
from cinestream_platform.sources.chinook.sample.content import DIRT
from cinestream_platform.sources.chinook.sample.forms import write_json, write_sqlite
from cinestream_platform.sources.chinook.sample.generator import Sample, generate, good_records

HEADERS = {
    "Genre.csv": "GenreId,Name",
    "MediaType.csv": "MediaTypeId,Name",
    "Artist.csv": "ArtistId,Name",
    "Album.csv": "AlbumId,Title,ArtistId",
    "Track.csv": "TrackId,Name,AlbumId,MediaTypeId,GenreId,Composer,Milliseconds,Bytes,UnitPrice",
    "employee_2020-12-31.csv": "EmployeeId,LastName,FirstName,Title,ReportsTo,BirthDate,HireDate,Address,City,State,Country,PostalCode,Phone,Fax,Email",
    "customer_2020-12-31.csv": "CustomerId,FirstName,LastName,Company,Address,City,State,Country,PostalCode,Phone,Fax,Email,SupportRepId",
    "Invoice.csv": "InvoiceId,CustomerId,InvoiceDate,BillingAddress,BillingCity,BillingState,BillingCountry,BillingPostalCode,Total",
    "InvoiceLine.csv": "InvoiceLineId,InvoiceId,TrackId,UnitPrice,Quantity",
    "Playlist.csv": "PlaylistId,Name",
    "PlaylistTrack.csv": "PlaylistId,TrackId",
    "invoice_2025-12-30.csv": "invoice_id,customer_id,invoice_date,billing_address,billing_city,billing_state,billing_country,billing_postal_code,total",
    "invoice_line_2025-12-30.csv": "invoice_line_id,invoice_id,track_id,unit_price,quantity",
}
HEADERS["employee_2023-03-01.csv"] = HEADERS["employee_2020-12-31.csv"]
HEADERS["customer_2024-07-01.csv"] = HEADERS["customer_2020-12-31.csv"]
for day in ("2025-12-31", "2026-01-02"):
    for events in ("invoice", "invoice_line"):
        HEADERS[f"{events}_{day}.csv"] = HEADERS[f"{events}_2025-12-30.csv"]
DATASETS = tuple(feed.dataset for feed in FEEDS)

# Of all files at scale 1.0 with seed 1, in the order of their names: another machine must give the same bytes.
SHA256 = "50115b2c4b974b94a6400f8ff059814d2a23b6d709719b56e0e386bdba6aff5c"

NOT_NULL = {
    *("genre_id", "media_type_id", "artist_id", "album_id", "title", "track_id", "name", "milliseconds", "unit_price"),
    *("playlist_id", "employee_id", "first_name", "last_name", "customer_id", "email", "invoice_id", "invoice_date"),
    *("total", "invoice_line_id", "quantity"),
}
NULL_IN_TRACKS = {"album_id", "genre_id"}


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return generate(tmp_path_factory.mktemp("dirty"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return generate(tmp_path_factory.mktemp("clean"), dirt=False)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Large enough for every kind of dirt."""
    return generate(tmp_path_factory.mktemp("large"), scale=16)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def paths_of(sample: Sample) -> list[Path]:
    return sorted((path for paths in sample.files.values() for path in paths), key=lambda path: path.name)


def lines_of(path: Path) -> list[bytes]:
    """The records after the header, by LF alone."""
    content = path.read_bytes()
    assert content.endswith(b"\n")
    assert b"\r" not in content
    return content.split(b"\n")[1:-1]


def id_problem(text: str) -> str | None:
    if not re.fullmatch(r"-?\d+", text):
        return "text"
    if int(text) >= 2**31:
        return "over_int4"
    return "zero" if int(text) == 0 else "negative" if int(text) < 0 else None


def count_problem(text: str) -> str | None:
    problem = id_problem(text)
    return None if problem in ("zero", "over_int4") else problem  # lengths and sizes are bigint


def money_problem(text: str) -> str | None:
    if re.fullmatch(r"\d+,\d+", text):
        return "comma"
    if not re.fullmatch(r"-?\d+\.\d+", text):
        return "text"
    if Decimal(text) < 0:
        return "negative"
    if Decimal(text) >= 10**8:
        return "over_ten_digits"
    return "three_decimals" if len(text.partition(".")[2]) > 2 else None


def time_problem(text: str) -> str | None:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text):
        return "text"
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return "impossible"
    return None


def field_problem(column: str, text: str, *, nullable: bool) -> str | None:
    if not text:
        return None if nullable else "empty"
    if column in ("unit_price", "total"):
        return money_problem(text)
    if column.endswith("_date"):
        return time_problem(text)
    if column in ("milliseconds", "bytes"):
        return count_problem(text)
    if column.endswith("_id") or column in ("reports_to", "quantity"):
        return id_problem(text)
    return None


def read(path: Path, line: bytes) -> tuple[str, ...] | str:
    """The fields of a good record, or what is wrong with a bad one."""
    if b"\0" in line:
        return "nul_byte"
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "invalid_utf8"
    try:
        (fields,) = csv.reader([text], strict=True)
    except csv.Error as error:
        return "unclosed_quote" if "unexpected end" in str(error) else "malformed_quotes"
    columns = [snake(name) for name in HEADERS[path.name].split(",")]
    if len(fields) != len(columns):
        return "too_few_fields" if len(fields) < len(columns) else "too_many_fields"
    required = NOT_NULL - NULL_IN_TRACKS if path.name == "Track.csv" else NOT_NULL
    problems = [
        f"{column}_{found}"
        for column, text in zip(columns, fields, strict=True)
        if (found := field_problem(column, text, nullable=column not in required))
    ]
    assert len(problems) <= 1, line
    return problems[0] if problems else tuple(fields)


@cache
def records_of(path: Path) -> list[tuple[str, ...] | str]:
    return [read(path, line) for line in lines_of(path)]


def good(path: Path) -> list[dict[str, str]]:
    columns = [snake(name) for name in HEADERS[path.name].split(",")]
    return [dict(zip(columns, r, strict=True)) for r in records_of(path) if not isinstance(r, str)]


def table(sample: Sample, dataset: str) -> list[dict[str, str]]:
    """The good records of all its files."""
    return [record for path in sample.files[dataset] for record in good(path)]


def problems(path: Path) -> Counter[str]:
    return Counter(record for record in records_of(path) if isinstance(record, str))


def all_problems(sample: Sample, dataset: str) -> dict[str, int]:
    return dict(sum((problems(path) for path in sample.files[dataset]), Counter()))


def total_of(sample: Sample, dataset: str, column: str) -> Decimal:
    return sum((Decimal(record[column]) for record in table(sample, dataset)), Decimal())


# Files


def test_the_same_seed_and_scale_give_the_same_bytes_on_every_machine(dirty: Sample) -> None:
    assert hashlib.sha256(b"".join(path.read_bytes() for path in paths_of(dirty))).hexdigest() == SHA256


def test_another_seed_gives_other_sales_other_tracks_and_other_customers(tmp_path: Path, dirty: Sample) -> None:
    other = generate(tmp_path, seed=2)
    for dataset in ("invoice_line", "track", "customer"):
        assert other.files[dataset][0].read_bytes() != dirty.files[dataset][0].read_bytes()


def test_every_file_begins_with_its_header_without_a_bom(dirty: Sample) -> None:
    assert {path.name for path in paths_of(dirty)} == set(HEADERS)
    for path in paths_of(dirty):
        assert path.read_bytes().startswith(HEADERS[path.name].encode() + b"\n")


def test_each_file_name_belongs_to_the_feed_of_its_dataset(dirty: Sample) -> None:
    assert set(dirty.files) == set(DATASETS)
    for dataset, paths in dirty.files.items():
        assert paths
        assert all([feed.dataset for feed in FEEDS if feed.takes(path.name)] == [dataset] for path in paths)


def test_quotes_stand_only_where_rfc_4180_needs_them(clean: Sample) -> None:
    for path in paths_of(clean):
        for line, record in zip(lines_of(path), records_of(path), strict=True):
            needed = ",".join('"' + f.replace('"', '""') + '"' if set(f) & set(',"\r\n') else f for f in record)
            assert line.decode() == needed


# Dirt


@pytest.mark.parametrize("dataset", DATASETS)
def test_rows_and_planted_records_are_what_a_recount_finds(dirty: Sample, large: Sample, dataset: str) -> None:
    for sample in (dirty, large):
        assert sample.rows[dataset] == sum(len(lines_of(path)) for path in sample.files[dataset])
        assert sample.planted[dataset] == all_problems(sample, dataset)
        assert all(sum(problems(path).values()) < 0.009 * len(lines_of(path)) for path in sample.files[dataset])
    assert set(large.planted[dataset]) == set(DIRT.get(dataset, {}))


def test_dirt_of_the_usual_size_is_in_the_catalogue_and_in_the_sales(dirty: Sample) -> None:
    found = {dataset: sum(kinds.values()) for dataset, kinds in dirty.planted.items() if kinds}
    assert found == {"artist": 2, "album": 2, "track": 22, "playlist_track": 5, "invoice": 3, "invoice_line": 15}


def test_without_dirt_the_same_good_records_are_left(dirty: Sample, clean: Sample) -> None:
    for dataset in DATASETS:
        assert clean.planted[dataset] == {} == all_problems(clean, dataset)
        assert table(clean, dataset) == table(dirty, dataset)
    assert (clean.sales, clean.versions) == (dirty.sales, dirty.versions)


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.dataset)
def test_the_raw_tables_rules_reject_exactly_the_planted_records(large: Sample, feed: Feed) -> None:
    for path in large.files[feed.dataset]:
        batches = list(read_csv(path, feed, file_id=1, not_after=datetime.now(UTC)))
        rejected = sorted(line for batch in batches for line in batch.rejected["line"])
        assert rejected == [line for line, record in enumerate(records_of(path), 2) if isinstance(record, str)]
        assert sum(batch.rows.height for batch in batches) == len(good(path))


def test_bad_records_bear_ids_that_no_good_record_mentions(large: Sample) -> None:
    for dataset in DATASETS:
        for path in large.files[dataset]:
            read_lines = zip(lines_of(path), records_of(path), strict=True)
            ids = {line.split(b",")[0].decode() for line, record in read_lines if isinstance(record, str)}
            assert not ids & {next(iter(record.values())) for record in good(path)}


# Sizes


def test_the_usual_size_is_upstreams(clean: Sample) -> None:
    counts = {path.name: len(lines_of(path)) for path in paths_of(clean)}
    usual = {
        "Artist.csv": 275, "Album.csv": 347, "Track.csv": 3_503, "Genre.csv": 25, "MediaType.csv": 5,
        "Playlist.csv": 18, "PlaylistTrack.csv": 8_715, "Invoice.csv": 412, "InvoiceLine.csv": 2_240,
        "customer_2020-12-31.csv": 59, "employee_2020-12-31.csv": 8,
    }  # fmt: skip
    assert {name: counts[name] for name in usual} == usual
    per_year = Counter(record["invoice_date"][:4] for record in good(clean.files["invoice"][0]))
    assert sorted(per_year) == ["2021", "2022", "2023", "2024", "2025"]
    assert all(78 <= count <= 86 for count in per_year.values())


def test_sales_grow_with_the_scale_and_the_catalogue_with_its_square_root(large: Sample) -> None:
    counts = {path.name: len(good(path)) for path in paths_of(large)}
    assert (counts["customer_2020-12-31.csv"], counts["Invoice.csv"]) == (59 * 16, 59 * 16 * 7 - 1)
    assert counts["InvoiceLine.csv"] == 59 * 16 * 38 - 2
    assert (counts["Artist.csv"], counts["Album.csv"], counts["Track.csv"]) == (1_100, 1_388, 14_012)
    assert (counts["PlaylistTrack.csv"], counts["Playlist.csv"]) == (4 * 8_715, 18)


def test_the_smallest_sample_is_whole_and_a_smaller_one_is_refused(tmp_path: Path) -> None:
    sample = generate(tmp_path / "small", scale=0.05)
    assert len(good(sample.files["customer"][0])) == 3
    assert total_of(sample, "invoice", "total") == sample.sales
    assert all(all_problems(sample, dataset) == sample.planted[dataset] for dataset in DATASETS)
    for scale, said in ((0.04, r"scale 0\.04 is too small"), (math.nan, "nan is too small"), (1e30, "too large")):
        with pytest.raises(SampleSizeError, match=said):
            generate(tmp_path / "none", scale=scale)
    assert not (tmp_path / "none").exists()


# Truths


def test_every_invoices_total_is_the_exact_sum_of_its_lines(dirty: Sample, large: Sample) -> None:
    for sample in (dirty, large):
        amounts: dict[str, Decimal] = defaultdict(Decimal)
        for line in table(sample, "invoice_line"):
            amounts[line["invoice_id"]] += Decimal(line["unit_price"]) * int(line["quantity"])
        totals = {record["invoice_id"]: Decimal(record["total"]) for record in table(sample, "invoice")}
        waiting = set(amounts) - set(totals)
        assert {number: amounts[number] for number in totals} == totals
        assert sum(line["invoice_id"] in waiting for line in table(sample, "invoice_line")) == 2
        assert sample.lines_without_invoice == 2
        assert sum(totals.values()) == sample.sales


def test_ids_are_unique_over_all_files_of_events(dirty: Sample) -> None:
    for dataset in ("invoice", "invoice_line"):
        ids = [int(record[f"{dataset}_id"]) for record in table(dirty, dataset)]
        assert ids == list(range(1, len(ids) + 1))


def test_lines_have_upstreams_prices_quantities_and_two_unknown_tracks(dirty: Sample) -> None:
    prices = {record["track_id"]: record["unit_price"] for record in table(dirty, "track")}
    lines = table(dirty, "invoice_line")
    assert set(prices.values()) == {"0.99", "1.99"} == {line["unit_price"] for line in lines}
    assert {line["quantity"] for line in lines} == {"1"}
    unknown = [line["track_id"] for line in lines if line["track_id"] not in prices]
    assert (len(unknown), len(set(unknown))) == (3, dirty.unknown_tracks)
    known = [line for line in lines if line["track_id"] in prices]
    assert all(line["unit_price"] == prices[line["track_id"]] for line in known)
    assert len(prices.keys() - {line["track_id"] for line in known}) > 1_500


def test_daily_files_have_the_sales_of_their_day_with_a_time_of_day(dirty: Sample) -> None:
    whole, *daily = dirty.files["invoice"]
    assert {record["invoice_date"][10:] for record in good(whole)} == {" 00:00:00"}
    dates = [record["invoice_date"][:10] for record in good(whole)]
    assert (dates[0], dates[-1]) == ("2021-01-01", "2025-12-22")
    assert dates == sorted(dates)
    for path, lines in zip(daily, dirty.files["invoice_line"][1:], strict=True):
        times = [datetime.fromisoformat(record["invoice_date"]) for record in good(path)]
        assert all(before < after for before, after in pairwise(times))
        assert {f"invoice_{time:%Y-%m-%d}.csv" for time in times} == {path.name}
        assert all(time.hour >= 9 for time in times)
        invoices = {record["invoice_id"] for record in good(path)}
        assert invoices <= {line["invoice_id"] for line in good(lines)}


def test_invoices_are_billed_to_the_address_that_the_customer_had_then(dirty: Sample) -> None:
    first, later = ({r["customer_id"]: r for r in good(path)} for path in dirty.files["customer"])
    for invoice in table(dirty, "invoice"):
        customer = (later if invoice["invoice_date"] >= "2024-07-01" else first)[invoice["customer_id"]]
        billed = [
            invoice[f"billing_{part}"].rstrip() for part in ("address", "city", "state", "country", "postal_code")
        ]
        assert billed == [customer[part].rstrip() for part in ("address", "city", "state", "country", "postal_code")]
    buyers = Counter(record["customer_id"] for record in table(dirty, "invoice"))
    assert set(buyers) == set(later)
    assert min(count for buyer, count in buyers.items() if buyer in first) >= 6


# People


def test_later_customers_have_moved_or_another_agent_and_one_is_new(dirty: Sample) -> None:
    first, later = ({r["customer_id"]: r for r in good(path)} for path in dirty.files["customer"])
    assert later.keys() - first.keys() == {"60"}
    assert first.keys() <= later.keys()
    changes = [{column for column in first[n] if first[n][column] != later[n][column]} for n in first]
    moved = [change for change in changes if "address" in change]
    agents = [change for change in changes if change == {"support_rep_id"}]
    assert (len(moved), len(agents), sum(map(bool, changes))) == (5, 4, 9)
    assert all("support_rep_id" not in change for change in moved)
    assert dirty.versions["customer"] == 59 + 1 + 9


def test_employees_are_a_tree_of_three_levels_before_and_after_a_promotion(dirty: Sample) -> None:
    first, later = ({r["employee_id"]: r for r in good(path)} for path in dirty.files["employee"])

    def level(people: dict[str, dict[str, str]], number: str) -> int:
        manager = people[number]["reports_to"]
        return 1 + level(people, manager) if manager else 0

    assert Counter(level(first, number) for number in first) == {0: 1, 1: 2, 2: 5}
    assert Counter(level(later, number) for number in later) == {0: 1, 1: 3, 2: 4}
    [promoted] = [number for number in first if first[number] != later[number]]
    changed = {column for column in first[promoted] if first[promoted][column] != later[promoted][column]}
    assert changed == {"title", "reports_to"}
    assert promoted not in {record["reports_to"] for record in later.values()}
    assert dirty.versions["employee"] == 9
    agents = {record["support_rep_id"] for record in table(dirty, "customer")} - {""}
    assert agents == {"3", "4", "5"} <= set(first)


def test_deliveries_of_people_begin_before_the_first_invoice(dirty: Sample) -> None:
    names = [path.name for dataset in ("customer", "employee") for path in dirty.files[dataset]]
    days = [name.rpartition("_")[2].removesuffix(".csv") for name in names]
    assert days == ["2020-12-31", "2024-07-01", "2020-12-31", "2023-03-01"]
    assert days[0] < min(record["invoice_date"] for record in table(dirty, "invoice"))


# Traps of the real set


def test_artists_without_an_album_and_empty_and_equally_named_playlists(dirty: Sample) -> None:
    artists = {record["artist_id"] for record in table(dirty, "artist")}
    with_album = {record["artist_id"] for record in table(dirty, "album")}
    assert with_album < artists
    assert len(artists - with_album) == 68
    names = Counter(record["name"] for record in table(dirty, "playlist"))
    assert sorted(names.values())[-5:] == [1, 2, 2, 2, 2]
    tracks = defaultdict(list)
    for entry in table(dirty, "playlist_track"):
        tracks[entry["playlist_id"]].append(entry["track_id"])
    assert len(table(dirty, "playlist")) - len(tracks) == 4
    assert tracks["1"] == tracks["8"]
    assert all(len(set(entries)) == len(entries) for entries in tracks.values())


def test_tracks_belong_to_known_albums_genres_and_formats_and_their_bytes_exceed_32_bits(dirty: Sample) -> None:
    tracks = table(dirty, "track")
    albums = {record["album_id"] for record in table(dirty, "album")}
    assert {record["album_id"] for record in tracks} == albums | {""}
    assert {record["genre_id"] for record in tracks} - {""} <= {r["genre_id"] for r in table(dirty, "genre")}
    assert {r["media_type_id"] for r in tracks} == {r["media_type_id"] for r in table(dirty, "media_type")}
    assert sum(record["album_id"] == "" for record in tracks) == 3
    assert max(int(record["bytes"]) for record in tracks) < 2**31 < 2**32 < sum(int(r["bytes"]) for r in tracks)
    assert len({record["name"] for record in tracks}) < len(tracks)
    assert sum(record["unit_price"] == "1.99" for record in tracks) == 213
    assert any(record["composer"] == "" for record in tracks)


def test_texts_have_commas_quotes_accents_and_blanks_at_the_end(dirty: Sample) -> None:
    names = [record["name"] for record in table(dirty, "track")]
    for sign in (",", '"', "'"):
        assert sum(sign in name for name in names) > 10, sign
    assert sum(not name.isascii() for name in names) > 10
    assert "N/A" in names
    assert "70’s Lanterns" in {record["name"] for record in table(dirty, "playlist")}
    cities = {record["billing_city"] for record in table(dirty, "invoice")}
    assert [city for city in cities if city != city.rstrip()] == ["Lanternby "]
    assert "Lanternby" in cities
    first_names = {record["first_name"] for record in table(dirty, "customer")}
    assert {"Ines", "Inês"} <= first_names


def test_postal_codes_begin_with_0_and_places_have_gaps(dirty: Sample) -> None:
    customers = good(dirty.files["customer"][0])
    assert sum(record["postal_code"].startswith("0") for record in customers) > 5
    for column in ("company", "fax", "state", "postal_code", "phone", "support_rep_id"):
        assert any(record[column] == "" for record in customers), column
    assert len({record["country"] for record in customers}) == 24
    invoices = table(dirty, "invoice")
    assert any(record["billing_postal_code"].startswith("0") for record in invoices)
    assert any(record["billing_state"] == "" for record in invoices)


# Other forms


def read_form(path: Path, feed: Feed) -> list[tuple[object, ...]]:
    batches = list(read_bundle_table(path, feed, file_id=1, not_after=datetime.now(UTC)))
    assert sum(batch.rejected.height for batch in batches) == 0
    return [row for batch in batches for row in batch.rows.drop("_line").rows()]


def test_sqlite_and_json_hold_the_good_records_of_the_newest_deliveries(dirty: Sample, tmp_path: Path) -> None:
    tables = good_records()
    write_sqlite(tables, tmp_path / "chinook.sqlite")
    write_json(tables, tmp_path / "chinook.json")
    for feed in FEEDS:
        paths = dirty.files[feed.dataset]
        newest = paths[-1:] if feed.dataset in ("customer", "employee") else paths
        batches = [b for path in newest for b in read_csv(path, feed, file_id=1, not_after=datetime.now(UTC))]
        expected = [row for batch in batches for row in batch.rows.drop("_line").rows()]
        assert read_form(tmp_path / "chinook.sqlite", feed) == expected
        assert read_form(tmp_path / "chinook.json", feed) == expected


def test_sqlite_and_json_are_written_as_upstream_writes_them(tmp_path: Path) -> None:
    tables = good_records(scale=0.05)
    write_sqlite(tables, tmp_path / "chinook.sqlite")
    write_json(tables, tmp_path / "chinook.json")
    with closing(sqlite3.connect(tmp_path / "chinook.sqlite")) as db:
        kinds = "SELECT typeof(InvoiceId), typeof(InvoiceDate), typeof(BillingState), typeof(Total) FROM Invoice"
        assert set(db.execute(kinds)) == {("integer", "text", "null", "real"), ("integer", "text", "text", "real")}
        assert db.execute("SELECT InvoiceDate, Total FROM Invoice").fetchone() == ("2021-01-01 00:00:00", 1.98)
        assert db.execute("SELECT EmployeeId FROM Employee WHERE ReportsTo IS NULL").fetchall() == [(1,)]
    content = json.loads((tmp_path / "chinook.json").read_text(encoding="utf-8"))
    assert list(content) == [
        *("Genre", "MediaType", "Artist", "Album", "Track", "Employee", "Customer", "Invoice", "InvoiceLine"),
        *("Playlist", "PlaylistTrack"),
    ]
    assert (content["Invoice"][0]["InvoiceDate"], content["Invoice"][0]["Total"]) == ("2021-01-01T00:00:00", 1.98)
    assert [record["EmployeeId"] for record in content["Employee"] if record["ReportsTo"] is None] == [1]
    nulls = [
        v for name, records in content.items() for r in records for c, v in r.items() if v is None and c != "ReportsTo"
    ]
    assert nulls == []
    assert "" in {record["BillingState"] for record in content["Invoice"]}
