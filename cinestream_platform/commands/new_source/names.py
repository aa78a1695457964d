"""Names of sources, tables and columns, made from what people call their files and headers.

What belongs here: which names are possible, and the sentence that refuses any other. What does not: types and keys.
"""

from __future__ import annotations

import keyword
import re
import unicodedata

from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import MAX_VALUE, form_of

LONGEST_SOURCE, LONGEST_TABLE, LONGEST_COLUMN = 24, 30, 40
"""Characters."""
LONGEST_IN_POSTGRES = 63
NAME = re.compile(r"[a-z][a-z0-9_]*")
DATED = re.compile(r"[-_ ]?[12][0-9]{3}[-_]?[0-9]{2}[-_]?[0-9]{2}$")
"""The end of a name of daily files: ``views_2024-05-01``."""
NOT_DECOMPOSED = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "ł": "l", "Ł": "L"})
"""Latin letters that Unicode does not take apart into a letter and its accent."""
IRREGULAR = {"movies": "movie", "series": "series", "species": "species", "people": "person", "news": "news"}
OTHER_LAYERS = ("dim_", "bridge_", "fact_", "mart_")
OWN_ASSETS = ("relationship_report",)
CODE_NAMES = ("pl", "tables", "transforms")
"""What the modules of a source import, and a transform's parameter must not hide."""


class NewSourceError(CineStreamError):
    """No source can be made of that; nothing was written."""


def identifier(text: str) -> str | None:
    """The name that a header or file name stands for: ``Título original`` -> ``titulo_original``.

    ``None`` where there is none: it begins with no letter, or letters would be lost.
    """
    plain = unicodedata.normalize("NFKD", text.translate(NOT_DECOMPOSED))
    if any(char.isalpha() and not char.isascii() for char in plain):
        return None
    marked = "".join(char for char in plain if not unicodedata.combining(char))
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", marked)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return name if NAME.fullmatch(name) else None


def singular(name: str) -> str:
    """One of what a table is named after: ``movies`` -> ``movie``. English only, and a first draft."""
    begin, _, last = name.rpartition("_")
    one = re.sub(r"(?<=[a-z]{2})ies$", "y", last)
    if last in IRREGULAR:
        one = IRREGULAR[last]
    elif one == last and last.endswith(("sses", "xes", "ches", "shes")):
        one = last[:-2]
    elif one == last and last.endswith("s") and not last.endswith(("ss", "us", "is")) and len(last) > 2:
        one = last[:-1]
    return f"{begin}_{one}" if begin else one


def words(name: str) -> str:
    """A name as people say it: ``release_date`` -> ``release date``."""
    return name.replace("_", " ")


def require_source_name(name: str) -> None:
    """Refuse what cannot be the name of a source.

    Raises:
        NewSourceError: It is not an identifier, too long, or stands for something else.
    """
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        better = identifier(name)
        hint = f", such as {better}" if better and not keyword.iskeyword(better) else ""
        raise NewSourceError(
            f"{name!r} cannot name a source: a name has lower-case letters a to z, digits and _, begins with a letter, "
            f"and is not a word of Python{hint}."
        )
    if len(name) > LONGEST_SOURCE:
        raise NewSourceError(f"{name} is too long for a source: a name has at most {LONGEST_SOURCE} characters.")
    if name.startswith(("raw_", "pg_")) or name in ("raw", "landing", "conformed", "sources"):
        raise NewSourceError(f"{name} cannot name a source: the platform or Postgres use it for something else.")


def stem_of(file_name: str) -> str:
    """The lower-case name of a file without its ending and the day in it."""
    return DATED.sub("", file_name.rsplit(".", 1)[0]).lower()


def table_name(file_name: str) -> str:
    """The raw table of a sample file; the day in a name is not part of it.

    Raises:
        NewSourceError: The name of the file cannot be a table's.
    """
    name = identifier(DATED.sub("", file_name.rsplit(".", 1)[0]))
    if name is None:
        problem = "a table's name has letters a to z, digits and _, and begins with a letter"
    elif len(name) > LONGEST_TABLE:
        problem = f"a table's name has at most {LONGEST_TABLE} characters"
    elif keyword.iskeyword(name) or name in (*CODE_NAMES, *OWN_ASSETS):
        problem = f"{name} is a word that the code of a source uses itself"
    elif name.startswith(OTHER_LAYERS):
        problem = f"names that begin with {', '.join(OTHER_LAYERS)} are those of stars and marts"
    else:
        return name
    raise NewSourceError(f"{file_name!r} cannot name a raw table: {problem}. Rename the file.")


def column_names(file_name: str, header: list[str]) -> list[str]:
    """The columns of a raw table, in the order of the header.

    Raises:
        NewSourceError: The first line is not a header, or a name in it cannot be a column's; it is named.
    """
    found: dict[str, str] = {}
    for place, text in enumerate(header, start=1):
        name = identifier(text)
        if name is None or not text.isprintable() or set(text) & set(',"'):
            raise NewSourceError(f"{file_name}: {_no_name(place, text.strip()[:MAX_VALUE])}")
        if len(name) > LONGEST_COLUMN:
            raise NewSourceError(f"{file_name}: column {text!r} has over {LONGEST_COLUMN} characters. Shorten it.")
        twin = next((other for other in found if other.replace("_", "") == name.replace("_", "")), None)
        if twin:
            raise NewSourceError(
                f"{file_name}: columns {found[twin]!r} and {text!r} are one name without case, blanks and accents. "
                "Rename one of them."
            )
        found[name] = text
    return list(found)


def _no_name(place: int, text: str) -> str:
    """Why a field of the first line names no column. Of what begins like a value its form is shown, as readers do."""
    if not text:
        return f"field {place} of the header is empty. Give the column a name."
    if not text[0].isalpha():
        return (
            f"the first line is not a header: field {place} has the form {form_of(text)}, and the name of a column "
            "begins with a letter. Add a line with the names of the columns."
        )
    return (
        f"the column {text!r} (field {place}) needs a name that begins with a letter a to z and has no comma, quote or "
        "control character. Rename it in the sample and in the files that will land."
    )
