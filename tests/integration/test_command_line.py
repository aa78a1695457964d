"""The command line end to end, each command in a process of its own, on an embedded Postgres of its own home."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.metric import TIME, Metric
from cinestream_platform.metrics.declared import all_metrics
from cinestream_platform.metrics.question import Question
from cinestream_platform.services.postgres import postgres_binary, postgres_status, stop_postgres
from cinestream_platform.sources.netflix.sample.content import CLOSING_DIRT
from tests.conftest import REGION, S3Server
from tests.support import ledger as ledger_by_hand
from tests.support.command_line import CommandLine
from tests.support.platform import Y2005, ratings_csv
from tests.support.swift import SwiftServer, swift_available

DATASETS = ("links", "movies", "ratings", "tags")


@pytest.fixture(scope="module", autouse=True)
def data_root() -> Iterator[Path]:
    """Where root's servers keep their data: pytest's folders shut other accounts out, and /var/lib would keep it."""
    folder = Path(tempfile.mkdtemp(prefix="cinestream-test-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINESTREAM_POSTGRES_DATA_ROOT", str(folder / "data"))
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cinestream(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Iterator[CommandLine]:
    """A home in which nothing has happened yet; its server is stopped at the end."""
    line = CommandLine(tmp_path_factory.mktemp("command-line") / "home")
    yield line
    stop_postgres(line.home)


@pytest.fixture(scope="module")
def first_demo(cinestream: CommandLine) -> str:
    """What the first demo of this home prints."""
    return cinestream.output("demo", "--scale", "0.05")


@pytest.fixture
def sample(tmp_path: Path, cinestream: CommandLine) -> Path:
    """A folder of generated files."""
    cinestream.output("sample", "movielens", tmp_path / "sample", "--scale", "0.05", "--seed", "9", "--clean")
    return tmp_path / "sample"


def query(line: CommandLine, statement: str, role: str | None = None) -> list[tuple[Any, ...]]:
    dsn = line.output("dsn", *(["--role", role] if role else [])).strip()
    with psycopg.connect(dsn) as conn:
        return conn.execute(statement.encode()).fetchall()


def rows_of_assets(printed: str) -> dict[str, str]:
    """Asset and rows of the demo's table."""
    return dict(re.findall(r"^(\w+/\w+) +([\d,]+) ", printed, re.MULTILINE))


PUBLISHED = "SELECT count(*), max(publication_id), max(published_at) FROM ops.publication"


def test_the_demo_runs_green(cinestream: CommandLine, first_demo: str) -> None:
    assert "(equal)" in first_demo
    assert "NOT AS IT SHOULD BE" not in first_demo
    shown = set(rows_of_assets(first_demo))
    assert {"movielens/ratings", "movielens/fact_ratings", "movielens/mart_movie_ratings"} <= shown


def test_a_demo_is_amber_only_where_a_fault_of_a_whole_file_was_planted(first_demo: str) -> None:
    """A rejected record or two are usual. A file that ends within a record was cut, and somebody has to fetch it again."""
    assert "cut_line" in CLOSING_DIRT
    warned = re.findall(r"^Check that warns: (\S+): (.+)$", first_demo, re.MULTILINE)
    assert warned == [("netflix/ratings", "last_record_complete")]


def test_a_second_demo_prints_the_same_totals_and_publishes_nothing_new(
    cinestream: CommandLine, first_demo: str
) -> None:
    before = query(cinestream, PUBLISHED)
    second = cinestream.output("demo", "--scale", "0.05", "--source", "movielens", "--source", "dvdrental")
    assert query(cinestream, PUBLISHED) == before
    assert "0 steps" in second, "nothing was loaded, extracted or built"
    assert re.search(r"^up to date +6 files in .*/landing/movielens/: landed and loaded before$", second, re.MULTILINE)
    assert re.search(r"^Nothing new: all \d+ tables are made from what landed and was extracted", second, re.MULTILINE)
    assert "(equal)" in second
    totals = rows_of_assets(second)
    assert {"movielens/fact_ratings", "dvdrental/fact_rental"} <= set(totals), "the stars are shown again"
    assert {name: rows_of_assets(first_demo)[name] for name in totals} == totals
    shown = list(totals)
    assert shown.index("movielens/ratings") < shown.index("movielens/fact_ratings"), "in the order of building"


