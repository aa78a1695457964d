"""The supervisor: starts children, starts them again with back-off when they end, and stops them in order.

What belongs here: processes and their output. It knows neither Dagster nor Postgres: what must run is given to it, and
whether the database is there is asked of a ``Ground``. One line is told for each event; what children print goes to
their logs. Every child leads a process group of its own, so that Ctrl-C reaches the supervisor alone.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol, Self

import psutil

from cinestream_platform.processes.rotating_log import RotatingLog

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
STEADY_SECONDS = 60.0  # after which a child's earlier ends are forgotten
LOOK_SECONDS = 0.25
GROUND_SECONDS = 1.0  # between two looks at the database
CHUNK = 65_536


@dataclass(frozen=True)
class Program:
    """What must run."""

    name: str  # "daemon": in messages and as the name of its log
    arguments: Sequence[str]  # of python -m cinestream_platform.processes.child
    hidden: tuple[str, ...] = ()  # endings of variables that it does not get
    kept: tuple[str, ...] = ()  # variables that it gets nevertheless
    stop_seconds: float = 8.0  # from SIGTERM to SIGKILL
    is_base: bool = False  # the others use it: it is stopped after them


class Ground(Protocol):
    """What the programs stand on: the database."""

    def stands(self) -> bool:
        """Whether it runs. Asked every second: must be cheap."""

    def rebuild(self) -> Mapping[str, str]:
        """Start it if need be, and return the environment that says where it is. May take minutes, or raise."""


def backoff(failures: int) -> float:
    """Seconds to wait after so many ends in a row: 1, 2, 4 … 60."""
    return float(min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(failures - 1, 10)))


def how_it_ended(code: int) -> str:
    """In words: ``killed by signal 9``, ``exit code 1``."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


@dataclass
class Child:
    """A program and its process, if it runs."""

    program: Program
    log: RotatingLog
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0  # when it is to be started
    failures: int = 0
    orphans: list[psutil.Process] = field(default_factory=list)  # what a killed one left in its group


