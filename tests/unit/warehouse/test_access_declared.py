"""Who may read what, as it is declared."""

from dataclasses import replace

import pytest

from cinestream_platform.catalog import MART_SCHEMAS, TABLES
from cinestream_platform.sources.movielens.tables import DIM_USER, FACT_RATINGS, RATINGS
from cinestream_platform.warehouse.access import Grant, _statement, declared_grants, login_name, table_grants

PERSONAL = replace(DIM_USER, natural_ids=tuple(replace(column, is_personal=True) for column in DIM_USER.natural_ids))
READERS = {"data_analyst", "ml_engineer"}
OPEN = ("chinook_dw_open", "dvddw_open")
STARS = ("movielens_dw", "chinook_dw", "dvddw", "netflix_dw")


def test_raw_tables_are_for_engineers_alone():
    assert table_grants(RATINGS) == []


def test_analysts_and_scientists_read_stars():
    assert {str(grant) for grant in table_grants(FACT_RATINGS)} == {
        "data_analyst: SELECT on movielens_dw.fact_ratings",
        "ml_engineer: SELECT on movielens_dw.fact_ratings",
    }


def test_a_partition_has_the_grants_of_its_table():
    assert {(g.role, g.privilege, g.relation) for g in table_grants(FACT_RATINGS, "fact_ratings_2005")} == {
        (role, "SELECT", "fact_ratings_2005") for role in READERS
    }


def test_analysts_and_scientists_read_a_table_with_personal_columns_by_its_open_view_alone():
    assert {str(grant) for grant in table_grants(PERSONAL)} == {
        f"{role}: SELECT on movielens_dw_open.dim_user" for role in READERS
    }


def test_declared_grants_are_reading_rights_on_stars_and_usage_of_their_schemas_and_of_the_platforms():
    grants = declared_grants(TABLES, MART_SCHEMAS)
    assert {grant.privilege for grant in grants} == {"SELECT", "USAGE"}
    assert {(g.role, g.schema) for g in grants if g.privilege == "USAGE"} == {
        *((role, schema) for role in READERS for schema in ("conformed", *STARS, *OPEN, *MART_SCHEMAS)),
        *(("dashboard_reader", schema) for schema in MART_SCHEMAS),
        *((role, "platform") for role in (*READERS, "dashboard_reader")),
    }
    assert {(g.schema, g.relation) for g in grants if g.privilege == "SELECT"} == {
        (table.readable_schema, table.name) for table in TABLES if not table.schema.startswith("raw_")
    }
    assert {g.role for g in grants} == {*READERS, "dashboard_reader"}


@pytest.mark.parametrize(
    ("grant", "verb", "statement"),
    [
        (Grant("a", "SELECT", "s", "t"), "GRANT", 'GRANT SELECT ON TABLE "s"."t" TO "a"'),
        (Grant("a", "SELECT", "s", "t", "c"), "GRANT", 'GRANT SELECT ("c") ON TABLE "s"."t" TO "a"'),
        (Grant("a", "USAGE", "s"), "GRANT", 'GRANT USAGE ON SCHEMA "s" TO "a"'),
        (Grant('a"; DROP', "USAGE", "s"), "GRANT", 'GRANT USAGE ON SCHEMA "s" TO "a""; DROP"'),
        (Grant("a", "SELECT", "s", "t"), "REVOKE", 'REVOKE SELECT ON TABLE "s"."t" FROM "a" CASCADE'),
        (Grant("PUBLIC", "USAGE", "s"), "REVOKE", 'REVOKE USAGE ON SCHEMA "s" FROM PUBLIC CASCADE'),
    ],
)
def test_a_grant_becomes_one_statement_with_quoted_names(grant, verb, statement):
    assert _statement(grant, verb).as_string(None) == statement


def test_a_group_role_has_one_login():
    assert login_name("data_analyst") == "cinestream_data_analyst"
