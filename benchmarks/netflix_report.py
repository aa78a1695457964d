"""What the benchmark of the Netflix star prints: Markdown, as docs/benchmarks.md has it."""

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.netflix_arms import Run
from benchmarks.netflix_queries import Answer

MB = 1e6


def table(header: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """A Markdown table whose first ``words`` columns are words, the others numbers."""
    rule = "|".join("---" if place < words else "---:" for place in range(len(header)))
    lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]]) + "\n"


def median(values: Iterable[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def by_arm(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs of each arm, arms in the order of their first run."""
    return {name: [run for run in runs if run.arm.name == name] for name in dict.fromkeys(run.arm.name for run in runs)}


def span(values: Sequence[float]) -> str:
    """Least and greatest."""
    return f"{min(values):.1f}–{max(values):.1f}"


def arms_table(runs: Sequence[Run]) -> str:
    """Seconds, rate, ratio, memory, bytes and hash of each arm."""
    arms = by_arm(runs)
    ours = median(run.seconds for run in arms["ours"]) if "ours" in arms else None
    rows = []
    for found in arms.values():
        arm, last, seconds = found[0].arm, found[-1], [run.seconds for run in found]
        middle = median(seconds)
        filled = next(size for size in last.sizes if size.relation == arm.relation)
        ratio = f"{ours / middle:.2f}" if ours and not arm.is_slice else "–"
        rows.append(
            (
                f"{arm.title} of {last.rows:,} rows" if arm.is_slice else arm.title,
                f"{middle:.1f}",
                span(seconds),
                f"{last.rows / middle:,.0f}",
                ratio,
                f"{max(run.peak for run in found) / MB:,.0f}",
                f"{filled.heap / MB:,.0f} + {filled.indexes / MB:,.0f}",
                f"{sum(size.heap + size.indexes for size in last.sizes) / MB:,.0f}",
                f"{last.lake / MB:,.0f}",
                f"{median(run.wal for run in found) / MB:,.0f}",
                f"`{last.content_hash.partition('-')[0]}`",
            )
        )
    header = ["arm", "median s", "min–max s", "rows/s", "ours / arm", "peak MB", "ratings: heap + indexes MB"]
    header += ["all tables MB", "lake MB", "WAL MB", "rows' hash"]
    return table(header, rows)


def stages_table(runs: Sequence[Run]) -> str:
    """Median seconds of each stage of each arm."""
    rows = []
    for found in by_arm(runs).values():
        for stage in found[0].stages:
            seconds = [run.stages.get(stage, 0.0) for run in found]
            rows.append((found[0].arm.title, stage, f"{median(seconds):.1f}", span(seconds)))
        rest = [run.seconds - sum(run.stages.values()) for run in found]
        rows.append((found[0].arm.title, "start and end of the process, the rest", f"{median(rest):.1f}", span(rest)))
        rows.append((found[0].arm.title, "**whole job**", f"{median(run.seconds for run in found):.1f}", ""))
    return table(["arm", "stage", "median s", "min–max s"], rows, words=2)


def sizes_table(run: Run) -> str:
    """The tables of a run that have a megabyte or more."""
    large = [size for size in run.sizes if size.heap + size.indexes >= MB]
    rows = [(f"`{size.relation}`", f"{size.heap / MB:,.1f}", f"{size.indexes / MB:,.1f}") for size in large]
    return table(["table", "heap MB", "indexes MB"], rows)


def curve_table(runs: Sequence[Sequence[Run]]) -> str:
    """Ours at several sizes."""
    stages = list(dict.fromkeys(stage for found in runs for run in found for stage in run.stages))
    rows = []
    for found in runs:
        seconds, count = [run.seconds for run in found], found[-1].rows
        middle = median(seconds)
        rates = [f"{count:,}", f"{middle:.1f}", span(seconds), f"{count / middle:,.0f}", f"{middle / count * 1e6:.2f}"]
        peak = f"{max(run.peak for run in found) / MB:,.0f}"
        parts = [f"{median(run.stages.get(stage, 0.0) for run in found):.1f}" for stage in stages]
        rows.append((*rates, peak, *parts))
    header = [
        "rows",
        "median s",
        "min–max s",
        "rows/s",
        "s per million",
        "peak MB",
        *(f"{stage} s" for stage in stages),
    ]
    return table(header, rows, words=0)


def queries_table(answers: Sequence[Answer]) -> str:
    """Execution times of the sample questions."""
    rows = []
    for answer in answers:
        if answer.problem:
            rows.append((answer.question, answer.source, "not asked", answer.problem, ""))
            continue
        times = f"{answer.median:,.1f}", span(answer.milliseconds)
        rows.append((answer.question, answer.source, *times, f"{answer.bytes_read / MB:,.1f}"))
    return table(["question", "from", "median ms", "min–max ms", "MB read, cached or not"], rows, words=2)
