"""From what a page shows to the bytes that are sent: HTML by Jinja, or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cinestream_platform import page_links
from cinestream_platform.dashboards import words
from cinestream_platform.dashboards.cache import Made
from cinestream_platform.dashboards.pages import FOLDER

NAVIGATION = (("/", "Today"), ("/catalog", "Catalogue"), ("/files", "Files"))
"""Addresses and names of the pages that all others link to."""
HTML, JSON = "text/html; charset=utf-8", "application/json"


class Renderer:
    """The templates of all pages.

    Args:
        assets: What templates link: the addresses of the style sheet and scripts.
        has_login: Whether there is a page about one's login.
    """

    def __init__(self, assets: Mapping[str, str], *, has_login: bool = False) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {
            **{name: getattr(words, name) for name in ("number", "size", "percent", "moment", "day", "span", "name")},
            "data": embedded,
        }
        self._templates.globals |= {
            "assets": assets,
            "NAVIGATION": NAVIGATION,
            "has_login": has_login,
            **{name: getattr(page_links, name) for name in ("table_url", "lineage_url", "file_url", "condition_url")},
        }

    def page(self, template: str, shown: Mapping[str, Any], status: int = 200) -> Made:
        """HTML."""
        text = self._templates.get_template(template).render(shown)
        return Made(text.encode("utf-8", "replace"), HTML, status)


def embedded(value: Any) -> Markup:
    """JSON that may stand inside a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=plain)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704 - escaped


def as_json(shown: Mapping[str, Any]) -> Made:
    """The same as data; charts are left out, since their numbers are there."""
    found = {name: value for name, value in shown.items() if name != "charts"}
    return Made(json.dumps(found, default=plain, indent=1).encode(), JSON)


def plain(value: object) -> object:
    """What JSON has no form for."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
