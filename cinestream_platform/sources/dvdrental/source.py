"""dvdrental as one object: what the platform knows about this source."""

from datetime import timedelta

from cinestream_platform.declarations.connector import Connector, OperationalSystem, OwnSystem
from cinestream_platform.declarations.release import Release
from cinestream_platform.declarations.source import Source
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental import feeds, raw_tables, tables
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings


def _connect(settings: Settings) -> Connector:
    from cinestream_platform.sources.dvdrental.database import source_database

    return source_database(settings)


def _own() -> OwnSystem:
    from cinestream_platform.sources.dvdrental.own_database import OwnDatabase

    return OwnDatabase()


def _release() -> Release:
    from cinestream_platform.sources.dvdrental.release import RELEASE

    return RELEASE


RENTAL_SHOP = OperationalSystem(name=raw_tables.SOURCE, feeds=feeds.EXTRACTS, connect=_connect, own=_own)

SOURCE = Source(
    name=raw_tables.SOURCE,
    title="DVD rental",
    systems=(RENTAL_SHOP,),
    settings=DvdrentalSettings,
    raw_tables=raw_tables.RAW_TABLES,
    star_tables=tables.STAR_TABLES,
    relations=raw_tables.RELATIONS,
    predictions=(tables.PREDICTED_PRICES,),
    mart_schema="dvdrental_marts",
    release=_release,
    domain="rentals",
    rhythm=timedelta(minutes=15),
)
