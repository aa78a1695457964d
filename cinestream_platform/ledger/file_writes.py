"""The one writer of ``ops.landed_file``: each function is a transition of ``file_states``, or writes beside the state.

A transition happens only in the states in which it may: the statement itself says so, and leaves every other row alone.
Where a file may rightly have been settled meanwhile (a run that was slower, an operator), the function tells whom it
moved; everywhere else ``IllegalTransitionError`` is raised, and nothing is changed. What does not belong here: when a
transition is due (``landed_files``, ``sightings``, ``extractions``, ``corrections``), and rows of raw tables.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection

from cinestream_platform.ledger import file_states
from cinestream_platform.ledger.file_results import FileResult, Overlap
from cinestream_platform.ledger.file_states import FileState, IllegalTransitionError, Transition
from cinestream_platform.messages import bounded
from cinestream_platform.warehouse.groups import to_multirange

_TURN = "duplicate_of = NULL, superseded_by = NULL, reason = NULL, attempts = 0, next_attempt_at = 'epoch'"
"""What a file that gets its turn (again) no longer has."""


def _moving(transition: Transition, changes: str, which: str) -> str:
    """The UPDATE of a transition of the files ``which``; ``changes`` are what it writes beside the state."""
    return (
        f"UPDATE ops.landed_file AS f SET status = '{transition.to}', {changes}"  # noqa: S608 - this module's own words
        f" WHERE f.status IN ({transition.sql_states}) AND {which} RETURNING f.file_id"
    )


def _move(
    conn: Connection[Any], transition: Transition, changes: str, which: str, parameters: Mapping[str, Any]
) -> set[int]:
    """Carry a transition out for those of the files ``which`` that may undergo it; who they are."""
    rows = conn.execute(_moving(transition, changes, which).encode(), parameters)
    return {file_id for (file_id,) in rows}


def _move_one(conn: Connection[Any], transition: Transition, changes: str, file_id: int, **parameters: Any) -> bool:
    """Carry a transition out for a file, unless it has been settled meanwhile; whether it happened."""
    return bool(_move(conn, transition, changes, "f.file_id = %(file_id)s", {"file_id": file_id, **parameters}))


def _move_all(
    conn: Connection[Any], transition: Transition, changes: str, file_ids: Collection[int], **parameters: Any
) -> None:
    """Carry a transition out for all of these files, or for none.

    Raises:
        IllegalTransitionError: One of them may not undergo it.
    """
    with conn.transaction():
        moved = _move(
            conn, transition, changes, "f.file_id = ANY (%(file_ids)s)", {"file_ids": list(file_ids), **parameters}
        )
        _require(conn, transition, set(file_ids) - moved)


def _require(conn: Connection[Any], transition: Transition, left: set[int]) -> None:
    if not left:
        return
    rows = conn.execute("SELECT file_id, status FROM ops.landed_file WHERE file_id = ANY (%s)", (list(left),))
    states = dict(rows.fetchall())
    named = ", ".join(f"file {file_id} is {states.get(file_id, 'unknown')}" for file_id in sorted(left)[:5])
    may = ", ".join(state for state in FileState if state in transition.of)
    raise IllegalTransitionError(bounded(f"{named}: only a file that is {may} can {transition.name}"))


# ---- new versions ----------------------------------------------------------------------------------------------------


def enter_listed(conn: Connection[Any], bucket: str) -> list[tuple[str, str, int, int, str, str]]:
    """Enter the versions of the temporary table ``news`` as the newest of their keys, in the place of those before.

    Who is never loaded now that a newer version is there is superseded. Of a loaded one the rows stay until its
    successor is loaded.

    Returns:
        By feed: source, dataset, files, bytes, first and last key.
    """
    gives_way = file_states.OVERWRITE
    conn.execute(
        f"""
        UPDATE ops.landed_file f SET is_newest = false,
            status = CASE WHEN status IN ({gives_way.sql_states}) THEN '{gives_way.to}' ELSE status END
        FROM news n WHERE f.bucket = %s AND f.key = n.key AND f.is_newest
        """.encode(),  # noqa: S608 - the states' own names
        (bucket,),
    )
    release_snapshots(conn)
    return conn.execute(
        f"""
        WITH entered AS (
            INSERT INTO ops.landed_file
                (source, dataset, bucket, key, etag, size_bytes, last_modified, status, reason)
            SELECT source, dataset, %s, key, etag, size_bytes, last_modified,
                   CASE WHEN problem IS NULL THEN '{file_states.SEE.to}' ELSE '{file_states.REFUSE.to}' END, problem
            FROM news ORDER BY last_modified, key
            RETURNING source, dataset, size_bytes, key COLLATE "C" AS key
        )
        SELECT source, dataset, count(*) AS files, sum(size_bytes)::bigint AS size_bytes,
            min(key) AS first_key, max(key) AS last_key
        FROM entered GROUP BY source, dataset ORDER BY source, dataset
        """.encode(),  # noqa: S608 - the states' own names
        (bucket,),
    ).fetchall()


def enter_extracted(
    conn: Connection[Any],
    *,
    source: str,
    dataset: str,
    bucket: str,
    key: str,
    sha256: str,
    size: int,
    moment: datetime,
    lake_path: str,
) -> int:
    """Enter a table that is being extracted; never due, for only its own extraction can bring it. Its number."""
    row = conn.execute(
        f"""
        INSERT INTO ops.landed_file (source, dataset, bucket, key, etag, size_bytes, last_modified, status, reason,
            attempts, next_attempt_at, lake_attempts)
        VALUES (%s, %s, %s, %s, %s, %s, %s, '{file_states.EXTRACT.to}', 'is being extracted', 1, 'infinity', ARRAY[%s])
        RETURNING file_id
        """.encode(),  # noqa: S608 - the states' own names
        (source, dataset, bucket, key, sha256, size, moment, lake_path),
    ).fetchone()
    if row is None:
        raise RuntimeError(f"{key} was not entered")
    return int(row[0])


def read_again(conn: Connection[Any], file_id: int) -> None:
    """Enter a loaded version once more, as the newest of its key: its rows stay until the new one is loaded.

    Raises:
        IllegalTransitionError: It is not loaded (``reload`` is for those).
    """
    with conn.transaction():
        loaded = "UPDATE ops.landed_file SET is_newest = false WHERE file_id = %s AND status = %s"
        if not conn.execute(loaded, (file_id, FileState.LOADED)).rowcount:
            raise IllegalTransitionError(f"file {file_id} is not loaded, so that it cannot be read again beside itself")
        conn.execute(
            f"""
            INSERT INTO ops.landed_file
                (source, dataset, bucket, key, etag, size_bytes, last_modified, status, is_reload)
            SELECT source, dataset, bucket, key, etag, size_bytes, last_modified, '{file_states.READ_AGAIN.to}', true
            FROM ops.landed_file WHERE file_id = %s
            """.encode(),  # noqa: S608 - the states' own names
            (file_id,),
        )


# ---- versions that wait ----------------------------------------------------------------------------------------------


def begin_attempts(
    conn: Connection[Any], file_ids: Collection[int], lake_path: str, *, backoff_seconds: float
) -> set[int]:
    """Count an attempt at each file before it is made, since a process that is killed cannot count it afterwards.

    ``lake_path`` is where the attempt will write: what it leaves there if it dies is known to be ours.

    Returns:
        The files that still wait; of others no attempt is to be made.
    """
    changes = (
        "attempts = attempts + 1, lake_attempts = array_append(lake_attempts, %(path)s),"
        " cancelled_at = NULL, reason = CASE WHEN cancelled_at IS NULL THEN reason END,"
        " next_attempt_at = clock_timestamp() + make_interval(secs => %(backoff)s * power(2, attempts))"
    )
    parameters = {"file_ids": list(file_ids), "path": lake_path, "backoff": backoff_seconds}
    return _move(conn, file_states.ATTEMPT, changes, "f.file_id = ANY (%(file_ids)s)", parameters)


def take_attempts_back(conn: Connection[Any], file_ids: Collection[int]) -> None:
    """Do not count the attempt: nothing was wrong with these files, it is only not their turn."""
    changes, which = "attempts = attempts - 1, next_attempt_at = 'epoch'", "f.file_id = ANY (%(file_ids)s)"
    _move(conn, file_states.TAKE_BACK, changes, which, {"file_ids": list(file_ids)})


def fail(conn: Connection[Any], file_id: int, reason: str, *, attempts: int) -> bool:
    """Say why the attempt failed: the file waits longer each time and is parked after ``attempts`` of them.

    Returns:
        False if the file has been settled meanwhile.
    """
    with conn.transaction():
        again, last = file_states.RETRY, file_states.PARK
        which = "f.file_id = %(file_id)s AND f.attempts {} %(attempts)s"
        parameters = {"file_id": file_id, "reason": bounded(reason), "attempts": attempts}
        moved = _move(conn, again, "reason = %(reason)s", which.format("<"), parameters)
        return bool(moved or _move(conn, last, "reason = %(reason)s", which.format(">="), parameters))


def hold(conn: Connection[Any], file_ids: Collection[int], ended: datetime, reason: str) -> int:
    """Let files wait whose load was cancelled, unless somebody asked for them since it ended; how many.

    What was attempted by the cancelled run does not count against the file.
    """
    changes = "cancelled_at = %(ended)s, reason = %(reason)s, attempts = 0, next_attempt_at = clock_timestamp()"
    which = (
        "f.file_id = ANY (%(file_ids)s) AND f.cancelled_at IS NULL AND (f.asked_at IS NULL OR f.asked_at < %(ended)s)"
    )
    parameters = {"file_ids": list(file_ids), "ended": ended, "reason": reason}
    return len(_move(conn, file_states.HOLD, changes, which, parameters))


def load(
    conn: Connection[Any], results: Mapping[int, FileResult], overlaps: Mapping[int, Overlap], run_id: str
) -> None:
    """Enter what files have brought; call it in the transaction that brings their rows.

    Raises:
        IllegalTransitionError: One of them does not wait.
    """
    changes = """
        reason = NULL, sha256 = %s,
        rows_read = %s, rows_loaded = %s, rows_rejected = %s, rows_repeated = %s, rows_conflicting = %s,
        ends_without_line_end = %s, partition_rows = %s::jsonb, partitions = %s,
        groups = %s, contested_groups = %s, warnings = %s::jsonb,
        rejected_by_rule = %s::jsonb, rejected_samples = %s::jsonb,
        lake_path = %s, lake_attempts = array_remove(lake_attempts, %s),
        run_id = %s, loaded_at = clock_timestamp()
    """
    cursor = conn.cursor()
    cursor.executemany(
        _moving(file_states.LOAD, changes, "f.file_id = %s").encode(),
        [(*_values(result, overlaps.get(file_id, Overlap())), run_id, file_id) for file_id, result in results.items()],
    )
    if cursor.rowcount != len(results):
        raise IllegalTransitionError(f"of {len(results):,} files to load only {cursor.rowcount:,} were waiting")


def _values(result: FileResult, overlap: Overlap) -> tuple[Any, ...]:
    return (
        result.sha256,
        result.rows_loaded + result.rows_rejected,
        result.rows_loaded,
        result.rows_rejected,
        overlap.repeated,
        overlap.conflicting,
        result.ends_without_line_end,
        json.dumps(dict(result.partition_rows)),
        sorted(result.partition_rows),
        to_multirange(result.groups),
        to_multirange(overlap.groups),
        json.dumps(dict(result.warnings)),
        json.dumps(dict(result.rejected_by_rule)),
        json.dumps(list(result.rejected_samples)),
        result.lake_path,
        result.lake_path,
    )


def repeat(conn: Connection[Any], file_id: int, sha256: str, twin: int) -> bool:
    """The same content is loaded as ``twin``; whether the file still waited."""
    changes = (
        "sha256 = %(sha256)s, duplicate_of = %(twin)s,"
        " reason = format('the same content is loaded as file %%s', %(twin)s::bigint)"
    )
    return _move_one(conn, file_states.REPEAT, changes, file_id, sha256=sha256, twin=twin)


def overtake(conn: Connection[Any], file_id: int, sha256: str, by: int) -> bool:
    """A snapshot that landed later is loaded; whether the file still waited."""
    changes = "superseded_by = %(by)s, sha256 = %(sha256)s, reason = 'a snapshot that landed later is loaded'"
    return _move_one(conn, file_states.OVERTAKE, changes, file_id, sha256=sha256, by=by)


def park(
    conn: Connection[Any], file_id: int, reason: str, *, sha256: str | None, counts: tuple[int, int] | None
) -> bool:
    """Refuse a version; ``counts`` are records read and rejected. Whether the file still waited."""
    read, rejected = counts or (None, None)
    changes = (
        "reason = %(reason)s, sha256 = %(sha256)s, rows_read = %(read)s, rows_loaded = 0, rows_rejected = %(rejected)s"
    )
    parameters = {"reason": bounded(reason), "sha256": sha256, "read": read, "rejected": rejected}
    return _move_one(conn, file_states.PARK, changes, file_id, **parameters)


def vanish(conn: Connection[Any], file_id: int) -> bool:
    """The object is gone before it was read; whether the file still waited."""
    changes = "reason = 'deleted before it was read', is_newest = false"
    return _move_one(conn, file_states.VANISH, changes, file_id)


def abandon(conn: Connection[Any], source: str, datasets: Sequence[str], bucket: str) -> None:
    """The extraction that entered these did not finish."""
    changes = "is_newest = false, reason = 'the extraction did not finish', next_attempt_at = clock_timestamp()"
    which = "f.source = %(source)s AND f.dataset = ANY (%(datasets)s) AND f.bucket = %(bucket)s"
    _move(conn, file_states.VANISH, changes, which, {"source": source, "datasets": list(datasets), "bucket": bucket})


def forget(conn: Connection[Any], file_id: int) -> None:
    """Take a version back that was entered and never loaded."""
    states = file_states.FORGET.sql_states
    statement = f"DELETE FROM ops.landed_file WHERE file_id = %s AND status IN ({states})"  # noqa: S608 - own words
    conn.execute(statement.encode(), (file_id,))


# ---- giving way, and coming back -------------------------------------------------------------------------------------


def replace(conn: Connection[Any], replaced: Mapping[int, int]) -> None:
    """Replace loaded files by others (old to new). Their duplicates wait to be loaded.

    Raises:
        IllegalTransitionError: One of them is no longer loaded.
    """
    changes = "superseded_by = (%(new)s::bigint[])[array_position(%(file_ids)s::bigint[], f.file_id)]"
    _move_all(conn, file_states.REPLACE, changes, list(replaced), new=list(replaced.values()))
    release_duplicates(conn, list(replaced))


def release_duplicates(conn: Connection[Any], left: Collection[int]) -> None:
    """Give files with the same content as these, which are no longer loaded, their turn."""
    which = "f.is_newest AND f.duplicate_of = ANY (%(left)s)"
    _move(conn, file_states.RETURN_DUPLICATE, _TURN, which, {"left": list(left)})


def release_snapshots(conn: Connection[Any]) -> None:
    """Give the snapshot its turn that is the latest of its feed now that later ones have left.

    Only in a snapshot feed can the newest version of a key be superseded, namely by another key's.
    """
    which = """
        f.file_id IN (
            SELECT DISTINCT ON (s.source, s.dataset, s.bucket) s.file_id FROM ops.landed_file s
            WHERE s.is_newest AND s.status = 'superseded' AND NOT EXISTS (
                SELECT FROM ops.landed_file o
                WHERE (o.source, o.dataset, o.bucket) = (s.source, s.dataset, s.bucket) AND (o.status = 'pending'
                    OR o.status IN ('loaded', 'duplicate')
                        AND (o.last_modified, o.key COLLATE "C") > (s.last_modified, s.key COLLATE "C")))
            ORDER BY s.source, s.dataset, s.bucket, s.last_modified DESC, s.key COLLATE "C" DESC
        )
    """
    _move(conn, file_states.RETURN_SNAPSHOT, _TURN, which, {})


def reload(conn: Connection[Any], file_id: int) -> None:
    """An operator asks for a version that is not loaded.

    Raises:
        IllegalTransitionError: It is loaded.
    """
    changes = (
        "attempts = 0, next_attempt_at = 'epoch', reason = NULL, duplicate_of = NULL, is_reload = true,"
        " cancelled_at = NULL, asked_at = clock_timestamp()"
    )
    _move_all(conn, file_states.RELOAD, changes, [file_id])


def retract(conn: Connection[Any], file_ids: Collection[int]) -> None:
    """An operator undoes versions, whatever became of them."""
    _move_all(conn, file_states.RETRACT, "reason = 'retracted by an operator'", set(file_ids))


# ---- beside the state ------------------------------------------------------------------------------------------------


def add_partitions(conn: Connection[Any], touched: Mapping[int, Collection[str]]) -> None:
    """Files touch these fact partitions too: other files have records of the same events."""
    conn.cursor().executemany(
        "UPDATE ops.landed_file SET partitions ="
        " ARRAY(SELECT DISTINCT p FROM unnest(partitions || %s::text[]) p ORDER BY p) WHERE file_id = %s",
        [(sorted(partitions), file_id) for file_id, partitions in sorted(touched.items())],
    )


def move_in_lake(conn: Connection[Any], old: Sequence[str], new: str) -> int:
    """The rows of these objects of the lake are now in another one; how many files' are."""
    statement = "UPDATE ops.landed_file SET lake_path = %s WHERE lake_path = ANY (%s)"
    return conn.execute(statement, (new, list(old))).rowcount


def forget_attempt_in_lake(conn: Connection[Any], path: str) -> None:
    """What an attempt left at a path of the lake is deleted."""
    conn.execute(
        "UPDATE ops.landed_file SET lake_attempts = array_remove(lake_attempts, %s) WHERE %s = ANY (lake_attempts)",
        (path, path),
    )
