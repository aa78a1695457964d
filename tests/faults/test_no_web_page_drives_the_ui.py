"""No page of another origin reads or changes anything in the Dagster UI, and its stakeholders' twin only reads."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import http.server
import json
import queue
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import websockets

from tests.support.own_postgres import free_port, wait_until
from tests.support.ui import TICKS, Ui, running_ui, stop_everything

ROOT = Path(__file__).parents[2]
PUBLIC = "dagster.example.com"
STOP = 'mutation {{ stopSensor(id: "{0}") {{ __typename }} }}'
SUBSCRIPTION = "subscription { locationStateChangeEvents { event { message } } }"
IDS = """{ sensorsOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "cinestream"}) {
  ... on Sensors { results { name sensorState { id status } } } } }"""


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory, manifest_home: Path) -> Iterator[Ui]:
    settings = {"CINESTREAM_UI_HOSTS": PUBLIC, "CINESTREAM_WEB_LOGIN": "none"}
    with running_ui(tmp_path_factory.mktemp("web"), manifest_home, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def viewer(ui: Ui) -> Iterator[Ui]:
    """The read-only UI beside the other one."""
    running = Ui(ui.line, "--read-only")
    try:
        running.wait_until_loaded()
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def sensors(ui: Ui) -> dict[str, tuple[str, str]]:
    """Id and status of each sensor."""
    found = ui.graphql(IDS)["sensorsOrError"]["results"]
    return {one["name"]: (one["sensorState"]["id"], one["sensorState"]["status"]) for one in found}


@pytest.fixture
def mutation(ui: Ui) -> Iterator[str]:
    """A mutation that stops a sensor; the sensor still runs at the end of the test."""
    before = sensors(ui)
    sensor, status = before["landing_sensor"]
    assert status == "RUNNING"
    yield STOP.format(sensor)
    assert sensors(ui) == before


def has_ticked(ui: Ui, sensor: str) -> bool:
    found = ui.graphql(TICKS)["sensorsOrError"]["results"]
    return any(one["name"] == sensor and one["sensorState"]["ticks"] for one in found)


def test_the_mutation_of_these_tests_works_for_the_operator(ui: Ui):
    sensor, status = sensors(ui)["dead_run_sensor"]
    assert status == "RUNNING"
    # Before the first tick the daemon enters the sensor's state: of two who enter it at once, one is refused.
    ui.wait(lambda: has_ticked(ui, "dead_run_sensor"), "the daemon has entered the sensor's state")
    origin = {"Origin": f"http://127.0.0.1:{ui.port}", "Sec_Fetch_Site": "same-origin"}
    ui.graphql(STOP.format(sensor), **origin)
    assert sensors(ui)["dead_run_sensor"][1] == "STOPPED"


def test_what_a_foreign_page_can_send_is_refused(ui: Ui, mutation: str):
    body, form = json.dumps({"query": mutation}), {"Content_Type": "application/x-www-form-urlencoded"}
    assert ui.ask("GET", f"/graphql?query={mutation.replace(' ', '%20')}")[0] == 405
    assert ui.ask("GET", f"/graphql?query={mutation.replace(' ', '%20')}", Accept="text/html")[0] == 405
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/graphql"):
        assert ui.ask("POST", "/graphql", body, Content_Type=kind)[0] == 405, kind
    assert ui.ask("POST", f"/graphql?query={mutation.replace(' ', '%20')}", "", **form)[0] == 405
    for foreign in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{ui.port}"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": f"127.0.0.1.evil.example:{ui.port}"},
    ):
        assert ui.ask("POST", "/graphql", body, Content_Type="application/json", **foreign)[0] == 403, foreign


@pytest.mark.parametrize(
    "path",
    [
        "/report_asset_materialization/movielens_dw/fact_ratings",
        "/report_asset_check/movielens_dw/fact_ratings",
        "/report_asset_observation/movielens_dw/fact_ratings",
        "/notebook?path=x.ipynb&repoLocName=cinestream",
        "/dagit/notebook?path=x.ipynb&repoLocName=cinestream",
        "/index.html",
        "/vendor/graphiql/graphiql.min.js",
    ],
)
def test_closed_addresses_are_closed_for_everybody(ui: Ui, path: str):
    for method in ("GET", "POST"):
        status, headers, text = ui.ask(
            method, path, "{}" if method == "POST" else None, Content_Type="application/json"
        )
        is_page = (
            path.startswith("/report") and method == "GET"
        )  # no such route: the UI's page says that it is not found
        assert status == (200 if is_page else 403), (method, text)
        assert headers["X-Frame-Options"] == "DENY"


def test_the_page_keeps_dagsters_policy_and_cannot_be_framed(ui: Ui):
    status, headers, text = ui.ask("GET", "/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-(\w+)'", policy)
    assert nonce is not None
    assert f'nonce="{nonce[1]}"' in text
    assert "frame-ancestors 'none'" in policy


async def _converse(url: str, *messages: str, **options: Any) -> list[Any]:
    """Answers to messages over a websocket, as the UI's own client opens it."""
    protocol = [websockets.Subprotocol("graphql-ws")]
    async with websockets.connect(url, subprotocols=protocol, **options) as connection:
        answers = []
        for message in messages:
            await connection.send(message)
            answers.append(json.loads(await asyncio.wait_for(connection.recv(), 30)))
        return answers


