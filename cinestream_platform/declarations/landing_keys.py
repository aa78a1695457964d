"""The grammar of keys in the landing zone, one for every store.

``<source>/<dataset>/<name>[/…]``. A key outside the grammar is parked with the reason given here, never guessed at.
"""

import unicodedata

MAX_KEY_BYTES = 1024
"""S3's own limit of a key."""
MAX_SEGMENT_BYTES = 255
"""The limit of a file name on the usual file systems, so that a key means the same on every store."""


def key_problem(key: str) -> str | None:
    """Why ``key`` is outside the grammar, in words for people; ``None`` if it is inside."""
    segments = key.split("/")
    if len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        return f"the key is longer than {MAX_KEY_BYTES:,} bytes"
    if not key.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in key):
        return "the key has a control character or is not valid Unicode"
    if any(segment in ("", ".", "..") for segment in segments):
        return "the key has an empty segment, '.' or '..'"
    if any(len(segment.encode()) > MAX_SEGMENT_BYTES for segment in segments):
        return f"a part of the key is longer than {MAX_SEGMENT_BYTES} bytes"
    if len(segments) < 3:
        return "a key has the form <source>/<dataset>/<file>"
    return None


def is_in_transit(key: str) -> bool:
    """Whether a part of the key begins with a dot, as rsync, sftp clients and editors write until they are done."""
    return any(segment.startswith(".") and segment.strip(".") for segment in key.split("/"))
