"""What landed, and which loads are asked for."""

from datetime import UTC, datetime

import pytest
from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    Field,
    GraphDefinition,
    JobDefinition,
    Noneable,
    OpDefinition,
    op,
)
from hypothesis import given
from hypothesis import strategies as st

from cinestream_platform.automation.landing import (
    FILES_TAG,
    UNFINISHED,
    LoadRequest,
    count_earlier_runs,
    load_requests,
    sight,
    unfinished_loads,
)
from cinestream_platform.declarations.bundle import object_key
from cinestream_platform.lake.store import StoredObject
from cinestream_platform.ledger.landed_files import DueFile
from cinestream_platform.orchestration.run_tags import FILE_TAG, WHY_TAG


def listed(key: str) -> StoredObject:
    return StoredObject(key, "etag", 1, datetime(2020, 1, 1, tzinfo=UTC))


def due(*file_ids: int, attempts: int = 0, dataset: str = "ratings", source: str = "movielens") -> list[DueFile]:
    return [DueFile(source, dataset, file_id, attempts) for file_id in file_ids]


# ---- seeing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["movielens/ratings/a.csv", "movielens/ratings/2019/11/a.csv", "movielens/ratings/any name"]
)
def test_a_key_below_a_feeds_folder_is_that_feeds_file(key):
    [seen] = sight(listed(key))
    assert (seen.source, seen.dataset, seen.problem) == ("movielens", "ratings", None)
    assert seen.listed.key == key


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (
            "movielens/genome_tags/a.csv",
            "no feed takes files below movielens/genome_tags/; feeds are movielens/movies/,",
        ),
        ("netflix/tags/a.csv", "no feed takes files below netflix/tags/"),
        ("movielens/ratings.csv", "a key has the form <source>/<dataset>/<file>"),
        ("ratings.csv", "a key has the form"),
        ("movielens/ratings/../a.csv", "an empty segment, '.' or '..'"),
        ("movielens/ratings/a\n.csv", "control character"),
        ("chinook/release/Chinook_PostgreSql.sql", "Chinook_PostgreSql.sql is an SQL script: a program"),
        ("chinook/invoice/load.SQL", "It is not run. Land the data instead"),
        ("chinook/release/shop.zip", "chinook/release/ takes files with all tables in them, ending in .sqlite"),
    ],
)
def test_any_other_key_is_seen_with_the_reason_why_it_cannot_be_loaded(key, problem):
    [seen] = sight(listed(key))
    assert problem in (seen.problem or "")


def test_every_table_in_a_file_with_several_is_seen_by_itself():
    seen = list(sight(listed("chinook/release/2025/shop.sqlite")))
    assert [(s.source, s.dataset, s.problem) for s in seen][:2] == [
        ("chinook", "artist", None),
        ("chinook", "album", None),
    ]
    assert len(seen) == 11
    assert seen[-1].listed.key == "chinook/release/2025/shop.sqlite#invoice_line"
    assert object_key(seen[-1].listed.key) == "chinook/release/2025/shop.sqlite"


# ---- asking ----------------------------------------------------------------------------------------------------------


def test_files_are_asked_for_by_source_in_their_order_and_in_batches():
    files = [*due(3, 1), *due(7, source="netflix"), *due(2, 5)]
    requests = load_requests(files, set(), per_run=3)
    assert [(r.source, [f.file_id for f in r.files]) for r in requests] == [("movielens", [3, 1, 2]), ("netflix", [7])]


def test_files_that_an_unfinished_run_has_are_left_out():
    requests = load_requests(due(1, 2, 3), {1, 3, 99}, per_run=10)
    assert [[file.file_id for file in request.files] for request in requests] == [[2]]
    assert load_requests(due(1, 2), {1, 2}, per_run=10) == []


@given(
    st.lists(st.integers(1, 30), unique=True, max_size=20),
    st.sets(st.integers(1, 30)),
    st.integers(1, 5),
)
def test_tick_by_tick_every_file_is_asked_for_once(file_ids, in_flight, per_run):
    asked: list[int] = []
    while requests := load_requests(due(*file_ids), in_flight | set(asked), per_run):
        [request] = requests
        assert 1 <= len(request.files) <= per_run
        asked += [file.file_id for file in request.files]
    assert asked == [file_id for file_id in file_ids if file_id not in in_flight]


@pytest.mark.parametrize(("bytes_per_run", "asked"), [(None, 4), (10, 3), (9, 2), (3, 1), (0, 1)])
def test_a_run_is_asked_for_no_more_bytes_than_it_may_take_but_for_one_file(bytes_per_run, asked):
    files = [DueFile("movielens", "ratings", number, 0, size) for number, size in enumerate((4, 4, 2, 5))]
    [request] = load_requests(files, set(), 10, bytes_per_run)
    assert list(request.files) == files[:asked]


