"""The generated files and databases that the demo feeds sources with. What the publishers' are is ``demo_data``'s."""

from __future__ import annotations

from collections.abc import Collection

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.release import Supply
from cinestream_platform.declarations.sample import SampleSize
from cinestream_platform.errors import CineStreamError
from cinestream_platform.settings import Settings


class DemoError(CineStreamError):
    """The demo cannot go on; the message says what to do."""


def generated(settings: Settings, scale: float, sources: Collection[str]) -> list[Supply]:
    """Samples of these sources, with known dirt in them."""
    supplies = []
    for source in CATALOG.sources:
        if source.name not in sources:
            continue
        if source.sample:
            sample, folder = source.sample(), settings.home_dir / "sample" / source.name
            made = sample.generate(folder, SampleSize(scale=max(scale, sample.least_demo_scale)))
            what = f"sample at scale {scale:g}"
            supplies.append(Supply(source.name, what, (folder,), planted=made.all_planted))
        supplies += [system.own().supply(settings, scale) for system in source.systems if system.own]
    return supplies
