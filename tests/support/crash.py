"""Processes that die by SIGKILL at a named point of a load or a build, as a machine that loses its power does.

The child imports the platform once (a fork server), patches the function at the point to kill its own process, and
goes on as any load or build. Nothing of this is known to the package.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.support.crash_imports"])


def run_in_child(environment: dict[str, str], action: Callable[[], None]) -> int:
    """Run ``action`` (importable) in a process of its own with these variables; its exit code, negative = signal."""
    process = CONTEXT.Process(target=_child, args=(environment, action))
    process.start()
    process.join(300)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{action} did not end")
    return process.exitcode


def start_child(environment: dict[str, str], action: Callable[[], None]) -> Any:
    """Start ``action`` in a process of its own; the process."""
    process = CONTEXT.Process(target=_child, args=(environment, action))
    process.start()
    return process


def _child(environment: dict[str, str], action: Callable[[], None]) -> None:
    os.environ.update(environment)
    action()


def die() -> None:
    """What the kernel does to a process when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def count_exchanges(path: str, action: Callable[[], None]) -> None:
    """Run ``action`` and write down how often it waited for Postgres, which measures how far it came."""
    done = _at_each_exchange(lambda _: None)
    action()
    Path(path).write_text(str(done[0]))


def die_at_exchange(number: int, action: Callable[[], None]) -> None:
    """Run ``action`` and die when it waits for Postgres for the ``number``-th time; the same place on any machine."""
    _at_each_exchange(lambda done: die() if done == number else None)
    action()


def _at_each_exchange(look: Callable[[int], None]) -> list[int]:
    import psycopg

    real, done, lock = psycopg.Connection.wait, [0], threading.Lock()

    def wait(self: Any, *args: Any, **kwargs: Any) -> Any:
        with lock:
            done[0] += 1
            look(done[0])
        return real(self, *args, **kwargs)

    psycopg.Connection.wait = wait  # type: ignore[method-assign]
    return done


def load() -> None:
    """Enter and load what landed."""
    from tests.support.platform import Platform

    Platform().load()


def build() -> None:
    """Build what is stale."""
    from tests.support.platform import Platform

    Platform().build()


