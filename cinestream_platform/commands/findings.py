"""What a check of ``cinestream doctor`` found, and keeping secrets out of it."""

import os
from dataclasses import dataclass

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "FAILED", "skipped"


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``remedy`` says what to do."""

    level: str
    what: str
    text: str
    remedy: str = ""


def mask_secrets(text: str) -> str:
    """The text without the value of any secret of this process: drivers' messages are not ours."""
    for name, value in os.environ.items():
        is_ours = name.startswith(("CINESTREAM_", "AWS_", "PG"))
        if is_ours and any(word in name for word in ("PASSWORD", "SECRET", "TOKEN")) and len(value) >= 4:
            text = text.replace(value, "***")
    return text