def converse(url: str, *messages: str, **options: Any) -> list[Any]:
    return asyncio.run(_converse(url, *messages, **options))


INIT = json.dumps({"type": "connection_init"})


def start_message(query: str) -> str:
    return json.dumps({"type": "start", "id": "1", "payload": {"query": query}})


def test_a_websocket_opens_for_our_own_page_alone(ui: Ui):
    url = f"ws://127.0.0.1:{ui.port}/graphql"
    assert converse(url, INIT, origin=f"http://127.0.0.1:{ui.port}") == [{"type": "connection_ack"}]
    for options in (
        {"origin": "http://evil.example"},
        {"origin": f"http://127.0.0.1:{ui.port + 1}"},
        {"additional_headers": {"Sec-Fetch-Site": "cross-site"}},
    ):
        with pytest.raises(websockets.InvalidStatus, match="403"):
            converse(url, INIT, **options)


def test_the_read_only_ui_reads_and_does_nothing_else(ui: Ui, viewer: Ui, mutation: str):
    assert sensors(viewer) == sensors(ui)
    for query in (
        mutation,
        "mutation { reloadWorkspace { __typename } }",
        'mutation { logTelemetry(action: "a", clientTime: "0", clientId: "x", metadata: "{}") { __typename } }',
        'query { capturedLogs(logKey: ["x"]) { stdout } }',
        'query { logsForRun(runId: "x") { __typename } }',
    ):
        status, _, text = viewer.ask("POST", "/graphql", json.dumps({"query": query}), Content_Type="application/json")
        assert status == 403, text
        assert "Refused" in json.loads(text)["errors"][0]["message"]
    for path in ("/logs/x/compute_logs/y/err", "/download_debug/x", "/notebook?path=x.ipynb", "/dagit/notebook"):
        assert viewer.ask("GET", path)[0] == 403, path
    assert viewer.ask("GET", "/assets")[0] == 200


def test_the_read_only_websocket_has_no_logs(viewer: Ui):
    url, origin = f"ws://127.0.0.1:{viewer.port}/graphql", f"http://127.0.0.1:{viewer.port}"
    logs = start_message('subscription { capturedLogs(logKey: ["x"]) { stdout } }')
    events = start_message('subscription { pipelineRunLogs(runId: "x") { __typename } }')
    for refused in converse(url, INIT, logs, events, origin=origin)[1:]:
        assert refused["type"] == "error"
        assert "Refused" in refused["payload"]["message"]


