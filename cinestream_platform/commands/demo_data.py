"""What the demo takes of a folder of published files (DATA), what it passes over, and why.

What belongs here: asking every source, and telling people. Which files are taken says the source's release; what lands
and loads is ``demo``'s; generated files are ``demo_sources``'.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cinestream_platform.catalog import CATALOG, SOURCES
from cinestream_platform.commands.demo_sources import DemoError
from cinestream_platform.declarations.release import Choice, NoSuchReleaseError, Passed, Release
from cinestream_platform.declarations.source import Source
from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import first_of, one_line, printable
from cinestream_platform.releases.looking import all_that_is_taken
from cinestream_platform.settings import Settings

SHOWN = 12
"""Names of one kind that are listed; of more their number is told."""


def choose(settings: Settings, data: Path, release: str | None, sources: Collection[str]) -> list[Choice]:
    """Look through DATA for each of these sources; those that are not asked for are not looked at.

    Args:
        settings: They say where scratch space and the operational database are.
        data: A folder with one sub-folder per source; or a release of one that may be such a folder itself.
        release: Folder of a release, of sources that have several; without one the usual one, or the only one.
        sources: The sources that are wanted.

    Raises:
        DemoError: There is no such folder or release, or nothing in it for any of the sources.
    """
    if not data.is_dir():
        raise DemoError(f"there is no folder {data}. DATA is a folder with one sub-folder per source.")
    choices = [_choice_of(source, settings, data, release) for source in CATALOG.sources if source.name in sources]
    if not any(choice.supply for choice in choices):
        reasons = "; ".join(f"{choice.source}: {_first_reason(choice)}" for choice in choices)
        hint = f" Do you mean DATA={data.absolute().parent}?" if data.absolute().name in SOURCES else ""
        wanted = "any source" if set(sources) >= set(SOURCES) else ", ".join(sources)
        raise DemoError(f"{data} has nothing for {wanted} ({reasons}).{hint}")
    return choices


def _choice_of(source: Source, settings: Settings, data: Path, release: str | None) -> Choice:
    """What is found; a source whose files cannot be taken is passed over, with the reason, and stops no other one."""
    name = source.name
    if (data / name).is_symlink():
        return Choice(name, passed=((".", f"{name} is a link, and links in DATA are never followed"),))
    offered = source.release() if source.release else Release()
    try:
        if offered.choose is None:
            return all_that_is_taken(name, source.landing_folders, data)
        choice = offered.choose(settings, data, release)
    except NoSuchReleaseError as error:
        raise DemoError(str(error)) from error
    except CineStreamError as error:
        return Choice(name, passed=((".", one_line(str(error))),))
    others = () if not choice.is_data else tuple(f"{other}/" for other in SOURCES)
    return replace(choice, passed=tuple(one for one in choice.passed if one[0] not in others))


def _first_reason(choice: Choice) -> str:
    name, reason = choice.passed[0] if choice.passed else (".", "there is no such folder")
    return reason.rstrip(".") if name == "." else f"{name}: {reason}".rstrip(".")


def others_in(data: Path, choices: Sequence[Choice]) -> list[Passed]:
    """What else is in DATA, where it is not itself the folder of a source."""
    if any(choice.is_data for choice in choices):
        return []
    entries = sorted(path for path in data.iterdir() if path.name not in SOURCES and not path.name.startswith("."))
    return [(path.name, f"it is not a folder of a source ({', '.join(SOURCES)})") for path in entries]


def described(data: Path, choices: Sequence[Choice]) -> Iterator[str]:
    """Lines for people: of every source what is taken, what is passed over, and why."""
    yield f"DATA          {printable(str(data))}"
    for choice in choices:
        taken = first_of(choice.taken, SHOWN) if choice.taken else "nothing is taken"
        yield f"  {choice.source:<12}{printable(taken)}"
        yield from _passed_over(choice.passed, indent=14)
    yield from _passed_over(others_in(data, choices), indent=2)


def _passed_over(passed: Sequence[Passed], *, indent: int) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in passed:
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        what = "" if names == ["."] else f"passed over {first_of(names, SHOWN)}: "
        yield f"{' ' * indent}{printable(f'{what}{reason}')}"
