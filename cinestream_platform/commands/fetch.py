"""``cinestream fetch``: a publisher's release is downloaded, or taken of an archive, and landed or restored."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from cinestream_platform.catalog import CATALOG
from cinestream_platform.commands.files import land_planned, plan_landing
from cinestream_platform.commands.replacing import Landing
from cinestream_platform.commands.source_database import restore
from cinestream_platform.commands.source_names import names
from cinestream_platform.commands.working import counting
from cinestream_platform.declarations.release import Release, Take
from cinestream_platform.declarations.source import Source
from cinestream_platform.releases.fetch_release import fetch_archive, warning_about
from cinestream_platform.settings import Settings

_NAMED_AT_MOST = 20


def fetch(
    settings: Settings,
    name: str,
    archive: Path | None = None,
    *,
    release: str | None = None,
    base_url: str | None = None,
    as_name: str | None = None,
    replace: bool = False,
) -> Iterator[str]:
    """Fetch a source's release; lines for people.

    Args:
        settings: Where the home and the landing zone are.
        name: The source.
        archive: An archive or an unpacked folder of what cannot be downloaded; without, say where it is to be had.
        release: Which of several releases.
        base_url: Where the archive is, if not at the publisher.
        as_name: Folder of the landing zone to land the files in.
        replace: Put them in the place of others under the same keys.

    Raises:
        click.UsageError: An option has no use for this source.
    """
    source = CATALOG.source(name)
    if source is None or source.release is None:
        raise click.UsageError(f"there is nothing to fetch of {name}")
    offered = source.release()
    if release and len(offered.archives) < 2:
        several = [one.name for one in CATALOG.sources if one.release and len(one.release().archives) > 1]
        raise click.UsageError(f"--release is an option for {', '.join(several)}; {name} has a single release")
    if offered.take:
        if base_url:
            raise click.UsageError(f"{name} is not downloaded, so --base-url does not apply; give an ARCHIVE")
        if archive:
            yield from _take(settings, source, offered.take, archive, as_name, replace=replace)
        else:
            yield offered.where
        return
    if archive:
        raise click.UsageError(f"{name} is downloaded and takes no ARCHIVE; only {', '.join(names('taken'))} does")
    if source.systems and (as_name or replace):
        raise click.UsageError(f"{name} is restored as a database: --as and --replace do not apply")
    yield from _download(settings, source, offered, release, base_url, as_name, replace=replace)


def _download(
    settings: Settings,
    source: Source,
    offered: Release,
    release: str | None,
    base_url: str | None,
    as_name: str | None,
    *,
    replace: bool,
) -> Iterator[str]:
    """Download an archive into ``<home>/downloads``; land its files, or restore the system that it holds."""
    wanted, downloads = offered.archive(release), settings.home_dir / "downloads"
    folder = fetch_archive(wanted, downloads, base_url=base_url)
    if warning := warning_about(wanted, downloads):
        yield f"warning: {warning}"
    if source.systems:
        yield from restore(settings, source.systems[0].name, folder / wanted.files[0], replace=False)
    else:
        yield from land_planned(settings, plan_landing(source.name, folder, name=as_name), replace=replace)


def _take(
    settings: Settings, source: Source, take: Take, archive: Path, as_name: str | None, *, replace: bool
) -> Iterator[str]:
    """Land the files of an archive or an unpacked folder."""
    archive = archive.resolve() if archive.is_symlink() else archive  # who names a link means what it leads to
    downloads = settings.home_dir / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{source.name}-", dir=downloads) as scratch:
        with counting(f"reading {archive.name}") as advance:
            found = take(archive, Path(scratch), progress=advance)
        yield from _about_left_out(found.left_out)
        yield from found.notes
        landings = [landing for dataset, path in found.files for landing in _planned(source, dataset, path, as_name)]
        landed = land_planned(settings, landings, replace=replace)
        for landing in landings:
            with counting(f"landing {landing.path.name} ({landing.path.stat().st_size:,} bytes)"):
                line = next(landed)
            yield line
    for dataset in found.lacking:
        yield f"warning: {archive} holds no {dataset}"


def _planned(source: Source, dataset: str, path: Path, as_name: str | None) -> list[Landing]:
    return plan_landing(source.name, path, dataset=dataset, name=f"{as_name}/{path.name}" if as_name else None)


def _about_left_out(left_out: list[str]) -> Iterator[str]:
    for name in left_out[:_NAMED_AT_MOST]:
        yield f"left out {name}"
    if len(left_out) > _NAMED_AT_MOST:
        yield f"left out {len(left_out) - _NAMED_AT_MOST:,} more"