def test_status_tells_feeds_files_and_publications(cinestream: CommandLine, first_demo: str) -> None:
    short = cinestream.output("status")
    assert cinestream.home.joinpath("landing").as_uri() in short
    assert re.search(r"^movielens/ratings +1 +0 +0 ", short, re.MULTILINE)
    assert "movielens_dw.fact_ratings" in short
    narrow = cinestream.with_settings(COLUMNS="40").output("status").splitlines()
    assert any(line.startswith("movielens/ratings ") for line in narrow), "names are whole at any width"
    assert short.startswith("verdict       all is well\n")
    assert re.search(r"^stale now +nothing$", short, re.MULTILINE)
    assert re.search(r"^files +0 parked, 0 waiting$", short, re.MULTILINE)
    assert re.search(r"^extracted +dvdrental 20\d\d-\d\d-\d\d \d\d:\d\d UTC$", short, re.MULTILINE)
    assert "movielens/ratings/ratings.csv" not in short
    assert re.search(r"movielens/ratings/ratings.csv\n +loaded, [\d,]+ rows, ", cinestream.output("status", "--files"))


@pytest.mark.parametrize("role", ["admin", "data_engineer", "data_analyst", "ml_engineer", "dashboard_reader", None])
def test_a_dsn_lets_its_role_in(cinestream: CommandLine, first_demo: str, role: str | None) -> None:
    [(who,)] = query(cinestream, "SELECT current_user", role)
    assert who == (f"cinestream_{role}" if role else "cinestream")


def test_a_dsn_works_with_psql(cinestream: CommandLine, first_demo: str) -> None:
    psql = shutil.which("psql") or str(postgres_binary(cinestream.home, "psql"))
    dsn = cinestream.output("dsn", "--role", "data_analyst").strip()

    def ask(statement: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([psql, dsn, "-XAtc", statement], capture_output=True, text=True, timeout=600, check=False)

    assert int(ask("SELECT count(*) FROM movielens_dw.fact_ratings").stdout) > 1000
    assert "permission denied" in ask("SELECT count(*) FROM raw_movielens.ratings").stderr


def test_the_psql_that_comes_along_is_logged_in_whatever_the_shell_says(
    cinestream: CommandLine, first_demo: str
) -> None:
    elsewhere = cinestream.with_settings(PGHOST="nowhere.invalid", PGUSER="nobody", PGDATABASE="none")
    assert elsewhere.output("psql", "--role", "data_analyst", "-XAtc", "SELECT current_user") == (
        "cinestream_data_analyst\n"
    )
    stakeholder = ("psql", "--role", "dashboard_reader", "-XAtc")
    assert elsewhere.output(*stakeholder, "SELECT files_parked FROM platform.health") == "0\n"
    assert "permission denied" in elsewhere.run(*stakeholder, "SELECT * FROM ops.landed_file").stderr


@pytest.fixture(scope="module")
def analyst(cinestream: CommandLine, first_demo: str) -> Iterator[psycopg.Connection[Any]]:
    """An analyst's session in the demo's warehouse."""
    with psycopg.connect(cinestream.output("dsn", "--role", "data_analyst").strip(), autocommit=True) as conn:
        yield conn


def answers(conn: psycopg.Connection[Any], statement: str) -> dict[tuple[Any, ...], Any]:
    """The last column of a query by the columns before it."""
    return {row[:-1]: row[-1] for row in conn.execute(statement.encode()).fetchall()}


def metrics() -> dict[tuple[str, str], Metric]:
    return {(metric.source, metric.name): metric for metric in all_metrics(CATALOG)}


def test_every_metric_can_be_asked_by_every_dimension_and_period_by_an_analyst(
    analyst: psycopg.Connection[Any],
) -> None:
    for metric in metrics().values():
        [total] = answers(analyst, Question(metric).sql()).values()
        for by in (*metric.base.dimensions, *metric.base.periods):
            parts = answers(analyst, Question(metric, (by,)).sql())
            assert parts
            over = TIME if by in metric.base.periods else by
            assert over not in metric.additive_over or sum(parts.values()) == total, (metric.name, by)


def test_marts_hold_the_metrics_that_they_say(cinestream: CommandLine, analyst: psycopg.Connection[Any]) -> None:
    """Of each mart that names them: each row's figure is the metric's for these members and periods, and no row lacks."""
    manifest = json.loads((cinestream.home / "dbt/target/manifest.json").read_bytes())
    compared = set()
    for node in manifest["nodes"].values():
        grain = node["config"].get("meta", {}).get("metric_grain")
        for column, said in node.get("columns", {}).items() if grain is not None else ():
            source = CATALOG.source_of_schema(node["schema"])
            name, over = (said["config"]["meta"].get(word) for word in ("metric", "additive_over"))
            if source is None or name is None:
                continue
            metric = metrics()[source.name, name]
            assert over == (list(grain) if metric.additive_over else [])
            table = f"{node['schema']}.{node['alias']}"
            held = answers(analyst, f"SELECT {', '.join([*grain, column])} FROM {table}")
            right = answers(analyst, Question(metric, tuple(grain.values())).sql())
            # What belongs to no member (a track without a genre) is no row of a mart of members.
            assert {key for key in right if None not in key} <= held.keys(), (table, column)
            assert {key: value for key, value in held.items() if value} == {
                key: right.get(key) for key, value in held.items() if value
            }, (table, column)
            compared.add((source.name, name))
    assert len(compared) >= 12


def test_a_metric_is_answered_with_the_sql_that_gives_the_answer(
    cinestream: CommandLine, first_demo: str, analyst: psycopg.Connection[Any]
) -> None:
    listed = cinestream.output("metric")
    assert all(name in listed for _, name in metrics())
    printed = cinestream.output("metric", "revenue", "--source", "chinook", "--by", "country", "--limit", "3")
    [statement] = re.findall(r"^SELECT.*?;$", printed, re.MULTILINE | re.DOTALL)
    [first, *_] = analyst.execute(statement.encode()).fetchall()
    assert f"{first[0]}" in printed
    assert f"{first[1]:,.2f}" in printed
    assert "The first 3 rows" in printed
    assert ": 0.00" in cinestream.output("metric", "revenue", "--source", "chinook", "--month", "1999-05")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("revenu",), "there is no metric revenu; there are revenue"),
        (("revenue", "--by", "planet"), "cannot be asked for by planet, but by country"),
        (("revenue", "--month", "2013-13"), "2013-13 is no day, month or year"),
        (("revenue", "--from", "2014", "--to", "2013"), "2013 is before 2014"),
        (("revenue", "--where", "country"), "country is no condition"),
        (("ratings", "--where", "release_year=' OR true --"), "a value of --where is not of its column's type"),
    ],
)
def test_a_metric_that_cannot_be_asked_so_says_why(
    cinestream: CommandLine, first_demo: str, arguments: tuple[str, ...], said: str
) -> None:
    assert said in cinestream.error("metric", *arguments)


