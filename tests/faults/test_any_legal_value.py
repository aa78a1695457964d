"""A value that is legal in the operational database comes over or rejects its row by name: it stops no table."""

from __future__ import annotations

import psycopg
import pytest

from cinestream_platform.reading import postgres_connector
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.dvdrental.database import SOURCE_TABLES
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from tests.support.shop import Shop, in_encoding


def test_long_texts_come_over_and_arrays_of_two_dimensions_and_times_near_the_end_reject_their_row(shop: Shop) -> None:
    settings = shop.platform.settings.with_own(DvdrentalSettings(time_zone="America/New_York"))
    shop.execute(
        "ALTER TABLE rental DISABLE TRIGGER USER",
        "UPDATE film SET special_features = '{{Trailers,a},{b,c}}' WHERE film_id = 1",
        "UPDATE film SET special_features = '[5:6]={a,b}' WHERE film_id = 2",
        """UPDATE film SET description = repeat(E'a "line"\\n', 4000) WHERE film_id = 3""",
        "UPDATE film SET description = repeat('x', 98000) WHERE film_id = 4",
        r"UPDATE film SET description = repeat(E'\t\\N,', 3000000) WHERE film_id = 5",
        "UPDATE rental SET last_update = '294276-12-31 23:00' WHERE rental_id = 5",
        "UPDATE rental SET return_date = '4713-01-01 BC' WHERE rental_id = 6",
        "UPDATE rental SET return_date = 'infinity' WHERE rental_id = 7",
        "UPDATE payment SET amount = 'NaN' WHERE payment_id = 17510",
    )
    extracted = shop.extract(settings=settings)
    assert set(extracted.rows) == set(SOURCE_TABLES)
    found = dict(
        shop.platform.query("SELECT film_id, md5(description) FROM raw_dvdrental.film WHERE film_id BETWEEN 2 AND 5")
    )
    assert found == dict(shop.rows("SELECT film_id, md5(description) FROM film WHERE film_id BETWEEN 2 AND 5"))
    assert shop.platform.query("SELECT special_features FROM raw_dvdrental.film WHERE film_id = 2") == [(["a", "b"],)]
    rules = "SELECT rule FROM ops.rejected_row JOIN ops.landed_file USING (file_id) WHERE dataset = %s AND raw LIKE %s"
    with psycopg.connect(shop.platform.target.conninfo()) as conn:
        for dataset, begin, rule in (
            ("film", "1,%", "special_features_type"),
            ("rental", "5,%", "last_update_type"),
            ("rental", "6,%", "return_date_type"),
            ("rental", "7,%", "return_date_type"),
            ("payment", "17510,%", "amount_type"),
        ):
            assert conn.execute(rules.encode(), (dataset, begin)).fetchall() == [(rule,)]
    assert shop.extract(settings=settings).rows == {}
    assert shop.extract(settings=settings, full=True).rows == {}


def test_a_value_that_is_too_large_rejects_its_row_by_name(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_connector, "MAX_VALUE_BYTES", 100_000)
    shop.execute(
        "UPDATE film SET description = repeat('x', 100001) WHERE film_id = 1",
        "UPDATE film SET special_features = array_fill('x'::text, ARRAY[100001]) WHERE film_id = 2",
        "UPDATE film SET description = repeat('x', 100000) WHERE film_id = 3",
    )
    assert set(shop.extract().rows) == set(SOURCE_TABLES)
    rejected = shop.platform.query(
        "SELECT split_part(raw, ',', 1) FROM ops.rejected_row WHERE rule = 'record_value_size'"
    )
    assert sorted(rejected) == [("1",), ("2",)]
    assert shop.platform.query("SELECT length(description) FROM raw_dvdrental.film WHERE film_id = 3") == [(100_000,)]


@pytest.mark.parametrize(("encoding", "name"), [("WIN1252", b"sch\xf6n"), ("SQL_ASCII", "schön".encode())])
def test_bytes_that_are_no_text_in_the_sources_encoding_reject_their_row(
    shop: Shop, encoding: str, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_encoding(shop, encoding) as other:
        with psycopg.connect(other.source.conninfo(), autocommit=True) as conn:
            conn.execute("SELECT set_config('client_encoding', %s, false)", (encoding,))
            conn.execute(b"UPDATE city SET city = '" + name + b"' WHERE city_id = 1")
            conn.execute(b"UPDATE city SET city = '\x81' WHERE city_id = 2")
        monkeypatch.setenv("CINESTREAM_DVDRENTAL_DATABASE", other.source.database)
        get_settings.cache_clear()
        extracted = other.extract()
        assert set(extracted.rows) == set(SOURCE_TABLES)
        assert extracted.rows["city"][1] == 1
        assert other.platform.query("SELECT city FROM raw_dvdrental.city WHERE city_id = 1") == [("schön",)]
        [(raw,)] = other.platform.query("SELECT raw FROM ops.rejected_row WHERE rule = 'record_encoding'")
        assert raw.startswith("2\t\\x81\t")