def _before(owner: Any, name: str, only: Callable[..., bool] = lambda *_: True) -> None:
    real = getattr(owner, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        if only(*args, **kwargs):
            die()
        return real(*args, **kwargs)

    setattr(owner, name, dying)


def _after(owner: Any, name: str, only: Callable[..., bool] = lambda *_: True) -> None:
    real = getattr(owner, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        if only(*args, **kwargs):
            die()
        return result

    setattr(owner, name, dying)


def _in_the_middle_of_copy(module: Any, schema: str, name: str) -> None:
    """Die when half of the rows have gone to Postgres."""
    import polars as pl
    from psycopg.sql import Identifier

    real = module.copy_frames

    def dying(
        conn: Any, relation: Identifier, columns: list[str], frames: Iterable[pl.DataFrame], **kwargs: Any
    ) -> Any:
        if relation != Identifier(schema, name):
            return real(conn, relation, columns, frames, **kwargs)
        whole = pl.concat(frames)
        assert whole.height > 1, "nothing to die in the middle of"

        def half() -> Iterator[pl.DataFrame]:
            yield whole.head(whole.height // 2)
            die()

        return real(conn, relation, columns, half(), **kwargs)

    module.copy_frames = dying


def die_in_raw_copy() -> None:
    """(a) In the middle of COPY into the raw table."""
    from cinestream_platform.warehouse import raw_files

    _in_the_middle_of_copy(raw_files, "raw_movielens", "ratings")
    load()


def die_after_lake_upload() -> None:
    """(b) The rows are in the lake, nothing is in Postgres."""
    from cinestream_platform.publishing.raw import FileTransaction

    _before(FileTransaction, "claim", lambda self, *_, **__: self._table.name == "ratings")
    load()


def die_before_raw_commit() -> None:
    """(b') Everything is written, nothing is committed."""
    from cinestream_platform.publishing.raw import FileTransaction

    _before(FileTransaction, "commit", lambda self, *_: self._table.name == "ratings")
    load()


def die_between_claim_and_commit(table: str) -> None:
    """Of any raw table: the file is claimed and its rows are written, nothing is committed."""
    from cinestream_platform.publishing.raw import FileTransaction

    _before(FileTransaction, "commit", lambda self, *_: self._table.name == table)
    load()


def die_after_raw_commit() -> None:
    """(c) Right after the commit of a file."""
    from cinestream_platform.publishing.raw import FileTransaction

    _after(FileTransaction, "commit", lambda self, *_: self._table.name == "ratings")
    load()


def die_in_compaction() -> None:
    """Small objects of the lake are written together, the ledger does not know it yet."""
    from cinestream_platform.ledger import lake_objects
    from cinestream_platform.loading import compaction

    compaction.MOST_OBJECTS = 3
    _before(lake_objects, "replace")
    load()


def die_in_partition_copy() -> None:
    """(d) In the middle of COPY into a partition that is being built."""
    from cinestream_platform.publishing import partitions as partition_publish

    _in_the_middle_of_copy(partition_publish, "movielens_dw_staging", "fact_ratings_2018")
    build()


def _is_2018(*args: Any) -> bool:
    keys = [args[2]] if isinstance(args[2], str) else [publication.partition_key for publication in args[2]]
    return args[1].name == "fact_ratings" and "2018" in keys


def die_before_swap() -> None:
    """(e) The partition is built beside the table, with all its constraints."""
    from cinestream_platform.publishing import partitions as partition_publish

    _before(partition_publish, "_swap_when_free", _is_2018)
    build()


def die_in_swap() -> None:
    """(e') Swapped in, but neither recorded nor committed."""
    from cinestream_platform.publishing import partitions as partition_publish

    _after(partition_publish, "_swap", _is_2018)
    build()


def die_after_swap() -> None:
    """(f) Right after the commit of a swap."""
    from cinestream_platform.publishing import partitions as partition_publish

    _after(partition_publish, "_swap_when_free", _is_2018)
    build()


def die_in_dim_upsert() -> None:
    """(g) Members are updated and inserted, nothing is committed."""
    from cinestream_platform.publishing import dimensions

    _after(dimensions, "_upsert", lambda _, table, *__: table.name == "dim_user")
    build()


def die_after_dim_is_staged() -> None:
    """(g') The members are in a staging table."""
    from cinestream_platform.publishing import dimensions

    _before(dimensions, "_upsert", lambda _, table, *__: table.name == "dim_movie")
    build()


def die_after_inferring() -> None:
    """(h) Members that only facts mention are committed, their facts are not built."""
    from cinestream_platform.publishing.keys import KeyResolver

    _after(KeyResolver, "_infer", lambda _, dimension, *__: dimension.name == "dim_movie")
    build()


def extract() -> None:
    """Extract the operational database."""
    from tests.support.shop import Shop

    Shop.of_settings().extract()


def die_after_source_copy() -> None:
    """All tables are copied to local files."""
    from cinestream_platform.loading.extraction import Extractor

    _after(Extractor, "_copy_all")
    extract()


def die_in_lake_write() -> None:
    """Some tables are in the lake, others are not."""
    from cinestream_platform.loading.raw_rows import Spool

    _before(Spool, "put", lambda self, *_: self._feed.dataset == "rental")
    extract()


def die_in_extraction_copy() -> None:
    """In the middle of the transaction that publishes all tables, in the COPY of one of them."""
    from cinestream_platform.warehouse import raw_files

    _in_the_middle_of_copy(raw_files, "raw_dvdrental", "film")
    extract()


def load_and_build() -> None:
    """All that is due, until nothing is stale."""
    from tests.support.platform import Platform

    Platform().load_and_build()
