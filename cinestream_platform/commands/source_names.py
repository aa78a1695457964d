"""What the command line says about sources: choices, completion, and names in help.

All of it follows from the catalogue, which is imported when a choice, a completion or such a help is asked for.
No other command waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # settings come with it, and those cost the help of all commands 0.2 s
    from cinestream_platform.declarations.feed import Feed
    from cinestream_platform.declarations.source import Source


def _sources() -> tuple[Source, ...]:
    from cinestream_platform.catalog import CATALOG

    return CATALOG.sources


def _fetched(source: Source) -> bool:
    return source.release is not None and source.release().can_be_fetched


KINDS: dict[str, Callable[[Source], Any]] = {
    "sources": lambda source: True,
    "landing": lambda source: source.landing_folders,
    "fetched": _fetched,
    "taken": lambda source: _fetched(source) and source.release and source.release().take,
    "sampled": lambda source: source.sample,
}


def names(kind: str) -> list[str]:
    """Names of the sources of a kind, of operational systems that can be made here (``own_systems``), or of metrics."""
    if kind == "metrics":
        from cinestream_platform.catalog import CATALOG
        from cinestream_platform.metrics.declared import all_metrics

        return list(dict.fromkeys(metric.name for metric in all_metrics(CATALOG)))
    if kind == "own_systems":
        return [system.name for source in _sources() for system in source.systems if system.own]
    return [source.name for source in _sources() if KINDS[kind](source)]


class SourceChoice(click.Choice[str]):
    """A choice of names that are looked up when they are needed."""

    def __init__(self, kind: str) -> None:
        self._kind, self.case_sensitive = kind, True

    def __getattr__(self, name: str) -> Any:
        if name == "choices":
            return names(self._kind)
        raise AttributeError(name)


def completed(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """What a shell completes an argument from; the command itself says what is wrong with any other."""
    return lambda context, parameter, begun: [name for name in names(kind) if name.startswith(begun)]


class NamingCommand(click.Command):
    """A command whose help names sources: what stands in braces is filled in when its own help is shown."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Fill in the names, then write the help."""
        words = _Words()
        self.help, self.epilog = (text and text.format_map(words) for text in (self.help, self.epilog))
        for option in self.params:
            if isinstance(option, click.Option) and option.help:
                option.help = option.help.format_map(words)
        super().format_help(ctx, formatter)


class _Words(dict[str, str]):
    """What help may name, each found when it is asked for: sources by kind, and an example that exists."""

    def __missing__(self, word: str) -> str:
        return EXAMPLES[word](_example()) if word in EXAMPLES else ", ".join(names(word))


def _example() -> Source:
    return next(source for source in _sources() if source.feeds)


def _feed(source: Source) -> Feed:
    """One of events rather than of reference data."""
    return next((feed for feed in source.feeds if feed.event_time), source.feeds[0])


def _fact(source: Source) -> str:
    tables = (*source.star_tables, *source.raw_tables)
    return next((table.qualified_name for table in tables if table.is_partitioned), tables[0].qualified_name)


def _releases(source: Source) -> list[str]:
    return list(source.release().archives) if source.release else []


def _several_releases(_: Source) -> str:
    found = {source.name: _releases(source) for source in _sources()}
    return "; ".join(f"{name}: {', '.join(archives)}" for name, archives in found.items() if len(archives) > 1)


EXAMPLES: dict[str, Callable[[Source], str]] = {
    "source": lambda source: source.name,
    "release": lambda source: next(iter(_releases(source)), "folder"),
    "dataset": lambda source: _feed(source).dataset,
    "file": lambda source: f"{_feed(source).dataset}.csv",
    "fact": _fact,
    "several_releases": _several_releases,
}
