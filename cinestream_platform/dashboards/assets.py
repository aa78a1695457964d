"""Style sheet and scripts of ours: read once, served under names that change with their content, for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cinestream_platform.dashboards.cache import Made

TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class Assets:
    """The files of a folder.

    ``urls`` has the address of each by its name in the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.urls: dict[str, str] = {}
        self._made: dict[str, Made] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix in TYPES:
                content = path.read_bytes()
                name = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
                self.urls[path.name] = f"/static/{name}"
                self._made[name] = Made(content, TYPES[path.suffix])

    def get(self, name: str) -> Made | None:
        """The file of this address."""
        return self._made.get(name)
