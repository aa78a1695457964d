"""The sensor of alerts on a real platform: each kind of thing that is wrong, until it is mended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dagster import DagsterRunStatus
from psycopg import Connection
from pydantic import SecretStr

from cinestream_platform.alerting import looks
from cinestream_platform.automation.alerts import note_runs
from cinestream_platform.automation.jobs import build_job_name
from cinestream_platform.catalog import CATALOG
from cinestream_platform.commands.alerts import print_alerts
from cinestream_platform.ledger import check_results, runs, source_looks, troubles
from cinestream_platform.ledger.check_results import Evaluation
from cinestream_platform.warehouse.certificates import certificate_problem
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.locks import run_session
from tests.faults.test_tls_is_required import make_authority, make_certificate
from tests.support import ledger as ledger_by_hand
from tests.support.dashboards import wait_until
from tests.support.own_postgres import own_postgres
from tests.support.platform import Platform

JOB = build_job_name("movielens")


@pytest.fixture
def conn(platform: Platform) -> Iterator[Connection]:
    with connect(platform.target) as found:
        yield found


def wrong(conn: Connection) -> dict[str, tuple[str, str, str | None]]:
    """Key to sentence, page and subject."""
    rows = conn.execute("SELECT key, sentence, page, subject FROM platform.alert_condition").fetchall()
    return {key: (sentence, page, subject) for key, sentence, page, subject in rows}


def test_a_parked_file_is_an_alert_until_it_is_retracted_and_nothing_else_is_wrong(
    platform: Platform, conn: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "movielens/ratings/bad.csv"
    platform.tick("alert_sensor")
    assert wrong(conn) == {}
    platform.land(key, b"this,is,no\r\nfile,of,ratings\r\n")
    platform.load()
    platform.tick("alert_sensor")
    [(sentence, page, subject)] = wrong(conn).values()
    assert (page, subject) == ("file", key)
    assert sentence.startswith(f"The file {key} is parked: ")
    [(opened, told, resolved)] = conn.execute(
        "SELECT opened_at IS NOT NULL, told, resolved_at FROM platform.alert WHERE key = %s", (f"parked_file:{key}",)
    ).fetchall()
    assert (opened, told, resolved) == (True, [], None)
    print_alerts(platform.settings)
    printed = capsys.readouterr().out
    assert f"look   The file {key} is parked" in printed
    assert "nobody is told" in printed
    assert "CINESTREAM_ALERT_MAIL_URL" in printed
    platform.retract(key)
    conn.execute("UPDATE ops.alert SET first_seen_at = first_seen_at - interval '1 day'")
    platform.tick("alert_sensor")
    conn.execute("UPDATE ops.alert SET gone_at = gone_at - interval '2 minutes'")
    platform.tick("alert_sensor")
    assert wrong(conn) == {}
    assert conn.execute("SELECT count(*) FROM platform.alert WHERE resolved_at IS NULL").fetchone() == (0,)


def test_runs_that_fail_break_off_or_never_begin_are_wrong_until_a_later_one_ends_well(
    platform: Platform, conn: Connection
) -> None:
    def begin(run_id: str) -> None:
        runs.begin(conn, run_id, JOB, "movielens", "fact_ratings, 2005", "by a test")

    key = f"failed_run:{JOB}"
    with connect(platform.target, name=run_session("one")):
        begin("one")
        assert wrong(conn) == {}
    wait_until(lambda: key in wrong(conn))  # the server notices a moment later that a session is gone
    assert "broke off: fact_ratings, 2005" in wrong(conn)[key][0]
    begin("two")
    runs.end(conn, "two", has_failed=False)
    assert wrong(conn) == {}
    begin("three")
    runs.end(conn, "three", has_failed=True)  # for files alone, or cancelled
    assert wrong(conn) == {}
    begin("four")
    runs.end(conn, "four", has_failed=True, needs_look=True)
    assert "failed" in wrong(conn)[key][0]
    begin("five")
    runs.end(conn, "five", has_failed=False)
    assert wrong(conn) == {}
    never = platform.instance.create_run_for_job(platform.defs.resolve_job_def(JOB), status=DagsterRunStatus.STARTED)
    platform.instance.report_run_failed(never)
    note_runs(conn, platform.instance)
    assert wrong(conn)[key][2] == never.run_id


def test_a_run_that_takes_much_longer_than_those_before_it_is_stuck(platform: Platform, conn: Connection) -> None:
    conn.execute("DELETE FROM ops.run")  # of the calendar, which was built in a second
    with connect(platform.target, name=run_session("long")):
        runs.begin(conn, "long", JOB, "movielens", "fact_ratings", "by a test")
        conn.execute("UPDATE ops.run SET started_at = now() - interval '4 hours' WHERE run_id = 'long'")
        assert wrong(conn) == {}, "nobody knows how long such a run takes"
        runs.begin(conn, "short", JOB, "movielens", "fact_ratings", "by a test")
        runs.end(conn, "short", has_failed=False)
        conn.execute("UPDATE ops.run SET started_at = started_at - interval '1 day' WHERE run_id = 'short'")
        conn.execute("UPDATE ops.run SET ended_at = started_at + interval '10 minutes' WHERE run_id = 'short'")
        assert list(wrong(conn)) == [f"stuck_run:{JOB}"]


def test_a_check_that_fails_is_wrong_and_one_that_warns_is_not(platform: Platform, conn: Connection) -> None:
    platform.declare()
    for severity in ("warn", "error"):
        evaluation = Evaluation("movielens", "fact_ratings", "published_as_built", False, severity)
        check_results.record(conn, "run", [evaluation])
        found = wrong(conn)
        assert bool(found) == (severity == "error")
    [(sentence, page, subject)] = found.values()
    assert sentence.startswith("The check published_as_built of movielens_dw.fact_ratings fails")
    assert (page, subject) == ("table", "movielens_dw.fact_ratings")


def test_places_that_cannot_be_asked_are_wrong_and_changed_tables_by_another_word(
    platform: Platform, conn: Connection
) -> None:
    source_looks.note(conn, "dvdrental", problem="it does not answer")
    assert wrong(conn) == {}, "it was never extracted: not everybody has that database"
    conn.execute(
        "INSERT INTO ops.extraction (source, origin, taken_at, source_clock, run_id, is_full, fingerprint,"
        " tables_changed) VALUES ('dvdrental', 'o', now(), now(), 'r', true, 'f', '{}')"
    )
    assert wrong(conn)["unreachable:dvdrental"][0] == "dvdrental cannot be extracted: it does not answer"
    source_looks.note(conn, "dvdrental", is_current=True)
    conn.execute("UPDATE ops.source_look SET problem = NULL")
    source_looks.note(conn, source_looks.LANDING, problem="AccessDenied")
    assert "The landing zone cannot be listed: AccessDenied" in wrong(conn)["unreachable:landing"][0]
    source_looks.note(conn, source_looks.LANDING, problem="tables changed", is_drift=True)
    assert list(wrong(conn)) == ["schema_drift:landing"]
    source_looks.note(conn, source_looks.LANDING)
    assert wrong(conn) == {}


def test_the_landing_sensor_notes_that_it_cannot_list(
    platform: Platform, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise PermissionError("the landing zone is closed")

    monkeypatch.setattr("cinestream_platform.automation.landing.scan_landing", gone)
    with pytest.raises(Exception, match="landing zone is closed"):
        platform.tick("landing_sensor")
    assert "closed" in wrong(conn)["unreachable:landing"][0]
    monkeypatch.undo()
    platform.tick("landing_sensor")
    conn.execute("UPDATE ops.source_look SET looked_at = looked_at - interval '1 hour'")
    platform.tick("landing_sensor")
    assert wrong(conn) == {}


def test_a_full_disk_a_refused_login_and_changed_tables_are_noted_while_they_last(
    platform: Platform, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = looks.Looks()
    full = platform.settings.model_copy(update={"disk_reserve_mb": 10**9})
    monkeypatch.setattr("cinestream_platform.services.disk.SMALL_DISK_SHARE", 1.0)
    monkeypatch.setenv("CINESTREAM_LOGIN_ML_ENGINEER_PASSWORD", "another-one")
    conn.execute("ALTER TABLE movielens_dw.dim_movie ADD COLUMN mine text")
    found.note(conn, platform.target, full, CATALOG)
    keys = {key.partition(":")[0] for key in wrong(conn)}
    assert keys == {"disk", "login"}, "tables that have changed are looked at twice"
    assert "another-one" not in str(wrong(conn))
    assert "cinestream_ml_engineer is not let in" in wrong(conn)["login:ml_engineer"][0]
    for look in list(found._next):
        found._next[look] = 0.0
    found.note(conn, platform.target, full, CATALOG)
    assert "movielens_dw.dim_movie has other columns than declared" in wrong(conn)["schema_drift:tables"][0]
    monkeypatch.undo()
    conn.execute("ALTER TABLE movielens_dw.dim_movie DROP COLUMN mine")
    for look in list(found._next):
        found._next[look] = 0.0
    found.note(conn, platform.target, platform.settings, CATALOG)
    # The search paths of logins are those of a database: a test's copy of one is without.
    assert set(wrong(conn)) <= {"schema_drift:rights", *(key for key in wrong(conn) if key.startswith("disk"))}


def test_troubles_that_stay_the_same_are_not_written_again(conn: Connection) -> None:
    one = troubles.Trouble("disk", "home", "The disk is nearly full")
    troubles.replace(conn, "disks", [one])
    written = conn.execute("SELECT xmin FROM ops.trouble").fetchall()
    troubles.replace(conn, "disks", [one])
    assert conn.execute("SELECT xmin FROM ops.trouble").fetchall() == written
    troubles.replace(conn, "others", [])
    troubles.replace(conn, "disks", [])
    assert conn.execute("SELECT count(*) FROM ops.trouble").fetchone() == (0,)


def test_late_data_is_wrong(platform: Platform, conn: Connection) -> None:
    platform.declare()
    platform.land("movielens/ratings/a.csv", b"userId,movieId,rating,timestamp\r\n1,1,4.0,1110000000\r\n")
    platform.load()
    ledger_by_hand.land_ten_years_ago(conn)
    assert not [key for key in wrong(conn) if key.startswith("late_source")], "a release is never late"
    conn.execute("UPDATE ops.declared_source SET rhythm = interval '1 day' WHERE source = 'movielens'")
    assert wrong(conn)["late_source:movielens"][1:] == ("source", "movielens")


def test_a_certificate_that_ends_soon_is_named_with_its_day(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "our-ca")
    host = "127.0.0.1"
    with own_postgres("15", tls=make_certificate(tmp_path, host, authority)) as target:
        of_two_days = replace(target, host=host)
        assert "The certificate of the Postgres at 127.0.0.1 expires on 20" in str(certificate_problem(of_two_days))
        now = time.time()
        assert certificate_problem(of_two_days, now - 60 * 86_400) is None
        assert "expired on" in str(certificate_problem(of_two_days, now + 3 * 86_400))
        later = replace(of_two_days, sslrootcert=str(authority[0]))
        assert certificate_problem(later, now - 60 * 86_400) is None


def test_a_server_without_tls_has_no_certificate(postgres: PostgresTarget) -> None:
    assert certificate_problem(replace(postgres, password=SecretStr(""))) is None
