"""docker-compose.yml and Dockerfile: well-formed, pinned, without secrets, closed to other machines."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cinestream_platform.catalog import CATALOG
from cinestream_platform.settings import ALERT_URLS, Settings, variables

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
SECRETS = {
    "CINESTREAM_POSTGRES_PASSWORD": "pg-secret",
    "CINESTREAM_S3_ACCESS_KEY_ID": "key-id",
    "CINESTREAM_S3_SECRET_ACCESS_KEY": "s3-secret",
    "CINESTREAM_LOGIN_DASHBOARD_READER_PASSWORD": "reader-secret",
}
PLATFORM_SERVICES = ("prepare", "code", "webserver", "viewer", "daemon")

DURATION = {"type": "string", "pattern": r"^(\d+(ms|s|m|h))+$"}
STRINGS = {"type": "array", "items": {"type": "string"}}
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image"],
    "properties": {
        "image": {"type": "string"},
        "build": {"type": "string"},
        "user": {"type": "string"},
        "init": {"type": "boolean"},
        "command": STRINGS,
        "cap_drop": STRINGS,
        "security_opt": STRINGS,
        "volumes": STRINGS,
        "expose": {"type": "array", "items": {"type": "string", "pattern": r"^\d+$"}},
        "ports": {"type": "array", "items": {"type": "string"}},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "shm_size": {"type": "string", "pattern": r"^\d+[kmg]b$"},
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "stop_grace_period": DURATION,
        "logging": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "driver": {"type": "string"},
                "options": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["condition"],
                "additionalProperties": False,
                "properties": {
                    "condition": {"enum": ["service_started", "service_healthy", "service_completed_successfully"]}
                },
            },
        },
        "healthcheck": {
            "type": "object",
            "required": ["test", "interval", "timeout", "retries"],
            "additionalProperties": False,
            "properties": {
                "test": STRINGS,
                "interval": DURATION,
                "timeout": DURATION,
                "start_period": DURATION,
                "start_interval": DURATION,
                "retries": {"type": "integer", "minimum": 1},
            },
        },
    },
}
SCHEMA = {
    "type": "object",
    "required": ["services"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"type": "object", "patternProperties": {"^[a-zA-Z0-9._-]+$": {"type": ["object", "null"]}}},
    },
}
"""What this file uses of the compose specification's own schema (compose-spec.json), no more: a misspelt key fails."""

VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[?-])(?P<text>[^}]*))?\}")


class MissingVariableError(LookupError):
    """What compose says for ``${NAME:?message}`` without a value."""


def interpolated(values: dict[str, str]) -> dict[str, Any]:
    """The file as compose reads it: variables are replaced in the strings of the parsed file."""

    def value(match: re.Match[str]) -> str:
        found = values.get(match["name"], "")
        if not found and match["kind"] == "?":
            raise MissingVariableError(match["name"])
        return found or (match["text"] if match["kind"] == "-" else "")

    def filled(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: filled(inner) for name, inner in part.items()}
        if isinstance(part, list):
            return [filled(inner) for inner in part]
        return VARIABLE.sub(value, part) if isinstance(part, str) else part

    return {name: filled(part) for name, part in yaml.safe_load(TEXT).items()}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return interpolated(SECRETS)


