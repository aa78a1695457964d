"""Accounted and traceable: every record of every file is in the table or kept with its reason, and every published
partition leads back to its run, files and counts. Records of one event in several files: the latest counts."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, ExecuteInProcessResult

from cinestream_platform.sources.movielens.sample.generator import Sample, generate
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, csv_bytes, ratings_csv

A, B, C = "movielens/ratings/a.csv", "movielens/ratings/b.csv", "movielens/ratings/c.csv"


def check(results: list[ExecuteInProcessResult], table: str, name: str) -> Any:
    """The last evaluation of a check: whether it passed, and its numbers."""
    found = [
        e
        for result in results
        for e in result.get_asset_check_evaluations()
        if e.asset_key == AssetKey(["movielens", table]) and e.check_name == name
    ]
    assert found, f"{table}: no check {name} reported"
    return found[-1]


# Accounted


def is_good_rating(line: str) -> bool:
    """The rules of a ratings record, written down a second time."""
    fields = line.split(",")
    if len(fields) != 4:
        return False
    user, movie, rating, seconds = fields
    try:
        numbers = int(user), int(movie), float(rating), int(seconds)
    except ValueError:
        return False
    return (
        all(1 <= number <= 2**31 - 1 for number in numbers[:2])
        and numbers[2] in [half / 2 for half in range(1, 11)]
        and 789_609_600 <= numbers[3] <= time.time() + 86_400
    )


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sample]:
    folder = tmp_path_factory.mktemp("dirty")
    return folder, generate(folder, scale=0.06, seed=3)


def test_of_a_release_with_every_kind_of_dirt_each_record_is_loaded_or_kept_with_line_rule_and_text(
    platform: Platform, dirty: tuple[Path, Sample]
) -> None:
    folder, sample = dirty
    platform.land_folder(folder)
    results = platform.load()
    assert all(result.success for result in results)
    star = [AssetKey(["movielens", name]) for name in ("dim_movie", "dim_user", "fact_ratings")]
    platform.run([AssetKey(["conformed", "dim_date"]), *star], ("1995", "2018"))

    for dataset, rows in sample.rows.items():
        row = platform.ledger_row(f"movielens/{dataset}/{dataset}.csv")
        rejected = sum(sample.planted[dataset].values())
        assert (row["status"], row["rows_read"], row["rows_loaded"], row["rows_rejected"]) == (
            "loaded",
            rows,
            rows - rejected,
            rejected,
        ), dataset
        table = dataset.replace("-", "_")
        assert platform.scalar(f"SELECT count(*) FROM raw_movielens.{table}") == rows - rejected
        kept = platform.query(
            "SELECT line, rule, raw FROM ops.rejected_row WHERE file_id = %s ORDER BY line", (row["file_id"],)
        )
        assert len(kept) == rejected
        lines = (folder / f"{dataset}.csv").read_bytes().split(b"\r\n")
        for line, rule, raw in kept:
            text = lines[line - 1].decode("utf-8", "backslashreplace").replace("\0", "\\x00")
            assert raw == text, (dataset, line, rule)
        assert check(results, table, "records_accounted_for").passed

    lines = (folder / "ratings.csv").read_bytes().decode().split("\r\n")
    bad = [number for number, line in enumerate(lines, 1) if number > 1 and line and not is_good_rating(line)]
    ratings = platform.ledger_row("movielens/ratings/ratings.csv")
    found = platform.query("SELECT line FROM ops.rejected_row WHERE file_id = %s ORDER BY 1", (ratings["file_id"],))
    assert [line for (line,) in found] == bad
    # Of events that occur twice the fact keeps one; films that movies.csv lacks are inferred.
    twice = sample.duplicates["ratings"]
    assert (ratings["rows_repeated"], ratings["rows_conflicting"]) == (twice["equal"], twice["conflicting"])
    facts = platform.scalar("SELECT count(*) FROM movielens_dw.fact_ratings")
    assert facts == ratings["rows_loaded"] - twice["equal"] - twice["conflicting"]
    inferred = platform.query("SELECT movie_id FROM movielens_dw.dim_movie WHERE is_inferred")
    rated = platform.query(
        "SELECT DISTINCT movie_id FROM raw_movielens.ratings WHERE movie_id NOT IN (SELECT movie_id FROM raw_movielens.movies)"
    )
    assert set(rated) <= set(inferred)
    assert len(rated) == sample.unknown_films


RULES = {
    "0,1,4.0,1110000000": "user_id_range",
    "1,-1,4.0,1110000000": "movie_id_range",
    "1,1,5.5,1110000000": "rating_range",
    "1,1,3.25,1110000000": "rating_step",
    "1,1,good,1110000000": "rating_type",
    "1,1,,1110000000": "rating_required",
    "1,1,4.0,soon": "timestamp_type",
    "1,1,4.0,1110000000000": "timestamp_future",
    "1,1,4.0,789609599": "timestamp_range",
    "2147483648,1,4.0,1110000000": "user_id_type",
    "1,1,4.0": "record_field_count",
    '1,1,"4.0"x,1110000000': "record_quotes",
}


def test_each_bad_record_is_kept_under_the_rule_that_it_breaks(platform: Platform) -> None:
    good = [(user, 1, "4.0", Y2005) for user in range(1, 2_001)]
    content = ratings_csv(good) + "".join(f"{line}\r\n" for line in RULES).encode()
    platform.land(A, content)
    results = platform.load()

    kept = platform.query("SELECT line, raw, rule FROM ops.rejected_row ORDER BY line")
    assert {raw: rule for _, raw, rule in kept} == RULES
    assert [line for line, *_ in kept] == list(range(2_002, 2_002 + len(RULES)))
    for name in ("record_format", "column_user_id", "column_movie_id", "column_rating", "column_timestamp"):
        prefix = "record_" if name == "record_format" else name.removeprefix("column_")
        broken = [line for line, _, rule in kept if rule.startswith(prefix)]
        evaluation = check(results, "ratings", name)
        # Few deliveries tell nothing of what is usual: the first is never unusual.
        assert (evaluation.passed, evaluation.metadata["rejected_records"].value) == (True, len(broken)), name
        samples = [record.data for record in evaluation.metadata["samples"].records]
        assert [(sample["file"], int(sample["line"])) for sample in samples] == [(A, line) for line in broken][:5]
        counts = [record.data["rejected"] for record in evaluation.metadata["rules"].records]
        assert sum(counts) == len(broken)
    rating = [record.data for record in check(results, "ratings", "column_rating").metadata["samples"].records]
    assert {(sample["rule"], sample["value"]) for sample in rating} >= {
        ("rating is from 0.5 to 5.0", "'5.5'"),
        ("rating is not empty", ""),
    }


def test_above_the_threshold_nothing_is_published_and_the_other_files_are_loaded_all_the_same(
    any_platform: Platform,
) -> None:
    bad = ratings_csv([*((user, 1, "4.0", Y2005) for user in range(1, 99)), (1, 1, "9.0", Y2005), (2, 1, "9.5", Y2005)])
    any_platform.land(A, bad)  # 2 of 100 records, the threshold is 1 %
    any_platform.land(B, ratings_csv([(7, 1, "4.0", Y2005)]))
    any_platform.land("movielens/movies/movies.csv", MOVIES)

    [result] = any_platform.load()

    assert not result.success
    [failure] = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    message = str(failure.step_failure_data.user_failure_data.description)
    for part in (A, "2 of 100 records are rejected", "line 100, column rating: '9.0' breaks rating_range"):
        assert part in message
    row = any_platform.ledger_row(A)
    assert (row["status"], row["rows_read"], row["rows_loaded"], row["rows_rejected"]) == ("parked", 100, 0, 2)
    kept = any_platform.query("SELECT line, rule, raw FROM ops.rejected_row ORDER BY line")
    assert kept == [(100, "rating_range", f"1,1,9.0,{Y2005}"), (101, "rating_range", f"2,1,9.5,{Y2005}")]
    assert any_platform.status(B) == any_platform.status("movielens/movies/movies.csv") == ["loaded"]
    assert any_platform.query("SELECT user_id FROM raw_movielens.ratings") == [(7,)]
    assert not check([result], "ratings", "no_parked_files").passed

    any_platform.land(A, ratings_csv([(1, 1, "4.0", Y2005)]))  # mended
    [result] = any_platform.load()
    assert result.success
    assert any_platform.status(A) == ["superseded", "loaded"]
    assert check([result], "ratings", "no_parked_files").passed


def test_a_file_without_a_declared_column_is_parked_and_names_it(platform: Platform) -> None:
    platform.land(A, b"userId,movieId,timestamp\r\n1,1,1110000000\r\n")
    [result] = platform.load()

    assert not result.success
    assert platform.status(A) == ["parked"]
    assert "column `rating` is missing" in platform.ledger_row(A)["reason"]


# Records of one event


def facts(platform: Platform) -> list[tuple[int, int, str, int]]:
    """(user, movie, rating, year) of the published ratings."""
    return platform.query(
        "SELECT user_id, movie_id, rating::text, date_key / 10000 FROM movielens_dw.fact_ratings"
        " JOIN movielens_dw.dim_user USING (user_key) JOIN movielens_dw.dim_movie USING (movie_key) ORDER BY 1, 2, 4"
    )


EARLIER = ratings_csv([(1, 1, "4.0", Y2005), (2, 1, "3.0", Y2005), (3, 1, "5.0", Y2018)])
LATER = ratings_csv([(1, 1, "2.0", Y2018), (3, 1, "5.0", Y2018), (4, 1, "1.0", Y2018)])
AGREED = [(1, 1, "2.0", 2018), (2, 1, "3.0", 2005), (3, 1, "5.0", 2018), (4, 1, "1.0", 2018)]


def test_of_conflicting_records_the_latest_counts_and_retracting_it_brings_the_other_back_in_its_year(
    platform: Platform,
) -> None:
    platform.land(A, EARLIER)
    platform.load_and_build()
    before = platform.last_publication()

    platform.land(B, LATER)
    results = platform.load()
    platform.build()

    assert facts(platform) == AGREED
    row = platform.ledger_row(B)
    assert (row["rows_loaded"], row["rows_repeated"], row["rows_conflicting"]) == (3, 1, 1)
    evaluation = check(results, "ratings", "events_agree")
    numbers = {name: evaluation.metadata[name].value for name in ("repeated_records", "conflicting_records")}
    assert (evaluation.passed, numbers) == (False, {"repeated_records": 1, "conflicting_records": 1})
    # The loser's year is published anew although its file did not change, and names both files.
    published = [(key, changed) for table, key, changed in platform.publications(before) if table == "fact_ratings"]
    assert sorted(published) == [("2005", True), ("2018", True)]
    assert (
        platform.scalar(
            "SELECT count(DISTINCT key) FROM ops.v_lineage WHERE table_name = 'fact_ratings' AND partition_key = '2005'"
        )
        == 2
    )

    platform.retract(B)
    platform.load_and_build()
    assert facts(platform) == [(1, 1, "4.0", 2005), (2, 1, "3.0", 2005), (3, 1, "5.0", 2018)]


def test_the_latest_record_counts_also_when_its_file_was_loaded_first(platform: Platform) -> None:
    platform.land(B, LATER)
    platform.load_and_build()
    platform.land(A, EARLIER)
    platform.load_and_build()

    assert facts(platform) == AGREED
    assert (platform.ledger_row(A)["rows_repeated"], platform.ledger_row(A)["rows_conflicting"]) == (1, 1)


def test_overwriting_the_file_of_the_winner_brings_the_loser_back(platform: Platform) -> None:
    platform.land(A, EARLIER)
    platform.land(B, LATER)
    platform.load_and_build()

    platform.land(B, ratings_csv([(4, 1, "1.0", Y2018)]))
    platform.load_and_build()

    assert facts(platform) == [(1, 1, "4.0", 2005), (2, 1, "3.0", 2005), (3, 1, "5.0", 2018), (4, 1, "1.0", 2018)]


def test_within_one_file_and_instant_the_later_line_counts_and_of_three_files_the_latest_rating(
    platform: Platform,
) -> None:
    platform.land(A, ratings_csv([(1, 1, "4.0", Y2005), (1, 1, "2.5", Y2005), (1, 1, "2.5", Y2005)]))
    platform.load_and_build()
    assert facts(platform) == [(1, 1, "2.5", 2005)]
    row = platform.ledger_row(A)
    assert (row["rows_loaded"], row["rows_repeated"], row["rows_conflicting"]) == (3, 1, 1)

    platform.land(B, ratings_csv([(1, 1, "1.0", Y2018)]))
    platform.load_and_build()
    platform.land(C, ratings_csv([(1, 1, "3.0", Y2018 - 1)]))
    platform.load_and_build()
    assert facts(platform) == [(1, 1, "1.0", 2018)]
    platform.retract(B)
    platform.load_and_build()
    assert facts(platform) == [(1, 1, "3.0", 2018)]


# Traceable


def test_one_query_leads_from_a_fact_partition_to_its_run_files_counts_and_hash(platform: Platform) -> None:
    contents = {
        A: ratings_csv([(1, 1, "4.0", Y2018), (2, 1, "9.0", Y2018), *((n, 2, "4.0", Y2005) for n in range(200))][:1] +
                       [(n, 2, "4.0", Y2005) for n in range(1, 200)] + [(2, 1, "9.0", Y2018)]),
        B: ratings_csv([(3, 1, "4.0", Y2018), (4, 1, "4.0", Y2018)]),
        C: ratings_csv([(5, 1, "4.0", Y2005)]),
    }  # fmt: skip
    for key, content in contents.items():
        platform.land(key, content)
    [load] = platform.load()
    before = {run.run_id for run in platform.instance.get_runs()}
    platform.build()
    builds = {run.run_id for run in platform.instance.get_runs()} - before

    lineage = platform.query(
        "SELECT run_id, rows, content_hash, bucket, key, sha256, file_status, rows_read, rows_loaded, rows_rejected,"
        " rows_in_partition FROM ops.v_lineage WHERE schema_name = 'movielens_dw' AND table_name = 'fact_ratings'"
        " AND partition_key = '2018' ORDER BY key"
    )

    sha256 = {key: hashlib.sha256(content).hexdigest() for key, content in contents.items()}
    landing = platform.settings.landing
    assert [row[3:] for row in lineage] == [
        (landing, A, sha256[A], "loaded", 201, 200, 1, 1),
        (landing, B, sha256[B], "loaded", 2, 2, 0, 2),
    ]
    [(run_id, rows, content_hash)] = {row[:3] for row in lineage}
    assert (rows, content_hash.split("-")[1]) == (3, "3")
    assert run_id in builds
    assert platform.query("SELECT DISTINCT run_id FROM ops.landed_file") == [(load.run_id,)]

    event = platform.instance.get_latest_data_version_record(
        AssetKey(["movielens", "fact_ratings"]), partition_key="2018"
    )
    assert event is not None
    materialization = event.asset_materialization
    assert (event.run_id, materialization.partition) == (run_id, "2018")
    metadata = {name: value.value for name, value in materialization.metadata.items()}
    assert (metadata["dagster/partition_row_count"], metadata["content_hash"], metadata["files"]) == (
        3,
        content_hash,
        2,
    )
    shown = metadata["made_from"]
    assert (json.loads(shown) if isinstance(shown, str) else shown) == [A, B]


def test_a_text_that_no_index_can_hold_is_rejected_and_does_not_stop_the_star(platform: Platform) -> None:
    long = "".join(chr(0x4E00 + n) for n in range(501))
    rows = [(user, 1, long if user == 7 else f"tag {user}", Y2005) for user in range(1, 201)]
    platform.land("movielens/tags/tags.csv", csv_bytes("userId,movieId,tag,timestamp", rows))
    movies = [(n, f"Film {n} (2001)", long if n == 7 else "Drama") for n in range(1, 201)]
    platform.land("movielens/movies/movies.csv", csv_bytes("movieId,title,genres", movies))
    platform.load_and_build()
    assert platform.query("SELECT rule, count(*) FROM ops.rejected_row GROUP BY rule ORDER BY rule") == [
        ("genres_length", 1),
        ("tag_length", 1),
    ]
    assert platform.scalar("SELECT count(*) FROM movielens_dw.fact_tags") == 199
    longest = "".join(chr(0x4E00 + n) for n in range(500))
    platform.land("movielens/tags/long.csv", csv_bytes("userId,movieId,tag,timestamp", [(1, 2, longest, Y2005)]))
    platform.load_and_build()
    assert platform.scalar("SELECT count(*) FROM movielens_dw.fact_tags") == 200
