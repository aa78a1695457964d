"""An operational database that changes under us is named, never read in part: rights, row-level security, shapes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cinestream_platform.catalog import EXTRACTS
from cinestream_platform.declarations.connector import SourceDriftError
from cinestream_platform.ledger import source_looks
from cinestream_platform.reading import postgres_connector
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.dvdrental.database import source_database
from cinestream_platform.warehouse.connection import connect
from tests.support.platform import Platform
from tests.support.shop import FEEDS, Shop, in_encoding

SENSOR = "dvdrental_change_sensor"


def test_whatever_changed_is_one_skipped_tick_that_names_it_and_nothing_is_published(shop: Shop) -> None:
    shop.extract()
    before = shop.published()
    shop.execute("INSERT INTO actor (first_name, last_name) VALUES ('Ada', 'New')")
    for change, undo, named in (
        (
            "ALTER TABLE rental ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE rental DISABLE ROW LEVEL SECURITY",
            "row-level security hides rows of rental from dvdrental_reader (ALTER ROLE dvdrental_reader BYPASSRLS",
        ),
        (
            "ALTER TABLE language RENAME TO l; CREATE VIEW language AS SELECT * FROM l",
            "DROP VIEW language; ALTER TABLE l RENAME TO language",
            "language is a view and no table",
        ),
        (
            "ALTER TABLE store RENAME TO s; CREATE MATERIALIZED VIEW store AS SELECT * FROM s",
            "DROP MATERIALIZED VIEW store; ALTER TABLE s RENAME TO store",
            "store is a materialized view and no table",
        ),
        (
            "REVOKE SELECT ON staff FROM dvdrental_reader",
            "GRANT SELECT ON staff TO dvdrental_reader",
            "permission denied for table staff (GRANT SELECT ON staff TO dvdrental_reader)",
        ),
        (
            "REVOKE SELECT ON city FROM dvdrental_reader; GRANT SELECT (city_id, city) ON city TO dvdrental_reader",
            "GRANT SELECT ON city TO dvdrental_reader",
            "permission denied for column city.country_id",
        ),
        (
            "REVOKE USAGE ON SCHEMA public FROM PUBLIC, dvdrental_reader",
            "GRANT USAGE ON SCHEMA public TO PUBLIC, dvdrental_reader",
            "permission denied for the schema (GRANT USAGE ON SCHEMA public TO dvdrental_reader)",
        ),
        (
            "ALTER TABLE film RENAME COLUMN length TO minutes",
            "ALTER TABLE film RENAME COLUMN minutes TO length",
            "column film.length is missing (is it minutes now?)",
        ),
        (
            "ALTER TABLE payment ALTER COLUMN amount TYPE text",
            "ALTER TABLE payment ALTER COLUMN amount TYPE numeric(5,2) USING amount::numeric",
            "column payment.amount is of type text, declared as numeric(5,2)",
        ),
        (
            "ALTER TABLE payment ALTER COLUMN payment_date TYPE date",
            "ALTER TABLE payment ALTER COLUMN payment_date TYPE timestamp",
            "column payment.payment_date is of type date, declared as timestamptz",
        ),
    ):
        shop.execute(*change.split("; "))
        tick = shop.platform.tick(SENSOR)
        assert tick.run_requests == [], change
        assert named in tick.skip_message, change
        assert len(tick.skip_message) < 500
        assert problems(shop) == {"dvdrental": tick.skip_message}
        with pytest.raises(SourceDriftError, match=re.escape(named)):
            shop.extract()
        shop.execute(*undo.split("; "))

    assert shop.published() == before
    assert shop.platform.query("SELECT DISTINCT status FROM ops.landed_file") == [("loaded",)]
    assert shop.messages == []  # trying again would not help
    assert shop.platform.tick(SENSOR).run_requests
    assert problems(shop) == {}
    assert "actor" in shop.extract().rows


def problems(shop: Shop) -> dict[str, str]:
    """What status says of databases that are not extracted."""
    with connect(shop.platform.target) as conn:
        return source_looks.problems(conn)


def test_a_database_that_never_was_there_is_no_problem_and_one_that_is_gone_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.platform.tick(SENSOR)
    assert before.run_requests
    monkeypatch.setenv("CINESTREAM_DVDRENTAL_DATABASE", "nowhere")
    get_settings.cache_clear()
    gone = Platform()
    assert gone.tick(SENSOR).run_requests == []
    assert problems(shop) == {}
    shop.extract()
    assert "nowhere" in problems(shop)["dvdrental"]


def test_row_level_security_names_every_table_and_whoever_may_bypass_it_reads_all_rows(shop: Shop) -> None:
    shop.extract()
    rows = shop.raw_counts()
    shop.execute(
        "ALTER TABLE customer ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE payment ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE rental ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON rental FOR SELECT USING (staff_id = 1)",
    )
    with pytest.raises(SourceDriftError, match="hides rows of customer, rental, payment from dvdrental_reader"):
        shop.extract(full=True)
    assert shop.raw_counts() == rows
    shop.execute("ALTER ROLE dvdrental_reader BYPASSRLS")
    try:
        assert shop.extract(full=True).rows == {}
    finally:
        shop.execute("ALTER ROLE dvdrental_reader NOBYPASSRLS")
    assert shop.raw_counts() == rows


def test_what_the_catalog_does_not_show_is_refused_by_postgres_itself(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = source_database(get_settings())
    with database.read(EXTRACTS) as reader:
        shop.execute("REVOKE SELECT ON rental FROM dvdrental_reader")  # others wait until the snapshot is closed
        with pytest.raises(SourceDriftError, match="permission denied for table rental"):
            reader.copy(FEEDS["rental"], tmp_path / "rental")
    shop.execute("GRANT SELECT ON rental TO dvdrental_reader", "ALTER TABLE rental ENABLE ROW LEVEL SECURITY")
    monkeypatch.setattr(postgres_connector, "drift", lambda *_: [])
    with (
        pytest.raises(SourceDriftError, match=r"row-level security policy for table .rental"),
        database.read(EXTRACTS),
    ):
        pass


def test_types_that_hold_the_same_values_are_no_drift(shop: Shop) -> None:
    shop.extract()
    shop.execute(
        "ALTER TABLE payment ALTER COLUMN payment_id TYPE bigint",
        "ALTER TABLE payment ALTER COLUMN payment_date TYPE timestamptz USING payment_date AT TIME ZONE 'UTC'",
        "ALTER TABLE customer ALTER COLUMN email TYPE text",
        "CREATE DOMAIN short AS smallint",
        "CREATE DOMAIN shorter AS short",
        "ALTER TABLE film ALTER COLUMN rental_duration TYPE shorter",
    )
    assert shop.extract(full=True).rows == {}


def test_a_database_in_latin_1_is_converted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.extract()
    with in_encoding(shop, "LATIN1") as latin:
        latin.execute("UPDATE language SET name = 'Île, de' WHERE language_id = 2")
        assert latin.rows("SELECT octet_length(name::text) FROM language WHERE language_id = 2") == [(7,)]
        monkeypatch.setenv("CINESTREAM_DVDRENTAL_DATABASE", latin.source.database)
        get_settings.cache_clear()
        assert latin.extract().rows.keys() == {"language"}
        assert latin.current("language").filter(language_id=2)["name"].to_list() == ["Île, de"]
