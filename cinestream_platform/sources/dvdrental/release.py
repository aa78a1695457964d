"""The published sample database: where its archive is, and what of a folder the demo restores."""

from pathlib import Path

from cinestream_platform.declarations.release import Archive, Choice, Release, Supply
from cinestream_platform.regular_files import irregular, is_regular
from cinestream_platform.releases.looking import none_in
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental.raw_tables import SOURCE
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings

ARCHIVE = Archive(
    "dvdrental.zip",
    "",
    ("dvdrental.tar",),
    base_url="https://neon.com/postgresqltutorial/",
    page="https://www.postgresqltutorial.com/, PostgreSQL Sample Database",
    by_hand="run `cinestream load-source dvdrental <dvdrental.zip>`",
    known_sha256="0be42f2d70a613ecd9f50b92b9a3d0dc97c37c6d0af8105022e1e1bd193f5b56",
)


def choose(settings: Settings, data: Path, release: str | None) -> Choice:
    """The archive, restored where the operational database is ours; else the one that the settings name."""
    from cinestream_platform.sources.dvdrental.load_database import load_archive

    own, folder = settings.own(DvdrentalSettings), data / SOURCE
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
    if own.host:
        reason = f"the database at {own.host} is read instead (CINESTREAM_DVDRENTAL_HOST)"
        supply = Supply(SOURCE, f"database at {own.host}")
        return Choice(SOURCE, supply, (supply.what,), tuple((path.name, reason) for path in entries))
    wanted = [folder / name for name in ("dvdrental.tar", "dvdrental.zip")]
    archive = next(filter(is_regular, wanted), None)
    passed = []
    for path in entries:
        if path != archive:
            mode = path.lstat().st_mode
            spare = f"a second archive: {archive.name} is restored" if archive and path in wanted else None
            passed.append((path.name, spare or irregular(mode) or "only dvdrental.tar or dvdrental.zip is restored"))
    if archive is None:
        return Choice(SOURCE, passed=tuple(passed) or none_in(folder))
    chosen = archive

    def load(replace: bool) -> bool:
        return load_archive(settings, chosen, replace=replace)

    supply = Supply(SOURCE, str(archive), load=load, place=own.database)
    return Choice(SOURCE, supply, (archive.name,), tuple(passed))


RELEASE = Release(archives={"dvdrental": ARCHIVE}, choose=choose)
