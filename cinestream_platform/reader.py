"""Reading tables without Dagster, for notebooks and scripts: ``cinestream.read``.

What belongs here: which table is meant, who reads it, and which part. How it is read is ``warehouse.scan``'s.
"""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import polars as pl
from psycopg import Connection
from psycopg.sql import Composed

from cinestream_platform.catalog import CATALOG, PREDICTIONS, TABLES
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.declarations.table import Table
from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import bounded
from cinestream_platform.services.logins import login_secrets
from cinestream_platform.settings import Settings, get_settings
from cinestream_platform.warehouse.access import ANALYST, ENGINEER, ROLES, login_name
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.limits import DEFAULTS
from cinestream_platform.warehouse.scan import Relation, described, of_partitions, of_periods, scan

SHOWN_NAMES = 3
MAX_NAME = 100
_FORMS = {
    PartitionUnit.YEAR: r"\d{4}",
    PartitionUnit.QUARTER: r"\d{4}-(01|04|07|10)",
    PartitionUnit.MONTH: r"\d{4}-(0[1-9]|1[0-2])",
}
_EXAMPLES = {PartitionUnit.YEAR: "2005", PartitionUnit.QUARTER: "2005-04", PartitionUnit.MONTH: "2005-12"}


class UnknownTableError(CineStreamError):
    """There is no table of that name."""


class UnknownPartitionError(CineStreamError):
    """A table has no partition of that key."""


class ClosedTableError(CineStreamError):
    """The role may read no column of a table."""


def read(table: str, *, partition: str | tuple[str, str] | None = None, role: str = ANALYST) -> pl.LazyFrame:
    """A raw table, dimension, fact or mart as a polars LazyFrame with its declared types and order of columns.

    Nothing is read before ``collect()``, and then only the columns and, for simple filters, the rows that are asked
    for. Each ``collect()`` reads the table as it is then, in one state. The warehouse is the one that the environment
    names, as for the command ``cinestream``; an embedded Postgres is started if it is not running.

    Args:
        table: Schema and name, joined by a dot.
        partition: The key of a partition (``2005``, ``2005-12``; a quarter's is its first month), or the first and the
            last key of a range. Of a mart: the rows of that ``year`` or ``month_start``.
        role: Whose rights and limits hold: by default ``data_analyst``, who reads stars and marts. Personal columns are
            left out for a role that may not read them. Raw tables need ``data_engineer``.

    Raises:
        UnknownTableError: There is no such table; the message has names that are like it.
        UnknownPartitionError: The table has no partitions, or none of that form.
        ClosedTableError: The role may read nothing of it.
        PostgresUnreachableError: Postgres does not let the role in.
        ReadFailedError: While collecting: the session was ended, or the role's time was over.
    """
    if role not in ROLES:
        raise ClosedTableError(f"there is no role {bounded(role, MAX_NAME)}; roles are {', '.join(ROLES)}")
    target, acting = login(get_settings(), role)
    schema, _, name = table.partition(".")
    known = next((one for one in (*TABLES, *PREDICTIONS) if one.qualified_name == table), None)
    with connect(target, role=acting) as conn:
        found = described(conn, schema, name, known) if schema in _schemas() else None
        if found is not None and not found.columns and known is not None and known.has_open_view:
            found = described(conn, known.open_schema, name, known)
        if found is None:
            raise UnknownTableError(_no_such_table(conn, table, known))
    if not found.columns:
        raise ClosedTableError(f"{role} may not read {table}; role={ENGINEER!r} may, whoever has that login.")
    limits = " ".join(f"-c {setting}={value}" for setting, value in DEFAULTS.get(role, {}).items())
    return scan(target, found, where=_condition(known, found, partition), role=acting, session=limits)


def login(settings: Settings, role: str) -> tuple[PostgresTarget, str | None]:
    """The role's own login; where the settings have no password for it, their login acting as the role."""
    target, secrets = PostgresTarget.started(settings), login_secrets(settings)
    if role not in secrets:
        return target, role
    remedy = f"cinestream doctor makes the login of {role}."
    return replace(target, user=login_name(role), password=secrets[role], remedy=remedy), None


def _schemas() -> set[str]:
    return {schema for source in CATALOG.sources for schema in source.schemas} | {one.schema for one in CATALOG.shared}


def _no_such_table(conn: Connection[Any], table: str, known: Table | None) -> str:
    if known is not None:
        return f"{table} is declared but not there yet: cinestream doctor makes it."
    rows = conn.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition ORDER BY 1",
        (sorted(_schemas()),),
    ).fetchall()
    names = [name for (name,) in rows]
    alike = [name for name in names if name.partition(".")[2] == table.rpartition(".")[2]]
    alike = list(dict.fromkeys([*alike, *get_close_matches(table, names, SHOWN_NAMES)]))[:SHOWN_NAMES]
    example = TABLES[0].qualified_name
    hint = f"did you mean {' or '.join(alike)}?" if alike else f"name it as schema.table, such as {example}."
    return f"there is no table {bounded(table, MAX_NAME)}; {hint}"


def _condition(table: Table | None, relation: Relation, partition: str | tuple[str, str] | None) -> Composed | None:
    """The rows of a partition or a range."""
    if partition is None:
        return None
    first, last = (partition, partition) if isinstance(partition, str) else partition
    unit = table.unit if table else PartitionUnit.MONTH if "-" in first else PartitionUnit.YEAR
    if unit is PartitionUnit.WHOLE:
        raise UnknownPartitionError(f"{relation.qualified_name} has no partitions: read it without partition=.")
    for key in (first, last):
        if not re.fullmatch(_FORMS[unit], key):
            raise UnknownPartitionError(
                f"{relation.qualified_name} has a partition per {unit}, with keys like {_EXAMPLES[unit]}; "
                f"{bounded(key, MAX_NAME)!r} is not a key."
            )
    keys = _keys(unit, first, last)
    if table is not None:
        return of_partitions(table, keys)
    try:
        return of_periods(relation, unit, keys)
    except KeyError as error:
        raise UnknownPartitionError(
            f"{relation.qualified_name} has no column {error.args[0]}: read it without partition=, and filter it."
        ) from error


def _keys(unit: PartitionUnit, first: str, last: str) -> list[str]:
    """Every key from the first to the last, both included."""
    (begin, _), (end, _) = unit.first_days(first), unit.first_days(last)
    months = range(begin.year * 12 + begin.month - 1, end.year * 12 + end.month, unit.months)
    return [unit.key_of(month // 12, month % 12 + 1) for month in months]
