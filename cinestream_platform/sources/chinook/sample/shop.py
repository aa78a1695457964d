"""The good records of an invented music store: its catalogue, its people and its sales, of any size.

What belongs here: records, as texts in the columns of ``chinook_content.HEADERS`` and with an empty text for NULL.
Files, deliveries and dirt are ``chinook``'s.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from cinestream_platform.samples.planting import pick
from cinestream_platform.samples.words import ADJECTIVES, NOUNS
from cinestream_platform.sources.chinook.sample.content import (
    ALBUMS,
    ARTISTS,
    AUDIO_GENRES,
    COMPANIES,
    CUSTOMERS,
    DAILY,
    EMPLOYEES,
    FIRST_DELIVERY,
    FIRST_INVOICE,
    FIRST_NAMES,
    LAST_INVOICE,
    LAST_NAMES,
    LINES_OF_INVOICES,
    LINES_WITHOUT_INVOICE,
    NEW_CUSTOMERS,
    NEW_EMPLOYEES,
    NEW_MANAGER,
    NEW_TITLE,
    ODD_TEXTS,
    PLACES,
    PLAYLISTS,
    PROMOTED,
    STREETS,
    SUPPORT_AGENTS,
    TRACKS,
    UNKNOWN_TRACKS,
    VIDEO_GENRES,
    VIDEO_TYPE,
    VIDEOS,
)

Record = tuple[str, ...]
ADDRESS = slice(4, 9)
"""Address, city, state, country and postal code of a customer, as an invoice repeats them."""


@dataclass(frozen=True)
class Period:
    """Invoices that come in one file, counted from 0 over all files; without a day they are the whole table."""

    day: date | None
    first: int
    count: int

    @property
    def lines(self) -> int:
        """How many lines its invoices have."""
        return lines_before(self.first + self.count) - lines_before(self.first)


def lines_before(invoice: int) -> int:
    """Lines of all invoices before this one, counted from 0."""
    rounds, rest = divmod(invoice, len(LINES_OF_INVOICES))
    return rounds * sum(LINES_OF_INVOICES) + sum(LINES_OF_INVOICES[:rest])


def numbered(names: Iterable[str]) -> list[Record]:
    """Tables of ids and names: genres, media types, playlists."""
    return [(str(number), name) for number, name in enumerate(names, 1)]


class Shop:
    """A store of a size, whose records follow from the seed. Tracks count from 0; from ``audio`` on they are videos."""

    def __init__(self, scale: float, seed: int) -> None:
        growth = max(scale, 1.0) ** 0.5
        self._seed = seed
        self.artists, self.albums, self.tracks = (round(number * growth) for number in (ARTISTS, ALBUMS, TRACKS))
        self.audio = self.tracks - round(VIDEOS * growth)
        self._customers = round(CUSTOMERS * scale)
        invoices, a_day = self._customers * len(LINES_OF_INVOICES) - 1, max(3, self._customers // 10)
        days = (Period(day, invoices + number * a_day, a_day) for number, day in enumerate(DAILY))
        self.periods = (Period(None, 0, invoices), *days)
        self.people = dict(zip((FIRST_DELIVERY, NEW_CUSTOMERS), self._people(), strict=True))
        """Day of a delivery -> the customers in it."""

    def _rng(self, stream: int) -> Random:
        return Random(self._seed * 16 + stream)  # noqa: S311 -- sample data must repeat

    # ---- catalogue ----

    def artist_records(self) -> Iterator[Record]:
        """Artists."""
        rng = self._rng(1)
        return ((str(number + 1), _title(number, rng)) for number in range(self.artists))

    def album_records(self) -> Iterator[Record]:
        """Albums: every fourth artist has none, the others have one or more."""
        rng = self._rng(2)
        artists = [number + 1 for number in range(self.artists) if number % 4 != 3]
        for number in range(self.albums):
            artist = artists[number] if number < len(artists) else pick(rng, artists)
            yield str(number + 1), _title(number, rng), str(artist)

    def track_records(self) -> Iterator[Record]:
        """Tracks: every album has one or more, every thousandth track has neither album nor genre."""
        rng = self._rng(3)
        more = (int(rng.random() * self.albums) for _ in range(self.tracks - self.albums))
        for number, album in enumerate(sorted([*range(self.albums), *more])):
            video, loose = number >= self.audio, number % 1_000 == 999
            milliseconds = (60_000 + int(rng.random() * 400_000)) * (6 if video else 1)
            genre = len(AUDIO_GENRES) + album % len(VIDEO_GENRES) if video else album % len(AUDIO_GENRES)
            yield (
                str(number + 1),
                _title(number, rng),
                "" if loose else str(album + 1),
                str(VIDEO_TYPE if video else pick(rng, (1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 4, 5))),
                "" if loose else str(genre + 1),
                ", ".join(pick(rng, LAST_NAMES) for _ in range(int(rng.random() * 4))),
                str(milliseconds),
                str(milliseconds * (180 if video else 33) + int(rng.random() * 1_000)),
                _money(self._price(number)),
            )

    def playlist_track_records(self) -> Iterator[Record]:
        """Which tracks the playlists have: of all of a kind so many, evenly."""
        for playlist, (first, there, wanted) in enumerate(self._playlists, 1):
            for number in range(wanted):
                yield str(playlist), str(first + number * there // wanted + 1)

    @property
    def playlist_tracks(self) -> int:
        """How many records ``playlist_track_records`` has."""
        return sum(wanted for *_, wanted in self._playlists)

    @property
    def _playlists(self) -> Iterator[tuple[int, int, int]]:
        """Of each playlist the first track of its kind, how many there are, and how many it has."""
        videos = self.tracks - self.audio
        for _, kind, at_scale_1 in PLAYLISTS:
            first, there, usual = (self.audio, videos, VIDEOS) if kind == "video" else (0, self.audio, TRACKS - VIDEOS)
            yield first, there, at_scale_1 * there // usual

    def _price(self, track: int) -> int:
        """Cents."""
        return 199 if self.audio <= track < self.tracks else 99

    # ---- people ----

    def _people(self) -> tuple[list[Record], list[Record]]:
        """Customers at first, and later: some have moved, some have another agent, one is new."""
        rng = self._rng(4)
        first = [_customer(number, rng) for number in range(self._customers)]
        changed = [_changed(number, record, rng) for number, record in enumerate(first)]
        return first, [*changed, _customer(self._customers, rng)]

    def employee_records(self, day: date) -> Iterator[Record]:
        """Employees as a delivery of that day has them."""
        for number, (last, given, title, manager, born, hired) in enumerate(EMPLOYEES, 1):
            if number == PROMOTED and day >= NEW_EMPLOYEES:
                title, manager = NEW_TITLE, NEW_MANAGER
            times = f"{born} 00:00:00", f"{hired} 00:00:00"
            place = f"{40 + number} Ferry Lane", *PLACES[1].split("|")
            phones = f"+1 (902) 555-01{number:02d}", f"+1 (902) 555-02{number:02d}"
            yield str(number), last, given, title, manager, *times, *place, *phones, f"employee{number}@example.com"

    # ---- sales ----

    def invoice_records(self, period: Period) -> Iterator[Record]:
        """The invoices of a period; a total is the exact sum of the lines."""
        for number, lines in self._sales(period):
            day, clock = self._time(period, number)
            customer = self._buyer(number)
            people = self.people[NEW_CUSTOMERS if day >= NEW_CUSTOMERS else FIRST_DELIVERY]
            street, city, *rest = people[customer][ADDRESS]
            billed = street, city if number % 2 else city.rstrip(), *rest
            total = sum(self._price(track) for track in lines)
            yield str(number + 1), str(customer + 1), f"{day} {clock}", *billed, _money(total)

    def line_records(self, period: Period) -> Iterator[Record]:
        """The lines of a period's invoices; after the last ones come lines whose invoice is in no file."""
        line = lines_before(period.first)
        for number, tracks in self._sales(period):
            for track in tracks:
                line += 1
                yield str(line), str(number + 1), str(track + 1), _money(self._price(track)), "1"
        for number in range(self.waiting_lines(period)):
            invoice = period.first + period.count + 1
            yield str(line + 1 + number), str(invoice), str(number + 1), _money(self._price(number)), "1"

    def waiting_lines(self, period: Period) -> int:
        """How many lines in a period's file belong to an invoice that is in no file."""
        return LINES_WITHOUT_INVOICE if period == self.periods[-1] else 0

    def _sales(self, period: Period) -> Iterator[tuple[int, list[int]]]:
        """Number of each invoice, with its tracks. Of seven successive tracks three are never sold."""
        rng = self._rng(8 + self.periods.index(period))
        sold = self.tracks // 7 * 4
        for number in range(period.first, period.first + period.count):
            first, step = int(rng.random() ** 2 * sold), 1 + int(rng.random() * 9)
            tracks = []
            for at in range(LINES_OF_INVOICES[number % len(LINES_OF_INVOICES)]):
                week, day = divmod((first + at * step) % sold, 4)
                tracks.append(week * 7 + (0, 1, 3, 5)[day])
            for line, beyond in UNKNOWN_TRACKS.items():
                if 0 <= (at := line - 1 - lines_before(number)) < len(tracks):
                    tracks[at] = self.tracks + beyond - 1
            yield number, tracks

    def _buyer(self, invoice: int) -> int:
        """Everybody in turn; the first invoice of the first day is the new customer's."""
        whole = self.periods[0].count
        if invoice < whole:
            return invoice % self._customers
        return (self._customers + invoice - whole) % (self._customers + 1)

    def _time(self, period: Period, invoice: int) -> tuple[date, str]:
        """Whole tables have days only, evenly from the first to the last; daily files have a time of day."""
        at = invoice - period.first
        if not period.day:
            days = (LAST_INVOICE - FIRST_INVOICE).days
            return FIRST_INVOICE + timedelta(days=at * days // (period.count - 1)), "00:00:00"
        second = 9 * 3_600 + (at * 13 * 3_600 + 1_709) // period.count
        return period.day, f"{second // 3_600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _title(number: int, rng: Random) -> str:
    """A few words, not unique; one in fifty is odd."""
    adjective, noun, other = pick(rng, ADJECTIVES), pick(rng, NOUNS), pick(rng, NOUNS)
    if number % 50 == 7:
        return ODD_TEXTS[number // 50 % len(ODD_TEXTS)]
    return pick(rng, (f"{adjective} {noun}", f"{noun} & {other}", f"{noun}, {adjective} {other}", f"{noun}'s {other}"))


def _customer(number: int, rng: Random) -> Record:
    company = COMPANIES[number // 6 % len(COMPANIES)] if number % 6 == 0 else ""
    phone = f"+{30 + number % 60} 555 01{number % 100:02d}"
    street, city, *rest = _address(number, rng)
    return (
        str(number + 1),
        FIRST_NAMES[number % len(FIRST_NAMES)],
        LAST_NAMES[number % len(LAST_NAMES)],
        company,
        street,
        f"{city} " if number % 59 == 2 else city,  # a blank at the end, as one customer in 59 has it upstream
        *rest,
        "" if number % 59 == 44 else phone,
        f"{phone}9" if company else "",
        f"customer{number + 1}@example.com",
        "" if number % 30 == 20 else str(pick(rng, SUPPORT_AGENTS)),
    )


def _address(number: int, rng: Random) -> Record:
    city, state, country, postal_code = PLACES[number % len(PLACES)].split("|")
    return pick(rng, STREETS).format(n=1 + int(rng.random() * 900)), city, state, country, postal_code


def _changed(number: int, record: Record, rng: Random) -> Record:
    """One in twelve customers has moved, one in fifteen has the next agent; nobody has both."""
    if number % 12 == 1:
        return (*record[: ADDRESS.start], *_address(number + 7, rng), *record[ADDRESS.stop :])
    if number % 15 == 2:
        agent = SUPPORT_AGENTS.index(int(record[-1])) + 1
        return (*record[:-1], str(SUPPORT_AGENTS[agent % len(SUPPORT_AGENTS)]))
    return record
