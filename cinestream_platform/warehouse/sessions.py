"""What every session of the platform says of itself when it logs in, by whichever library.

A session inherits settings from the server, the database and the login (``ALTER DATABASE`` and ``ALTER ROLE … SET``).
Those that the platform relies on are set here; what is left to the server are its resources (``work_mem`` and so on).
"""

from psycopg.sql import SQL, Composed, Literal

SETTINGS = {
    # What values look like when they are read and written.
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO,MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",  # as many digits as a number needs to be read back as the same
    "bytea_output": "hex",
    # What a statement means.
    "search_path": '"$user",public',
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "default_tablespace": "",  # the database's own: named explicitly, partitioned tables refuse it
    # What a transaction may do.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # How long work may take, and sessions wait for other work: the platform has its own limits of runs.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
"""Postgres' own defaults, whatever an administrator chose for others. Each version from 15 on knows them all."""


FOREIGN_KEYS_WORK = SQL(
    "SELECT set_config('session_replication_role', 'origin', false)"
    " WHERE current_setting('session_replication_role') <> 'origin' UNION ALL "
)


def options(more: str = "") -> str:
    """The ``options`` of libpq, which beat what the server, the database and the login say."""
    # No role that somebody gave the login for all its sessions: each takes its own (``beginning``).
    said = (f"-c {name}={_escaped(value)}" for name, value in (SETTINGS | {"role": "none"}).items())
    return " ".join([*said, more]).strip()


def beginning(role: str | None) -> Composed:
    """What a session asks first: to act as ``role``, and to have no limit of time that older versions do not know.

    Before that, with the login's own rights: that foreign keys and triggers work as declared.
    """
    acting = SQL("SELECT set_config('role', {}, false) UNION ALL ").format(Literal(role)) if role else SQL("").format()
    return (
        FOREIGN_KEYS_WORK
        + acting
        + SQL(
            "SELECT set_config('transaction_timeout', '0', false)"
            " WHERE current_setting('server_version_num')::int >= 170000"
        )
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
