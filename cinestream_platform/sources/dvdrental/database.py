"""The operational dvdrental database: where it is, and who reads it.

What belongs here: finding the database. Making one where it is ours is ``load_database``'s work; what its tables mean
belongs to the room's other modules.
"""

from dataclasses import replace

from pydantic import SecretStr

from cinestream_platform.declarations.connector import SourceDatabaseError
from cinestream_platform.reading.postgres_connector import PostgresConnector
from cinestream_platform.services.logins import kept_secret
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental.settings import READER, DvdrentalSettings
from cinestream_platform.warehouse.connection import PostgresTarget, sslmode_towards

SOURCE_TABLES = (
    *("actor", "address", "category", "city", "country", "customer", "film", "film_actor", "film_category"),
    *("inventory", "language", "payment", "rental", "staff", "store"),
)
"""What makes a database a dvdrental; Pagila has them too. Views, and partitions of payment, are not counted."""


def source_target(settings: Settings) -> PostgresTarget:
    """Where the operational database is, logging in as a role that need only read.

    ``CINESTREAM_DVDRENTAL_HOST`` names its server. Without, it is a database on the warehouse's server, the embedded
    one (started if need be) or an external one, and ``cinestream load-source`` makes it. Connect with ``role=None``:
    the warehouse's owner has no rights there.

    Raises:
        SourceDatabaseError: It is on an external warehouse's server, and its reader has no password.
    """
    own = settings.own(DvdrentalSettings)
    if own.host:
        return PostgresTarget(
            own.host,
            own.port,
            own.user,
            own.password or SecretStr(""),
            own.database,
            sslmode_towards(own.host, own.sslmode),
            remedy="Is it running, and are CINESTREAM_DVDRENTAL_* right?",
            sslrootcert=own.sslrootcert or "",
            settings="CINESTREAM_DVDRENTAL",
        )
    password = kept_secret(settings, READER, own.password)
    if password is None:
        raise SourceDatabaseError(
            "CINESTREAM_DVDRENTAL_PASSWORD is not set. Give it the password that the login dvdrental_reader is to have "
            "on the warehouse's server, or name another server by CINESTREAM_DVDRENTAL_HOST."
        )
    return replace(
        PostgresTarget.started(settings),
        user=READER,
        password=password,
        database=own.database,
        remedy="Run cinestream load-source dvdrental (or fetch dvdrental), or name another server by "
        "CINESTREAM_DVDRENTAL_HOST.",
    )


def source_database(settings: Settings) -> PostgresConnector:
    """Where the tables are, and how their times are to be read.

    Raises:
        SourceDatabaseError: It is on an external warehouse's server, and its reader has no password.
    """
    own = settings.own(DvdrentalSettings)
    return PostgresConnector(source_target(settings), own.schema_name, own.time_zone)
