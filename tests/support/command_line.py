"""The command line as users have it: a process of its own, with a home of its own; only its imports are shared."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.support import warm


class CommandLine:
    """``cinestream`` with one environment; settings of the test's own process do not leak in."""

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = home
        ours = ("CINESTREAM_", "DAGSTER_")
        inherited = {
            n: v for n, v in os.environ.items() if not n.startswith(ours) or n == "CINESTREAM_POSTGRES_DATA_ROOT"
        }
        quick = {"CINESTREAM_LANDING_SETTLE_SECONDS": "0", "COLUMNS": "200"}
        self.environment = inherited | quick | {"CINESTREAM_HOME": str(home)} | dict(settings or {})

    def with_settings(self, **settings: str) -> CommandLine:
        """The same home under other settings."""
        other = CommandLine(self.home)
        other.environment = self.environment | settings
        return other

    def command(self, *arguments: str | Path) -> list[str]:
        """What is executed."""
        return [warm.cinestream_executable(), *map(str, arguments)]

    def run(self, *arguments: str | Path, timeout: float = 1500) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=next(folder for folder in self.home.parents if folder.is_dir()),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def output(self, *arguments: str | Path) -> str:
        """What a command prints; it must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def error(self, *arguments: str | Path) -> str:
        """The one line that a command fails with."""
        done = self.run(*arguments)
        assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, lines
        return lines[0]


def command_lines_of_all_processes() -> str:
    """The arguments of every process of this machine."""
    if processes := list(Path("/proc").glob("[0-9]*/cmdline")):  # a fifth of psutil's CPU: this is asked all the time
        return "\n".join(_text_of(path).replace("\0", " ") for path in processes)
    found = []
    for process in psutil.process_iter():
        try:
            found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return "\n".join(found)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has ended
        return ""
