"""``cinestream services``: the embedded Postgres of this home."""

from cinestream_platform.processes.home import UiError, is_claimed
from cinestream_platform.services.postgres import PostgresServer, postgres_status, start_postgres, stop_postgres
from cinestream_platform.settings import Settings

EXTERNAL = "CINESTREAM_POSTGRES_HOST names an external Postgres ({host}); there is no embedded one to {verb}."


def _external(settings: Settings, verb: str) -> str | None:
    host = settings.postgres_host
    return EXTERNAL.format(host=host, verb=verb) if host else None


def _describe(server: PostgresServer) -> str:
    return f"PostgreSQL {server.version} runs on {server.host}:{server.port}, data in {server.data_dir}"


def start(settings: Settings) -> str:
    """Start the server, or find it running."""
    return _external(settings, "start") or _describe(start_postgres(settings.home_dir))


def stop(settings: Settings) -> str:
    """Stop the server.

    Raises:
        UiError: A UI of this home would start it again.
    """
    home = settings.home_dir
    if any(is_claimed(home, name) for name in ("ui", "ui-read-only")):
        raise UiError("cinestream ui of this home is alive and would start Postgres again: stop it first (Ctrl-C).")
    return _external(settings, "stop") or ("stopped" if stop_postgres(home) else "it was not running")


def status(settings: Settings) -> str:
    """Whether the server runs."""
    if external := _external(settings, "ask about"):
        return external
    server = postgres_status(settings.home_dir)
    return _describe(server) if server else "not running; cinestream services start"
