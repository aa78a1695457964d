"""Every setting of the platform, read from the environment once.

What belongs here: names, defaults and types of settings, and nothing that connects or reads files. Settings of one
source alone are declared in its package, and read here (``Settings.own``). Secrets are ``SecretStr`` and come from the
environment only.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar, cast
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettingError

from cinestream_platform.errors import CineStreamError
from cinestream_platform.store_urls import store_url_problem


def _known_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (LookupError, OSError, ValueError):  # unknown, a folder, no name at all
        raise ValueError("no such time zone; an example of one is Europe/Madrid") from None


def _store_url(url: str | None) -> str | None:
    if url and (problem := store_url_problem(url)):  # an empty variable is none
        raise ValueError(problem)
    return url


def _absolute(path: Path) -> Path:
    """Made so when it is read: the working folder may change, and the home must not change with it."""
    return path.expanduser().absolute()


MOST_SECONDS = 1e9
"""Of any setting: thirty years. Beyond, and where a number is none, timers and sockets break down."""
Seconds = Annotated[float, Field(le=MOST_SECONDS)]
Port = Annotated[int, Field(ge=1, le=65_535)]


def _endpoint(url: str | None) -> str | None:
    if url and not re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", url):  # an empty variable is none
        raise ValueError("an endpoint is http://host:port or https://host")
    return url


Endpoint = Annotated[str | None, AfterValidator(_endpoint)]
Proxy = Annotated[Endpoint, BeforeValidator(lambda value: value or None)]
PAGES_URL = "http://127.0.0.1:3002"
StoreUrl = Annotated[str | None, AfterValidator(_store_url)]
Role = Literal["admin", "data_engineer", "data_analyst", "ml_engineer", "dashboard_reader"]


def _unset(value: object) -> object:
    """An empty variable is none: docker-compose.yml hands on those that .env leaves out."""
    return None if value == "" else value


SslMode = Annotated[
    Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None, BeforeValidator(_unset)
]
RootCertificate = Annotated[str | None, BeforeValidator(_unset)]
WebLogin = Annotated[Literal["none", "password", "oidc"] | None, BeforeValidator(_unset)]
OptionalPath = Annotated[Path | None, BeforeValidator(_unset), AfterValidator(lambda path: path and _absolute(path))]
Secret = Annotated[SecretStr | None, BeforeValidator(_unset)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]
OwnT = TypeVar("OwnT", bound=BaseSettings)


class OperationalPostgresSettings(BaseSettings):
    """Where the operational Postgres of a source is, and who reads it: a base for settings of a source's own.

    A source declares a subclass with its prefix (``CINESTREAM_<SOURCE>_``) and its defaults.
    """

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    host: str | None = Field(
        None, description="Host of the operational database; unset = the warehouse's server has one."
    )
    port: Port = Field(5432, description="Port of that host.")
    user: str = Field("reader", description="Login on that host; it need only read.")
    password: SecretStr | None = Field(None, description="Password of the login that reads it.")
    database: str = Field("postgres", description="Name of the database, on whichever server.")
    sslmode: SslMode = Field(
        None, description="libpq's sslmode towards that host; unset = require (on this machine prefer)."
    )
    sslrootcert: RootCertificate = Field(
        None, description="File with the CA's certificate, for verify-ca and verify-full."
    )
    time_zone: TimeZone = Field("UTC", description="Zone of its timestamps without one, such as Europe/Madrid.")


class Settings(BaseSettings):
    """Settings, each read from the environment variable ``CINESTREAM_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="CINESTREAM_", extra="ignore")

    home: Annotated[Path, AfterValidator(_absolute)] = Field(
        Path(".cinestream"), description="Folder of all local state.", validate_default=True
    )

    postgres_host: str | None = Field(None, description="Host of an external Postgres; unset = the embedded one.")
    postgres_port: Port = Field(5432, description="Port of the external Postgres.")
    postgres_user: str = Field("cinestream", description="Login that owns the warehouse.")
    postgres_password: SecretStr | None = Field(None, description="Password of that login.")
    postgres_database: str = Field("cinestream", description="Database of the warehouse.")
    postgres_dagster_database: str = Field("dagster", description="Database of Dagster's own storage.")
    postgres_sslmode: SslMode = Field(
        None, description="libpq's sslmode towards the external Postgres; unset = require (on this machine prefer)."
    )
    postgres_sslrootcert: RootCertificate = Field(
        None, description="File with the CA's certificate, for verify-ca and verify-full."
    )

    role_members: dict[Role, tuple[str, ...]] = Field(
        default_factory=dict,
        description='Logins of your own that are members of group roles, as JSON: {"data_analyst": ["anna"]}.',
    )

    landing_url: StoreUrl = Field(None, description="s3://bucket/prefix or file:///folder; unset = <home>/landing.")
    lake_url: StoreUrl = Field(None, description="s3://bucket/prefix or file:///folder; unset = <home>/lake.")
    s3_endpoint_url: Endpoint = Field(None, description="Endpoint of an S3 server other than AWS.")
    s3_region: str = Field("us-east-1", description="Region of the buckets.")
    s3_proxy_url: Proxy = Field(
        None, description="HTTP proxy between here and S3; unset = none, whatever the shell has."
    )
    s3_access_key_id: SecretStr | None = Field(None, description="Unset = boto3's own credential chain.")
    s3_secret_access_key: SecretStr | None = Field(None, description="Unset = boto3's own credential chain.")
    store_connect_seconds: Seconds = Field(10.0, gt=0, description="An S3 server must take a connection in this time.")
    store_silence_seconds: Seconds = Field(
        60.0, gt=0, description="A request to S3 of which no byte has come for so long is asked again."
    )
    store_retries: int = Field(3, ge=0, description="How often a request to S3 is asked again before its work fails.")
    disk_reserve_mb: int = Field(
        2_000,
        ge=0,
        description="So many MB are kept free on every disk (5 % where that is less): with less no work begins.",
    )

    landing_settle_seconds: Seconds = Field(
        2.0, ge=0, description="A file in a landing folder must have rested this long."
    )
    load_attempts: int = Field(3, ge=1, description="Attempts at a file before it is parked.")
    load_backoff_seconds: Seconds = Field(
        30.0, ge=0, description="Wait before the second attempt; doubles with each further one."
    )
    files_per_run: int = Field(2_500, ge=1, description="Most files that one requested run loads.")
    run_silence_seconds: Seconds = Field(
        600.0, gt=0, description="A run of which no byte, row or event was heard for so long is ended."
    )
    run_limit_hours: float = Field(24.0, gt=0, le=MOST_SECONDS / 3600, description="A run that takes longer is ended.")
    extraction_interval_seconds: int = Field(
        30, ge=1, description="Shortest time between two looks at a source database."
    )
    keep_days: Annotated[int, Field(ge=1)] = Field(
        30, description="Days that runs, their events and logs are kept; of each asset and check the last state stays."
    )
    sensor_interval_seconds: int = Field(5, ge=1, description="Shortest time between two ticks of a sensor.")

    alert_mail_url: Secret = Field(None, description="Channel for alerts, as apprise writes it: mailtos://…")
    alert_slack_url: Secret = Field(None, description="Another one: slack://…, or the address of an incoming webhook.")
    alert_teams_url: Secret = Field(None, description="Another one: workflows://…, or the address of a workflow.")
    alert_webhook_url: Secret = Field(None, description="Another one: json://host/path or jsons://…")
    alerts_per_hour: int = Field(
        20, ge=1, description="Most messages that a channel is sent within an hour; the last one sums up what is left."
    )
    alert_proxy_url: Proxy = Field(None, description="HTTP proxy between here and Slack, Teams and webhooks.")
    pages_url: Annotated[str, BeforeValidator(lambda value: value or PAGES_URL), AfterValidator(_endpoint)] = Field(
        "", validate_default=True, description="Where people reach the pages for stakeholders: alerts link there."
    )

    ui_hosts: str = Field(
        "", description="Public names of the UI behind a proxy, such as dagster.example.com, separated by commas."
    )

    web_login: WebLogin = Field(
        None,
        description="Login of pages and Dagster's UI: none, password or oidc; unset = none, on this machine alone.",
    )
    web_public_pages: str = Field(
        "", description="Pages that need no login: today, catalog, files, lineage, separated by commas; or all."
    )
    web_session_hours: float = Field(12.0, gt=0, le=24 * 30, description="A login lasts so long.")
    web_people_file: OptionalPath = Field(
        None, description="File of those who may log in by password; unset = <home>/web/people."
    )
    web_metrics_token: Annotated[SecretStr | None, BeforeValidator(_unset)] = Field(
        None, description="Bearer token that /metrics asks for where there is login; unset = a person who is logged in."
    )
    web_oidc_issuer: Annotated[Endpoint, BeforeValidator(_unset)] = Field(
        None, description="The OpenID Connect provider's issuer, such as https://login.example.com/realms/films."
    )
    web_oidc_client_id: str = Field("", description="How the provider knows this platform.")
    web_oidc_client_secret: Annotated[SecretStr | None, BeforeValidator(_unset)] = Field(
        None, description="The client's secret, if it has one."
    )
    web_oidc_scopes: str = Field("openid email profile", description="What is asked of the provider; openid is needed.")
    web_oidc_groups_claim: str = Field("groups", description="The claim of the ID token with a person's groups.")
    web_oidc_viewers: str = Field(
        "", description="Who may look: groups, @example.com, anna@example.com, or * for all, separated by commas."
    )
    web_oidc_operators: str = Field("", description="Who may also start, stop and change things, in the same way.")

    _own: dict[type[BaseSettings], BaseSettings] = PrivateAttr(default_factory=dict)

    def own(self, kind: type[OwnT]) -> OwnT:
        """The settings that a source's package declares, read from the environment when they are first asked for.

        A wrong value there stops what needs that source, and no other one.

        Raises:
            SettingsError: A variable's value cannot be.
        """
        if kind not in self._own:
            self._own[kind] = _read(kind)
        return cast(OwnT, self._own[kind])

    def with_own(self, *own: BaseSettings) -> "Settings":
        """The same settings, in which these of sources take the place of the environment's."""
        changed = self.model_copy()
        changed._own = self._own | {type(settings): settings for settings in own}
        return changed

    @property
    def home_dir(self) -> Path:
        """The absolute folder of all local state (it need not exist yet)."""
        return self.home

    @property
    def alert_channels(self) -> dict[str, SecretStr]:
        """Name to address of each channel that is set."""
        urls = {
            "mail": self.alert_mail_url,
            "slack": self.alert_slack_url,
            "teams": self.alert_teams_url,
            "webhook": self.alert_webhook_url,
        }
        return {name: url for name, url in urls.items() if url}

    @property
    def landing(self) -> str:
        """URL of the landing zone, without a trailing slash."""
        return (self.landing_url or (self.home_dir / "landing").as_uri()).rstrip("/")

    @property
    def lake(self) -> str:
        """URL of the lake, without a trailing slash."""
        return (self.lake_url or (self.home_dir / "lake").as_uri()).rstrip("/")


