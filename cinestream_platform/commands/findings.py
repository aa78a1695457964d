"""What a check of ``cinestream doctor`` found, and keeping secrets out of it."""

import os
import re
from dataclasses import dataclass

from cinestream_platform.settings import is_secret

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "FAILED", "skipped"


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``remedy`` says what to do."""

    level: str
    what: str
    text: str
    remedy: str = ""


def mask_secrets(text: str) -> str:
    """The text without the value of any secret of this process, and without passwords in URLs, whosever they are:
    drivers' messages are not ours.
    """
    for name, value in os.environ.items():
        if is_secret(name) and len(value) >= 4:
            text = text.replace(value, "***")
    return re.sub(r"(?<=://)([^\s/:@]*):\S*@", r"\1:***@", text)
