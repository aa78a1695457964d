"""``cinestream login``: who may log in to the pages and to Dagster's UI by password."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from cinestream_platform.settings import Settings
from cinestream_platform.web.login.choice import people_file
from cinestream_platform.web.login.person import LoginError, Role

if TYPE_CHECKING:
    from cinestream_platform.web.login.people import People


def add_person(settings: Settings, name: str, role: str, password: str) -> str:
    """Add a person, or change role and password; what was done.

    Raises:
        PeopleError: Name or password cannot be.
        LoginError: The extra is not installed.
    """
    people = _people(settings)
    is_new = name not in people.entries()
    people.put(name, cast(Role, role), password)
    used = "" if settings.web_login == "password" else "; it counts with CINESTREAM_WEB_LOGIN=password"
    return f"{name} {'may now log in' if is_new else 'has a new password, and may log in'} as {role}{used}"


def remove_person(settings: Settings, name: str) -> str:
    """Take a person out; what was done.

    Raises:
        PeopleError: There is none of that name.
    """
    _people(settings).remove(name)
    return f"{name} may no longer log in"


def people_lines(settings: Settings) -> Iterator[str]:
    """A line for each person."""
    from cinestream_platform.web.login.people import read_people

    path = _people(settings).path
    entries = read_people(path) if path.exists() else {}
    yield from (f"{name}  {entry.role}" for name, entry in sorted(entries.items()))
    if not entries:
        yield "nobody yet: cinestream login add NAME --role operator"


def _people(settings: Settings) -> "People":
    if find_spec("argon2") is None:
        raise LoginError("login needs argon2: pip install 'cinestream-platform[login]'")
    from cinestream_platform.web.login.people import People

    return People(people_file(settings))
