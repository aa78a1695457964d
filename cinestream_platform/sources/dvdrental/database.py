"""The operational dvdrental database: where it is, and who reads it.

What belongs here: finding the database. Making one where it is ours is ``load_database``'s work; what its tables mean
belongs to the room's other modules.
"""

from dataclasses import replace

from pydantic import SecretStr

from cinestream_platform.errors import CineStreamError
from cinestream_platform.reading.database_reader import SourceDatabase
from cinestream_platform.services.logins import DVDRENTAL_READER, dvdrental_secret
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget, sslmode_towards

SOURCE_TABLES = (
    *("actor", "address", "category", "city", "country", "customer", "film", "film_actor", "film_category"),
    *("inventory", "language", "payment", "rental", "staff", "store"),
)
"""What makes a database a dvdrental; Pagila has them too. Views, and partitions of payment, are not counted."""


class SourceDatabaseError(CineStreamError):
    """The operational database cannot be used or made; the message says what to do."""


def source_target(settings: Settings) -> PostgresTarget:
    """Where the operational database is, logging in as a role that need only read.

    ``CINESTREAM_DVDRENTAL_HOST`` names its server. Without, it is a database on the warehouse's server, the embedded
    one (started if need be) or an external one, and ``cinestream load-source`` makes it. Connect with ``role=None``:
    the warehouse's owner has no rights there.

    Raises:
        SourceDatabaseError: It is on an external warehouse's server, and its reader has no password.
    """
    if settings.dvdrental_host:
        return PostgresTarget(
            settings.dvdrental_host,
            settings.dvdrental_port,
            settings.dvdrental_user,
            settings.dvdrental_password or SecretStr(""),
            settings.dvdrental_database,
            sslmode_towards(settings.dvdrental_host, settings.dvdrental_sslmode),
            remedy="Is it running, and are CINESTREAM_DVDRENTAL_* right?",
            sslrootcert=settings.dvdrental_sslrootcert or "",
            settings="CINESTREAM_DVDRENTAL",
        )
    password = dvdrental_secret(settings)
    if password is None:
        raise SourceDatabaseError(
            "CINESTREAM_DVDRENTAL_PASSWORD is not set. Give it the password that the login dvdrental_reader is to have "
            "on the warehouse's server, or name another server by CINESTREAM_DVDRENTAL_HOST."
        )
    return replace(
        PostgresTarget.from_settings(settings),
        user=DVDRENTAL_READER,
        password=password,
        database=settings.dvdrental_database,
        remedy="Run cinestream load-source dvdrental (or fetch dvdrental), or name another server by "
        "CINESTREAM_DVDRENTAL_HOST.",
    )


def source_database(settings: Settings) -> SourceDatabase:
    """Where the tables are, and how their times are to be read.

    Raises:
        SourceDatabaseError: It is on an external warehouse's server, and its reader has no password.
    """
    return SourceDatabase(source_target(settings), settings.dvdrental_schema, settings.dvdrental_time_zone)