class Supervisor:
    """Keeps programs running until it is told to stop. A context: at its end all of them are stopped.

    Args:
        programs: In the order in which they are started; they are stopped in the opposite one.
        ground: The database below them.
        logs: Folder of their logs.
        tell: Takes one line for each event.
    """

    def __init__(self, programs: Sequence[Program], ground: Ground, logs: Path, tell: Callable[[str], None]) -> None:
        self._ground = ground
        self._tell = tell
        self._logs = logs
        self._children = [Child(program, RotatingLog(logs / f"{program.name}.log")) for program in programs]
        self._stopping = threading.Event()
        self._environment: Mapping[str, str] = {}
        self._next_look = 0.0
        # Nothing is ever written. The writing end is inherited by nobody: it closes when this process dies.
        self._lifeline, self._held = os.pipe()

    def stop(self) -> None:
        """Have ``run`` stop the children and return; safe in a signal handler."""
        self._stopping.set()

    def start_early(self, environment: Mapping[str, str]) -> None:
        """Start the programs that wait for the base by themselves: they import while that is still prepared.

        Args:
            environment: Of the programs, as ``Ground.rebuild`` returns it.
        """
        self._environment = environment
        for child in self._children:
            if not child.program.is_base:
                self._start(child)

    def run(self) -> None:
        """Start the other programs, and keep all running until ``stop`` is called."""
        while not self._stopping.is_set():
            self._look()
            self._stopping.wait(LOOK_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_all()
        for descriptor in (self._lifeline, self._held):
            os.close(descriptor)

    def _look(self) -> None:
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + GROUND_SECONDS
            if not self._ground.stands():
                self._rebuild()
        for child in self._children:
            if child.process is None and time.monotonic() >= child.due:
                self._start(child)
            elif child.process is not None and child.process.poll() is not None:
                self._bury(child, child.process)

    def _start(self, child: Child) -> None:
        hidden, kept = child.program.hidden, child.program.kept
        environment = {name: value for name, value in os.environ.items() if name in kept or not name.endswith(hidden)}
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "cinestream_platform.processes.child"),
                *("--lifeline", str(self._lifeline), *child.program.arguments),
            ],
            env=environment | dict(self._environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[self._lifeline],
            start_new_session=True,
        )
        child.process, child.started = process, time.monotonic()
        name = f"log of {child.program.name}"
        threading.Thread(target=_pump, args=(process.stdout, child.log), name=name, daemon=True).start()

    def _bury(self, child: Child, dead: subprocess.Popen[bytes]) -> None:
        """A child has ended by itself: say so, and when it is started again. Runs that it had started go on."""
        code = dead.returncode
        child.orphans = [process for process in child.orphans if process.is_running()] + _group(dead.pid)
        child.process = None
        child.failures = 1 if time.monotonic() - child.started > STEADY_SECONDS else child.failures + 1
        wait = backoff(child.failures)
        child.due = time.monotonic() + wait
        log = "" if code < 0 else f"; see {child.log.path}"
        self._tell(f"{child.program.name} ended ({how_it_ended(code)}{log}), started again in {wait:.0f} s")

    def _rebuild(self) -> None:
        """Start the database again, with back-off; the children wait meanwhile, and move if it did."""
        self._tell("Postgres ended, is started again")
        failures = 0
        while not self._stopping.is_set():
            found = self._in_background(self._ground.rebuild)
            if isinstance(found, Exception):
                failures += 1
                wait = backoff(failures)
                first = (str(found).strip() or type(found).__name__).splitlines()[0]
                self._tell(f"Postgres did not start ({first[:300]}), tried again in {wait:.0f} s")
                self._stopping.wait(wait)
            elif found is not None:
                self._tell("Postgres runs again")
                if dict(found) != dict(self._environment):
                    self._tell("Postgres has another address: everything is started again")
                    self._stop_all()
                    self._environment = found
                return

    def _in_background(self, work: Callable[[], Mapping[str, str]]) -> Mapping[str, str] | Exception | None:
        """The result or error of work that may take long; None when the supervisor was told to stop meanwhile."""
        results: list[Mapping[str, str] | Exception] = []

        def attempt() -> None:
            try:
                results.append(work())
            except Exception as error:  # whatever it is, it is told and tried again
                results.append(error)

        thread = threading.Thread(target=attempt, name="rebuild", daemon=True)
        thread.start()
        while thread.is_alive() and not self._stopping.is_set():
            thread.join(LOOK_SECONDS)
        return results[0] if results else None

    def _stop_all(self) -> None:
        """Stop the children, those that use others first, and what killed ones left."""
        for is_base in (False, True):
            ending = [child for child in self._children if child.program.is_base == is_base]
            for child in ending:
                child.orphans = _terminated(child.orphans + (_group(child.process.pid) if child.process else []))
            for child in ending:
                _wait_for_end(child)
                child.process, child.orphans, child.due, child.failures = None, [], 0.0, 0
                child.log.close()


def _pump(output: IO[bytes] | None, log: RotatingLog) -> None:
    """Write a child's output to its log until its last holder closes it."""
    if output is not None:
        with output:
            while data := os.read(output.fileno(), CHUNK):
                log.write(data)


def _group(leader: int) -> list[psutil.Process]:
    """The live processes of a group; its leader may be dead."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _terminated(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    return list(processes)


def _wait_for_end(child: Child) -> None:
    """Wait for the processes of a child, which have had SIGTERM; those that are left after some seconds get SIGKILL."""
    leader = child.process.pid if child.process else None
    others = [process for process in child.orphans if process.pid != leader]
    deadline = time.monotonic() + child.program.stop_seconds
    psutil.wait_procs(others, timeout=child.program.stop_seconds)
    if others:  # the code server waits for heartbeats of the one that it stood before, which is gone
        deadline = min(deadline, time.monotonic() + 1.0)
    _, alive = psutil.wait_procs(child.orphans, timeout=max(0.0, deadline - time.monotonic()))
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    if child.process is not None:
        child.process.wait()
