"""Downloading a file over HTTP that may be large, over a line that may be slow and may break.

What belongs here: one GET that goes on where it broke off. What does not: which files there are (``fetch_release``).
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

CONNECT_SECONDS, SILENCE_SECONDS = 10, 60
"""The time to take a connection, and that in which some byte must come; the whole may take as long as it needs."""
FRUITLESS_ATTEMPTS = 3
"""So many attempts in a row that brought no byte end a download."""
CHUNK_BYTES = 256 * 1024


class Download:
    """What pooch asks to download a file: on a broken connection the rest is asked for, of the same version alone."""

    def __init__(self, progress: bool) -> None:
        self._progress = progress

    def __call__(self, url: str, output_file: str, _: Any, check_only: bool = False) -> bool | None:
        """Download ``url`` to a file.

        Raises:
            OSError: The server refuses, or brought nothing three times in a row (every error of requests is one).
        """
        import requests

        fruitless, path = 0, Path(output_file)
        path.write_bytes(b"")
        version: str | None = None
        while True:
            before = path.stat().st_size if version else 0
            try:
                with self._answer(url, before, version) as answer:
                    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
                    self._append(answer, path, before if answer.status_code == requests.codes.partial_content else 0)
                return None
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                fruitless = 0 if version and path.stat().st_size > before else fruitless + 1
                if fruitless == FRUITLESS_ATTEMPTS:
                    raise

    @contextmanager
    def _answer(self, url: str, begin: int, version: str | None) -> Iterator[Any]:
        """The server's answer for what is missing; all of it where the file is another one by now (If-Range)."""
        import requests

        rest = {"Range": f"bytes={begin}-", "If-Range": version} if begin and version else {}
        headers = {"Accept-Encoding": "identity", **rest}
        with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS)) as answer:
            answer.raise_for_status()
            yield answer

    def _append(self, answer: Any, path: Path, begin: int) -> None:
        length = int(answer.headers.get("Content-Length", 0))
        with path.open("r+b") as sink, self._bar(begin, begin + length) as bar:
            sink.truncate(begin)
            sink.seek(begin)
            for chunk in answer.iter_content(CHUNK_BYTES):
                sink.write(chunk)
                if bar is not None:
                    bar.update(len(chunk))

    def _bar(self, done: int, total: int) -> Any:
        if not self._progress:
            return nullcontext()
        from tqdm import tqdm

        return tqdm(initial=done, total=total or None, ncols=79, unit="B", unit_scale=True)