def test_a_run_is_for_exactly_its_files_by_table():
    files = [*due(1, 2), *due(5, dataset="genome-tags")]
    run = LoadRequest("movielens", files).run_request()
    assert run.job_name == "movielens_load"
    assert run.run_config == {
        "ops": {
            "movielens__ratings": {"config": {"file_ids": [1, 2]}},
            "movielens__genome_tags": {"config": {"file_ids": [5]}},
        }
    }
    assert [key.path for key in run.asset_selection or ()] == [["movielens", "ratings"], ["movielens", "genome_tags"]]
    assert list(run.tags) == [FILES_TAG, FILE_TAG, WHY_TAG]
    assert run.tags[WHY_TAG] == "3 files landed"


def run_key(*files: DueFile, earlier_runs: int = 0) -> str:
    return LoadRequest("movielens", files, earlier_runs).run_key


def test_two_sensors_ask_with_the_same_run_key_and_any_retry_with_another():
    first, second = due(1, 2)
    assert run_key(first, second) == run_key(first, second)
    keys = [
        run_key(first, second),
        run_key(first),
        run_key(second),
        run_key(*due(1, 2, attempts=1)),
        run_key(*due(1), *due(2, attempts=1)),
        run_key(*due(12)),
        run_key(first, second, earlier_runs=1),
    ]
    assert len(set(keys)) == len(keys)


def loading(table: str) -> OpDefinition:
    """The step of a raw asset, without the asset."""

    @op(name=f"movielens__{table}", config_schema={"file_ids": Field(Noneable([int]), is_required=False)})
    def load() -> None: ...

    return load


def job_of(name: str) -> JobDefinition:
    return GraphDefinition(name=name, node_defs=[loading("ratings"), loading("tags")]).to_job()


load_job, build_job = job_of("movielens_load"), job_of("movielens_build")


def make_run(instance: DagsterInstance, request: LoadRequest, status: DagsterRunStatus, job_def=load_job) -> None:
    run = request.run_request()
    tags = {**run.tags, "dagster/run_key": str(run.run_key)}  # as the daemon does
    instance.create_run_for_job(job_def, run_config=run.run_config, tags=tags, status=status)


def test_a_run_that_was_killed_is_asked_for_again_although_no_attempt_was_counted():
    """Dagster never starts a second run with the key of an older one, whatever became of that."""
    request = LoadRequest("movielens", due(1, 2))
    with DagsterInstance.ephemeral() as instance:
        first = count_earlier_runs(instance, request)
        assert count_earlier_runs(instance, request).run_key == first.run_key
        make_run(instance, first, DagsterRunStatus.FAILURE)
        second = count_earlier_runs(instance, request)
        assert second.run_key != first.run_key
        make_run(instance, second, DagsterRunStatus.SUCCESS)
        third = count_earlier_runs(instance, request)
        assert len({first.run_key, second.run_key, third.run_key}) == 3
        oldest = min(instance.get_run_records(), key=lambda record: record.storage_id).dagster_run
        instance.delete_run(oldest.run_id)  # as the nightly housekeeping does with old ones
        assert count_earlier_runs(instance, request).run_key == third.run_key
        other = LoadRequest("movielens", due(3))
        assert count_earlier_runs(instance, other) == other


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, {"movielens": [{1, 2, 3}]}) for status in UNFINISHED if status is not DagsterRunStatus.QUEUED),
        (DagsterRunStatus.SUCCESS, {}),
        (DagsterRunStatus.FAILURE, {}),
        (DagsterRunStatus.CANCELED, {}),
    ],
)
def test_files_are_in_flight_while_their_load_is_unfinished(status, expected):
    with DagsterInstance.ephemeral() as instance:
        make_run(instance, LoadRequest("movielens", [*due(1, 2), *due(3, dataset="tags")]), status)
        make_run(instance, LoadRequest("movielens", due(9)), status, build_job)
        assert unfinished_loads(instance) == expected


def test_a_queued_run_is_unfinished():
    """It cannot be made in memory: Dagster wants its code location."""
    assert DagsterRunStatus.QUEUED in UNFINISHED


def test_a_run_without_files_of_its_own_has_none_in_flight():
    """Somebody materializes a raw asset by hand: it loads what waits, and claims each file in Postgres."""
    with DagsterInstance.ephemeral() as instance:
        instance.create_run_for_job(load_job, status=DagsterRunStatus.STARTED)
        config = {"ops": {"movielens__ratings": {"config": {"file_ids": None}}}}
        instance.create_run_for_job(load_job, run_config=config, status=DagsterRunStatus.STARTED)
        assert unfinished_loads(instance) == {"movielens": [set(), set()]}