def is_secret(name: str) -> bool:
    """Whether an environment variable of that name holds a secret: of the platform, of S3 or of Postgres."""
    words = ("PASSWORD", "SECRET", "TOKEN", "ACCESS_KEY", *ALERT_URLS)
    return name.startswith(("CINESTREAM_", "AWS_", "PG")) and any(word in name for word in words)


ALERT_URLS = ("ALERT_MAIL_URL", "ALERT_SLACK_URL", "ALERT_TEAMS_URL", "ALERT_WEBHOOK_URL")
"""Endings of the variables that name channels: whoever knows such an address may write there, or log in."""


AWS_CREDENTIALS = re.compile(
    "AWS_((ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|CREDENTIAL_EXPIRATION|(DEFAULT_)?PROFILE|CONFIG_FILE"
    "|SHARED_CREDENTIALS_FILE|ROLE_ARN|ROLE_SESSION_NAME|WEB_IDENTITY_TOKEN_FILE|STS_REGIONAL_ENDPOINTS|CA_BUNDLE)"
    "|(CONTAINER|EC2_METADATA|METADATA_SERVICE)_.*)"
)
"""What boto3's own credential chain reads."""


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
"""In capitals or not. The clients of S3 differ in which of them they follow."""


def is_foreign(name: str) -> bool:
    """Whether libpq, dbt or an S3 client would take a variable of that name as said to the platform.

    Only ``CINESTREAM_*`` says where the platform's Postgres and S3 are, and by which proxy. Of ``AWS_*`` credentials
    count, where there are none among the settings.
    """
    if name.upper() in PROXIES:
        return True
    if name.startswith("AWS_"):
        return bool(os.environ.get("CINESTREAM_S3_ACCESS_KEY_ID")) or not AWS_CREDENTIALS.fullmatch(name)
    return name.startswith(("PG", "DBT_"))


