"""The MovieLens sample, read back line by line with the csv module and with rules written down a second time here."""

import csv
import hashlib
import math
import re
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from cinestream_platform.samples.planting import SampleSizeError
from cinestream_platform.sources.movielens.sample import generator as movielens
from cinestream_platform.sources.movielens.sample.content import GENRES, NO_GENRES, RATING_COUNTS
from cinestream_platform.sources.movielens.sample.generator import Sample, generate, generate_ratings

HEADERS = {
    "ratings": "userId,movieId,rating,timestamp",
    "movies": "movieId,title,genres",
    "tags": "userId,movieId,tag,timestamp",
    "links": "movieId,imdbId,tmdbId",
    "genome-tags": "tagId,tag",
    "genome-scores": "movieId,tagId,relevance",
}
# Of all six files at scale 1.0 with seed 1: written down so that another machine or another
# version of polars must give the same bytes.
SHA256 = "e542f7976b241c2c629a3275e968bd2c136688c22dbb3aeddd77a93850af54cc"


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return generate(tmp_path_factory.mktemp("dirty"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return generate(tmp_path_factory.mktemp("clean"), dirt=False)


def lines_of(path: Path) -> list[bytes]:
    """The records after the header, by CRLF alone."""
    content = path.read_bytes()
    assert content.endswith(b"\r\n")
    assert b"\n" not in content.replace(b"\r\n", b"")
    return content.split(b"\r\n")[1:-1]


def id_problem(name: str, text: str) -> str | None:
    if not text:
        return f"{name}_empty"
    if not re.fullmatch(r"-?\d+", text):
        return f"{name}_text"
    value = int(text)
    if value >= 2**31:
        return f"{name}_over_int8" if value >= 2**63 else f"{name}_over_int4"
    return f"{name}_negative" if value < 0 else None


def timestamp_problem(text: str) -> str | None:
    if not text:
        return "timestamp_empty"
    if not re.fullmatch(r"-?\d+", text):
        return "timestamp_text"
    if int(text) > 4_000_000_000:
        return "timestamp_milliseconds"
    return "timestamp_negative" if int(text) < 0 else None


def rating_problem(text: str) -> str | None:
    if text in RATING_COUNTS:
        return None
    known = {"0.0": "rating_zero", "6.0": "rating_six", "": "rating_empty", "good": "rating_text"}
    return known.get(text, "rating_off_step")


def relevance_problem(text: str) -> str | None:
    known = {"": "relevance_empty", "NaN": "relevance_nan", "high": "relevance_text"}
    if text in known:
        return known[text]
    if float(text) > 1:
        return "relevance_above_one"
    return "relevance_negative" if float(text) < 0 else None


def field_problem(column: str, text: str) -> str | None:
    match column:
        case "userId" | "movieId" | "tagId":
            return id_problem({"userId": "user_id", "movieId": "movie_id", "tagId": "tag_id"}[column], text)
        case "timestamp":
            return timestamp_problem(text)
        case "rating":
            return rating_problem(text)
        case "relevance":
            return relevance_problem(text)
        case "title":
            return None if text else "title_empty"
        case "imdbId":
            return None if re.fullmatch(r"\d{7,8}", text) else "imdb_id_text"
        case "tmdbId":
            return None if re.fullmatch(r"\d*", text) else "tmdb_id_text"
    return None


def read(dataset: str, line: bytes) -> list[str] | str:
    """The fields of a good record, or what is wrong with a bad one."""
    if line == b"\\.":
        return "backslash_dot"
    if b"\0" in line:
        return "nul_byte"
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "invalid_utf8"
    try:
        (fields,) = csv.reader([text], strict=True)
    except csv.Error:
        return "malformed_quotes"
    columns = HEADERS[dataset].split(",")
    if len(fields) != len(columns):
        return "too_few_fields" if len(fields) < len(columns) else "too_many_fields"
    problems = [found for pair in zip(columns, fields, strict=True) if (found := field_problem(*pair))]
    assert len(problems) <= 1, line
    return problems[0] if problems else fields


@cache
def records_of(dataset: str, path: Path) -> list[list[str] | str]:
    return [read(dataset, line) for line in lines_of(path)]


def good(sample: Sample, dataset: str) -> list[list[str]]:
    return [record for record in records_of(dataset, sample.files[dataset]) if isinstance(record, list)]


def problems(sample: Sample, dataset: str) -> dict[str, int]:
    return dict(Counter(record for record in records_of(dataset, sample.files[dataset]) if isinstance(record, str)))


def digest(sample: Sample) -> str:
    return hashlib.sha256(b"".join(sample.files[name].read_bytes() for name in HEADERS)).hexdigest()


def test_the_same_seed_and_scale_give_the_same_bytes_on_every_machine(dirty: Sample) -> None:
    assert digest(dirty) == SHA256


def test_another_seed_gives_other_ratings_and_other_titles(tmp_path: Path, dirty: Sample) -> None:
    other = generate(tmp_path, seed=2)
    assert other.files["ratings"].read_bytes() != dirty.files["ratings"].read_bytes()
    assert other.files["movies"].read_bytes() != dirty.files["movies"].read_bytes()


@pytest.mark.parametrize("dataset", HEADERS)
def test_every_file_begins_with_upstreams_header_without_a_bom(dirty: Sample, dataset: str) -> None:
    assert dirty.files[dataset].read_bytes().startswith(HEADERS[dataset].encode() + b"\r\n")


@pytest.mark.parametrize("dataset", HEADERS)
def test_quotes_stand_only_where_rfc_4180_needs_them(clean: Sample, dataset: str) -> None:
    for line in lines_of(clean.files[dataset]):
        record = read(dataset, line)
        needed = ",".join('"' + f.replace('"', '""') + '"' if set(f) & set(',"\r\n') else f for f in record)
        assert line.decode() == needed


@pytest.mark.parametrize("dataset", HEADERS)
def test_rows_and_planted_records_are_what_a_recount_finds(dirty: Sample, dataset: str) -> None:
    assert dirty.rows[dataset] == len(lines_of(dirty.files[dataset]))
    assert dirty.planted[dataset] == problems(dirty, dataset)
    assert sum(dirty.planted[dataset].values()) < 0.005 * dirty.rows[dataset]


@pytest.mark.parametrize("dataset", HEADERS)
def test_a_clean_sample_has_no_bad_record(clean: Sample, dataset: str) -> None:
    assert clean.planted[dataset] == {} == problems(clean, dataset)
    assert clean.rows[dataset] == len(lines_of(clean.files[dataset]))


def test_the_smallest_sample_stays_below_half_a_percent_of_dirt(tmp_path: Path) -> None:
    sample = generate(tmp_path, scale=0.05)
    for dataset in HEADERS:
        assert problems(sample, dataset) == sample.planted[dataset]
        assert sum(sample.planted[dataset].values()) < 0.005 * sample.rows[dataset]
    for scale, said in ((0.04, r"scale 0\.04 is too small"), (math.nan, "nan is too small"), (1e30, "too large")):
        with pytest.raises(SampleSizeError, match=said):
            generate(tmp_path, scale=scale)


def test_duplicates_of_user_and_film_are_exactly_those_announced(dirty: Sample, clean: Sample) -> None:
    for sample in (dirty, clean):
        found = Counter(equal=0, conflicting=0)
        seen: dict[tuple[str, str], tuple[str, str]] = {}
        for user, film, rating, timestamp in good(sample, "ratings"):
            if (user, film) in seen:
                before = seen[user, film]
                found["equal" if before == (rating, timestamp) else "conflicting"] += 1
                if before != (rating, timestamp):
                    assert before[0] != rating
                    assert int(before[1]) < int(timestamp)
            seen[user, film] = (rating, timestamp)
        assert dict(found) == sample.duplicates["ratings"]
    assert dirty.duplicates["ratings"] == {"equal": 6, "conflicting": 10}
    assert clean.duplicates["ratings"] == {"equal": 0, "conflicting": 0}


def test_ratings_have_the_size_order_and_shape_of_the_real_ones(clean: Sample) -> None:
    ratings = [(int(u), int(m), r, int(t)) for u, m, r, t in good(clean, "ratings")]
    assert len(ratings) == 100_000
    assert [r[:2] for r in ratings] == sorted({r[:2] for r in ratings})
    per_user, per_film = Counter(r[0] for r in ratings), Counter(r[1] for r in ratings)
    assert len(per_user) == 602
    assert min(per_user.values()) == 20
    assert len(per_film) == 2_000
    assert max(per_film.values()) > 30 * min(per_film.values())
    shares, total = Counter(r[2] for r in ratings), sum(RATING_COUNTS.values())
    assert all(abs(shares[r] / 100_000 - n / total) < 0.005 for r, n in RATING_COUNTS.items())


def test_ratings_reach_from_1996_to_2018_and_grow(clean: Sample) -> None:
    stamps = [int(record[3]) for record in good(clean, "ratings")]
    assert min(stamps) >= 828_124_615
    assert max(stamps) <= 1_537_799_250
    per_year = Counter(1970 + int(stamp / 31_556_952) for stamp in stamps)
    assert sorted(per_year) == list(range(1996, 2019))
    assert sum(per_year[year] for year in range(2011, 2018)) > 1.5 * sum(per_year[year] for year in range(1997, 2004))


def test_three_rated_films_are_unknown_to_movies_and_some_films_are_unrated(dirty: Sample, clean: Sample) -> None:
    for sample in (dirty, clean):
        films = {record[0] for record in good(sample, "movies")}
        rated = {record[1] for record in good(sample, "ratings")}
        assert len(rated - films) == sample.unknown_films == 3
        assert len(films - rated) == 18


def test_bad_films_are_mentioned_by_no_other_file(dirty: Sample) -> None:
    lines = [line for line in lines_of(dirty.files["movies"]) if isinstance(read("movies", line), str)]
    bad = {line.split(b",")[0].decode().lstrip("-") for line in lines}
    assert len(bad) == 5
    assert not bad & {record[0] for record in good(dirty, "movies")}
    assert not bad & {record[1] for name in ("ratings", "tags") for record in good(dirty, name)}


def test_titles_have_every_oddity_of_the_real_ones(dirty: Sample) -> None:
    titles = [record[1] for record in good(dirty, "movies")]
    no_year = [title for title in titles if not re.search(r"\(\d{4}\)\s*$", title)]
    assert len([title for title in no_year if "\u2013" not in title]) == 5
    assert len([title for title in no_year if re.search(r"\(\d{4}\u2013\d{4}\)$", title)]) == 2
    assert len([title for title in titles if re.search(r"\) $", title)]) == 4
    assert len([title for title in titles if '"' in title]) == 3
    assert sum("," in title for title in titles) > 300
    assert len([title for title in titles if not title.isascii() and "\u2013" not in title]) > 10
    assert sorted(Counter(Counter(titles).values()).items()) == [(1, len(titles) - 6), (2, 3)]


def test_genres_are_the_twenty_real_values(dirty: Sample) -> None:
    values = Counter(genre for record in good(dirty, "movies") for genre in record[2].split("|"))
    assert set(values) == {*GENRES, NO_GENRES}
    assert len(values) == 20
    assert values[NO_GENRES] == 9
    assert all(record[2] == NO_GENRES or NO_GENRES not in record[2] for record in good(dirty, "movies"))


def test_links_have_padded_and_long_imdb_ids_and_empty_and_shared_tmdb_ids(dirty: Sample) -> None:
    links = good(dirty, "links")
    assert {record[0] for record in links} == {record[0] for record in good(dirty, "movies")}
    assert len({record[1] for record in links}) == len(links)
    assert sum(len(record[1]) == 8 for record in links) == 4
    assert any(record[1].startswith("0") for record in links)
    tmdb = Counter(record[2] for record in links)
    assert tmdb.pop("") == 6
    assert sorted(Counter(tmdb.values())) == [1, 2]
    assert list(tmdb.values()).count(2) == 1


def test_tags_have_quotes_commas_accents_and_users_who_did_not_rate(dirty: Sample) -> None:
    tags = good(dirty, "tags")
    values = {record[2] for record in tags}
    assert {'"artsy"', "lost, then found", "déjà vu", "null", "lamplight", "Lamplight"} <= values
    assert len({tuple(record[:3]) for record in tags}) == len(tags)
    raters = {record[0] for record in good(dirty, "ratings")}
    assert len({record[0] for record in tags} - raters) == 3
    assert {record[1] for record in tags} <= {record[0] for record in good(dirty, "movies")}
    assert all(1_137_179_352 <= int(record[3]) <= 1_537_799_250 for record in tags)


def test_the_genome_is_complete_and_written_as_binary_doubles(dirty: Sample) -> None:
    tags = [record[0] for record in good(dirty, "genome-tags")]
    assert tags == [str(number) for number in range(1, 51)]
    assert len({record[1] for record in good(dirty, "genome-tags")}) == 50
    per_film = defaultdict(list)
    for film, tag, _ in good(dirty, "genome-scores"):
        per_film[film].append(tag)
    assert len(per_film) == 60
    assert all(found == tags for found in per_film.values())
    assert max(len(record[2]) for record in good(dirty, "genome-scores")) > 17


def test_a_larger_scale_grows_every_file_as_announced(tmp_path: Path) -> None:
    sample = generate(tmp_path, scale=4)
    assert sample.rows["ratings"] == 400_000
    assert sample.rows["movies"] == 4_000 + 18 - 3 + 5 - 1  # the square root is of the good ratings alone
    assert sample.rows["tags"] == 14_000 + 11
    assert sample.rows["genome-scores"] == 100 * 120 + 7
    assert all(problems(sample, name) == sample.planted[name] for name in HEADERS if name != "ratings")


@pytest.mark.parametrize("rows", [1, 19, 165, 2_001, 5_000, 234_567])
def test_a_ratings_file_has_any_number_of_rows_and_distinct_pairs(tmp_path: Path, rows: int) -> None:
    sample = generate_ratings(tmp_path / "ratings.csv", rows=rows, seed=7)
    pairs = [tuple(map(int, line.split(b",")[:2])) for line in lines_of(sample.files["ratings"])]
    assert sample.rows == {"ratings": rows} == {"ratings": len(pairs)}
    assert all(before < after for before, after in pairwise(pairs))
    assert min(Counter(user for user, _ in pairs).values()) >= min(rows, 20)


def test_the_size_of_a_chunk_changes_no_byte_and_no_planted_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = generate_ratings(tmp_path / "whole.csv", rows=60_000, dirt=True)
    monkeypatch.setattr(movielens, "_CHUNK_ROWS", 1_000)
    chunked = generate_ratings(tmp_path / "chunked.csv", rows=60_000, dirt=True)
    assert chunked.files["ratings"].read_bytes() == whole.files["ratings"].read_bytes()
    assert len(lines_of(chunked.files["ratings"])) == 60_000
    assert problems(chunked, "ratings") == chunked.planted["ratings"]
    assert set(chunked.planted["ratings"].values()) == {1}
    assert chunked.duplicates == {"ratings": {"equal": 3, "conflicting": 5}}


def test_too_few_rows_are_refused_and_no_file_appears(tmp_path: Path) -> None:
    with pytest.raises(SampleSizeError, match="at least 5,000 with dirt"):
        generate_ratings(tmp_path / "ratings.csv", rows=4_999, dirt=True)
    with pytest.raises(SampleSizeError, match="at least 1 without dirt"):
        generate_ratings(tmp_path / "ratings.csv", rows=0)
    assert list(tmp_path.iterdir()) == []
