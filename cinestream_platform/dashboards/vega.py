"""Vega's JavaScript, out of a Python wheel: made once by a process of its own, kept packed in the home.

Bundling takes some seconds and 150 MB, which the server does not need for anything else.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

from cinestream_platform.errors import CineStreamError
from cinestream_platform.services.process import make_private

PACKAGE = "vl-convert-python"
MAKE = (
    "import gzip, os, sys, vl_convert\n"
    "packed = gzip.compress(vl_convert.javascript_bundle().encode(), 9, mtime=0)\n"
    "with open(sys.argv[1], 'xb') as file: file.write(packed)\n"
)
SECONDS = 120


class BundleError(CineStreamError):
    """Vega's JavaScript could not be made."""


class VegaBundle:
    """The script that draws charts.

    Args:
        folder: Where it is kept; the file is named by the version of the wheel that it is from.
    """

    def __init__(self, folder: Path) -> None:
        self._version = version(PACKAGE)
        self.name = f"vega.{hashlib.sha256(self._version.encode()).hexdigest()[:12]}.js"
        self._path = folder / f"vega-{self._version}.js.gz"
        self._turn = threading.Lock()

    def packed(self) -> bytes:
        """The script, gzipped. Takes seconds the first time.

        Raises:
            BundleError: It could not be made.
        """
        with self._turn:
            if not self._path.is_file():
                self._make()
            return self._path.read_bytes()

    def _make(self) -> None:
        make_private(self._path.parent)
        fresh = self._path.with_name(f".{self._path.name}-{id(self)}")
        fresh.unlink(missing_ok=True)
        try:
            subprocess.run([sys.executable, "-P", "-c", MAKE, str(fresh)], check=True, timeout=SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            fresh.unlink(missing_ok=True)
            raise BundleError(f"the charts' script could not be made: {type(error).__name__}") from error
        fresh.replace(self._path)