def forget_foreign_variables() -> None:
    """Take such variables out of this process's environment, and so out of those of its children.

    The libraries read them by themselves, and some cannot be overruled: ``PGDATESTYLE`` beats every option of a
    connection, ``PGSERVICE`` must name a service that exists.
    """
    for name in [name for name in os.environ if is_foreign(name)]:
        value = os.environ.pop(name)
        if name.upper() in PROXIES:
            _proxies[name] = value


_proxies: dict[str, str] = {}


@contextmanager
def with_proxies_of_the_shell() -> Iterator[None]:
    """Give this process the shell's proxies for a moment: publishers are asked by the way that browsers take."""
    os.environ.update(_proxies)
    try:
        yield
    finally:
        for name in _proxies:
            os.environ.pop(name, None)


class SettingsError(CineStreamError):
    """Variables have values that cannot be; the message names them, without the values: they may be secrets."""


def variables(kind: type[BaseSettings]) -> dict[str, str]:
    """Field to environment variable."""
    prefix = kind.model_config.get("env_prefix") or ""
    return {name: str(field.validation_alias or f"{prefix}{name.upper()}") for name, field in kind.model_fields.items()}


def _read(kind: type[OwnT]) -> OwnT:
    try:
        return kind()
    except ValidationError as error:
        names = variables(kind)
        found = error.errors(include_url=False, include_input=False, include_context=False)
        told = ((_named(one["loc"], names), one["msg"].removeprefix("Value error, ")) for one in found)
        raise SettingsError("; ".join(": ".join(one) for one in told)) from None
    except UnreadableSettingError as error:  # no JSON, where the value must be
        field = re.search(r'field "(\w+)"', str(error))
        name = variables(kind).get(field[1], field[1]) if field else str(error)
        raise SettingsError(f"{name}: its value must be JSON") from None


def _named(place: tuple[int | str, ...], names: dict[str, str]) -> str:
    """The variable that holds a value, with the way to it inside the value."""
    first, *others = map(str, place)
    return "_".join([names.get(first, first), *(other.upper() for other in others)])


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process. Tests call ``get_settings.cache_clear()`` after changing the environment.

    What others say by the environment is forgotten here (``forget_foreign_variables``).

    Raises:
        SettingsError: A variable's value cannot be.
    """
    forget_foreign_variables()
    return _read(Settings)
