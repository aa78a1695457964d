"""Made pages, kept as long as nothing has changed; a page that many ask for at once is made once."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

MOST_BYTES = 24 * 1024 * 1024
SMALLEST_GZIP = 1_000  # bytes; less is not worth it


@dataclass(frozen=True)
class Made:
    """An answer, ready to be sent.

    ``tag`` identifies the content: a browser that has it is answered 304.
    """

    body: bytes
    media_type: str
    status: int = 200
    tag: str = field(init=False)
    packed: bytes | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tag", f'"{hashlib.sha256(self.body).hexdigest()[:24]}"')
        packed = gzip.compress(self.body, 6, mtime=0) if len(self.body) >= SMALLEST_GZIP else None
        object.__setattr__(self, "packed", packed)

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.body) + len(self.packed or b"")


class Cache:
    """Pages by key, the latest used ones within a number of bytes."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Hashable, Made] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[Made]] = {}
        self.bytes = 0

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Made]]) -> tuple[Made, bool]:
        """The page of this key, and whether it was there; errors reach all who waited, and are not kept."""
        if (made := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return made, True
        task = self._making.get(key)
        if task is None:
            task = asyncio.ensure_future(self._make(key, make))
            self._making[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task), False  # a visitor who leaves does not end it for the others

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[Made]]) -> Made:
        made = await make()
        self._kept[key] = made
        self.bytes += made.size
        while self.bytes > self._most:
            _, oldest = self._kept.popitem(last=False)
            self.bytes -= oldest.size
        return made

    def _forget(self, key: Hashable, done: asyncio.Task[Made]) -> None:
        self._making.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen by those who waited, if anybody still did
