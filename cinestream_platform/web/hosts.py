"""Which names this web server answers to, and which pages may talk to it.

A page of another site can make a browser send requests here, and DNS rebinding lets it do so under a name of its own:
both are seen in the headers ``Host``, ``Origin`` and ``Sec-Fetch-Site``, which no page can forge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cinestream_platform.errors import CineStreamError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class HostsError(CineStreamError):
    """A name of ``CINESTREAM_UI_HOSTS`` cannot be a host; the message says which."""


@dataclass(frozen=True)
class AllowedHosts:
    """The values of ``Host`` that are answered: ``name`` or ``name:port``, in lower case."""

    names: frozenset[str]

    @classmethod
    def of(cls, port: int, public: str) -> "AllowedHosts":
        """The loopback names with this port, and a proxy's public names.

        Args:
            port: The port that is listened on.
            public: ``CINESTREAM_UI_HOSTS``: names separated by commas, each with its port unless that is 80 or 443.

        Raises:
            HostsError: An entry is not a host, such as a URL or ``*``.
        """
        names = [name.strip().lower() for name in public.split(",") if name.strip()]
        for name in names:
            if urlsplit(f"//{name}").netloc != name or not set(name) <= set(
                "abcdefghijklmnopqrstuvwxyz0123456789.-:[]"
            ):
                raise HostsError(
                    f"CINESTREAM_UI_HOSTS: {name[:100]!r} is not a host. Give names such as dagster.example.com or "
                    "dagster.example.com:8443, separated by commas, without http:// and without wildcards."
                )
        return cls(frozenset([*names, *(f"{name}:{port}" for name in LOOPBACK)]))


def is_loopback(host: str) -> bool:
    """Whether a host, with or without its port, is a name of this machine alone."""
    try:
        return urlsplit(f"//{host}").hostname in ("127.0.0.1", "localhost", "::1")
    except ValueError:
        return False


def refusal(
    hosts: AllowedHosts, headers: Sequence[tuple[bytes, bytes]], *, is_page: bool, is_websocket: bool
) -> str | None:
    """Why a request with these headers is refused, in words for its sender; None if it is not.

    Args:
        hosts: The names that are answered.
        headers: As ASGI has them: names in lower case.
        is_page: Whether the route is a page that people may reach by a link from elsewhere.
        is_websocket: Whether a websocket is opened: its page must be ours, however the browser calls the mode.
    """
    found = _values(headers, b"host")
    if len(found) != 1 or found[0].lower() not in hosts.names:
        return (
            f"this server does not answer to the host {', '.join(found)[:100]!r}. Behind a proxy, set "
            "CINESTREAM_UI_HOSTS to its public name, and have it pass the Host header on."
        )
    origins = _values(headers, b"origin")
    if origins and not (len(origins) == 1 and _is_origin_of(origins[0], found[0])):
        return f"a page of {', '.join(origins)[:100]!r} may not use this server."
    sites = _values(headers, b"sec-fetch-site")
    if all(site in ("same-origin", "none") for site in sites):
        return None
    # Another port of this machine is the same site: only same-origin counts.
    navigates = _values(headers, b"sec-fetch-mode") == ["navigate"] and _values(headers, b"sec-fetch-dest") == [
        "document"
    ]
    if is_page and navigates and not is_websocket:
        return None
    return "a page of another site may link to this server's pages, and do nothing else with it."


def _values(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def _is_origin_of(origin: str, host: str) -> bool:
    scheme, _, rest = origin.partition("://")
    return scheme in ("http", "https") and rest.lower() == host.lower()