def test_the_file_keeps_the_compose_specification(compose: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(compose)
    for service in compose["services"].values():
        for name in service.get("depends_on", {}):
            assert name in compose["services"]
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in compose["volumes"], "a named volume"


def test_the_services_are_the_platform(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "s3", "dashboards", *PLATFORM_SERVICES}
    assert compose["services"]["postgres"]["image"].startswith("postgres:18.")
    assert compose["services"]["s3"]["image"].startswith("chrislusf/seaweedfs:4.")
    assert "MinIO's images were withdrawn" in TEXT


def test_every_image_is_pinned_by_an_exact_version(compose: dict[str, Any]) -> None:
    images = {service["image"] for service in compose["services"].values()}
    [base] = re.findall(r"^FROM (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for image in {*images, base}:
        assert re.fullmatch(r"[a-z0-9/-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?", image), image


@pytest.mark.parametrize("name", SECRETS)
def test_nothing_starts_without_its_secret(name: str) -> None:
    with pytest.raises(MissingVariableError, match=name):
        interpolated({**SECRETS, name: ""})


def test_no_secret_stands_in_a_file(compose: dict[str, Any]) -> None:
    written = yaml.safe_load(TEXT)
    for name, service in written["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|ACCESS_KEY", variable):
                assert VARIABLE.fullmatch(value), f"{name}: {variable} is a literal"
                default = VARIABLE.fullmatch(value)
                assert default is not None
                assert default["kind"] == "?" or default["text"] == "", f"{name}: {variable} has a default"
    for line in (ROOT / ".env.example").read_text().splitlines():
        assert not re.match(r"[^#]*=.+", line), f".env.example gives a value: {line}"
    assert "SECRET" not in (ROOT / "Dockerfile").read_text()
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_the_secrets_reach_the_servers_that_ask_for_them(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == "pg-secret"
    assert services["s3"]["environment"]["AWS_SECRET_ACCESS_KEY"] == "s3-secret"
    for name in PLATFORM_SERVICES:
        environment = services[name]["environment"]
        assert environment["CINESTREAM_POSTGRES_PASSWORD"] == "pg-secret"
        assert environment["CINESTREAM_DAGSTER_PG_PASSWORD"] == "pg-secret"
        reaches_files = name in ("prepare", "code")
        assert environment.get("CINESTREAM_S3_ACCESS_KEY_ID") == ("key-id" if reaches_files else None)
        assert environment.get("CINESTREAM_S3_SECRET_ACCESS_KEY") == ("s3-secret" if reaches_files else None)


def test_the_pages_are_told_the_readers_login_and_no_other(compose: dict[str, Any]) -> None:
    environment = compose["services"]["dashboards"]["environment"]
    assert {value for value in environment.values() if value in SECRETS.values()} == {"reader-secret"}
    told = [name for name, service in compose["services"].items() if "reader-secret" in service["environment"].values()]
    assert sorted(told) == ["code", "dashboards", "prepare"]


def test_the_sensors_process_alone_knows_the_channels_of_alerts() -> None:
    urls = [f"CINESTREAM_{name}" for name in ALERT_URLS]
    services = interpolated(SECRETS | dict.fromkeys(urls, "hush"))["services"]
    told = {name for name, service in services.items() if "hush" in service.get("environment", {}).values()}
    assert told == {"code"}
    assert {services["code"]["environment"][name] for name in urls} == {"hush"}


def test_what_a_container_writes_is_closed_to_other_accounts(tmp_path: Path) -> None:
    [line] = re.findall(r"^ENTRYPOINT (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    written = tmp_path / "file"
    subprocess.run([*json.loads(line), "touch", str(written)], check=True, umask=0)
    assert written.stat().st_mode & 0o777 == 0o600


def test_webserver_and_daemon_are_told_nobodys_login() -> None:
    logins = [f"CINESTREAM_LOGIN_{role}_PASSWORD" for role in ("ADMIN", "DATA_ANALYST")]
    services = interpolated(SECRETS | dict.fromkeys([*logins, "CINESTREAM_DVDRENTAL_PASSWORD"], "hush"))
    told = {
        name: {key for key, value in services["services"][name]["environment"].items() if value == "hush"}
        for name in PLATFORM_SERVICES
    }
    assert told["webserver"] == told["viewer"] == told["daemon"] == set()
    assert told["prepare"] == told["code"] == {*logins, "CINESTREAM_DVDRENTAL_PASSWORD"}


def test_no_secret_is_on_a_command_line(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        line = " ".join([*service.get("command", []), *service.get("healthcheck", {}).get("test", [])])
        assert not any(secret in line for secret in SECRETS.values())


def test_every_variable_is_one_that_something_reads(compose: dict[str, Any]) -> None:
    own = {name for source in CATALOG.sources if source.settings for name in variables(source.settings).values()}
    known = {*variables(Settings).values(), *own}
    dagster = set(re.findall(r"env: (\w+)", (ROOT / "dagster.yaml").read_text())) | {"DAGSTER_HOME"}
    assert dagster <= set(compose["services"]["code"]["environment"])
    for variable in compose["services"]["code"]["environment"]:
        assert variable in known | dagster or re.fullmatch(r"CINESTREAM_LOGIN_\w+_PASSWORD", variable), variable
    in_example = set(re.findall(r"^#?(CINESTREAM_\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert {match["name"] for match in VARIABLE.finditer(TEXT)} == in_example
    assert own <= in_example, "every setting of a source's own is in .env.example"


def test_ports_are_this_machines_alone(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert len(published) == 5
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert not any(service.get("network_mode") for service in compose["services"].values())


def test_the_ui_answers_to_the_published_ports_and_to_a_proxys_names() -> None:
    from cinestream_platform.web.hosts import AllowedHosts

    ports = {"CINESTREAM_PUBLISHED_UI_PORT": "8080", "CINESTREAM_PUBLISHED_VIEWER_PORT": "8081"}
    services = interpolated({**SECRETS, **ports, "CINESTREAM_UI_HOSTS": "dagster.example.com"})["services"]
    hosts = AllowedHosts.of(3000, services["webserver"]["environment"]["CINESTREAM_UI_HOSTS"])
    assert {"127.0.0.1:8080", "localhost:8080", "127.0.0.1:8081", "dagster.example.com"} <= hosts.names
    assert AllowedHosts.of(
        3000, interpolated(SECRETS)["services"]["viewer"]["environment"]["CINESTREAM_UI_HOSTS"]
    ).names


def test_the_viewer_is_read_only_and_the_children_know_their_options(compose: dict[str, Any]) -> None:
    from cinestream_platform.processes.child import child

    for name in ("webserver", "viewer", "daemon", "dashboards"):
        python, _, _, module, command, *options = compose["services"][name]["command"]
        assert (python, module) == ("python", "cinestream_platform.processes.child")
        child.commands[command].make_context(command, list(options))
    assert "--read-only" in compose["services"]["viewer"]["command"]
    assert "--read-only" not in compose["services"]["webserver"]["command"]


def test_services_that_stay_up_restart_and_are_watched(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name == "prepare":
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "unless-stopped"
            assert service["healthcheck"]["test"][0] == "CMD"


def test_each_waits_for_what_it_needs(compose: dict[str, Any]) -> None:
    needs = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in compose["services"].items()
    }
    assert needs == {
        "postgres": {},
        "s3": {},
        "prepare": {"postgres": "service_healthy", "s3": "service_healthy"},
        "code": {"prepare": "service_completed_successfully"},
        "webserver": {"code": "service_healthy"},
        "viewer": {"code": "service_healthy"},
        "dashboards": {"prepare": "service_completed_successfully"},
        "daemon": {"code": "service_healthy"},
    }


def test_our_own_containers_run_without_root_and_without_privileges(compose: dict[str, Any]) -> None:
    for name in PLATFORM_SERVICES:
        service = compose["services"][name]
        assert service["user"] == "10001:10001"
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert compose["services"]["postgres"]["user"] == "postgres"
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["10001:10001"]


def test_the_image_has_every_file_that_the_commands_read() -> None:
    dockerfile, ignored = (ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text()
    copied = {part for line in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE) for part in line.split()[:-1]}
    assert copied == {
        "requirements.lock",
        "pyproject.toml",
        "dagster.yaml",
        "docker/workspace.yaml",
        "dbt_project",
        "cinestream",
        "cinestream_platform",
    }
    for path in copied:
        assert (ROOT / path).exists()
        assert f"!{path}" in ignored.splitlines()


def test_the_workspace_names_the_code_service(compose: dict[str, Any]) -> None:
    [location] = yaml.safe_load((ROOT / "docker" / "workspace.yaml").read_text())["load_from"]
    code = compose["services"]["code"]
    assert location["grpc_server"]["host"] == "code"
    assert str(location["grpc_server"]["port"]) in code["command"]
    assert code["expose"] == [str(location["grpc_server"]["port"])]


def test_no_file_names_a_package_index() -> None:
    for name in ("docker-compose.yml", "Dockerfile", ".env.example", ".dockerignore", "docker/workspace.yaml"):
        assert not re.search(r"index-url|pypi|/simple", (ROOT / name).read_text()), name


def test_dagsters_commands_know_the_options_that_are_given(compose: dict[str, Any]) -> None:
    from click.testing import CliRunner
    from dagster._cli import cli as dagster_cli  # the command line itself; no code of ours uses it

    check = compose["services"]["code"]["healthcheck"]["test"]
    answer = CliRunner().invoke(dagster_cli, [*check[2:4], "--help"])
    assert answer.exit_code == 0
    assert all(part in answer.output for part in check if part.startswith("--")), answer.output


def test_the_code_server_ends_with_the_server_behind_it(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container is started again when its process ends, not when it is unhealthy."""
    from click.testing import CliRunner

    from cinestream_platform.processes import child

    command = compose["services"]["code"]["command"]
    assert command[:4] == ["python", "-P", "-m", child.__name__]
    watched, started = threading.Event(), []
    monkeypatch.setattr(child, "_end_with_inner_server", watched.set)
    monkeypatch.setattr(child, "run_program", lambda name, arguments: started.append([name, *arguments]))
    umask = os.umask(0o077)
    try:
        answer = CliRunner().invoke(child.child, command[4:])
    finally:
        os.umask(umask)
    assert answer.exit_code == 0, answer.output
    assert watched.wait(10)
    place = ["--host", "0.0.0.0", "--port", "4000"]
    assert [line[:7] for line in started] == [["dagster", "code-server", "start", *place]]
    assert started[0][-2:] == ["--module-name", "cinestream_platform.definitions"]


def test_docker_compose_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("there is no docker client here")
    if subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("the docker client here has no compose plugin")
    done = subprocess.run(
        [docker, "compose", "--file", ROOT / "docker-compose.yml", "config", "--quiet"],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **SECRETS},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
