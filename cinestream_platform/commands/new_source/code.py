"""Python code of declarations, formatted as ``ruff format`` would: on one line if it fits, else a line per argument.

What belongs here: how a declared object is written. What does not: which objects there are (``draft``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from cinestream_platform.declarations.column import Column, DataType, Kind, MaxLength

WIDTH = 120


def quoted(text: str) -> str:
    """A Python string literal, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def call(function: str, arguments: Iterable[str], *, indent: int, end: str = ",") -> str:
    """A call, indented; ``end`` follows it."""
    arguments, blanks = list(arguments), " " * indent
    line = f"{blanks}{function}({', '.join(arguments)}){end}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{blanks}{function}(", *(f"{blanks}    {part}," for part in arguments), f"{blanks}){end}"])


def listed(name: str, items: Iterable[str]) -> str:
    """A tuple with a name."""
    items = list(items)
    return call(f"{name} = ", items if len(items) != 1 else [f"{items[0]},"], indent=0, end="").replace(",,", ",")


def mapping(pairs: Iterable[tuple[str, str]], *, indent: int) -> str:
    """A dict of names, an item of a list."""
    items, blanks = [f"{quoted(name)}: {value}" for name, value in pairs], " " * indent
    line = f"{blanks}{{{', '.join(items)}}},"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{blanks}{{", *(f"{blanks}    {item}," for item in items), f"{blanks}}},"])


def names_of(names: Iterable[str]) -> str:
    """A tuple of strings."""
    listed = [quoted(name) for name in names]
    return f"({', '.join(listed)}{',' if len(listed) == 1 else ''})"


def imported(module: str, names: Iterable[str]) -> str:
    """An import of names, in the order of ``ruff``: constants, classes, functions."""
    ordered = sorted(set(names), key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name))
    line = f"from {module} import {', '.join(ordered)}"
    return line if len(line) <= WIDTH else "\n".join([f"from {module} import (", *(f"    {n}," for n in ordered), ")"])


def type_code(data_type: DataType) -> str:
    """A type as declarations write it."""
    if data_type.kind is Kind.NUMERIC:
        return f"numeric({data_type.precision}, {data_type.scale})"
    return "DOUBLE" if data_type.kind is Kind.DOUBLE else data_type.kind.name


def type_names(columns: Iterable[Column]) -> set[str]:
    """What these columns need of ``declarations.column``."""
    columns = list(columns)
    rules = {type(rule).__name__ for column in columns for rule in column.rules}
    return {type_code(column.type).partition("(")[0] for column in columns} | rules


def column_code(column: Column, *, indent: int) -> str:
    """A column as it is declared."""
    parts = [quoted(column.name), type_code(column.type), quoted(column.description)]
    parts += ["nullable=True"] if column.nullable else []
    lengths = [f"MaxLength({rule.characters})" for rule in column.rules if isinstance(rule, MaxLength)]
    parts += [f"rules=({lengths[0]},)"] if lengths else []
    parts += ["is_personal=True"] if column.is_personal else []
    parts += [f"source_name={quoted(column.source_name)}"] if column.source_name else []
    parts += [f"time_zone={quoted(column.time_zone)}"] if column.time_zone else []
    parts += ["may_be_future=True"] if column.may_be_future else []
    return call("Column", parts, indent=indent)


def columns_code(argument: str, columns: Iterable[Column], *, indent: int) -> str:
    """An argument that is a tuple of columns."""
    columns, blanks = list(columns), " " * indent
    if len(columns) == 1:
        line = f"{blanks}{argument}=({column_code(columns[0], indent=0)}),"
        if len(line) <= WIDTH:
            return line
    parts = [column_code(column, indent=indent + 4) for column in columns]
    return "\n".join([f"{blanks}{argument}=(", *parts, f"{blanks}),"])
