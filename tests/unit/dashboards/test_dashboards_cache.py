"""Pages are made once for all who ask at once, kept within a number of bytes, and errors are not kept."""

from __future__ import annotations

import asyncio

import pytest

from cinestream_platform.dashboards.cache import Cache, Made


def made(text: str) -> Made:
    return Made(text.encode(), "text/plain")


def test_equal_misses_are_made_once() -> None:
    async def ask() -> list[bool]:
        cache, calls = Cache(), []

        async def make() -> Made:
            calls.append(1)
            await asyncio.sleep(0)
            return made("page")

        answers = await asyncio.gather(*(cache.get("key", make) for _ in range(50)))
        assert len(calls) == 1
        assert {answer.body for answer, _ in answers} == {b"page"}
        return [kept for _, kept in [await cache.get("key", make), await cache.get("other", make)]]

    assert asyncio.run(ask()) == [True, False]


def test_a_visitor_who_leaves_does_not_end_it_for_the_others() -> None:
    async def ask() -> bytes:
        cache, go = Cache(), asyncio.Event()

        async def make() -> Made:
            await go.wait()
            return made("page")

        first = asyncio.ensure_future(cache.get("key", make))
        second = asyncio.ensure_future(cache.get("key", make))
        await asyncio.sleep(0)
        first.cancel()
        go.set()
        return (await second)[0].body

    assert asyncio.run(ask()) == b"page"


def test_an_error_reaches_all_who_waited_and_is_not_kept() -> None:
    async def ask() -> bytes:
        cache = Cache()

        async def fail() -> Made:
            raise LookupError

        async def make() -> Made:
            return made("page")

        answers = await asyncio.gather(*(cache.get("key", fail) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [LookupError] * 3
        return (await cache.get("key", make))[0].body

    assert asyncio.run(ask()) == b"page"


def test_the_pages_that_were_used_last_are_kept_within_the_limit() -> None:
    async def ask() -> list[bool]:
        cache = Cache(most_bytes=250)

        async def make() -> Made:
            return made("x" * 100)

        for key in ("a", "b", "a", "c"):
            await cache.get(key, make)
        assert cache.bytes <= 250
        return [(await cache.get(key, make))[1] for key in ("a", "c", "b")]

    assert asyncio.run(ask()) == [True, True, False]


@pytest.mark.parametrize(("text", "is_packed"), [("short", False), ("long " * 1_000, True)])
def test_long_answers_are_packed_and_equal_ones_have_one_tag(text: str, is_packed: bool) -> None:
    assert (made(text).packed is not None) == is_packed
    assert made(text).tag == made(text).tag != made(text + "!").tag
