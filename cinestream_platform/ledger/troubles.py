"""What is wrong and no view can see (``ops.trouble``): disks, certificates, logins, rights, the queue of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong now; ``kind`` is one of those of ``platform.alert_condition``."""

    kind: str
    name: str
    sentence: str

    @property
    def key(self) -> str:
        """The same for the same thing."""
        return f"{self.kind}:{self.name}"


def replace(conn: Connection[Any], noted_by: str, found: Sequence[Trouble]) -> None:
    """Put what a look found in the place of what it found before; nothing is written where that is the same."""
    known = dict(conn.execute("SELECT key, sentence FROM ops.trouble WHERE noted_by = %s", (noted_by,)).fetchall())
    now = {one.key: one for one in found}
    if known == {key: one.sentence for key, one in now.items()}:
        return
    with conn.transaction():
        conn.execute("DELETE FROM ops.trouble WHERE noted_by = %s AND key <> ALL (%s)", (noted_by, list(now)))
        conn.execute(
            "INSERT INTO ops.trouble AS t (key, kind, noted_by, sentence)"
            " SELECT s.key, s.kind, %s, s.sentence FROM unnest(%s::text[], %s::text[], %s::text[])"
            " AS s (key, kind, sentence)"
            " ON CONFLICT (key) DO UPDATE SET sentence = excluded.sentence, noted_by = excluded.noted_by",
            (noted_by, list(now), [one.kind for one in now.values()], [one.sentence for one in now.values()]),
        )