def test_hostile_values_of_a_condition_are_values(cinestream: CommandLine, first_demo: str) -> None:
    for value in ("x' OR true --", "\\", "\\' OR true --", "%s", "{}", "$$"):
        asked = ("metric", "invoices", "--source", "chinook", "--where", f"country={value}")
        assert "Invoices (chinook, invoices): 0" in cinestream.output(*asked)


def test_a_file_is_landed_loaded_reloaded_and_retracted(
    cinestream: CommandLine, first_demo: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_bytes(ratings_csv([(990_001, 1, 4.5, Y2005)]))
    key = "movielens/ratings/mine.csv"
    counted = "SELECT count(*) FROM movielens_dw.fact_ratings JOIN movielens_dw.dim_user USING (user_key)"
    counted += " WHERE user_id = 990001"

    assert cinestream.output("land", "movielens", mine, "--dataset", "ratings") == f"landed {key}\n"
    assert (cinestream.home / "landing" / key).read_bytes() == mine.read_bytes()
    cinestream.output("demo", "--scale", "0.05", "--source", "movielens")
    assert query(cinestream, counted, "data_analyst") == [(1,)]

    states = f"SELECT status FROM ops.landed_file WHERE key = '{key}' ORDER BY file_id"
    assert f"{key} waits to be read again (it was loaded)" in cinestream.output("reload", key)
    assert query(cinestream, states) == [("loaded",), ("pending",)]
    assert "waits" in cinestream.output("reload", f"{(cinestream.home / 'landing').as_uri()}/{key}")
    assert query(cinestream, states) == [("loaded",), ("pending",)]

    assert "stale now: 2005" in cinestream.output("retract", key)
    assert query(cinestream, states) == [("retracted",), ("retracted",)]
    assert query(cinestream, "SELECT count(*) FROM raw_movielens.ratings WHERE user_id = 990001") == [(0,)]


def test_a_folder_is_landed_by_the_publishers_names(tmp_path: Path, sample: Path) -> None:
    other = CommandLine(tmp_path / "home")
    landed = other.output("land", "movielens", sample)
    assert {f"landed movielens/{name}/{name}.csv" for name in DATASETS} <= set(landed.splitlines())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["land", "spotify", "{file}"], "there is no source spotify; sources are movielens"),
        (["land", "dvdrental", "{file}"], "its tables are extracted from a database"),
        (["retract", "dvdrental/rental/20260101T000000.000000Z"], "Extract again instead"),
        (["land", "movielens", "{file}"], "Name one with --dataset"),
        (["land", "movielens", "{file}", "--dataset", "films"], "has no dataset films; datasets are movies"),
        (
            ["land", "movielens", "{file}", "--dataset", "ratings", "--name", "../x.csv"],
            "Choose another name with --as",
        ),
        (["reload", "movielens/ratings/rating.csv"], "See cinestream status --files"),
        (["reload", "ratings.csv"], "Did you mean movielens/ratings/ratings.csv?"),
        (["retract", "movielens/ratings/nothing.csv"], "no landed file has the key"),
        (["retract", "nothing"], "See cinestream status --files"),
        (["land", "movielens", "{file}", "--dataset", "ratings", "--name", ".x.csv"], "in transit"),
        (["demo", "--data", "/nowhere"], "there is no folder /nowhere"),
        (["demo", "--data", "{folder}"], "has nothing for any source (movielens: there is no folder movielens"),
        (["fetch", "movielens", "--release", "ml-1900"], "there are ml-latest-small, ml-25m, ml-32m"),
        (["fetch", "movielens", "--base-url", "http://127.0.0.1:1"], "Check the network"),
        (["sample", "movielens", "{folder}", "--scale", "0.001"], "too small"),
        (["sample", "chinook", "{folder}", "--scale", "0.001"], "too small"),
        (["sample", "netflix", "{folder}", "--scale", "nan"], "no number from 0 to 1,000"),
    ],
)
def test_a_wrong_argument_gives_one_line_with_a_remedy(
    cinestream: CommandLine, first_demo: str, tmp_path: Path, arguments: list[str], words: str
) -> None:
    file = tmp_path / "unknown.csv"
    file.write_text("a,b\n")
    filled = [argument.format(file=file, folder=tmp_path) for argument in arguments]
    assert words in cinestream.error(*filled)


