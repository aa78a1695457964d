"""How the URL of a store is written, and what to say of one that leads elsewhere than it seems.

``file://data/landing`` names the folder /landing of a host called data, and what follows a ``#`` or ``?`` is not part
of a path: such a URL would open another folder without a word. What does not belong here: opening
stores (``lake.store``).
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

FORMS = "a store is s3://bucket/prefix or file:///folder"


def store_url_problem(url: str) -> str | None:
    """Why a URL is not taken, with the right spelling; ``None`` if it is."""
    scheme, has_scheme, rest = url.partition(":")
    scheme = scheme.lower()
    if not has_scheme or "/" in scheme:
        return f"{FORMS}; write {_spelled(url)}" if url.strip("/") else FORMS
    if scheme == "s3":
        return _bucket_problem(url)
    if scheme != "file":
        return FORMS
    if not rest.startswith("/"):
        return f"{FORMS}, and the folder absolute; write {_spelled(unquote(rest))}"
    authority = rest.removeprefix("//").partition("/")[0] if rest.startswith("//") else ""
    if not rest.strip("/"):
        return FORMS
    if authority:
        path = rest.removeprefix("//").removeprefix("localhost")
        return f"a file URL has no host: three slashes stand before the folder; write {_spelled(unquote(path))}"
    if "#" in rest or "?" in rest:
        path = rest.removeprefix("//")
        return f"what follows # or ? is not part of the folder; write {_spelled(unquote(path))}"
    return None


def _bucket_problem(url: str) -> str | None:
    if not urlsplit(url).netloc:
        return f"{FORMS}: the bucket is missing"
    if "#" in url or "?" in url:  # not shown: a query may hold keys
        return "what follows # or ? is not part of a prefix; choose one without them: s3://bucket/prefix"
    return None


def _spelled(path: str) -> str:
    """The URL of a folder that may be relative, or begin with ``~``."""
    try:
        folder = Path(path).expanduser()
    except RuntimeError:  # the home of nobody
        folder = Path(path)
    return f"file://{quote(str(folder.absolute()))}"
