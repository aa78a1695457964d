"""What the demo feeds each source with, and the generated files. What the publishers' are is ``demo_data``'s."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from cinestream_platform.declarations.sample import SampleCounts
from cinestream_platform.errors import CineStreamError
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings

LEAST_NETFLIX_RATINGS = 20_000
"""Among fewer the planted dirt would be too large a share of a file."""


class DemoError(CineStreamError):
    """The demo cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Supply:
    """What a source is fed with.

    ``what`` tells it from others. ``files`` are files or folders to land; or ``load`` fills an operational database
    (anew if it is told to replace what is there). ``planted`` bad records are among it, if that is known.
    """

    source: str
    what: str
    files: tuple[Path, ...] = ()
    load: Callable[[bool], object] | None = None
    planted: int | None = None


def generated(settings: Settings, scale: float, sources: Collection[str]) -> list[Supply]:
    """Samples of these sources, with known dirt in them."""
    from cinestream_platform.sources.chinook.sample import generator as chinook
    from cinestream_platform.sources.dvdrental.load_database import load_sample
    from cinestream_platform.sources.dvdrental.sample.content import DIRT
    from cinestream_platform.sources.movielens.sample import generator as movielens
    from cinestream_platform.sources.netflix.sample import generator as netflix

    what = f"sample at scale {scale:g}"
    supplies = []
    for source, generate in (("movielens", movielens.generate), ("chinook", chinook.generate)):
        if source in sources:
            folder = settings.home_dir / "sample" / source
            made = generate(folder, scale=scale)
            supplies.append(Supply(source, what, (folder,), planted=_planted(made)))
    if "netflix" in sources:
        folder = settings.home_dir / "sample" / "netflix"
        ratings = netflix.generate(folder, ratings=max(LEAST_NETFLIX_RATINGS, round(100_000 * scale)), dirty=0.0001)
        supplies.append(Supply("netflix", what, (folder,), planted=_planted(ratings)))
    if "dvdrental" in sources and settings.own(DvdrentalSettings).host:
        supplies.append(Supply("dvdrental", f"database at {settings.own(DvdrentalSettings).host}"))
    elif "dvdrental" in sources:
        rental = Supply(
            "dvdrental",
            what,
            load=lambda replace: load_sample(settings, scale=min(scale, 1.0), replace=replace),
            planted=sum(map(len, DIRT.values())),
        )
        supplies.append(rental)
    return supplies


def _planted(made: SampleCounts) -> int:
    return sum(sum(kinds.values()) for kinds in made.planted.values())
