"""What the demo takes of a folder of published files (DATA), what it passes over, and why.

What belongs here: looking and choosing. What lands and loads is ``demo``'s; generated files are ``demo_sources``'.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cinestream_platform.catalog import SOURCES, landing_folders_of
from cinestream_platform.commands.demo_sources import DemoError, Supply
from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import counted, one_line
from cinestream_platform.regular_files import irregular, is_regular
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from cinestream_platform.warehouse.profile_text import printable

DEFAULT_RELEASE = "ml-latest-small"
SHOWN = 12
"""Names of one kind that are listed; of more their number is told."""
SQLITE = (".sqlite", ".sqlite3", ".db")

Passed = tuple[str, str]
"""What is passed over, and why."""


@dataclass(frozen=True)
class Choice:
    """What is taken of DATA for one source.

    ``supply`` is missing if that is nothing. ``taken`` and ``passed`` are names below ``folder``.
    """

    source: str
    supply: Supply | None = None
    taken: tuple[str, ...] = ()
    passed: tuple[Passed, ...] = ()


def choose(settings: Settings, data: Path, release: str | None, sources: Collection[str]) -> list[Choice]:
    """Look through DATA for each of these sources; those that are not asked for are not looked at.

    Args:
        settings: They say where scratch space and the operational database are.
        data: A folder with one sub-folder per source; or a release of MovieLens.
        release: Folder of a release of MovieLens; without one ``ml-latest-small``, or the only one there is.
        sources: The sources that are wanted.

    Raises:
        DemoError: There is no such folder or release, or nothing in it for any of the sources.
    """
    if not data.is_dir():
        raise DemoError(f"there is no folder {data}. DATA is a folder with one sub-folder per source.")
    finders: dict[str, Callable[[], Choice]] = {
        "movielens": lambda: _movielens(data, release),
        "chinook": lambda: _chinook(data / "chinook"),
        "dvdrental": lambda: _dvdrental(settings, data / "dvdrental"),
        "netflix": lambda: _netflix(settings, data / "netflix"),
    }
    choices = [_choice_of(source, data / source, find) for source, find in finders.items() if source in sources]
    if not any(choice.supply for choice in choices):
        reasons = "; ".join(f"{choice.source}: {_first_reason(choice)}" for choice in choices)
        hint = f" Do you mean DATA={data.absolute().parent}?" if data.absolute().name in SOURCES else ""
        wanted = "any source" if set(sources) >= set(SOURCES) else ", ".join(sources)
        raise DemoError(f"{data} has nothing for {wanted} ({reasons}).{hint}")
    return choices


def _choice_of(source: str, folder: Path, find: Callable[[], Choice]) -> Choice:
    """What is found; a source whose files cannot be taken is passed over, with the reason, and stops no other one."""
    if folder.is_symlink():
        return Choice(source, passed=((".", f"{source} is a link, and links in DATA are never followed"),))
    try:
        return find()
    except DemoError:
        raise
    except CineStreamError as error:
        return Choice(source, passed=((".", one_line(str(error))),))


def _first_reason(choice: Choice) -> str:
    name, reason = choice.passed[0] if choice.passed else (".", "there is no such folder")
    return reason.rstrip(".") if name == "." else f"{name}: {reason}".rstrip(".")


def others_in(data: Path) -> list[Passed]:
    """What else is in DATA."""
    if _is_release(data):
        return []
    entries = sorted(path for path in data.iterdir() if path.name not in SOURCES and not path.name.startswith("."))
    return [(path.name, f"it is not a folder of a source ({', '.join(SOURCES)})") for path in entries]


def described(data: Path, choices: Sequence[Choice]) -> Iterator[str]:
    """Lines for people: of every source what is taken, what is passed over, and why."""
    yield f"DATA          {printable(str(data))}"
    for choice in choices:
        taken = _listed(choice.taken) if choice.taken else "nothing is taken"
        yield f"  {choice.source:<12}{printable(taken)}"
        yield from _passed_over(choice.passed, indent=14)
    yield from _passed_over(others_in(data), indent=2)


def _passed_over(passed: Sequence[Passed], *, indent: int) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in passed:
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        what = "" if names == ["."] else f"passed over {_listed(names)}: "
        yield f"{' ' * indent}{printable(f'{what}{reason}')}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


# ---- sources whose files are known by their names --------------------------------------------------------------------


def _look_through(source: str, folder: Path) -> tuple[list[Path], list[Passed]]:
    """The files of a folder that a landing folder takes, and what is passed over."""
    taken, passed = [], []
    folders = landing_folders_of(source)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            passed.append((f"{path.name}/", f"a folder, and files of {source} are looked for in {folder.name}/ itself"))
        elif problem := irregular(path.lstat().st_mode):
            passed.append((path.name, problem))
        elif path.suffix.lower() == ".sql":
            passed.append((path.name, "an SQL script is a program, and is not run"))
        elif any(folder.takes(path.name) for folder in folders):
            taken.append(path)
        else:
            passed.append((path.name, f"{source} has no dataset whose files are named so"))
    return taken, passed


def _is_release(folder: Path) -> bool:
    """Whether a folder holds files of MovieLens itself, ratings or not."""
    is_there = folder.is_dir() and not folder.is_symlink()
    return is_there and any(
        is_regular(path) and any(folder.takes(path.name) for folder in landing_folders_of("movielens"))
        for path in folder.iterdir()
    )


def _movielens(data: Path, release: str | None) -> Choice:
    """``<data>/movielens/<release>``, or a folder that holds the CSV files itself."""
    root = data / "movielens" if (data / "movielens").is_dir() else data
    folders = [path for path in sorted(root.iterdir()) if _is_release(path)] if root != data else []
    if root == data and not _is_release(data):
        return Choice("movielens", passed=((".", "there is no folder movielens"),))
    folder = _release_folder(root, folders, release)
    if folder is None:
        reason = f"neither {root.name}/ nor a folder in it holds files of MovieLens, such as movies.csv or ratings.csv"
        return Choice("movielens", passed=((".", reason),))
    taken, passed = _look_through("movielens", folder)
    if root == data:
        passed = [(name, why) for name, why in passed if name.rstrip("/") not in SOURCES]
    passed += [
        (f"{other.name}/", f"another release; RELEASE={other.name} takes it") for other in folders if other != folder
    ]
    place = "" if folder == root else f"{folder.name}/"
    names = tuple(f"{place}{path.name}" for path in taken)
    return Choice("movielens", Supply("movielens", str(folder), tuple(taken)), names, tuple(passed))


def _release_folder(root: Path, folders: Sequence[Path], release: str | None) -> Path | None:
    """The folder of a release: the one that is named, the usual one, the folder itself, or the only one.

    Raises:
        DemoError: The one that is named is not there, or none is named and there are several.
    """
    there = ", ".join(folder.name for folder in folders) or "none"
    if release:
        found = next((folder for folder in folders if folder.name == release), None)
        if found is None and root.absolute().name == release and _is_release(root):
            return root
        if found is None:
            raise DemoError(f"{root / release} holds no file of MovieLens; releases there: {there}.")
        return found
    if root / DEFAULT_RELEASE in folders:
        return root / DEFAULT_RELEASE
    if _is_release(root):
        return root
    if len(folders) > 1:
        raise DemoError(f"{root} holds several releases: {there}. Choose one with RELEASE= (--release).")
    return folders[0] if folders else None


def _chinook(folder: Path) -> Choice:
    """One form of the data, for all hold the same: SQLite before JSON before CSV files."""
    found, passed = _look_through("chinook", folder)
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
        return Choice("chinook", Supply("chinook", str(folder / pattern), tuple(taken)), names, tuple(sorted(passed)))
    return Choice("chinook", passed=tuple(passed) or _none_in(folder))


def _none_in(folder: Path) -> tuple[Passed, ...]:
    return ((".", f"{folder.name}/ is empty" if folder.is_dir() else f"there is no folder {folder.name}"),)


# ---- sources whose files are chosen by what they are -----------------------------------------------------------------


def _netflix(settings: Settings, folder: Path) -> Choice:
    """The files of both layouts, at any depth; those of single films joined if they are many."""
    from cinestream_platform.sources.netflix.release import release_files

    if not folder.is_dir():
        return Choice("netflix", passed=_none_in(folder))
    scratch = settings.home_dir / "downloads" / "netflix-demo"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    found = release_files(folder, scratch)
    names = [path.name for _, path in found.files if path not in found.joined]
    if found.joined:
        names.append(f"{counted(found.films, 'file')} of films joined to {len(found.joined):,}")
    passed = tuple((name, "no file of the Netflix Prize that is to be loaded") for name in found.left_out)
    supply = Supply("netflix", str(folder), tuple(path for _, path in found.files))
    return Choice("netflix", supply, tuple(names), passed)


def _dvdrental(settings: Settings, folder: Path) -> Choice:
    """The archive, restored where the operational database is ours; else the one that the settings name."""
    from cinestream_platform.sources.dvdrental.load_database import load_archive

    entries = sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
    if host := settings.own(DvdrentalSettings).host:
        reason = f"the database at {host} is read instead (CINESTREAM_DVDRENTAL_HOST)"
        supply = Supply("dvdrental", f"database at {host}")
        return Choice("dvdrental", supply, (supply.what,), tuple((path.name, reason) for path in entries))
    wanted = [folder / name for name in ("dvdrental.tar", "dvdrental.zip")]
    archive = next(filter(is_regular, wanted), None)
    passed = []
    for path in entries:
        if path != archive:
            mode = path.lstat().st_mode
            spare = f"a second archive: {archive.name} is restored" if archive and path in wanted else None
            passed.append((path.name, spare or irregular(mode) or "only dvdrental.tar or dvdrental.zip is restored"))
    if archive is None:
        return Choice("dvdrental", passed=tuple(passed) or _none_in(folder))
    load = lambda replace: load_archive(settings, archive, replace=replace)  # noqa: E731
    return Choice("dvdrental", Supply("dvdrental", str(archive), load=load), (archive.name,), tuple(passed))
