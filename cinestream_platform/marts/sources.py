"""``dbt_project/models/sources.yml``: the tables that marts may read, written from their declarations.

What belongs here: how a declared dim, bridge or fact is described to dbt. Raw tables are left out, and so are personal
columns: everybody with a dashboard may read a mart. ``make sources`` writes the file; a test tells when that is due.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from cinestream_platform.catalog import TABLES
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.declarations.star_table import PartitionedFact
from cinestream_platform.declarations.table import Table
from cinestream_platform.marts.project import PROJECT_DIR

SOURCES_FILE = PROJECT_DIR / "models" / "sources.yml"

HEADER = """\
# Written by `make sources` from the declarations of the tables: change those. Raw tables are not here, as a mart reads
# dims and facts only, and no personal columns.
version: 2

sources:
"""


def sources_yml(tables: Iterable[Table]) -> str:
    """The text of the file, one dbt source per schema."""
    readable = sorted((table for table in tables if not isinstance(table, RawTable)), key=lambda table: table.schema)
    return (
        HEADER
        + "\n".join(
            line for schema, group in groupby(readable, lambda table: table.schema) for line in _source(schema, group)
        )
        + "\n"
    )


def _source(schema: str, tables: Iterable[Table]) -> Iterator[str]:
    yield f"  - name: {schema}"
    yield "    tables:"
    for table in tables:
        partitions = (
            f" Partitioned by {table.unit} of {table.partition_column}." if isinstance(table, PartitionedFact) else ""
        )
        yield f"      - name: {table.name}"
        yield f"        description: {_quoted(f'{table.description} Grain: {table.grain}.{partitions}')}"
        yield "        columns:"
        for column in table.columns:
            if not column.is_personal:
                words = {
                    "name": column.name,
                    "data_type": _quoted(str(column.type)),
                    "description": _quoted(column.description),
                }
                yield f"          - {{ {', '.join(f'{word}: {value}' for word, value in words.items())} }}"


def _quoted(text: str) -> str:
    """A text as YAML takes it wherever it stands: every JSON string is one."""
    return json.dumps(text, ensure_ascii=False)


def write_sources(path: Path = SOURCES_FILE) -> None:
    """Write the file for all declared tables."""
    path.write_text(sources_yml(TABLES), encoding="utf-8")


if __name__ == "__main__":
    from cinestream_platform.marts.overview import write_overview
    from cinestream_platform.marts.star_lineage import edges_of_assets, write_edges

    write_sources()
    write_overview()
    write_edges(edges_of_assets())
