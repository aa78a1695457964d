"""Which login the settings ask for, and the refusal to serve other machines before anybody has said."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cinestream_platform.settings import Settings
from cinestream_platform.web.hosts import is_loopback
from cinestream_platform.web.login.person import LoginError

if TYPE_CHECKING:
    from cinestream_platform.web.login.login import Login

NEEDED = ("argon2", "authlib", "httpx2", "itsdangerous")
"""What the extra [login] installs."""


def make_login(settings: Settings, reached_at: str) -> Login | None:
    """The login in front of a web server; None if there is none.

    Args:
        settings: Say which.
        reached_at: The address at which the server can be reached.

    Raises:
        LoginError: Others may come, and nobody has said whether they must log in; or a setting or package is missing.
        PeopleError: The file of people cannot be read.
    """
    if settings.web_login is None:
        names = [name.strip() for name in settings.ui_hosts.split(",") if name.strip()]
        if not is_loopback(reached_at) or not all(map(is_loopback, names)):
            raise LoginError(
                "other machines can reach this server, and CINESTREAM_WEB_LOGIN does not say who may come in. Set it "
                "to password or oidc; or to none, if the proxy asks who comes or everybody may (docs/login.md)"
            )
    if settings.web_login in (None, "none"):
        return None
    if lacking := [name for name in NEEDED if find_spec(name) is None]:
        raise LoginError(f"login needs {', '.join(lacking)}: pip install 'cinestream-platform[login]'")
    # Imported here: without login nothing of this is needed.
    from cinestream_platform.web.login.login import Login
    from cinestream_platform.web.login.sessions import Sessions

    folder = settings.home_dir / "web"
    if settings.web_login == "password":
        from cinestream_platform.web.login.people import People, read_people

        path = people_file(settings)
        if path.exists():
            read_people(path)  # what is wrong with it is said now
        return Login(Sessions(folder, settings.web_session_hours, "password"), People(path))
    return _by_provider(settings, folder)


def people_file(settings: Settings) -> Path:
    """Where the people stand who may log in by password."""
    return settings.web_people_file or settings.home_dir / "web" / "people"


def _by_provider(settings: Settings, folder: Path) -> Login:
    from cinestream_platform.web.login.login import Login
    from cinestream_platform.web.login.provider import Provider, Rules
    from cinestream_platform.web.login.sessions import Sessions

    issuer, client_id = settings.web_oidc_issuer, settings.web_oidc_client_id
    if not issuer or not client_id:
        raise LoginError("CINESTREAM_WEB_LOGIN=oidc needs CINESTREAM_WEB_OIDC_ISSUER and CINESTREAM_WEB_OIDC_CLIENT_ID")
    if not issuer.startswith("https://") and not is_loopback(issuer.partition("://")[2].partition("/")[0]):
        raise LoginError("CINESTREAM_WEB_OIDC_ISSUER must begin with https://: what it says is believed")
    rules = Rules.of(settings.web_oidc_viewers, settings.web_oidc_operators, settings.web_oidc_groups_claim)
    if not rules.viewers | rules.operators:
        raise LoginError(
            "nobody may log in: name groups, @domains or addresses in CINESTREAM_WEB_OIDC_VIEWERS or "
            "CINESTREAM_WEB_OIDC_OPERATORS (* is everybody whom the provider knows)"
        )
    secret = settings.web_oidc_client_secret.get_secret_value() if settings.web_oidc_client_secret else None
    decided = [issuer, client_id, rules.groups_claim, sorted(rules.viewers), sorted(rules.operators)]
    sessions = Sessions(folder, settings.web_session_hours, json.dumps(decided))
    return Login(sessions, None, Provider(issuer, client_id, secret, settings.web_oidc_scopes), rules)
