"""Deliveries of a music store in the spelling of Luis Rocha's Chinook database, of any size, with known dirt in them.

What belongs here: whole tables as CSV (upstream offers none: its table and column names, UTF-8, LF, quotes where
needed, an empty field for NULL), daily files of new invoices and lines, later deliveries of customers and employees,
and bad records whose number is known. The good records are made in ``chinook_shop``. How such files are read and
loaded is the business of ``sources/chinook``; nothing here is imported by it, so that a test compares two independent
readings of the format.

Every byte follows from the seed and the size, on any machine: the only random numbers are those of
``random.Random.random``, which do not change between versions. Names are invented.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path

from cinestream_platform.declarations.sample import SampleCounts, sample_by_scale
from cinestream_platform.samples.planting import LF, check_scale, write_table
from cinestream_platform.sources.chinook.sample.content import (
    DIRT,
    EMPLOYEES,
    FIRST_DELIVERY,
    GENRES,
    HEADERS,
    LINES_WITHOUT_INVOICE,
    MEDIA_TYPES,
    NEW_EMPLOYEES,
    PLAYLISTS,
    UNKNOWN_TRACKS,
)
from cinestream_platform.sources.chinook.sample.shop import Record, Shop, numbered

ROWS_PER_BAD_RECORD = 120
"""Of fewer good records per bad one the dirt would come near 1 %, over which a file is refused."""


@dataclass(frozen=True)
class Sample(SampleCounts):
    """What was written, and what a correct load must find in it.

    Attributes:
        files: Dataset (the raw table's name: "invoice_line", …) -> its files, in the order of their deliveries.
        sales: Sum of all invoices' totals; the lines add up to the same, but for those that wait.
        versions: "customer" and "employee" -> how many versions all deliveries together make of them.
        unknown_tracks: Tracks that good lines mention and Track.csv lacks (legal: inferred members).
        lines_without_invoice: Good lines whose invoice is in no file (legal: they wait in the raw table).
    """

    files: dict[str, list[Path]]
    sales: Decimal
    versions: dict[str, int]
    unknown_tracks: int
    lines_without_invoice: int


@dataclass(frozen=True)
class _Delivery:
    """A file to be written: how many good records, and where they come from."""

    dataset: str
    file_name: str
    header: str
    rows: int
    records: Iterable[Record]


def generate(folder: Path, *, scale: float = 1.0, seed: int = 1, dirt: bool = True) -> Sample:
    """Write all deliveries into a folder (made when it does not exist; files of the same name replaced).

    Scale 1.0 has the upstream's sizes: 59 customers with 412 invoices of 2,240 lines from 2021 to 2025 and 3,503
    tracks in 18 playlists. Customers, invoices and lines grow with the scale; artists, albums, tracks and what the
    playlists hold with its square root. Below 1.0 only customers, invoices and lines shrink.

    ``Album.csv`` and so on are whole tables. Customers and employees come twice, with dates in the files' names: from
    that day on a delivery holds. ``invoice_<date>.csv`` and ``invoice_line_<date>.csv`` are the sales of one day, with
    headers in snake_case. A table gets one bad record of each kind, but in each file at most one per 120 good ones;
    ``dirt=False`` leaves them out, and changes nothing else.

    Raises:
        SampleSizeError: The scale is out of bounds.
    """
    check_scale(scale, "there would be fewer than three customers")
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, list[Path]] = {name: [] for name in HEADERS}
    rows: Counter[str] = Counter()
    planted: dict[str, Counter[str]] = {name: Counter() for name in HEADERS}
    shop = Shop(scale, seed)
    for delivery in _deliveries(shop):
        name, path = delivery.dataset, folder / delivery.file_name
        bad = dict(islice(_templates(name, delivery.header), delivery.rows // ROWS_PER_BAD_RECORD if dirt else 0))
        rows[name] += write_table(path, delivery.header, delivery.records, bad, rows=delivery.rows, line_end=LF)
        files[name].append(path)
        planted[name].update(bad.keys())
    return Sample(
        rows=dict(rows),
        planted={name: dict(kinds) for name, kinds in planted.items()},
        files=files,
        sales=sum((Decimal(record[-1]) for record in _all_records(shop, "invoice")), Decimal()),
        versions={name: len(set(_all_records(shop, name))) for name in ("customer", "employee")},
        unknown_tracks=len(set(UNKNOWN_TRACKS.values())),
        lines_without_invoice=LINES_WITHOUT_INVOICE,
    )


def good_records(*, scale: float = 1.0, seed: int = 1) -> dict[str, list[Record]]:
    """The good records of all deliveries, of customers and employees those of the newest: the shop as it is then."""
    tables: dict[str, list[Record]] = {name: [] for name in HEADERS}
    for delivery in _deliveries(Shop(scale, seed)):
        before = [] if delivery.dataset in ("customer", "employee") else tables[delivery.dataset]
        tables[delivery.dataset] = [*before, *delivery.records]
    return tables


def upstream_name(dataset: str) -> str:
    """The table's name as upstream spells it: InvoiceLine."""
    return "".join(part.capitalize() for part in dataset.split("_"))


def _snake_case(header: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", header).lower()


def _deliveries(shop: Shop) -> Iterator[_Delivery]:
    """All files in the order in which they are delivered, but for the days of employees and customers."""
    yield _whole("genre", len(GENRES), numbered(GENRES))
    yield _whole("media_type", len(MEDIA_TYPES), numbered(MEDIA_TYPES))
    yield _whole("artist", shop.artists, shop.artist_records())
    yield _whole("album", shop.albums, shop.album_records())
    yield _whole("track", shop.tracks, shop.track_records())
    for day in (FIRST_DELIVERY, NEW_EMPLOYEES):
        records = shop.employee_records(day)
        yield _Delivery("employee", f"employee_{day}.csv", HEADERS["employee"], len(EMPLOYEES), records)
    for day, people in shop.people.items():
        yield _Delivery("customer", f"customer_{day}.csv", HEADERS["customer"], len(people), people)
    for period in shop.periods:
        lines = period.lines + shop.waiting_lines(period)
        tables = (
            ("invoice", period.count, shop.invoice_records(period)),
            ("invoice_line", lines, shop.line_records(period)),
        )
        for name, rows, events in tables:
            if period.day:
                yield _Delivery(name, f"{name}_{period.day}.csv", _snake_case(HEADERS[name]), rows, events)
            else:
                yield _whole(name, rows, events)
    yield _whole("playlist", len(PLAYLISTS), numbered(name for name, *_ in PLAYLISTS))
    yield _whole("playlist_track", shop.playlist_tracks, shop.playlist_track_records())


def _whole(dataset: str, rows: int, records: Iterable[Record]) -> _Delivery:
    return _Delivery(dataset, f"{upstream_name(dataset)}.csv", HEADERS[dataset], rows, records)


def _all_records(shop: Shop, dataset: str) -> Iterator[Record]:
    return (record for delivery in _deliveries(shop) if delivery.dataset == dataset for record in delivery.records)


def _templates(dataset: str, header: str) -> Iterator[tuple[str, bytes]]:
    """Each kind of a table's dirt as a line in which good fields are still to be filled in."""
    columns = HEADERS[dataset].split(",")
    places = [b"{x}", *(b"{%s}" % name.encode() for name in header.split(",")[1:])]
    for kind, (column, bad) in DIRT.get(dataset, {}).items():
        fields = [bad if name == column else place for name, place in zip(columns, places, strict=True)]
        yield kind, b",".join(text for text in fields if text is not None)


SAMPLE = sample_by_scale(generate)
