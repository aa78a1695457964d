"""Addresses of the pages for stakeholders, below wherever they are served."""

from __future__ import annotations

from urllib.parse import quote

MOST_PATH = 1_000
"""Characters of an address in a message; keys of files have up to 1,024 bytes, each of which may become three."""
PLACES = {"work": "/#work", "machine": "/#work", "alerts": "/#alerts"}
"""Kinds of pages (``platform.alert_condition.page``) that are a part of Today."""


def table_url(schema: str, table: str) -> str:
    """The catalogue's page of a table."""
    return f"/catalog/{quote(schema, safe='')}.{quote(table, safe='')}"


def lineage_url(schema: str, table: str, column: str = "") -> str:
    """The lineage of a table or column."""
    address = f"/lineage/{quote(schema, safe='')}.{quote(table, safe='')}"
    return f"{address}/{quote(column, safe='')}" if column else address


def file_url(key: str) -> str:
    """The page of a file."""
    return f"/files/{quote(key, safe='/')}"


def condition_url(page: str, subject: str | None) -> str:
    """The page that shows what an alert is about.

    Args:
        page: Its kind, as ``platform.alert_condition.page`` has it.
        subject: What that page is of.
    """
    path = PLACES.get(page, "/")
    if subject and page == "file":
        path = file_url(subject)
    elif subject and page == "table":
        path = table_url(*subject.split(".", 1))
    elif subject and page == "source":
        path = f"/#source-{quote(subject, safe='')}"
    if len(path) > MOST_PATH:
        return "/files?state=parked" if page == "file" else "/"
    return path