EVIL = """<!doctype html><title>evil</title>
<img src="{ui}/graphql?query={escaped}"><iframe src="{ui}/" id="frame"></iframe>
<form id="form" method="post" enctype="text/plain" target="hidden" action="{ui}/graphql">
<input name='{{"query": "{quoted}", "x": "' value='"}}'></form><iframe name="hidden"></iframe>
<script>
const seen = {{}}, body = JSON.stringify({{query: `{mutation}`}});
const attempt = async (name, action) => {{
  try {{ seen[name] = await action(); }} catch (error) {{ seen[name] = "refused"; }}
}};
document.getElementById("form").submit();
(async () => {{
  await attempt("simple", async () => {{
    const answer = await fetch("{ui}/graphql", {{method: "POST", mode: "no-cors", body}}); return answer.type; }});
  await attempt("json", async () => {{
    const answer = await fetch("{ui}/graphql", {{method: "POST", headers: {{"Content-Type": "application/json"}}, body}});
    return answer.status; }});
  await attempt("read", async () => {{ const answer = await fetch("{ui}/logs/a/b/out"); return answer.status; }});
  await attempt("socket", () => new Promise((done) => {{
    const socket = new WebSocket("{socket}/graphql", "graphql-ws");
    socket.onopen = () => done("open"); socket.onerror = () => done("refused"); }}));
  await fetch("/seen?" + encodeURIComponent(JSON.stringify(seen)));
}})();
</script>"""


class Site(http.server.SimpleHTTPRequestHandler):
    """A web site on another port of this machine, whose page tells it what it has seen."""

    told: queue.Queue[str]

    def do_GET(self) -> None:
        if self.path.startswith("/seen?"):
            self.told.put(unquote(self.path.partition("?")[2]))
            self.send_error(404)
        else:
            super().do_GET()


