"""The operational rental database that the platform makes where none is named, as commands and the demo see it."""

from pathlib import Path

from psycopg.sql import SQL, Identifier

from cinestream_platform.declarations.release import Supply
from cinestream_platform.declarations.sample import SampleCounts, SampleSize
from cinestream_platform.messages import counted
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental.database import SOURCE_TABLES, source_target
from cinestream_platform.sources.dvdrental.load_database import load_archive, load_sample
from cinestream_platform.sources.dvdrental.raw_tables import SOURCE
from cinestream_platform.sources.dvdrental.sample.content import DIRT
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from cinestream_platform.warehouse.connection import connect


class OwnDatabase:
    """A database on the warehouse's server."""

    def named_host(self, settings: Settings) -> str | None:
        """The host that the settings name: its database is not ours to write."""
        return settings.own(DvdrentalSettings).host

    def restore(self, settings: Settings, path: Path, *, replace: bool = False) -> bool:
        """Make it from an archive or a script (``load_archive``)."""
        return load_archive(settings, path, replace=replace)

    def generate(self, settings: Settings, size: SampleSize, *, replace: bool = False) -> SampleCounts | None:
        """Make it with generated rows (``load_sample``)."""
        return load_sample(settings, scale=size.scale, seed=size.seed, dirt=size.dirt, replace=replace)

    def supply(self, settings: Settings, scale: float) -> Supply:
        """A database of at most the published size; or the one that the settings name."""
        if host := self.named_host(settings):
            return Supply(SOURCE, f"database at {host}")
        size = SampleSize(scale=min(scale, 1.0))

        def load(replace: bool) -> SampleCounts | None:
            return self.generate(settings, size, replace=replace)

        planted = sum(map(len, DIRT.values()))  # also of one that is left alone
        place = settings.own(DvdrentalSettings).database
        return Supply(SOURCE, f"sample at scale {scale:g}", load=load, place=place, planted=planted)

    def describe(self, settings: Settings) -> str:
        """Tables and rows, as its reader sees them."""
        target, schema = source_target(settings), settings.own(DvdrentalSettings).schema_name
        counts = SQL(" UNION ALL ").join(
            SQL("SELECT count(*) FROM {}").format(Identifier(schema, table)) for table in SOURCE_TABLES
        )
        with connect(target, role=None) as conn:
            rows = sum(count for (count,) in conn.execute(counts))
        return f"{len(SOURCE_TABLES)} tables, {counted(rows, 'row')} in {target}"
