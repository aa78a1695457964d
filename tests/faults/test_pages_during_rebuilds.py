"""A page that is asked for while dbt rebuilds a mart, or a partition is swapped: it answers, with old or new numbers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from dagster import AssetKey

from cinestream_platform.dashboards.warehouse import Warehouse
from tests.support.dashboards import served_pages
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, ratings_csv

FACT, MART = "movielens_dw.fact_ratings", "movielens_marts.mart_rating_distribution"
PAGES = (
    *("/", "/catalog", f"/catalog/{FACT}", f"/catalog/{MART}", f"/lineage/{MART}", "/files"),
    *("/api/today.json", f"/api/catalog/{FACT}.json", f"/api/catalog/{MART}.json"),
)
NUMBERS = {
    "ratings": f"SELECT sum(rating_count)::bigint AS number FROM {MART}",
    "users": "SELECT count(*) AS number FROM movielens_marts.mart_user_activity",
}


@pytest.fixture
def database_template(calendar_template: str) -> str:
    """Every test begins with a prepared database."""
    return calendar_template


@contextmanager
def asked(*questions: Callable[[], Any]) -> Iterator[list[list[Any]]]:
    """Every answer to each question, asked one after the other as long as this lasts, and before and after it."""
    answers: list[list[Any]] = [[question()] for question in questions]
    failed: list[BaseException] = []
    is_over = threading.Event()

    def ask() -> None:
        try:
            while not is_over.is_set():
                for place, question in enumerate(questions):
                    answers[place].append(question())
        except BaseException as error:
            failed.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        yield answers
    finally:
        is_over.set()
        asking.join(60)
    assert failed == []
    for place, question in enumerate(questions):
        answers[place].append(question())


def test_pages_answer_with_old_or_new_numbers_while_marts_are_rebuilt_and_partitions_swapped(
    marts_platform: Platform,
) -> None:
    platform = marts_platform
    platform.declare()
    platform.run([AssetKey(["conformed", "dim_date"])])
    platform.land("movielens/movies/movies.csv", MOVIES)
    platform.land("movielens/ratings/a.csv", ratings_csv([(1, 1, 4.5, Y2005), (2, 1, 3.0, Y2018)]))
    platform.load_and_build(marts=True)
    platform.land("movielens/ratings/b.csv", ratings_csv([(n, 1, 4.0, Y2018) for n in range(3, 503)]))
    platform.load()
    warehouse = Warehouse(platform.settings)
    warehouse.open()
    try:
        with served_pages(platform.settings) as pages:

            def statuses() -> set[int]:
                return {pages.get(path).status_code for path in PAGES}

            def fact_rows() -> int:
                return int(shown(pages, f"/api/catalog/{FACT}.json")["table"]["rows"])

            def mart_numbers() -> tuple[int, ...]:
                found = warehouse.read(NUMBERS, {})
                return tuple(found[name][0]["number"] for name in NUMBERS)

            with asked(statuses, fact_rows, mart_numbers) as answers:
                swapped = platform.build()
            assert any("movielens/fact_ratings" in assets for _, *assets in swapped)
            assert set().union(*answers[0]) == {200}
            assert (answers[1][0], set(answers[1]) - {502}) == (2, {2})
            until(lambda: fact_rows() == 502)  # the pages look for news every second
            assert set(answers[2]) == {(2, 2)}, "a swap changes no mart"

            with asked(statuses, fact_rows, mart_numbers) as answers:
                platform.load_and_build(marts=True)
            assert set().union(*answers[0]) == {200}
            assert set(answers[1]) == {502}
            # Each mart is rebuilt by its own transaction: one may be old while the other one is new.
            assert {ratings for ratings, _ in answers[2]} <= {2, 502}
            assert {users for _, users in answers[2]} <= {2, 502}
            assert (answers[2][0], answers[2][-1]) == ((2, 2), (502, 502))
            assert len(answers[2]) > 3, "nobody asked meanwhile"
    finally:
        warehouse.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def shown(pages: httpx.Client, path: str) -> Any:
    answer = pages.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()
