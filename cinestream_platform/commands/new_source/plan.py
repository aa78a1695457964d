"""The files of a new source, as text: declarations, transforms and assets, sample, test, mart and page.

What belongs here: filling the templates. What does not: reading samples (``inference``), choosing the example
dimension (``example``), and writing (``writing``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS

from cinestream_platform.commands.new_source.code import (
    call,
    columns_code,
    imported,
    listed,
    mapping,
    names_of,
    quoted,
    type_names,
)
from cinestream_platform.commands.new_source.example import Dimension, made_up, parent_of, tested
from cinestream_platform.commands.new_source.inference import Draft
from cinestream_platform.commands.new_source.names import words
from cinestream_platform.declarations.column import BOOLEAN, Column, Kind

PACKAGE = "cinestream_platform"
USED_CONSTANTS = frozenset(
    {"SOURCE", "STAR", "FEEDS", "RAW_TABLES", "STAR_TABLES", "RELATIONS", "TIMESTAMP", *(kind.name for kind in Kind)}
)
"""What a source's modules call something else."""
LONGEST_MART = 50
"""Characters: names of its tests and of temporary tables begin with it."""
NO_COLUMNS = RESERVED_WORDS | {"collation", "concurrently", "tablesample"}
"""Names that SQL takes for a column only in quotes."""
NO_YAML_TEXTS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
IN_SOURCE = Column("is_in_source", BOOLEAN, "False once the source no longer delivers it.")


@dataclass(frozen=True)
class Plan:
    """All files of one source."""

    name: str
    drafts: Sequence[Draft]
    dim: Dimension

    @cached_property
    def files(self) -> dict[str, str]:
        """Path below the repository's root -> text."""
        package, mart = f"{PACKAGE}/sources/{self.name}", f"dbt_project/models/{self.name}/{self.mart}"
        templates = {
            **{f"{package}/{name}.py": name for name in ("source", "feeds", "tables", "transforms", "assets")},
            f"{package}/__init__.py": "package",
            f"{package}/sample/__init__.py": "sample",
            f"{package}/sample/generator.py": "generator",
            f"tests/unit/sources/{self.name}/test_{self.name}_transforms.py": "test",
            f"{mart}.sql": "mart.sql",
            f"{mart}.yml": "mart.yml",
            f"docs/{self.name}.md": "page",
        }
        environment = _environment()
        return {path: environment.get_template(f"{name}.j2").render(plan=self) for path, name in templates.items()}

    @property
    def title(self) -> str:
        """The source as people call it."""
        return words(self.name).capitalize()

    @cached_property
    def category(self) -> Column:
        """The column by which the mart counts: a text of the dimension, or whether the source still delivers a row."""
        return self.dim.category or IN_SOURCE

    @property
    def category_values(self) -> tuple[str, str]:
        """Two values of it, for the mart's test."""
        return ("true", "false") if self.category.type == BOOLEAN else ("one", "two")

    @property
    def mart(self) -> str:
        """Name of the mart; models of two sources may not share one."""
        name = f"mart_{self.name}_by_{self.category.name}"
        return name if len(name) <= LONGEST_MART else f"mart_{self.name}_counts"

    @cached_property
    def constants(self) -> dict[str, str]:
        """Raw table -> the name of its declaration and its feed."""
        taken = {*USED_CONSTANTS, self.dim.name.upper()}
        names = (draft.table.name for draft in self.drafts)
        return {name: f"{name.upper()}_RAW" if name.upper() in taken else name.upper() for name in names}

    @cached_property
    def relations(self) -> list[str]:
        """What relates the raw tables: a column that has the name of another table's key."""
        return [
            f'Relation({self.constants[draft.table.name]}, ("{column.name}",), {self.constants[parent.table.name]})'
            for draft in self.drafts
            for column in draft.table.columns
            if column.source_name and (parent := parent_of(column, draft, self.drafts))
        ]

    @property
    def column_imports(self) -> set[str]:
        """What ``tables`` takes from ``declarations.column``."""
        columns = [column for draft in self.drafts for column in draft.table.delivered]
        return {"Column", *type_names([*columns, *(part.column for part in self.dim.columns)])}

    def fields(self, draft: Draft) -> list[str]:
        """Expressions of the fields of a made-up record."""
        return made_up(draft, self.drafts)

    @property
    def value_imports(self) -> set[str]:
        """The functions that make up values."""
        used = " ".join(field for draft in self.drafts for field in self.fields(draft))
        return set(re.findall(r"\b(day|day_after|decimal|maybe|moment|title|whole)\(", used))

    @property
    def draws_words(self) -> bool:
        """Whether a field is one of a few words."""
        return any("ADJECTIVES" in field for draft in self.drafts for field in self.fields(draft))

    @property
    def picks(self) -> bool:
        """Whether a field is one of several."""
        return any("pick(" in field for draft in self.drafts for field in self.fields(draft))

    @property
    def given(self) -> Iterator[list[tuple[str, str]]]:
        """Raw rows of the example's test; where rows are told apart by one column, it repeats a value."""
        delivered = [p.column for p in self.dim.draft.profile.columns]
        for which in (0, 0, 1) if self.dim.is_distinct else (0, 1):
            yield [(column.name, tested(column, which)) for column in delivered]

    @property
    def expected(self) -> Iterator[list[tuple[str, str]]]:
        """The dimension's rows that they become."""
        for which in (0, 1):
            values = [(part.column.name, tested(part.column, which)) for part in self.dim.columns]
            yield [*values, ("is_inferred", "False"), ("is_in_source", "True")]

    @property
    def test_imports(self) -> list[str]:
        """Imports of the standard library in that test."""
        text = " ".join(value for row in self.given for _, value in row)
        times = [name for name in ("UTC", "date", "datetime") if re.search(rf"\b{name}\b", text)]
        decimals = ["from decimal import Decimal"] if "Decimal" in text else []
        return [*([imported("datetime", times)] if times else []), *decimals]

    @property
    def notes(self) -> list[str]:
        """What somebody should look at, by file."""
        return [f"`{draft.file_name}`: {note}" for draft in self.drafts for note in draft.notes]


def sql_name(name: str) -> str:
    """A column as SQL takes it."""
    return f'"{name}"' if name in NO_COLUMNS else name


def yaml_text(text: str) -> str:
    """A text as YAML takes it."""
    is_plain = re.fullmatch(r"[a-z_][a-z0-9_]*", text) and text not in NO_YAML_TEXTS
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _environment() -> Environment:
    """The templates; they write code, so that nothing is escaped for HTML."""
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(quoted=quoted, names=names_of, sql=sql_name, yaml=yaml_text, words=words)
    environment.globals.update(
        call=call, imported=imported, listed=listed, mapping=mapping, columns_code=columns_code, names_of=names_of
    )
    return environment
