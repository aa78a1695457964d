"""The sample questions of netflix_queries.sql, asked of the warehouse that ours filled, by EXPLAIN (ANALYZE)."""

import re
import statistics
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.measuring import HERE
from benchmarks.netflix_warehouse import connect
from cinestream_platform.services.postgres import PostgresServer

TIMES = 3
EXECUTION = re.compile(r"Execution Time: ([\d.]+) ms")
BUFFERS = re.compile(r"Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?")
PAGE = 8192


@dataclass(frozen=True)
class Answer:
    """How long a question took, and what it read; or why it could not be asked."""

    question: str
    source: str
    milliseconds: tuple[float, ...] = ()
    bytes_read: int = 0
    problem: str = ""

    @property
    def median(self) -> float:
        """Of all times that it was asked."""
        return statistics.median(self.milliseconds)


def questions() -> list[tuple[str, str, str]]:
    """Question, what it is answered from, SQL."""
    pieces = re.split(r"^-- name: (.+), (.+)$", (HERE / "netflix_queries.sql").read_text(), flags=re.MULTILINE)
    return list(zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True))


def ask(server: PostgresServer, plans: Path) -> list[Answer]:
    """Ask every question a few times; the last plan of each goes to a file."""
    answers, texts = [], []
    with connect(server) as conn:
        for question, source, query in questions():
            try:
                asked = [_explained(conn, query) for _ in range(TIMES)]
            except psycopg.Error as error:
                answers.append(Answer(question, source, problem=error.diag.message_primary or str(error)))
                continue
            texts.append(f"-- {question}, {source}\n{query.strip()}\n\n{asked[-1]}\n")
            seconds = tuple(float(found[1]) for plan in asked if (found := EXECUTION.search(plan)))
            buffers = BUFFERS.search(asked[-1])
            pages = sum(int(number or 0) for number in buffers.groups()) if buffers else 0
            answers.append(Answer(question, source, seconds, pages * PAGE))
    plans.write_text("\n".join(texts))
    return answers


def _explained(conn: psycopg.Connection, query: str) -> str:
    rows = conn.execute(f"EXPLAIN (ANALYZE, BUFFERS) {query}".encode()).fetchall()
    return "\n".join(line for (line,) in rows)