def told_by(folder: Path) -> str:
    """What the page of a folder tells its site when Chromium has opened it and its scripts are done."""
    site = type("SiteOfOneTest", (Site,), {"told": queue.Queue()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(site, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            address = f"http://127.0.0.1:{server.server_address[1]}/index.html"
            browser = subprocess.Popen(
                [*chromium_command(profile), "--remote-debugging-port=0", address],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                return str(site.told.get(timeout=300))
            finally:
                browser.terminate()
                browser.wait(60)
                server.shutdown()


def chromium_command(profile: str) -> list[str]:
    """How a headless Chromium is started; the test skips where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium here (Debian's package chromium)")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    options += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}"]
    return [program, *options]


def chromium(url: str) -> str:
    """The page as Chromium has it after its scripts ran."""
    with tempfile.TemporaryDirectory() as profile:
        command = [*chromium_command(profile), "--timeout=60000", "--virtual-time-budget=20000", "--dump-dom", url]
        return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False).stdout


def test_a_page_on_another_port_of_this_machine_changes_nothing_in_a_real_browser(
    ui: Ui, mutation: str, tmp_path: Path
):
    page = EVIL.format(
        ui=f"http://127.0.0.1:{ui.port}",
        socket=f"ws://127.0.0.1:{ui.port}",
        mutation=mutation,
        escaped=mutation.replace(" ", "%20").replace('"', "%22"),
        quoted=mutation.replace('"', '\\\\"').replace('"', "&quot;"),
    )
    (tmp_path / "index.html").write_text(page)
    seen = json.loads(told_by(tmp_path))
    assert seen == {"simple": seen["simple"], "json": "refused", "read": "refused", "socket": "refused"}


def test_the_ui_itself_works_in_a_real_browser(ui: Ui, viewer: Ui):
    for one in (ui, viewer):
        for _ in range(5):  # on a busy machine the page is given out before it is complete
            dom = chromium(f"http://127.0.0.1:{one.port}/automation")
            if "landing_sensor" in dom:
                break
        assert "landing_sensor" in dom, dom[-3000:]


def snippet(kind: str) -> str:
    """The proxy's configuration in the docs."""
    text = (ROOT / "docs" / "behind-a-proxy.md").read_text()
    found = re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


@contextlib.contextmanager
def proxy(kind: str, ui: Ui, folder: Path) -> Iterator[int]:
    """Caddy or nginx with the documented configuration, on loopback and another port; the port."""
    program = shutil.which({"caddyfile": "caddy", "nginx": "nginx"}[kind], path="/usr/bin:/usr/sbin:/usr/local/bin")
    if program is None:
        pytest.skip(f"there is no {kind} here (Debian's packages caddy and nginx-light)")
    port, text = free_port(), snippet(kind).replace("127.0.0.1:3000", f"127.0.0.1:{ui.port}")
    if kind == "caddyfile":
        hashed = subprocess.run(
            [program, "hash-password", "--plaintext", "pw"], capture_output=True, text=True, check=True
        )
        site = f"http://{PUBLIC}:{port}"
        text = "{\n\tadmin off\n}\n" + text.replace(PUBLIC, site, 1).replace("<hash>", hashed.stdout.strip())
        command = [program, "run", "--adapter", "caddyfile", "--config", str(folder / "proxy.conf")]
    else:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={PUBLIC}"),
                *("-keyout", folder / "dagster.key", "-out", folder / "dagster.crt"),
            ],
            check=True,
            capture_output=True,
        )
        (folder / "dagster.htpasswd").write_text("engineer:{PLAIN}pw\n")
        text = text.replace("/etc/nginx", str(folder)).replace("listen 443", f"listen 127.0.0.1:{port}")
        text = f"pid {folder}/nginx.pid;\ndaemon off;\nevents {{}}\nhttp {{\naccess_log off;\n{text}}}\n"
        command = [program, "-c", str(folder / "proxy.conf"), "-p", str(folder), "-e", str(folder / "error.log")]
    (folder / "proxy.conf").write_text(text)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    with (
        (folder / "output").open("wb") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            wait_until(lambda: _listens(port), 60)
            yield port
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("kind", ["caddyfile", "nginx"])
def test_the_documented_proxy_serves_the_ui_with_its_websocket_and_no_other_host(ui: Ui, kind: str, tmp_path: Path):
    folder = Path(tempfile.mkdtemp(prefix="proxy-"))
    folder.chmod(0o755)  # nginx' workers are another account
    try:
        with proxy(kind, ui, folder) as port:
            secure, scheme = (ssl._create_unverified_context(), "https") if kind == "nginx" else (None, "http")
            login = {"Authorization": "Basic " + base64.b64encode(b"engineer:pw").decode()}

            def ask(host: str, path: str, body: str | None = None, **more: str) -> tuple[int, str]:
                maker = http.client.HTTPSConnection if secure else http.client.HTTPConnection
                options = {"context": secure} if secure else {}
                connection = maker("127.0.0.1", port, timeout=30, **options)
                headers = {"Host": host, **login, **more}
                connection.request("POST" if body else "GET", path, body, headers)
                response = connection.getresponse()
                return response.status, response.read().decode()

            assert ask(PUBLIC, "/runs")[0] == 200
            body = json.dumps({"query": TICKS})
            own = {"Content-Type": "application/json", "Origin": f"{scheme}://{PUBLIC}"}
            status, text = ask(PUBLIC, "/graphql", body, **own)
            assert status == 200
            assert "landing_sensor" in text
            assert ask(PUBLIC, "/graphql", body, **own | {"Origin": "https://evil.example"})[0] == 403
            assert "landing_sensor" not in ask("evil.example", "/graphql", body, **own)[1]
            login.clear()
            assert ask(PUBLIC, "/runs")[0] == 401
            login["Authorization"] = "Basic " + base64.b64encode(b"engineer:pw").decode()
            url = f"{'wss' if secure else 'ws'}://{PUBLIC}/graphql"
            options: dict[str, Any] = {"host": "127.0.0.1", "port": port, "additional_headers": login}
            if secure:
                options["ssl"] = secure
            answers = converse(url, INIT, origin=f"{scheme}://{PUBLIC}", **options)
            assert answers == [{"type": "connection_ack"}]
            with pytest.raises(websockets.InvalidStatus, match="403"):
                converse(url, INIT, origin="https://evil.example", **options)
    finally:
        shutil.rmtree(folder)


def test_everything_of_this_file_stops(ui: Ui, viewer: Ui):
    assert viewer.stop() == 0
    assert ui.is_loaded()
    stop_everything(ui)
    assert ui.process.returncode == 0
