"""Values from files never reach SQL as text: names and contents that would do harm load and show up as data."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cinestream_platform.commands.files import reload_key, retract_key
from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.movielens.tables import FACT_RATINGS
from tests.conftest import REGION
from tests.support.platform import Y2005, Platform, ratings_csv
from tests.support.publishing import publish_partition

HOSTILE = (
    "it's",
    'a "quoted" name',
    "x'; DROP TABLE raw_movielens.ratings; --",
    "%s %(key)s %% %",
    "{} {0} {key}",
    "$1 $$ $tag$",
    "back\\slash",
    "-- comment /* open",
    "star * ? [a-z]",
    "a#b&c=d+e",
    "ünï\u2028code 漢字 🎬",
)


def put(platform: Platform, key: str, content: bytes) -> None:
    """Land a file as a stranger would: by the file system or by boto3, not through our own store."""
    if platform.landing.is_folder:
        path = platform.landing.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return
    import boto3

    settings = platform.settings
    assert settings.s3_access_key_id is not None
    assert settings.s3_secret_access_key is not None
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=REGION,
        aws_access_key_id=settings.s3_access_key_id.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_access_key.get_secret_value(),
    )
    bucket, _, prefix = platform.landing.url.removeprefix("s3://").partition("/")
    client.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=content)


def csv_of(header: list[str], rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


def test_files_with_hostile_names_are_loaded_reloaded_and_retracted_by_these_names(any_platform: Platform) -> None:
    platform = any_platform
    keys = [f"movielens/ratings/{name}.csv" for name in HOSTILE]
    for number, key in enumerate(keys, start=1):
        put(platform, key, ratings_csv([(number, number, 3.0, Y2005)]))
    platform.load_and_build()

    landed = platform.query("SELECT key, status, rows_loaded, reason FROM ops.landed_file ORDER BY file_id")
    assert sorted(landed) == sorted((key, "loaded", 1, None) for key in keys)
    assert platform.scalar("SELECT count(*) FROM raw_movielens.ratings") == len(keys)
    assert platform.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == len(keys)
    lineage = platform.query("SELECT key FROM ops.v_lineage WHERE table_name = 'fact_ratings'")
    assert sorted(key for (key,) in lineage) == sorted(keys)

    for key in keys:
        assert reload_key(get_settings(), key)[0].startswith(f"{key} waits")
    platform.load()
    assert platform.scalar("SELECT count(*) FROM raw_movielens.ratings") == len(keys)
    for key in keys:
        assert retract_key(get_settings(), key)[0].startswith(f"{key} is retracted")
    assert platform.scalar("SELECT count(*) FROM raw_movielens.ratings") == 0
    platform.load_and_build()
    assert platform.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 0


@pytest.mark.parametrize("store_kind", ["s3"], indirect=True)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        # moto has no keys with line breaks; a folder has, see below
        ("ta\tb.csv", "control character"),
        ("a//b.csv", "empty segment"),
        ("../up.csv", "'..'"),
    ],
)
def test_names_outside_the_grammar_are_parked_with_the_reason(any_platform: Platform, name: str, reason: str) -> None:
    put(any_platform, f"movielens/ratings/{name}", ratings_csv([(1, 1, 3.0, Y2005)]))
    put(any_platform, "movielens/ratings/good.csv", ratings_csv([(2, 1, 3.0, Y2005)]))
    any_platform.load()
    not_loaded = "SELECT key, status, reason FROM ops.landed_file WHERE status <> 'loaded'"
    [(key, status, why)] = any_platform.query(not_loaded)
    assert (key, status) == (f"movielens/ratings/{name}", "parked")
    assert reason in why
    assert any_platform.scalar("SELECT count(*) FROM raw_movielens.ratings") == 1


@pytest.mark.parametrize("store_kind", ["folder"], indirect=True)
def test_a_control_character_in_a_local_file_name_does_not_stop_the_others(any_platform: Platform) -> None:
    put(any_platform, "movielens/ratings/new\nline.csv", ratings_csv([(1, 1, 3.0, Y2005)]))
    put(any_platform, "movielens/ratings/good.csv", ratings_csv([(2, 1, 3.0, Y2005)]))
    any_platform.load()
    assert any_platform.status("movielens/ratings/good.csv") == ["loaded"]
    assert any_platform.query("SELECT status FROM ops.landed_file WHERE key LIKE %s", ("%line.csv",)) == [("parked",)]


def test_hostile_texts_in_records_are_data(platform: Platform) -> None:
    titles = [*HOSTILE, "\\.", "NULL", "\\N", "line\nbreak", 'ends with "']
    movies = [[number, title, "Comedy"] for number, title in enumerate(titles, start=1)]
    put(platform, "movielens/movies/movies.csv", csv_of(["movieId", "title", "genres"], movies))
    tags = [[1, number, title, Y2005] for number, title in enumerate(titles, start=1)]
    put(platform, "movielens/tags/tags.csv", csv_of(["userId", "movieId", "tag", "timestamp"], tags))
    platform.load_and_build()

    wanted = sorted(titles)
    assert sorted(t for (t,) in platform.query("SELECT title FROM raw_movielens.movies")) == wanted
    assert sorted(t for (t,) in platform.query("SELECT tag FROM raw_movielens.tags")) == wanted
    stars = platform.query("SELECT tag FROM movielens_dw.fact_tags JOIN movielens_dw.dim_tag USING (tag_key)")
    assert sorted(t for (t,) in stars) == wanted
    assert platform.scalar("SELECT count(*) FROM movielens_dw.dim_movie") == len(titles)


def test_a_rejected_record_keeps_hostile_text_as_it_was(platform: Platform) -> None:
    good = [[number, 1, 3.0, Y2005] for number in range(1, 400)]
    bad = "x'); DELETE FROM ops.landed_file; --"
    content = csv_of(["userId", "movieId", "rating", "timestamp"], [*good, [bad, 1, 3.0, Y2005]])
    put(platform, "movielens/ratings/r.csv", content)
    platform.load()
    [(rule, raw)] = platform.query("SELECT rule, raw FROM ops.rejected_row")
    assert rule == "user_id_type"
    assert bad in raw
    assert platform.status("movielens/ratings/r.csv") == ["loaded"]


@pytest.mark.parametrize("key", ["2005; DROP TABLE movielens_dw.dim_movie", "2005'", "{}", "%s", "whole"])
def test_a_partition_key_that_is_no_year_is_refused(platform: Platform, key: str) -> None:
    frame = pl.DataFrame(schema=polars_schema(FACT_RATINGS))
    with pytest.raises(ValueError, match="invalid literal"):
        publish_partition(platform.target, FACT_RATINGS, key, frame, run_id="x", file_ids=(1,))
    assert platform.scalar("SELECT count(*) FROM movielens_dw.dim_movie") == 0


def test_a_folder_whose_path_is_hostile_works_as_landing_zone(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cinestream_platform.settings import get_settings

    for name in ("LANDING", "LAKE"):
        monkeypatch.setenv(f"CINESTREAM_{name}_URL", (tmp_path / "a 'b' %s {} #c" / name).as_uri())
    get_settings.cache_clear()
    platform = Platform()
    put(platform, "movielens/ratings/r.csv", ratings_csv([(1, 1, 3.0, Y2005)]))
    platform.load_and_build()
    assert platform.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 1
