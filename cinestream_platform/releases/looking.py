"""Looking through a folder of published files: what landing folders take of it by name, what is passed over, why."""

from collections.abc import Sequence
from pathlib import Path

from cinestream_platform.declarations.bundle import Bundle
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.release import Choice, Passed, Supply
from cinestream_platform.regular_files import irregular

LandingFolders = Sequence[Feed | Bundle]


def look_through(source: str, landing_folders: LandingFolders, folder: Path) -> tuple[list[Path], list[Passed]]:
    """The files of a folder that a landing folder takes, and what is passed over."""
    taken, passed = [], []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            passed.append((f"{path.name}/", f"a folder, and files of {source} are looked for in {folder.name}/ itself"))
        elif problem := irregular(path.lstat().st_mode):
            passed.append((path.name, problem))
        elif path.suffix.lower() == ".sql":
            passed.append((path.name, "an SQL script is a program, and is not run"))
        elif any(one.takes(path.name) for one in landing_folders):
            taken.append(path)
        else:
            passed.append((path.name, f"{source} has no dataset whose files are named so"))
    return taken, passed


def all_that_is_taken(source: str, landing_folders: LandingFolders, data: Path) -> Choice:
    """Every file of the source's folder that a landing folder takes."""
    folder = data / source
    taken, passed = look_through(source, landing_folders, folder)
    if not taken:
        return Choice(source, passed=tuple(passed) or none_in(folder))
    names = tuple(path.name for path in taken)
    return Choice(source, Supply(source, str(folder), tuple(taken)), names, tuple(passed))


def none_in(folder: Path) -> tuple[Passed, ...]:
    """Why nothing is taken where nothing is."""
    return ((".", f"{folder.name}/ is empty" if folder.is_dir() else f"there is no folder {folder.name}"),)