def test_an_unknown_option_is_explained(cinestream: CommandLine) -> None:
    done = cinestream.run("dsn", "--role", "king")
    assert done.returncode == 2
    assert "data_analyst" in done.stderr
    assert "Traceback" not in done.stderr


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_fetch_downloads_unpacks_and_lands(tmp_path: Path, sample: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    with zipfile.ZipFile(site / "ml-latest-small.zip", "w") as archive:
        for path in sample.iterdir():
            archive.write(path, f"ml-latest-small/{path.name}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        line = CommandLine(tmp_path / "home")
        landed = line.output("fetch", "movielens", "--base-url", f"http://127.0.0.1:{server.server_port}/")
        assert {f"landed movielens/{name}/{name}.csv" for name in DATASETS} <= set(landed.splitlines())
        there = f"http://127.0.0.1:{server.server_port}"
        wrong = line.run("fetch", "movielens", "--release", "ml-25m", "--base-url", there)
        assert wrong.returncode == 1
        assert "Traceback" not in wrong.stderr
        # pooch announces its download before
        assert re.match(r"Error: .* does not exist \(404\)\. Download .* by hand", wrong.stderr.splitlines()[-1])
    finally:
        server.shutdown()


def test_the_dvdrental_source_is_made_fetched_and_left_alone(cinestream: CommandLine, tmp_path: Path) -> None:
    made = cinestream.output("load-source", "dvdrental", "--sample", "--scale", "0.05", "--replace").splitlines()
    assert re.fullmatch(
        r"loaded 15 tables, 3,824 rows in postgresql://dvdrental_reader@127\.0\.0\.1:\d+/dvdrental", made[0]
    )
    assert "rental: 804 rows, 2 to be rejected" in made

    server = postgres_status(cinestream.home)
    assert server is not None
    dump = [postgres_binary(cinestream.home, "pg_dump"), "--format=tar", f"--file={tmp_path / 'dvdrental.tar'}"]
    subprocess.run(dump, env=server.client_environment("dvdrental"), check=True)
    with zipfile.ZipFile(tmp_path / "dvdrental.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "dvdrental.tar", "dvdrental.tar")
    other = cinestream.with_settings(CINESTREAM_DVDRENTAL_DATABASE="fetched")
    site = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path))
    threading.Thread(target=site.serve_forever, daemon=True).start()
    try:
        base_url = f"http://127.0.0.1:{site.server_port}"
        warning, loaded = other.output("fetch", "dvdrental", "--base-url", base_url).splitlines()
    finally:
        site.shutdown()
        site.server_close()
    assert warning.startswith("warning: dvdrental.zip is not the known one (SHA-256 ")
    assert loaded == made[0].removesuffix("dvdrental") + "fetched"
    again = other.output("load-source", "dvdrental", tmp_path / "dvdrental.zip").strip()
    assert again == loaded.replace("loaded", "left as it was:") + "; --replace makes it anew"
    assert "give either an ARCHIVE or --sample" in cinestream.run("load-source", "dvdrental").stderr


def test_two_homes_live_side_by_side(cinestream: CommandLine, first_demo: str, tmp_path: Path) -> None:
    other = CommandLine(tmp_path / "other")
    try:
        assert "not running" in other.output("services", "status")
        started = other.output("services", "start")
        assert started == other.output("services", "start")
        assert started == other.output("services", "status")
        assert started != cinestream.output("services", "start")
        assert query(other, "SELECT count(*) FROM ops.landed_file") == [(0,)]
        assert query(cinestream, "SELECT count(*) > 0 FROM ops.landed_file") == [(True,)]
        assert other.output("services", "stop") == "stopped\n"
        assert other.output("services", "stop") == "it was not running\n"
        assert "runs on" in cinestream.output("services", "status")
    finally:
        stop_postgres(other.home)


def failures(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert "Traceback" not in done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("FAILED")]


def test_doctor_finds_a_demo_in_good_health(cinestream: CommandLine, first_demo: str) -> None:
    printed = cinestream.output("doctor")
    assert printed.splitlines()[-1] == "All is well."
    names = [line.split()[1] for line in printed.splitlines()[:-1]]
    assert names == [
        *("python", "packages", "home", "disk", "login"),
        *("postgres", "rights", "warehouse", "roles", "grants", "server"),
        *("landing", "lake", "dagster", "dagster", "dbt", "source", "files"),
    ]
    assert not list((cinestream.home / "lake").glob(".doctor*"))


def test_doctor_starts_a_stopped_embedded_server_and_finds_it_well(cinestream: CommandLine, first_demo: str) -> None:
    cinestream.output("services", "stop")
    assert cinestream.output("doctor").splitlines()[-1] == "All is well."


def test_doctor_gives_a_login_its_password_again(cinestream: CommandLine, first_demo: str) -> None:
    query_of_owner = cinestream.output("dsn").strip()
    with psycopg.connect(query_of_owner, autocommit=True) as conn:
        conn.execute("ALTER ROLE cinestream_data_analyst PASSWORD 'forgotten'")
    assert "made or given their password anew: cinestream_data_analyst" in cinestream.output("doctor")
    assert query(cinestream, "SELECT 1", "data_analyst") == [(1,)]


def test_doctor_shows_drift_a_changed_table_and_a_parked_file(cinestream: CommandLine, first_demo: str) -> None:
    dsn = cinestream.output("dsn").strip()
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("GRANT SELECT ON raw_movielens.tags TO dashboard_reader")
    assert "dashboard_reader: SELECT on raw_movielens.tags" in failures(cinestream.run("doctor"))[0]
    assert cinestream.run("roles").returncode == 1
    cinestream.output("roles", "--apply")

    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("ALTER TABLE movielens_dw.dim_movie ADD COLUMN surplus text; COMMENT ON SCHEMA ops IS 'changed'")
    [line] = failures(cinestream.run("doctor"))
    assert "ALTER TABLE movielens_dw.dim_movie DROP COLUMN surplus" in line
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("ALTER TABLE movielens_dw.dim_movie DROP COLUMN surplus")

    with psycopg.connect(dsn, autocommit=True) as conn:
        ledger_by_hand.show_as(conn, "links", was="loaded", status="parked", reason="unreadable")
    done = cinestream.run("doctor")
    assert (done.returncode, failures(done)) == (0, [])
    assert re.search(r"warning  files +1 parked -> ", done.stdout)
    assert re.search(r"movielens/links/links.csv\n +parked.*: unreadable", cinestream.output("status"))
    with psycopg.connect(dsn, autocommit=True) as conn:
        ledger_by_hand.show_as(conn, "links", was="parked", status="loaded", reason=None)


def test_doctor_says_that_a_home_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CommandLine(tmp_path / "file" / "home").run("doctor")
    assert done.returncode == 1
    [home, *_] = failures(done)
    assert "set CINESTREAM_HOME" in home


def test_doctor_names_a_setting_that_is_wrong_without_its_value(tmp_path: Path) -> None:
    done = CommandLine(tmp_path / "home", {"CINESTREAM_POSTGRES_PORT": "many"}).run("doctor")
    [line] = failures(done)
    assert "POSTGRES_PORT" in line
    assert "many" not in line


def on_s3(home: Path, endpoint: str, key: str, secret: str, bucket: str) -> CommandLine:
    settings = {
        "CINESTREAM_LANDING_URL": f"s3://{bucket}/landing",
        "CINESTREAM_LAKE_URL": f"s3://{bucket}/lake",
        "CINESTREAM_S3_ENDPOINT_URL": endpoint,
        "CINESTREAM_S3_REGION": REGION,
        "CINESTREAM_S3_ACCESS_KEY_ID": key,
        "CINESTREAM_S3_SECRET_ACCESS_KEY": secret,
        "AWS_MAX_ATTEMPTS": "1",
    }
    return CommandLine(home, settings)


def test_doctor_tells_a_missing_bucket_from_a_dead_endpoint(
    cinestream: CommandLine, first_demo: str, s3_server: S3Server
) -> None:
    access = (s3_server.access_key, s3_server.secret_key)
    good = on_s3(cinestream.home, s3_server.endpoint, *access, s3_server.create_bucket())
    assert good.output("doctor").splitlines()[-1] == "All is well."

    lines = failures(on_s3(cinestream.home, s3_server.endpoint, *access, "no-such-bucket").run("doctor"))
    assert len(lines) == 2
    assert "the bucket does not exist -> Create it, or correct CINESTREAM_LANDING_URL." in lines[0]
    assert "correct CINESTREAM_LAKE_URL" in lines[1]

    lines = failures(on_s3(cinestream.home, "http://127.0.0.1:1", *access, "any").run("doctor"))
    assert len(lines) == 2
    assert "the server does not answer" in lines[0]
    assert "CINESTREAM_S3_ENDPOINT_URL" in lines[0]


def test_prepare_makes_the_buckets(cinestream: CommandLine, first_demo: str, s3_server: S3Server) -> None:
    import uuid

    name = f"made-{uuid.uuid4().hex[:8]}"
    line = on_s3(cinestream.home, s3_server.endpoint, s3_server.access_key, s3_server.secret_key, name)
    assert f"landing zone: s3://{name}/landing (made)" in line.output("prepare")
    assert "(made)" not in line.output("prepare")
    assert line.output("doctor").splitlines()[-1] == "All is well."


def test_wrong_s3_keys_are_told_from_each_other_by_a_server_that_checks_them(
    cinestream: CommandLine, first_demo: str, tmp_path: Path
) -> None:
    if reason := swift_available(tmp_path):
        pytest.skip(reason)
    with SwiftServer(tmp_path, region=REGION) as server:
        server.client().create_bucket(Bucket="bucket")
        good = on_s3(cinestream.home, server.endpoint, server.access_key, server.secret_key, "bucket")
        assert good.output("doctor").splitlines()[-1] == "All is well."

        wrong_secret = on_s3(cinestream.home, server.endpoint, server.access_key, "x" * 32, "bucket")
        done = wrong_secret.run("doctor")
        assert done.returncode == 1
        for line in failures(done):
            assert "the secret key is wrong" in line
            assert "CINESTREAM_S3_SECRET_ACCESS_KEY" in line
            assert "x" * 32 not in line
        assert "the secret key is wrong" in wrong_secret.error("demo", "--scale", "0.05")

        wrong_key = on_s3(cinestream.home, server.endpoint, "cinestream:nobody", server.secret_key, "bucket")
        assert all("CINESTREAM_S3_ACCESS_KEY_ID" in line for line in failures(wrong_key.run("doctor")))
        mine = tmp_path / "ratings.csv"
        mine.write_bytes(ratings_csv([(1, 1, 4.5, Y2005)]))
        refused = wrong_secret.error("land", "movielens", mine)
        assert "CINESTREAM_S3_SECRET_ACCESS_KEY" in refused
