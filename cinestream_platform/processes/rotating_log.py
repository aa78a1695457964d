"""A log file of bounded size: what a child prints goes in as it comes, and old parts are dropped."""

import threading
from itertools import pairwise
from pathlib import Path
from typing import IO

MOST_BYTES = 10 * 1024 * 1024
GENERATIONS = 4  # daemon.log, daemon.log.1 … daemon.log.3: 40 MB a process


class RotatingLog:
    """Appends bytes to a private file (0600); a full one becomes ``.1``, that one ``.2``, and the last goes.

    A disk that is full loses lines, never the writer: a child whose output nobody takes would stand still.
    """

    def __init__(self, path: Path, *, most_bytes: int = MOST_BYTES, generations: int = GENERATIONS) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._generations = generations
        self._stream: IO[bytes] | None = None
        self._lock = threading.RLock()  # what a killed child's children print comes beside its successor's

    def write(self, data: bytes) -> None:
        """Append data; it is never split between two files."""
        with self._lock:
            try:
                stream = self._stream or self._open()
                if stream.tell() and stream.tell() + len(data) > self._most_bytes:
                    stream = self._rotate()
                stream.write(data)
            except OSError:
                self.close()

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        with self._lock:
            if self._stream is not None:
                self._stream.close()
                self._stream = None

    def _open(self) -> IO[bytes]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.touch(mode=0o600)
        self._stream = self.path.open("ab", buffering=0)
        return self._stream

    def _rotate(self) -> IO[bytes]:
        self.close()
        older = [self.path, *(self.path.with_name(f"{self.path.name}.{n}") for n in range(1, self._generations))]
        for newer, old in reversed(list(pairwise(older))):
            if newer.exists():
                newer.replace(old)
        return self._open()
