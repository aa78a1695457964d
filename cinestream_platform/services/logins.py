"""Secrets of the logins that the platform makes: one per group role of the warehouse, and readers of databases of ours.

``CINESTREAM_LOGIN_<ROLE>_PASSWORD`` gives a login its password. With the embedded Postgres a login without one gets a
random password, kept in ``<home>/logins/<role>`` (readable by the owner alone), so that ``cinestream dsn`` can tell it.
The reader of an operational database that is ours gets its password by the same rule (``kept_secret``).
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from cinestream_platform.services.process import make_private
from cinestream_platform.settings import Settings

ROLE_NAMES = ("admin", "data_engineer", "data_analyst", "ml_engineer", "dashboard_reader")


def login_secrets(settings: Settings) -> dict[str, SecretStr]:
    """Role to password, for every role whose login is to exist."""
    found = {}
    for role in ROLE_NAMES:
        given = os.environ.get(f"CINESTREAM_LOGIN_{role.upper()}_PASSWORD")
        if given:
            found[role] = SecretStr(given)
        elif settings.postgres_host is None:
            found[role] = SecretStr(kept_random(settings.home_dir / "logins" / role))
    return found


def kept_secret(settings: Settings, login: str, given: SecretStr | None) -> SecretStr | None:
    """The password of a login: the given one, or a kept one; None with an external Postgres if none was given."""
    if given or settings.postgres_host is not None:
        return given or None
    return SecretStr(kept_random(settings.home_dir / "logins" / login))


def kept_random(path: Path) -> str:
    """A random text that is made once and kept in this file, readable by its owner alone."""
    make_private(path.parent)
    if not path.exists():
        # Linked when whole: two processes agree on the first one's, and a crash leaves no empty password.
        fresh = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(24))
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text(encoding="ascii")
