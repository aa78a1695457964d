"""The pages for stakeholders over a loaded warehouse: every number is SQL's, and nothing that data holds breaks them."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from cinestream_platform.catalog import CATALOG
from cinestream_platform.dashboards.rendering import Renderer
from cinestream_platform.dashboards.warehouse import Warehouse
from cinestream_platform.dashboards.words import number
from cinestream_platform.ledger import source_looks
from cinestream_platform.orchestration.asset import asset_key, system_key
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support import ledger as ledger_by_hand
from tests.support.dashboards import served_pages, wait_until
from tests.support.platform import (
    MOVIES,
    Y2005,
    Y2018,
    Platform,
    csv_bytes,
    platform_of,
    ratings_csv,
)

TABLES = ("/catalog/movielens_dw.fact_ratings", "/catalog/raw_movielens.ratings", "/catalog/chinook_dw.dim_customer")
OPEN_VIEW = "/catalog/chinook_dw_open.dim_customer"
PAGES = (
    *("/", "/catalog", "/catalog?q=rating", "/catalog/metrics", *TABLES, OPEN_VIEW),
    "/catalog/movielens_marts.mart_movie_ratings",
    *("/files", "/files?state=parked", "/files/movielens/ratings/b.csv", "/files/movielens/ratings/bad.csv"),
    *("/lineage/movielens_marts.mart_movie_ratings", "/lineage/movielens_dw.fact_ratings/rating"),
)
"""One of each kind, with a chart, a drawing, a fault."""
WIDE = ("/", TABLES[0], "/catalog", "/lineage/movielens_marts.mart_movie_ratings")
"""Those that differ most when they are wide."""
HOSTILE = (
    "\u202e</script><script>document.title = 'taken'</script><img src=x onerror=alert(1)>{{ 7 * 7 }}" + "x" * 9_000
)


@pytest.fixture(scope="module")
def loaded(
    postgres: PostgresTarget, calendar_template: str, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """One loaded and built platform for all tests here; those that change it change it back."""
    with platform_of(
        postgres, "pages_loaded", calendar_template, manifest_home, tmp_path_factory.mktemp("pages")
    ) as platform:
        platform.declare()
        platform.land("movielens/movies/movies.csv", MOVIES)
        platform.land("movielens/ratings/a.csv", ratings_csv([(1, 1, 4.5, Y2005), (2, 1, 3.0, Y2018)]))
        many = [(n, 1 + n % 3, 4.0, Y2018) for n in range(3, 1_203)]
        platform.land("movielens/ratings/b.csv", ratings_csv([*many, (4, 2, 9.0, Y2018)]))
        platform.land("movielens/tags/a.csv", csv_bytes("userId,movieId,tag,timestamp", [(1, 1, "fun", Y2005)]))
        platform.land("movielens/ratings/bad.csv", b"this,is,no\r\nfile,of,ratings\r\n")
        platform.load()
        platform.build()
        yield platform


@pytest.fixture(scope="module")
def pages(loaded: Platform) -> Iterator[httpx.Client]:
    with served_pages(loaded.settings) as client:
        yield client


def text_of(page: str) -> str:
    """What a reader of a page sees, in one line."""
    body = re.sub(r"<script.*?</script>|<style.*?</style>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def rows(platform: Platform, query: str, *parameters: Any) -> list[dict[str, Any]]:
    return [found for (found,) in platform.query(f"SELECT to_jsonb(r) FROM ({query}) r", parameters)]


def test_every_number_of_today_is_the_one_that_sql_gives(loaded: Platform, pages: httpx.Client) -> None:
    found = pages.get("/api/today.json").json()
    page = text_of(pages.get("/").text)
    health = rows(loaded, "SELECT * FROM platform.source_health")
    assert [row["source"] for row in found["sources"]] == [row["source"] for row in health]
    for shown, row in zip(found["sources"], health, strict=True):
        for name in ("files_loaded", "files_parked", "records", "rows_rejected", "checks", "failed_checks", "verdict"):
            assert shown[name] == row[name], name
        assert f"{shown['title']} {shown['sentence']}" in page
        if row["rows_rejected"]:
            assert f"{number(row['rows_rejected'])} of {number(row['records'])} records" in shown["sentence"]
    [movielens] = [one for one in found["sources"] if one["source"] == "movielens"]
    assert movielens["state"] == "look"
    assert "1 file is parked" in movielens["sentence"]
    assert found["headline"]["text"] == "MovieLens needs a look."
    waiting = rows(loaded, "SELECT key, reason FROM platform.file WHERE status IN ('parked', 'pending') AND is_newest")
    assert [(file["key"], file["reason"]) for file in found["waiting_files"]] == [
        (w["key"], w["reason"]) for w in waiting
    ]
    assert waiting[0]["reason"][:100] in page
    by_hour = sum(row["rows_loaded"] for row in found["landed_by_hour"])
    assert by_hour == loaded.scalar("SELECT sum(rows_loaded) FROM platform.file WHERE status = 'loaded'")
    landed = loaded.scalar("SELECT count(*) FROM platform.file WHERE first_seen_at > now() - interval '1 day'")
    assert f"Landed in the last 24 hours: {landed} files" in page
    marts = rows(loaded, "SELECT table_name, business_question FROM platform.source_table WHERE kind = 'mart'")
    assert {mart["table_name"] for mart in found["marts"]} == {mart["table_name"] for mart in marts}
    assert all(mart["business_question"] in page for mart in marts)


def test_the_metrics_are_shown_as_they_are_defined(loaded: Platform, pages: httpx.Client) -> None:
    defined = rows(
        loaded, "SELECT source, metric_name, meaning, formula, sample_sql FROM platform.metric ORDER BY position"
    )
    page = text_of(pages.get("/catalog/metrics").text)
    shown = [metric for group in pages.get("/api/metrics.json").json()["groups"] for metric in group["metrics"]]
    assert [(m["source"], m["metric_name"]) for m in shown] == [(m["source"], m["metric_name"]) for m in defined]
    assert all(
        " ".join(text.split()) in page for m in defined for text in (m["meaning"], m["formula"], m["sample_sql"])
    )
    of_one = pages.get("/api/metrics.json?source=chinook").json()["groups"]
    assert [group["title"] for group in of_one] == ["Chinook"]


def test_today_shows_every_open_alert_and_healthz_whether_anybody_looks(loaded: Platform, pages: httpx.Client) -> None:
    found = pages.get("/api/today.json").json()["alerts"]
    wrong = rows(loaded, "SELECT * FROM platform.alert_condition")
    assert (
        {alert["key"] for alert in found} == {row["key"] for row in wrong} == {"parked_file:movielens/ratings/bad.csv"}
    )
    page = pages.get("/").text
    assert "1 alert is open" in text_of(page)
    assert wrong[0]["sentence"] in text_of(page)
    assert 'href="/files/movielens/ratings/bad.csv"' in page
    assert "No channel is set: nobody is told" in text_of(page)
    assert pages.get("/healthz").json()["daemon"] == "is away"
    with connect(loaded.target) as conn:
        source_looks.note(conn, source_looks.ALERTS)
        wait_until(lambda: pages.get("/healthz").json()["daemon"] == "works")
        conn.execute("UPDATE ops.source_look SET looked_at = now() - interval '6 minutes' WHERE place = 'alerts'")
        wait_until(lambda: pages.get("/healthz").json()["daemon"] == "is away")
        conn.execute("DELETE FROM ops.source_look WHERE place = 'alerts'")


def test_the_catalogue_shows_every_table_with_its_rows(loaded: Platform, pages: httpx.Client) -> None:
    listed = text_of(pages.get("/catalog").text)
    for row in rows(loaded, "SELECT schema_name || '.' || table_name AS name, rows FROM platform.source_table"):
        assert f"{row['name']} " in listed
    for path in TABLES:
        schema, table = path.rpartition("/")[2].split(".")
        [row] = rows(
            loaded, "SELECT * FROM platform.source_table WHERE (schema_name, table_name) = (%s, %s)", schema, table
        )
        page = text_of(pages.get(path).text)
        shown = pages.get(f"/api{path}.json").json()
        assert shown["table"]["rows"] == row["rows"]
        assert f"Rows {number(row['rows'])} " in page
        assert f"One row {row['grain']}" in page
        columns = rows(
            loaded,
            "SELECT column_name, description, is_personal FROM platform.table_column"
            " WHERE (schema_name, table_name) = (%s, %s) ORDER BY position",
            *(schema, table),
        )
        assert [c["column_name"] for c in shown["columns"]] == [c["column_name"] for c in columns]
        personal = sum(column["is_personal"] for column in columns)
        assert page.count("personal, closed to analysts") == personal
        partitions = rows(
            loaded,
            "SELECT partition_key, rows FROM platform.publication WHERE is_latest AND (schema_name, table_name) = (%s, %s)",
            *(schema, table),
        )
        assert {(p["partition_key"], p["rows"]) for p in shown["partitions"]} == {
            (p["partition_key"], p["rows"]) for p in partitions
        }


@pytest.mark.parametrize("path", ["/", "/catalog", "/catalog/metrics", "/files"])
def test_pages_call_sources_by_their_names_for_people(pages: httpx.Client, path: str) -> None:
    shown = text_of(pages.get(path).text)
    names = [source.shown_name for source in CATALOG.sources]
    assert [name for name in names if name not in shown] == [] if path != "/files" else "MovieLens" in shown


def test_lineage_begins_at_the_operational_database_as_it_does_in_dagster(
    loaded: Platform, pages: httpx.Client
) -> None:
    graph = loaded.defs.resolve_asset_graph()
    for system in CATALOG.systems:
        for feed in system.feeds:
            page = text_of(pages.get(f"/lineage/{feed.table.qualified_name}").text)
            assert f"{system.name}.{feed.dataset} operational table" in page
            assert f"{feed.source}/{feed.dataset} extraction" in page
            assert graph.get(asset_key(feed.table)).parent_keys == {system_key(system, feed)}
            assert graph.get(system_key(system, feed)).parent_keys == {system_key(system)}
            assert graph.get(asset_key(feed.table)).assets_def.op.name == system.step
    mart = text_of(pages.get("/lineage/dvdrental_marts.mv_kpi_global").text)
    assert "dvdrental.rental operational table" in mart
    assert "dvdrental/rental extraction" in mart


def test_an_open_view_is_shown_with_its_table_and_leads_to_it(loaded: Platform, pages: httpx.Client) -> None:
    page = pages.get(OPEN_VIEW).text
    assert "Files, partitions and checks are those of its table" in page
    assert 'href="/catalog/chinook_dw.dim_customer"' in page
    table = pages.get("/catalog/chinook_dw.dim_customer").text
    assert f'href="{OPEN_VIEW}"' in table
    columns = [column["column_name"] for column in pages.get(f"/api{OPEN_VIEW}.json").json()["columns"]]
    names = loaded.query(
        "SELECT column_name FROM platform.table_column WHERE (schema_name, table_name) = ('chinook_dw', 'dim_customer')"
        " AND NOT is_personal ORDER BY position"
    )
    assert columns == [name for (name,) in names]
    assert "chinook_dw_open" in pages.get("/lineage/chinook_dw.dim_customer").text
    assert "/lineage/chinook_dw.dim_customer/country" in pages.get("/lineage/chinook_dw_open.dim_customer/country").text


def test_a_search_finds_names_meanings_and_columns(pages: httpx.Client) -> None:
    def found(words: str) -> list[str]:
        shown = pages.get("/api/catalog.json", params={"q": words}).json()
        return [table["table_name"] for group in shown["groups"] for table in group["tables"]]

    assert found("fact_ratings")[0] == "fact_ratings"
    assert "mart_movie_ratings" in found("which movies are rated best")
    assert "dim_customer" in found("email")
    assert found("no such word anywhere") == []


def test_from_a_number_to_the_files_behind_it_and_back_takes_two_clicks(loaded: Platform, pages: httpx.Client) -> None:
    first = pages.get("/catalog/movielens_dw.fact_ratings").text
    files = set(re.findall(r'href="(/files/[^"]+)"', first))
    behind = rows(
        loaded,
        "SELECT DISTINCT key FROM platform.publication_file"
        " WHERE (schema_name, table_name) = ('movielens_dw', 'fact_ratings')",
    )
    assert files == {f"/files/{row['key']}" for row in behind}
    second = pages.get("/files/movielens/ratings/b.csv").text
    touched = loaded.query(
        "SELECT DISTINCT schema_name || '.' || table_name FROM platform.publication_file WHERE key = %s",
        ["movielens/ratings/b.csv"],
    )
    assert {f"/catalog/{name}" for (name,) in touched} <= set(re.findall(r'href="([^"]+)"', second))
    [file] = rows(
        loaded,
        "SELECT rows_read, rows_loaded, rows_rejected FROM platform.file WHERE key = %s",
        "movielens/ratings/b.csv",
    )
    shown = text_of(second)
    for name, value in (("Records read", "rows_read"), ("Loaded", "rows_loaded"), ("Rejected", "rows_rejected")):
        assert f"{name} {number(file[value])}" in shown


def test_lineage_leads_from_a_mart_to_the_folders_in_which_files_land(loaded: Platform, pages: httpx.Client) -> None:
    page = pages.get("/lineage/movielens_marts.mart_movie_ratings").text
    above = loaded.query(
        "WITH RECURSIVE up AS (SELECT * FROM platform.lineage_edge WHERE to_name = 'movielens_marts.mart_movie_ratings'"
        " UNION SELECT e.* FROM platform.lineage_edge e JOIN up ON (e.to_kind, e.to_name) = (up.from_kind, up.from_name))"
        " SELECT from_kind, from_name FROM up"
    )
    assert ("landing folder", "movielens/ratings") in above
    for kind, name in above:
        url = f"/files?folder={quote(name, safe='')}" if kind == "landing folder" else f"/lineage/{name}"
        assert page.count(f'href="{url}"') >= 2, "in the drawing, and in the list"
    column = text_of(pages.get("/lineage/movielens_dw.fact_ratings/rating").text)
    assert "rating" in column
    assert pages.get("/lineage/movielens_dw.fact_ratings/nothing").status_code == 404


@contextmanager
def hostile_file(platform: Platform) -> Iterator[None]:
    """A parked file with a key and a reason that mean harm, as no listing would let it in."""
    with connect(platform.target) as conn:
        ledger_by_hand.enter_parked(conn, HOSTILE, HOSTILE, source="movielens", dataset="ratings")
    try:
        yield
    finally:
        with connect(platform.target) as conn:
            ledger_by_hand.remove(conn, HOSTILE)


def test_names_from_outside_are_text_and_nothing_else(loaded: Platform, pages: httpx.Client) -> None:
    with hostile_file(loaded):
        for path in ("/", "/files"):
            wait_until(lambda path=path: "onerror" in pages.get(path).text)  # type: ignore[misc]
            page = pages.get(path).text
            assert "<script>document" not in page
            assert "<img" not in page
            assert "\u202e" not in page
            assert "49" not in re.findall(r"onerror=alert\(1\)&gt;(.{12})", page)[0]
            assert len(page) < 200_000


def test_what_addresses_say_is_a_parameter_and_never_sql(pages: httpx.Client) -> None:
    evil = "' OR 1=1; DROP TABLE ops.landed_file; --"
    for path in (f"/catalog?q={quote(evil)}", f"/files?name={quote(evil)}&state={quote(evil)}&source=%25s"):
        assert pages.get(path).status_code == 200, path
    for path in (f"/catalog/{quote(evil)}", f"/lineage/{quote(evil)}/x", f"/files/{quote(evil)}", "/catalog/nodot"):
        assert pages.get(path).status_code == 404, path
    for odd in ("/catalog?q=%00", "/files/%00", "/catalog/" + "x" * 9_000, "/files?name=" + "y" * 3_000, "/files/%ff"):
        assert pages.get(odd).status_code == 404, odd
    assert pages.get("/catalog?q=" + "z" * 5_000).status_code == 414
    assert pages.get("/").status_code == 200


def test_only_our_own_pages_and_people_may_ask_and_only_by_get(pages: httpx.Client) -> None:
    assert pages.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert pages.get("/api/today.json", headers={"Origin": "http://evil.example"}).status_code == 403
    assert pages.get("/api/today.json", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        answer = pages.request(method, "/")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    for path in ("/", "/nothing", "/healthz"):
        headers = pages.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "DENY"


def test_an_address_that_asks_too_often_is_told_so(loaded: Platform) -> None:
    with served_pages(loaded.settings, requests_a_second=5) as client:
        answers = [client.get("/catalog").status_code for _ in range(30)]
        assert 429 in answers
        assert set(answers) <= {200, 429}
        assert client.get("/healthz").status_code == 200


def test_an_unchanged_page_is_not_sent_again(pages: httpx.Client) -> None:
    first = pages.get("/catalog", headers={"Accept-Encoding": "gzip"})
    assert first.headers["Content-Encoding"] == "gzip"
    again = pages.get("/catalog", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    style = re.findall(r'href="(/static/style[^"]+)"', first.text)[0]
    assert "immutable" in pages.get(style).headers["Cache-Control"]
    text = pages.get("/metrics").text
    assert 'dashboards_requests_total{route="/catalog",status="304"}' in text
    assert 'dashboards_pages_total{outcome="kept"}' in text


@contextmanager
def another_publication(platform: Platform, count: int) -> Iterator[None]:
    """A publication of the newest partition with other rows, and back."""
    statement = (
        "UPDATE ops.publication SET rows = rows + %s WHERE is_latest AND table_name = 'fact_ratings'"
        " AND partition_key = '2018'"
    )
    # Each a mark that never was before, as in life: kept pages are found by it.
    mark = "UPDATE ops.declared SET declared_at = clock_timestamp() WHERE part = 'all'"
    platform.execute(statement, (count,))
    platform.execute(mark)
    try:
        yield
    finally:
        platform.execute(statement, (-count,))
        platform.execute(mark)


def test_an_open_page_is_told_of_news_and_then_shows_them(loaded: Platform, pages: httpx.Client) -> None:
    path = "/catalog/movielens_dw.fact_ratings"
    mark = re.findall(r'data-mark="(\w+)"', pages.get(path).text)[0]
    with pages.stream("GET", f"/events?seen={mark}") as stream:
        lines = stream.iter_lines()
        with another_publication(loaded, 1_000):
            started = time.monotonic()
            assert next(line for line in lines if line.startswith("event:")) == "event: news"
            shown = pages.get(f"/api{path}.json").json()["table"]["rows"]
            assert shown == loaded.scalar(
                "SELECT rows FROM platform.source_table WHERE (schema_name, table_name) = ('movielens_dw', 'fact_ratings')"
            )
            assert time.monotonic() - started < 30


def test_the_tile_of_the_guide_works_as_it_is_written(loaded: Platform) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "dashboards.md").read_text()
    [query], [html] = (re.findall(rf"```{kind}\n(.*?)```", guide, re.DOTALL) for kind in ("sql", "html"))
    warehouse = Warehouse(loaded.settings)
    warehouse.open()
    try:
        loaded.land("movielens/ratings/again.csv", ratings_csv([(1, 1, 4.5, Y2005), (2, 1, 3.0, Y2018)]))
        loaded.load()
        found = warehouse.read({"duplicates": query}, {})
    finally:
        warehouse.close()
    assert found == {"duplicates": [{"source": "movielens", "files": 1}]}
    renderer = Renderer({"style.css": "", "page.js": "", "icon.svg": ""})
    tile = renderer._templates.from_string(html).render(found)
    assert text_of(tile) == "movielens : 1"


def test_a_warehouse_that_is_away_is_told_and_waited_for(loaded: Platform, pages: httpx.Client) -> None:
    admin = psycopg.connect(loaded.target.conninfo().replace("dbname=pages_loaded", "dbname=postgres"), autocommit=True)
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'pages_loaded' AND usename LIKE '%dashboard%'"
    with admin:
        admin.execute("ALTER ROLE cinestream_dashboard_reader NOLOGIN")
        try:
            admin.execute(ours)
            wait_until(lambda: pages.get("/healthz").json()["warehouse"] == "is away")
            answer = pages.get("/catalog?q=away")
            assert answer.status_code == 503
            assert "The warehouse does not answer" in answer.text
            assert answer.headers["Retry-After"]
            assert pages.get("/api/today.json").status_code == 503
        finally:
            admin.execute("ALTER ROLE cinestream_dashboard_reader LOGIN")
    wait_until(lambda: pages.get("/catalog?q=away").status_code == 200)
    wait_until(lambda: pages.get("/healthz").json()["warehouse"] == "answers")


def test_a_page_is_whole_while_a_table_is_swapped(loaded: Platform, pages: httpx.Client) -> None:
    swap = "BEGIN; LOCK TABLE movielens_dw.fact_ratings IN ACCESS EXCLUSIVE MODE"
    with psycopg.connect(loaded.target.conninfo(), autocommit=True) as conn:
        conn.execute(swap)
        assert pages.get("/catalog/movielens_dw.fact_ratings?fresh").status_code == 200
        assert pages.get("/?fresh").status_code == 200
        conn.execute("ROLLBACK")


def test_an_empty_warehouse_says_what_to_do_next(
    postgres: PostgresTarget, prepared_template: str, manifest_home: Path, tmp_path: Path
) -> None:
    with (
        platform_of(postgres, "pages_empty", prepared_template, manifest_home, tmp_path) as platform,
        served_pages(platform.settings) as client,
    ):
        page = text_of(client.get("/").text)
        assert "Nothing has landed yet." in page
        assert "make demo" in page
        assert client.get("/api/today.json").json()["headline"]["word"] == "Empty"
        for path in ("/catalog", "/files"):
            assert client.get(path).status_code == 200


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def test_a_browser_draws_every_page_without_a_complaint(loaded: Platform, pages: httpx.Client) -> None:
    """No console error, no violation of the policy, no broken rule of accessibility; light and dark, narrow and wide."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    pages.get(re.findall(r'src="(/static/vega[^"]+)"', pages.get("/").text)[0])
    complaints: list[str] = []

    def heard(said: Any) -> None:
        if getattr(said, "type", "error") in ("error", "warning"):
            complaints.append(getattr(said, "text", str(said)))

    with hostile_file(loaded), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for theme, width, paths in (("light", 360, PAGES), ("dark", 1920, WIDE)):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
            page = context.new_page()
            page.on("console", heard)
            page.on("pageerror", heard)
            for path in paths:
                page.goto(f"{pages.base_url}{path}")
                page.wait_for_selector("body[data-ready]", timeout=60_000)
                assert page.locator("[data-chart]").count() == page.locator("[data-chart] svg").count(), path
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
                broken = Axe().run(page).response["violations"]
                complaints += [f"{path} {theme}: {one['id']} {one['nodes'][0]['html'][:200]}" for one in broken]
            assert page.title() != "taken"
            context.close()
        shown = browser.new_context(java_script_enabled=False).new_page()
        shown.goto(f"{pages.base_url}/")
        assert "MovieLens needs a look" in shown.inner_text("h1")
        open_page = browser.new_page()
        open_page.goto(f"{pages.base_url}/catalog/movielens_dw.fact_ratings")
        open_page.wait_for_selector("body[data-ready]")
        open_page.keyboard.press("Tab")
        assert open_page.evaluate("document.activeElement.className") == "skip"
        before = loaded.scalar(
            "SELECT sum(rows)::bigint FROM platform.publication WHERE is_latest AND table_name = 'fact_ratings'"
        )
        with another_publication(loaded, 5_000):
            open_page.wait_for_selector(f"text={number(before + 5_000)}", timeout=30_000)
        browser.close()
    assert complaints == []
