"""The Netflix sample, read back line by line with rules written down a second time here."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from cinestream_platform.cli import cli
from cinestream_platform.samples.planting import SampleSizeError
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.netflix.sample import generator as netflix
from cinestream_platform.sources.netflix.sample.films import customer_count, film_count
from cinestream_platform.sources.netflix.sample.generator import Sample, generate
from cinestream_platform.sources.netflix.sample.titles import titles

# Of all five files at 100,000 ratings with seed 1 and the default dirt: written down so that another machine or
# another version of polars must give the same bytes.
SHA256 = "0516ea9dc667d88266d136887ec5b3d652ee6c92adbc44f08cb38fee14ebec50"
LAST_FILMS = (4_499, 9_210, 13_367, 17_770)
KINDS = {
    *("before_first_film", "rating_zero", "rating_six", "rating_text", "rating_empty", "date_missing", "date_empty"),
    *("date_not_in_calendar", "date_unpadded", "date_out_of_range", "customer_text", "customer_zero"),
    *("customer_over_int4", "too_many_fields", "invalid_utf8", "film_text", "film_zero", "film_unknown", "cut_line"),
}


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return generate(tmp_path_factory.mktemp("dirty"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return generate(tmp_path_factory.mktemp("clean"), dirty=0)


@dataclass
class Reading:
    """What is in one file."""

    good: list[tuple[int, int, int, str]] = field(default_factory=list)  # film, customer, rating, date
    problems: Counter[str] = field(default_factory=Counter)
    films: list[int] = field(default_factory=list)  # good headers in order
    empty_lines: int = 0
    crlf_lines: list[int] = field(default_factory=list)


def rating_problem(line: bytes) -> str | None:
    """What is wrong with a rating below a good header."""
    try:
        fields = line.decode().split(",")
    except UnicodeDecodeError:
        return "invalid_utf8"
    if len(fields) == 2:
        return "date_missing"
    if len(fields) > 3:
        return "too_many_fields"
    customer, rating, day = fields
    problems = []
    if not re.fullmatch(r"\d+", customer):
        problems.append("customer_text")
    elif not 0 < int(customer) < 2**31:
        problems.append("customer_over_int4" if int(customer) else "customer_zero")
    if rating not in ("1", "2", "3", "4", "5"):
        problems.append({"0": "rating_zero", "6": "rating_six", "": "rating_empty"}.get(rating, "rating_text"))
    if found := date_problem(day):
        problems.append(found)
    assert len(problems) <= 1, line
    return problems[0] if problems else None


def date_problem(day: str) -> str | None:
    if not day:
        return "date_empty"
    if re.fullmatch(r"\d{4}-\d{2}-", day):
        return "cut_line"
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day):
        return "date_unpadded"
    try:
        date.fromisoformat(day)
    except ValueError:
        return "date_not_in_calendar"
    return None if "1999-11-01" <= day <= "2005-12-31" else "date_out_of_range"


@cache
def read(path: Path) -> Reading:
    reading, film = Reading(), "before_first_film"
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, line in enumerate(lines[:-1] if not lines[-1] else lines):
        if line.endswith(b"\r"):
            reading.crlf_lines.append(number)
        text = line.removesuffix(b"\r")
        if not text:
            reading.empty_lines += 1
        elif text.endswith(b":"):
            film = header_problem(text[:-1].decode()) or int(text[:-1])
            if isinstance(film, int):
                reading.films.append(film)
            else:
                reading.problems[film] += 1
        elif isinstance(film, str):
            reading.problems[film] += 1
        elif found := rating_problem(text):
            reading.problems[found] += 1
        else:
            customer, rating, day = text.decode().split(",")
            reading.good.append((film, int(customer), int(rating), day))
    return reading


def header_problem(film: str) -> str | None:
    if not film.isdigit():
        return "film_text"
    return None if 1 <= int(film) <= 17_770 else {0: "film_zero"}.get(int(film), "film_unknown")


def good(sample: Sample) -> list[tuple[int, int, int, str]]:
    return [rating for path in sample.files["ratings"] for rating in read(path).good]


def problems(sample: Sample) -> Counter[str]:
    return sum((read(path).problems for path in sample.files["ratings"]), Counter())


def repeats(sample: Sample) -> Iterator[tuple[str, tuple[int, int, int, str], tuple[int, int, int, str]]]:
    seen: dict[tuple[int, int], tuple[int, int, int, str]] = {}
    for rating in good(sample):
        before = seen.setdefault(rating[:2], rating)
        if before is not rating:
            yield "equal" if before == rating else "conflicting", before, rating


def digest(sample: Sample) -> str:
    paths = [path for paths in sample.files.values() for path in paths]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


# ---- ratings ---------------------------------------------------------------------------------------------------------


def test_the_same_seed_and_size_give_the_same_bytes_on_every_machine(dirty: Sample) -> None:
    assert digest(dirty) == SHA256


def test_another_seed_gives_other_ratings_and_other_titles(tmp_path: Path, dirty: Sample) -> None:
    other = generate(tmp_path, seed=2)
    for name in ("ratings", "movie-titles"):
        assert other.files[name][0].read_bytes() != dirty.files[name][0].read_bytes()


def test_the_files_have_the_publishers_names_and_each_its_films_ascending(clean: Sample) -> None:
    assert [path.name for path in clean.files["ratings"]] == [f"combined_data_{n}.txt" for n in (1, 2, 3, 4)]
    assert [path.name for path in clean.files["movie-titles"]] == ["movie_titles.csv"]
    for path, first, last in zip(clean.files["ratings"], (0, *LAST_FILMS), LAST_FILMS, strict=False):
        found = read(path).films
        assert found == sorted(set(found))
        assert len(found) > 50
        assert first < found[0] < found[-1] <= last


def test_a_clean_sample_is_ascii_lines_that_end_in_lf_and_nothing_else(clean: Sample) -> None:
    for path in clean.files["ratings"]:
        content = path.read_bytes()
        assert re.fullmatch(rb"(\d+:\n(\d+,[1-5],\d{4}-\d\d-\d\d\n)+)+", content)
    assert clean.planted == {"ratings": {}, "movie-titles": {}}
    assert problems(clean) == Counter()
    assert clean.duplicates == {"equal": 0, "conflicting": 0}


def test_every_good_pair_of_film_and_customer_occurs_once_and_there_are_as_many_as_asked_for(clean: Sample) -> None:
    assert len(good(clean)) == 100_000 == clean.rows["ratings"]
    assert len({rating[:2] for rating in good(clean)}) == 100_000


def test_the_dirt_changes_no_good_rating(clean: Sample, dirty: Sample) -> None:
    again = {rating[:2]: rating for rating in reversed(good(dirty))}
    assert [again[rating[:2]] for rating in good(clean)] == good(clean)
    assert len(again) == 100_000


def test_rows_and_planted_records_are_what_a_recount_finds(dirty: Sample) -> None:
    assert set(dirty.planted["ratings"]) == KINDS
    assert dirty.planted["ratings"] == problems(dirty)
    assert sum(problems(dirty).values()) == 22
    assert dirty.rows["ratings"] == len(good(dirty)) + 22


@pytest.mark.parametrize(("ratings", "share"), [(20_000, 0.0001), (20_000, 0.005), (250_000, 0.001)])
def test_dirt_is_planted_in_the_share_that_was_asked_for_and_stays_below_1_percent_of_each_file(
    tmp_path: Path, ratings: int, share: float
) -> None:
    sample = generate(tmp_path, ratings=ratings, dirty=share, seed=5)
    assert problems(sample) == sample.planted["ratings"]
    assert sum(problems(sample).values()) == max(22, round(ratings * share))
    assert len(good(sample)) == ratings + sum(sample.duplicates.values())
    assert Counter(kind for kind, *_ in repeats(sample)) == sample.duplicates
    for reading in map(read, sample.files["ratings"]):
        assert sum(reading.problems.values()) < 0.01 * (len(reading.good) + sum(reading.problems.values()))


def test_a_header_of_no_film_and_the_rating_below_it_are_two_records_and_the_film_goes_on(dirty: Sample) -> None:
    content = b"".join(path.read_bytes() for path in dirty.files["ratings"])
    for header, kind in ((b"abc:", "film_text"), (b"0:", "film_zero"), (b"17771:", "film_unknown")):
        assert dirty.planted["ratings"][kind] == 2
        assert re.search(rb"\n%s\n\d+,[1-5],[-0-9]{10}\n\d+:\n\d+,[1-5],[-0-9]{10}\n" % header, content)
    headers = [film for path in dirty.files["ratings"] for film in read(path).films]
    assert len(headers) - len(set(headers)) == 4  # one more where the lines begin to end in CRLF
    assert headers == sorted(headers)


def test_the_first_file_begins_with_a_bom_and_a_homeless_rating_and_the_last_ends_in_the_midst_of_a_line(
    dirty: Sample,
) -> None:
    first, *_, last = (path.read_bytes() for path in dirty.files["ratings"])
    assert re.match(rb"\xef\xbb\xbf\d+,[1-5],\d{4}-\d\d-\d\d\n\d+:\n", first)
    assert re.search(rb"\n\d+,[1-5],2005-09-$", last)
    assert read(dirty.files["ratings"][0]).problems["before_first_film"] == 1
    assert read(dirty.files["ratings"][3]).problems["cut_line"] == 1


def test_a_dirty_sample_has_one_empty_line_and_one_stretch_of_crlf_with_headers_in_it(dirty: Sample) -> None:
    readings = [read(path) for path in dirty.files["ratings"]]
    assert sum(reading.empty_lines for reading in readings) == 1
    (path,) = (path for path in dirty.files["ratings"] if read(path).crlf_lines)
    numbers = read(path).crlf_lines
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) > 500
    assert sum(line.endswith(b":\r") for line in path.read_bytes().split(b"\n")) >= 2


def test_repeats_stand_some_lines_below_and_conflicting_ones_have_another_rating_on_a_later_day(dirty: Sample) -> None:
    found = list(repeats(dirty))
    assert Counter(kind for kind, *_ in found) == dirty.duplicates == {"equal": 3, "conflicting": 5}
    assert len({again[:2] for *_, again in found}) == len(found)
    for kind, before, again in found:
        if kind == "conflicting":
            assert before[2] != again[2]
            assert before[3] < again[3] <= "2005-12-31"


def test_films_and_customers_are_few_in_a_small_sample_with_ids_scattered_over_the_whole_range(clean: Sample) -> None:
    per_film, per_customer = Counter(r[0] for r in good(clean)), Counter(r[1] for r in good(clean))
    assert len(per_film) == film_count(100_000) == 364
    assert len(per_customer) == customer_count(100_000)
    assert 4_000 < len(per_customer) < 4_300
    assert min(per_film) < 50
    assert max(per_film) == 17_770
    assert min(per_customer) < 1_000
    assert max(per_customer) == 2_649_429


def test_sizes_at_100480507_ratings_are_those_of_the_published_set() -> None:
    assert (film_count(100_480_507), customer_count(100_480_507)) == (17_770, 480_189)
    assert (film_count(8_000_000_000), customer_count(8_000_000_000)) == (17_770, 480_189)
    assert all(film_count(n) * customer_count(n) >= n for n in (*range(1, 5_000), 10**5, 10**6, 10**7, 10**9))


def test_popularity_and_activity_are_skewed(clean: Sample) -> None:
    per_film = sorted(Counter(r[0] for r in good(clean)).values())
    assert per_film[0] >= 3
    assert per_film[len(per_film) // 2] < 0.3 * 100_000 / len(per_film)
    assert per_film[-1] > 6 * 100_000 / len(per_film)
    per_customer = sorted(Counter(r[1] for r in good(clean)).values())
    assert per_customer[len(per_customer) // 2] < 0.65 * 100_000 / len(per_customer)
    assert per_customer[-1] > 8 * 100_000 / len(per_customer)


def test_ratings_of_a_film_are_in_no_order(clean: Sample) -> None:
    customers = defaultdict(list)
    for film, customer, *_ in good(clean):
        customers[film].append(customer)
    for found in customers.values():
        if len(found) > 20:
            rising = sum(a < b for a, b in pairwise(found)) / (len(found) - 1)
            assert 0.2 < rising < 0.8


def test_ratings_have_the_published_shares_but_every_film_its_own_mean(clean: Sample) -> None:
    shares = Counter(r[2] for r in good(clean))
    for rating, share in {1: 0.046, 2: 0.101, 3: 0.287, 4: 0.336, 5: 0.231}.items():
        assert abs(shares[rating] / 100_000 - share) < 0.02
    by_film = defaultdict(list)
    for film, _, rating, _ in good(clean):
        by_film[film].append(rating)
    means = [sum(found) / len(found) for found in by_film.values() if len(found) >= 20]
    assert min(means) < 2
    assert max(means) > 4.2


def test_days_reach_from_1999_11_11_to_2005_12_31_and_grow_by_the_year(clean: Sample) -> None:
    days = [r[3] for r in good(clean)]
    assert (min(days), max(days)) == ("1999-11-11", "2005-12-31")
    shares = Counter(int(day[:4]) for day in days)
    for year, share in {1999: 0, 2000: 0.01, 2001: 0.02, 2002: 0.05, 2003: 0.12, 2004: 0.30, 2005: 0.50}.items():
        assert abs(shares[year] / 100_000 - share) < 0.02


def test_no_film_is_rated_before_its_year_or_by_everybody_from_the_first_day_on(clean: Sample) -> None:
    first: dict[int, str] = {}
    for film, _, _, day in good(clean):
        first[film] = min(day, first.get(film, day))
    listed = titles(1)
    assert all(day[:4] >= year for film, day in first.items() if (year := listed[film - 1][0]) != "NULL")
    assert sum(day > "2003" for day in first.values()) > 30


@pytest.mark.parametrize("ratings", [1, 2, 3, 4, 7, 19, 100, 1_000, 12_345])
def test_a_clean_sample_can_have_any_number_of_ratings(tmp_path: Path, ratings: int) -> None:
    sample = generate(tmp_path, ratings=ratings, dirty=0, seed=3)
    found = good(sample)
    assert len({r[:2] for r in found}) == len(found) == ratings == sample.rows["ratings"]
    assert len({r[0] for r in found}) == film_count(ratings)
    assert len({r[1] for r in found}) == customer_count(ratings)
    assert problems(sample) == Counter()


def test_the_size_of_a_chunk_changes_no_byte(tmp_path: Path, dirty: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netflix, "_CHUNK_ROWS", 1_000)
    assert digest(generate(tmp_path)) == digest(dirty)


def test_progress_is_told_up_to_the_last_rating(tmp_path: Path) -> None:
    told: list[int] = []
    generate(tmp_path, ratings=20_000, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 20_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratings": 19_999}, "at least 20,000 with dirt"),
        ({"ratings": 0, "dirty": 0}, "at least 1 without dirt"),
        ({"ratings": 17_770 * 480_189 + 1, "dirty": 0}, "only once"),
        ({"dirty": -0.1}, "not from 0 to 0.005"),
        ({"dirty": 0.01}, "not from 0 to 0.005"),
    ],
)
def test_impossible_sizes_are_refused_and_no_file_appears(tmp_path: Path, arguments: dict, message: str) -> None:
    with pytest.raises(SampleSizeError, match=message):
        generate(tmp_path, **arguments)
    assert list(tmp_path.iterdir()) == []


# ---- titles ----------------------------------------------------------------------------------------------------------


def title_lines(sample: Sample) -> list[str]:
    content = sample.files["movie-titles"][0].read_bytes()
    assert content.endswith(b"\n")
    assert b"\r" not in content
    return content.decode("iso-8859-1").split("\n")[:-1]


def title_problem(line: str) -> str | None:
    fields = line.split(",", 2)
    if len(fields) < 3:
        return "too_few_fields"
    film, year, title = fields
    if not film.isdigit():
        return "id_text"
    if int(film) == 0:
        return "id_zero"
    if not re.fullmatch(r"\d{4}|NULL", year):
        return "year_text"
    return None if title else "title_empty"


def test_the_list_of_titles_always_has_all_films_without_a_gap(clean: Sample) -> None:
    lines = title_lines(clean)
    assert [int(line.split(",")[0]) for line in lines] == list(range(1, 17_771))
    assert clean.rows["movie-titles"] == 17_770
    assert not any(map(title_problem, lines))


def test_one_bad_title_of_each_kind_is_planted_on_top(clean: Sample, dirty: Sample) -> None:
    lines = title_lines(dirty)
    found = Counter(problem for line in lines if (problem := title_problem(line)))
    assert found == dirty.planted["movie-titles"] == dict.fromkeys(found, 1)
    assert len(found) == 5
    assert dirty.rows["movie-titles"] == len(lines) == 17_775
    assert [line for line in lines if not title_problem(line)] == title_lines(clean)


def test_titles_have_every_trap_of_the_published_ones(clean: Sample) -> None:
    records = [line.split(",", 2) for line in title_lines(clean)]
    assert sum(year == "NULL" for _, year, _ in records) == 7
    years = [int(year) for _, year, _ in records if year != "NULL"]
    assert (min(years), max(years)) == (1896, 2005)
    commas = Counter(title.count(",") for *_, title in records)
    assert commas == {0: 17_434, 1: 302, 2: 25, 3: 9}
    assert sum('"' in title for *_, title in records) == 7
    assert all(title == title.strip() for *_, title in records)


def test_some_titles_repeat_and_nine_of_them_in_the_same_year(clean: Sample) -> None:
    records = [line.split(",", 2) for line in title_lines(clean)]
    repeated = Counter(Counter(title for *_, title in records).values())
    assert 330 < sum(count for times, count in repeated.items() if times > 1) < 400
    pairs = Counter(Counter((year, title) for _, year, title in records).values())
    assert pairs == {1: 17_770 - 18, 2: 9}


def test_the_only_byte_that_is_not_ascii_is_an_e_with_accent_a_third_into_the_file(clean: Sample) -> None:
    content = clean.files["movie-titles"][0].read_bytes()
    places = [place for place, byte in enumerate(content) if byte > 127]
    assert [content[place] for place in places] == [0xE9]
    assert 0.3 < places[0] / len(content) < 0.37


# ---- the command line ------------------------------------------------------------------------------------------------


def test_the_command_writes_below_the_home_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINESTREAM_HOME", str(tmp_path))
    get_settings.cache_clear()
    try:
        answer = CliRunner().invoke(cli, ["sample", "netflix", "--ratings", "20000", "--dirty", "0.002"])
    finally:
        get_settings.cache_clear()
    assert answer.exit_code == 0, answer.output
    assert "ratings: 20,060 records, 40 to be rejected" in answer.output
    assert len(list((tmp_path / "sample" / "netflix").iterdir())) == 5


def test_the_scale_counts_in_100000_ratings_and_clean_means_no_dirt(tmp_path: Path) -> None:
    answer = CliRunner().invoke(cli, ["sample", "netflix", str(tmp_path), "--scale", "0.01", "--clean"])
    assert "ratings: 1,000 records, 0 to be rejected" in answer.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["movielens", "--ratings", "5"], "options for netflix"),
        (["chinook", "--dirty", "0.001"], "options for netflix"),
        (["netflix", "--clean", "--dirty", "0.001"], "either --clean or --dirty"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    answer = CliRunner().invoke(cli, ["sample", arguments[0], str(tmp_path), *arguments[1:]])
    assert answer.exit_code == 2
    assert message in answer.output
    assert list(tmp_path.iterdir()) == []
