"""What is said to everybody quotes no record: reasons, events, logs and the terminal show where and why, never who.

Columns like names and e-mails are closed to analysts. A rejected record may hold them in any place: its text is for
engineers, in ``ops.rejected_row``.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import psycopg
import pytest
from dagster import AssetKey, ExecuteInProcessResult, serialize_value

from cinestream_platform.automation.jobs import load_job_name
from cinestream_platform.cli import cli
from cinestream_platform.messages import MAX_MESSAGE, MAX_METADATA, DescribedError
from cinestream_platform.warehouse.connection import connect
from tests.support import ledger as ledger_by_hand
from tests.support.platform import Platform

HEADER = (
    "EmployeeId,LastName,FirstName,Title,ReportsTo,BirthDate,HireDate,Address,City,State,Country,PostalCode,Phone,Fax,"
    "Email"
)
PERSON = ("Zweigelt", "Zoranna", "Nußgasse 97b", "4711 Xq", "+43 664 9876543", "+43 664 1111111", "zz.top@example.org")
NAMES = [*PERSON, "Zweigelt".upper(), "9876543", "1971-07-17"]
LAST, FIRST, STREET, POSTAL, PHONE, FAX, EMAIL = PERSON
GOOD = f"1,{LAST},{FIRST},Clerk,,1971-07-17,2004-05-01,{STREET},Wien,,Austria,{POSTAL},{PHONE},{FAX},{EMAIL}"
FILES = {
    "fields": f"{HEADER}\n{GOOD},{EMAIL}\n",
    "quotes": f'{HEADER}\n1,"{LAST}"{FIRST},x\n',
    "never_closed": f'{HEADER}\n1,"{LAST},{FIRST}\n',
    "shifted": f"{HEADER}\n{LAST},1,{FIRST},Clerk,{PHONE},{EMAIL},{STREET},1971-07-17,,,,,,,\n",
    "empty_name": f"{HEADER}\n1,,{FIRST},Clerk,,1971-07-17,,{STREET},,,,{POSTAL},{PHONE},{FAX},{EMAIL}\n",
    "bad_birthday": f"{HEADER}\n1,{LAST},{FIRST},,,{EMAIL},,,,,,,,,\n",
    "bad_manager": f"{HEADER}\n1,{LAST},{FIRST},,{EMAIL},,,,,,,,,,\n",
    "no_header": f"{GOOD}\n{GOOD}\n",
    "half_a_header": f"EmployeeId,{LAST},FirstName,{EMAIL}\n",
    "cut_header": f'EmployeeId,"{LAST}{EMAIL}\n',
}


def content_of(name: str) -> bytes:
    if name == "latin1":
        return f"{HEADER}\n{GOOD}\n".encode("latin-1")
    if name == "nul":
        return f"{HEADER}\n{GOOD}\0\n".encode()
    return FILES[name].encode()


def bundle_json(records: object) -> bytes:
    return json.dumps(records).encode()


def bundle_sqlite(folder: Path) -> bytes:
    path = folder / "bundle.sqlite"
    with sqlite3.connect(path) as db:
        db.execute(f"CREATE TABLE Employee ({HEADER})")
        db.execute("INSERT INTO Employee VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", (LAST, *[EMAIL] * 14))
    return path.read_bytes()


@pytest.fixture
def database_template(calendar_template: str) -> str:
    return calendar_template


def load_with_logs(platform: Platform) -> ExecuteInProcessResult:
    """Load everything that waits as a run worker does: with its log on the terminal."""
    job = platform.defs.resolve_job_def(load_job_name("chinook"))
    return job.execute_in_process(instance=platform.instance, raise_on_error=False)


def said_by_dagster(platform: Platform) -> str:
    """Every event and log line of every run, as stored."""
    runs = platform.instance.get_runs()
    return "\n".join(serialize_value(entry) for run in runs for entry in platform.instance.all_logs(run.run_id))


def said_by_commands(capsys: pytest.CaptureFixture[str], *commands: tuple[str, ...]) -> str:
    for command in commands:
        cli(list(command), standalone_mode=False)
    found = capsys.readouterr()
    return found.out + found.err


def assert_nobody_is_named(text: str, where: str) -> None:
    plain = text.encode().decode("unicode_escape", "ignore") if "\\u" in text else text
    assert [name for name in NAMES if name in text or name in plain] == [], where


def test_of_rejected_records_of_people_everybody_sees_line_column_and_rule_and_engineers_the_text(
    platform: Platform, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = [*FILES, "latin1", "nul"]
    for name in names:
        platform.land(f"chinook/employee/{name}.csv", content_of(name))
    person = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    platform.land("chinook/release/a.sqlite", bundle_sqlite(tmp_path))
    platform.land("chinook/release/b.json", bundle_json({"Employee": [{**person, "EmployeeId": LAST}]}))
    platform.land("chinook/release/c.json", bundle_json({"Employee": [{**person, EMAIL: LAST}]}))
    platform.land("chinook/release/d.json", bundle_json({EMAIL: [], LAST: []}))
    platform.land("chinook/release/e.json", f'{{"Employee": [{{"{EMAIL}": 1, "{EMAIL}": 2}}]}}'.encode())
    platform.scan()
    result = load_with_logs(platform)
    assert not result.success

    logs = capfd.readouterr()
    reasons = dict(platform.query("SELECT key, reason FROM ops.landed_file WHERE status = 'parked'"))
    assert {f"chinook/employee/{name}.csv" for name in names} <= set(reasons)
    for key, reason in reasons.items():
        assert_nobody_is_named(reason, key)
        assert len(reason) <= MAX_MESSAGE
    assert_nobody_is_named(said_by_dagster(platform), "Dagster's events")
    assert_nobody_is_named(logs.out + logs.err, "compute logs")
    assert "chinook/employee/fields.csv" in logs.err
    commands = [("status",), ("status", "--files"), ("explore", "chinook")]
    assert_nobody_is_named(said_by_commands(capfd, *commands), "commands")

    assert "line 2 breaks record_field_count" in reasons["chinook/employee/fields.csv"]
    assert "16 instead of 15" in reasons["chinook/employee/fields.csv"]
    assert "line 2, column LastName: the field breaks last_name_required" in reasons["chinook/employee/empty_name.csv"]
    assert "line 2, column ReportsTo: a field like 'aa.aaa@aaaaaaa.aaa'" in reasons["chinook/employee/bad_manager.csv"]
    kept = "\n".join(raw for (raw,) in platform.query("SELECT raw FROM ops.rejected_row"))
    assert EMAIL in kept
    assert LAST in kept


def test_an_error_of_postgres_names_the_constraint_and_not_the_row(
    platform: Platform, capfd: pytest.CaptureFixture[str]
) -> None:
    with connect(platform.target) as conn:
        conn.execute("CREATE UNIQUE INDEX one_email ON raw_chinook.employee (email)")
    platform.land("chinook/employee/twice.csv", f"{HEADER}\n{GOOD}\n2{GOOD[1:]}\n".encode())
    platform.scan()
    result = load_with_logs(platform)
    assert not result.success

    reason = platform.ledger_row("chinook/employee/twice.csv")["reason"]
    assert "one_email" in reason
    assert "23505" in reason
    logs = capfd.readouterr()
    for where, text in {"reason": reason, "events": said_by_dagster(platform), "logs": logs.out + logs.err}.items():
        assert_nobody_is_named(text, where)


def test_an_error_while_a_table_is_built_quotes_no_row_either(
    platform: Platform, capfd: pytest.CaptureFixture[str]
) -> None:
    platform.land("chinook/employee/employee.csv", f"{HEADER}\n{GOOD}\n".encode())
    platform.load()
    with connect(platform.target) as conn:
        conn.execute("ALTER TABLE chinook_dw.dim_employee ADD CONSTRAINT nobody CHECK (email NOT LIKE '%@%')")
    with pytest.raises(DescribedError, match="nobody"):
        platform.run([AssetKey(["chinook", "dim_employee"])])

    events, logs = said_by_dagster(platform), capfd.readouterr()
    assert "nobody" in events
    assert_nobody_is_named(events, "events")
    assert_nobody_is_named(logs.out + logs.err, "logs")


def test_samples_of_checks_show_where_records_stand_and_not_what_they_say(platform: Platform) -> None:
    good = "\n".join(f"{n}{GOOD[1:]}" for n in range(1, 201))
    platform.land("chinook/employee/employee.csv", f"{HEADER}\n{good}\n{GOOD},{EMAIL}\n".encode())
    [result] = platform.load()
    assert result.success
    found = [e for e in result.get_asset_check_evaluations() if e.check_name == "record_format"]
    [sample] = [record.data for record in found[-1].metadata["samples"].records]
    assert (sample["file"], sample["line"], sample["rule"]) == (
        "chinook/employee/employee.csv",
        "202",
        "a record has as many fields as the header",
    )
    assert_nobody_is_named(said_by_dagster(platform), "events")


def test_however_much_is_wrong_a_message_and_a_metadata_value_stay_short(platform: Platform) -> None:
    header = ",".join(f"column_{n:05d}_{'x' * 40}" for n in range(1_000))
    for n in range(60):
        platform.land(f"movielens/ratings/{n}.csv", f"{header}\n".encode())
    [result] = platform.load()

    [(longest,)] = platform.query("SELECT max(length(reason)) FROM ops.landed_file")
    assert longest <= MAX_MESSAGE
    events = [entry for entry in platform.instance.all_logs(result.run_id) if entry.is_dagster_event]
    assert max(len(entry.user_message) for entry in events) < 10_000
    values = [
        len(str([record.data for record in value.records]) if hasattr(value, "records") else json.dumps(value.value))
        for event in result.get_asset_check_evaluations()
        for value in event.metadata.values()
    ]
    [failure] = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    said = failure.step_failure_data.user_failure_data
    values += [len(json.dumps(value.value)) for value in said.metadata.values()]
    assert max(values) <= 1.2 * MAX_METADATA


def test_reasons_that_quoted_records_lose_them_when_the_warehouse_is_upgraded(platform: Platform) -> None:
    from importlib.resources import files

    old = {
        "a": f"2 of 3 records are rejected, more than 1.00%; nothing was published. E.g. line 2 email_type: '{GOOD}'; "
        f'line 3 record_quotes: "{LAST}. E.g. ". Fix the file and land it again.',
        "b": f"more than 1,000,000 records are rejected, e.g. line 2 x: '{GOOD}'",
        "c": f"column `EmployeeId` is missing; column `{LAST}` is not known; the file has {GOOD}; expected EmployeeId, "
        "LastName. Fix the file and land it again.",
        "d": f"table `employee` is missing; the file has {LAST}, {EMAIL}. Fix the file and land it again.",
        "e": f'UniqueViolation: duplicate key value violates unique constraint "x"\nDETAIL:  Key (email)=({EMAIL})',
        "f": f'InvalidTextRepresentation: invalid input syntax for type integer: "{LAST}"\nCONTEXT:  COPY employee',
        "g": f"this is neither SQLite nor readable JSON (an object has `{EMAIL}` twice). Land it again.",
        "h": "a snapshot without any row would empty the table. Land a file with rows, or retract the old one.",
        "i": "x" * 290_000,
    }
    with connect(platform.target) as conn:
        for key, reason in old.items():
            ledger_by_hand.enter_parked(conn, key, reason)
        migration = files("cinestream_platform.warehouse.migrations") / "0004_reasons_without_records.sql"
        conn.execute(migration.read_text(encoding="utf-8"))  # type: ignore[arg-type]
    new = dict(platform.query("SELECT key, reason FROM ops.landed_file WHERE source = 's'"))
    for key, reason in new.items():
        assert_nobody_is_named(reason, key)
        assert len(reason) <= MAX_MESSAGE
    assert new["a"].startswith("2 of 3 records are rejected, more than 1.00%; nothing was published.")
    assert new["c"] == (
        "the file has not the columns that are expected: EmployeeId, LastName. Fix the file and land it again."
    )
    assert new["e"].startswith("UniqueViolation: duplicate key value violates unique constraint ")
    assert new["h"] == old["h"]


def test_the_postgres_error_really_quotes_the_row(platform: Platform) -> None:
    """Otherwise the tests above prove nothing."""
    with connect(platform.target) as conn:
        conn.execute("CREATE TEMP TABLE people (email text PRIMARY KEY)")
        conn.execute("INSERT INTO people VALUES (%s)", (EMAIL,))
        with pytest.raises(psycopg.errors.UniqueViolation, match=EMAIL.replace(".", r"\.")):
            conn.execute("INSERT INTO people VALUES (%s)", (EMAIL,))
