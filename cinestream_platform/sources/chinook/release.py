"""Chinook as it is published: in several forms that all hold the same shop, of which the demo takes one."""

from pathlib import Path

from cinestream_platform.declarations.release import Choice, Release, Supply
from cinestream_platform.releases.looking import look_through, none_in
from cinestream_platform.settings import Settings
from cinestream_platform.sources.chinook import feeds
from cinestream_platform.sources.chinook.raw_tables import SOURCE

SQLITE = (".sqlite", ".sqlite3", ".db")


def choose(settings: Settings, data: Path, release: str | None) -> Choice:
    """One form of the data, for all hold the same: SQLite before JSON before CSV files."""
    folder = data / SOURCE
    found, passed = look_through(SOURCE, (*feeds.FEEDS, feeds.RELEASE), folder)
    for endings in (SQLITE, (".json",), ("",)):
        chosen = [path for path in found if path.name.lower().endswith(endings)]
        if not chosen:
            continue
        taken = chosen if endings == ("",) else chosen[:1]
        for path in found:
            if path not in taken:
                passed.append((path.name, f"a second copy of the shop: {taken[0].name} holds all tables"))
        names = tuple(path.name for path in taken)
        pattern = f"*{taken[0].suffix.lower()}"
        return Choice(SOURCE, Supply(SOURCE, str(folder / pattern), tuple(taken)), names, tuple(sorted(passed)))
    return Choice(SOURCE, passed=tuple(passed) or none_in(folder))


RELEASE = Release(choose=choose)
