"""Checks are amber for what is unusual, red for what stops a publish, and green for a healthy platform."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from dagster import AssetCheckKey, AssetKey, ExecuteInProcessResult

from cinestream_platform.ledger import quality
from cinestream_platform.sources.movielens import tables
from cinestream_platform.warehouse.connection import connect
from tests.support.platform import MOVIES, Y2005, Platform, ratings_csv

EMPLOYEES = "EmployeeId,LastName,FirstName,Title,ReportsTo,BirthDate,HireDate,Address,City,State,Country,PostalCode,Phone,Fax,Email"


def evaluations(result: ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    """The evaluations of an asset's checks by name."""
    return {e.check_name: e for e in result.get_asset_check_evaluations() if e.asset_key == AssetKey(key)}


def records(evaluation: Any, name: str) -> list[dict[str, Any]]:
    """The rows of a table in the metadata of a check."""
    return [record.data for record in evaluation.metadata[name].records]


def land(platform: Platform, name: str, first_user: int, bad: list[object]) -> None:
    rows = [(first_user + n, 1, "4.0", Y2005 + n) for n in range(1_000 - len(bad))]
    platform.land(f"movielens/ratings/{name}.csv", ratings_csv([*rows, *((1, 1, rating, Y2005) for rating in bad)]))


@pytest.fixture
def lenient(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform whose feed of ratings takes files with 5 % bad records."""
    from cinestream_platform.declarations.feed import Feed

    monkeypatch.setattr(Feed, "refuses", lambda *_: False)
    return platform


def test_five_percent_bad_values_after_twenty_good_deliveries_are_a_warning_with_counts_and_samples(
    lenient: Platform,
) -> None:
    for number in range(20):
        land(lenient, f"day_{number:02d}", 1 + number * 1_000, ["9.5"] if number == 7 else [])
    [result] = lenient.load()
    # One of a thousand is the floor: nothing is amber, and it is seen all the same.
    found = evaluations(result, "movielens", "ratings")
    assert {name: e.passed for name, e in found.items() if not e.passed} == {}
    assert found["column_rating"].metadata["rejected_records"].value == 1

    land(lenient, "day_20", 90_001, ["9.5"] * 40 + ["bad"] * 10)
    [result] = lenient.load()
    found = evaluations(result, "movielens", "ratings")
    assert {name for name, e in found.items() if not e.passed} == {"column_rating"}
    rating = found["column_rating"]
    assert rating.severity.value == "WARN"
    assert (rating.metadata["rejected_records"].value, rating.metadata["records"].value) == (50, 1_000)
    assert (rating.metadata["share_there"].value, rating.metadata["usual_share"].value) == ("5.0000%", "0.0000%")
    assert rating.metadata["compared_with_deliveries"].value == 20
    counts = {row["rule"]: row["rejected"] for row in records(rating, "rules")}
    assert {rule: count for rule, count in counts.items() if count} == {
        "rating is written as numeric(2,1)": 10,
        "rating is from 0.5 to 5.0": 40,
    }
    first = records(rating, "samples")[0]
    assert (first["file"], first["line"], first["value"]) == ("movielens/ratings/day_20.csv", "952", "'9.5'")
    assert all(len(row["value"]) < 100 for row in records(rating, "samples"))

    land(lenient, "day_21", 95_001, [])
    [result] = lenient.load()
    assert all(e.passed for e in evaluations(result, "movielens", "ratings").values())  # not amber for ever


def test_samples_never_hold_personal_values(lenient: Platform) -> None:
    lines = [f"{n},Name,First,,,{'Zweigelt' if n > 50 else ''},,,,,,,,,zz{n}@example.org" for n in range(1, 61)]
    lenient.land("chinook/employee/employee.csv", "\n".join([EMPLOYEES, *lines, ""]).encode())
    [result] = lenient.load()
    found = evaluations(result, "chinook", "employee")
    bad = next(e for e in found.values() if e.metadata.get("rejected_records") and e.metadata["rejected_records"].value)
    assert bad.metadata["rejected_records"].value == 10
    assert {row["value"] for row in records(bad, "samples")} == {""}
    assert "Zweigelt" not in str([e.metadata for e in found.values()])


def test_a_rule_that_stops_a_publish_fails_its_check_in_dagster_and_publishes_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.land("movielens/movies/movies.csv", MOVIES)
    platform.land("movielens/ratings/a.csv", ratings_csv([(1, 1, "4.0", Y2005), (2, 2, "3.5", Y2005)]))
    platform.load()
    rating = tables.FACT_RATINGS.column("rating")
    rules = tuple(replace(rule, high=3.75) if hasattr(rule, "high") else rule for rule in rating.rules)
    monkeypatch.setitem(rating.__dict__, "rules", rules)  # a declaration is frozen
    from cinestream_platform.publishing import validation

    validation.pandera_schema.cache_clear()
    star = [AssetKey(["movielens", name]) for name in ("dim_movie", "dim_user", "fact_ratings")]
    try:
        with pytest.raises(validation.BrokenRulesError, match="rating_range: 1 row"):
            platform.run([AssetKey(["conformed", "dim_date"]), *star], ("2005", "2005"))
    finally:
        monkeypatch.undo()
        validation.pandera_schema.cache_clear()

    def last(name: str) -> Any:
        key = AssetCheckKey(AssetKey(["movielens", "fact_ratings"]), name)
        return platform.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key].evaluation

    broken = last("column_rating")
    assert (broken.passed, broken.severity.value) == (False, "ERROR")
    assert broken.metadata["failed_rows"].value == 1
    [sample] = records(broken, "samples")
    assert (sample["partition"], sample["rating"]) == ("2005", "4.0")
    assert last("no_duplicates").passed
    assert platform.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 0
    assert platform.scalar("SELECT count(*) FROM ops.publication WHERE table_name = 'fact_ratings'") == 0


def test_a_file_that_ends_within_a_record_is_cut_and_one_that_lacks_only_its_last_line_end_is_not(
    lenient: Platform,
) -> None:
    whole = ratings_csv([(user, 1, "4.0", Y2005) for user in range(1, 300)])
    lenient.land("movielens/ratings/a.csv", whole.rstrip())
    [result] = lenient.load()
    check = evaluations(result, "movielens", "ratings")["last_record_complete"]
    assert (check.passed, check.metadata["files_without_last_line_end"].value) == (True, 1)

    lenient.land("movielens/ratings/b.csv", ratings_csv([(user, 2, "4.0", Y2005) for user in range(1, 300)])[:-16])
    [result] = lenient.load()
    check = evaluations(result, "movielens", "ratings")["last_record_complete"]
    assert (check.passed, check.severity.value, records(check, "samples")) == (
        False,
        "WARN",
        [{"file": "movielens/ratings/b.csv"}],
    )


def test_files_of_before_the_counters_are_counted_by_the_upgrade(platform: Platform) -> None:
    bad = ["9.5"] * 5
    land(platform, "a", 1, bad)
    platform.load()
    counted = (
        "SELECT rejected_by_rule, jsonb_array_length(rejected_samples) FROM ops.landed_file WHERE status = 'loaded'"
    )
    assert platform.query(counted) == [({"rating_range": 5}, 3)]

    from importlib.resources import files

    text = (files("cinestream_platform.warehouse.migrations") / "0050_rejected_by_rule.sql").read_text(encoding="utf-8")
    platform.execute(
        "DROP SCHEMA platform CASCADE;"  # later views show these columns
        "DROP INDEX ops.landed_file_deliveries;"
        "ALTER TABLE ops.landed_file DROP COLUMN rejected_by_rule, DROP COLUMN rejected_samples"
    )
    with connect(platform.target) as conn, conn.transaction():
        conn.execute(text.encode())
    assert platform.query(counted) == [({"rating_range": 5}, 3)]
    with connect(platform.target) as conn:
        [delivered] = quality.last_deliveries(conn, "movielens", "ratings", 1)
    assert (delivered.rejected(["rating_range"]), delivered.records) == (5, 1_000)
    assert [sample["line"] for sample in delivered.rejected_samples] == [997, 998, 999]
