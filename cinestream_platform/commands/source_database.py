"""``cinestream load-source`` and ``fetch dvdrental``: the operational dvdrental database on the warehouse's server."""

from collections.abc import Iterator
from pathlib import Path

from psycopg.sql import SQL, Identifier

from cinestream_platform.messages import counted
from cinestream_platform.releases.fetch_release import DVDRENTAL, fetch_archive, warning_about
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.dvdrental.database import SOURCE_TABLES, source_target
from cinestream_platform.sources.dvdrental.load_database import load_archive, load_sample
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from cinestream_platform.warehouse.connection import connect


def restore(path: Path, *, replace: bool) -> Iterator[str]:
    """Restore the published archive."""
    yield _outcome(load_archive(get_settings(), path, replace=replace))


def generate(*, scale: float, seed: int, clean: bool, replace: bool) -> Iterator[str]:
    """Make a database of generated rows."""
    sample = load_sample(get_settings(), scale=scale, seed=seed, dirt=not clean, replace=replace)
    yield _outcome(sample is not None)
    if sample:
        for table, kinds in sample.planted.items():
            yield f"{table}: {counted(sample.rows[table], 'row')}, {sum(kinds.values()):,} to be rejected"


def fetch_and_restore(base_url: str | None) -> Iterator[str]:
    """Download the publisher's archive into ``<home>/downloads`` and restore it."""
    destination = get_settings().home_dir / "downloads"
    folder = fetch_archive(DVDRENTAL, destination, base_url=base_url)
    if warning := warning_about(DVDRENTAL, destination):
        yield f"warning: {warning}"
    yield from restore(folder / DVDRENTAL.files[0], replace=False)


def _outcome(is_new: bool) -> str:
    """What is there now, as its reader sees it."""
    settings = get_settings()
    target = source_target(settings)
    schema = settings.own(DvdrentalSettings).schema_name
    counts = SQL(" UNION ALL ").join(
        SQL("SELECT count(*) FROM {}").format(Identifier(schema, table)) for table in SOURCE_TABLES
    )
    with connect(target, role=None) as conn:
        rows = sum(count for (count,) in conn.execute(counts))
    found = f"{len(SOURCE_TABLES)} tables, {counted(rows, 'row')} in {target}"
    return f"loaded {found}" if is_new else f"left as it was: {found}; --replace makes it anew"
