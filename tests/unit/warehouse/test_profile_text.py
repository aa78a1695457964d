"""How a profile reads, in Markdown and in a terminal of 80 columns."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from cinestream_platform.commands.explore import show
from cinestream_platform.declarations.column import INTEGER, TEXT, Column
from cinestream_platform.declarations.raw_table import RawEvents, RawHistory, RawTable
from cinestream_platform.declarations.relation import Relation
from cinestream_platform.messages import printable
from cinestream_platform.warehouse.profile import ColumnProfile, RelationProfile, SourceProfile, TableProfile
from cinestream_platform.warehouse.profile_text import markdown, relation_sentences, share, table_cells


def table(name: str, *columns: Column, kind: type[RawTable] = RawEvents) -> RawTable:
    return kind(source="shop", name=name, description="", grain="", delivered=columns, row_key=("rental_id",))


ID = Column("rental_id", INTEGER, "Number of the rental.")
NOTE = Column("note", TEXT, "What the clerk wrote.", nullable=True)
EMAIL = Column("email", TEXT, "Of the customer.", is_personal=True)
RENTAL, PAYMENT = table("rental", ID, NOTE, EMAIL), table("payment", ID)

RENTAL_PROFILE = TableProfile(
    RENTAL,
    16_044,
    16_044,
    (
        ColumnProfile(ID, 0, None, 16_044, "1", "16049"),
        ColumnProfile(NOTE, 16_041, 1, 2, "", "a|b\n[red]*bold*"),
        ColumnProfile(EMAIL, 0, 0, 599, None, None),
    ),
    16_044,
)
PAYMENT_PROFILE = TableProfile(PAYMENT, 14_596, 14_596, (ColumnProfile(ID, 0, None, 14_592, "1", "16049"),), 14_592)
PAYS = Relation(PAYMENT, ("rental_id",), RENTAL)
PAYS_PROFILE = RelationProfile(PAYS, 14_596, 0, 0, 16_044, 14_592, 5, "4591", ())
SHOP = SourceProfile("shop", (RENTAL_PROFILE, PAYMENT_PROFILE), (PAYS_PROFILE,))


def in_terminal(profile: SourceProfile) -> str:
    console = Console(file=io.StringIO(), width=80)
    show(console, profile)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, ""),
        (0, 7, "0 %"),
        (7, 7, "100 %"),
        (1, 3, "33.3 %"),
        (1, 1_000_000, "0.1 %"),
        (999_999, 1_000_000, "99.9 %"),
    ],
)
def test_only_all_is_100_percent_and_only_nothing_0(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


def test_a_relation_is_told_from_both_sides() -> None:
    assert relation_sentences(PAYS_PROFILE) == (
        "payment: 14,596 of 14,596 (100 %) have their parent; no orphans",
        "rental: 14,592 of 16,044 (90.9 %) have rows in payment, 1,452 have none; at most 5 (rental_id 4591)",
    )


def test_orphans_and_nulls_are_told_apart() -> None:
    broken = RelationProfile(PAYS, 1_000, 10, 2, 4, 3, 988, None, ("77", "78"))
    assert relation_sentences(broken) == (
        "payment: 988 of 1,000 (98.8 %) have their parent; 2 orphans (such as 77; 78), 10 NULL",
        "rental: 3 of 4 (75.0 %) have rows in payment, 1 has none; at most 988",
    )


def test_the_markdown_has_tables_relations_and_columns_with_values_shown_as_they_are() -> None:
    lines = markdown(SHOP).splitlines()
    assert "| rental | 16,044 | rental_id |" in lines
    assert "| payment | 14,596 | not rental_id: 4 rows repeat one |" in lines
    assert "- **payment.rental_id → rental.rental_id**" in lines
    assert f"  - {relation_sentences(PAYS_PROFILE)[1]}" in lines
    assert "| rental_id | 0 | 0 % |  | 16,044 | 1 … 16049 |" in lines
    assert r"| note | 16,041 | 99.9 % | 1 | 2 |  … a\|b\\n\[red\]\*bold\* |" in lines
    assert "| email | 0 | 0 % | 0 | 599 | personal, not shown |" in lines


def test_the_terminal_has_the_same_and_takes_no_value_for_markup() -> None:
    printed = in_terminal(SHOP)
    assert r"a|b\n[red]*bold*" in printed
    assert "personal, not shown" in printed
    assert relation_sentences(PAYS_PROFILE)[1] in printed


def test_neither_names_nor_numbers_are_ever_broken() -> None:
    wide = Column("a_column_with_quite_a_long_name", TEXT, "Text.")
    profile = ColumnProfile(wide, 100_480_506, 99_999_999, 88_888_888, "a" * 100, "ä" * 100)
    long = TableProfile(table("long", wide, ID), 100_480_507, 5_000_000, (profile,), 4_000_000)
    printed = in_terminal(SourceProfile("shop", (long,), ()))
    for number in (wide.name, "100,480,506", "99,999,999", "≥ 88,888,888"):
        assert number in printed


def test_distinct_counts_of_a_sample_are_labelled() -> None:
    column = ColumnProfile(ID, 0, None, 4_999_990, "1", "9")
    large = TableProfile(PAYMENT, 100_480_507, 5_000_000, (column,), 4_999_990)
    text = markdown(SourceProfile("shop", (large,), ()))
    assert "those of a sample of 5,000,000 of its 100,480,507 rows; all other numbers are exact" in text
    assert "| rental_id | 0 | 0 % |  | ≥ 4,999,990 | 1 … 9 |" in text
    assert "sample" not in markdown(SHOP)


def test_without_a_row_the_report_says_where_to_look() -> None:
    empty = TableProfile(PAYMENT, 0, 0, (ColumnProfile(ID, 0, None, 0, None, None),), 0)
    nothing = SourceProfile("shop", (empty,), (RelationProfile(PAYS, 0, 0, 0, 0, 0, 0, None, ()),))
    assert nothing.is_empty
    assert markdown(nothing).startswith("No raw table of shop has a row yet; `cinestream status`")
    assert in_terminal(nothing).startswith("No raw table of shop has a row yet")


def test_the_declared_key_of_deliveries_is_a_key_although_one_column_of_it_is_ours() -> None:
    history = table("customer", ID, kind=RawHistory)
    twice = TableProfile(history, 118, 118, (ColumnProfile(ID, 0, None, 59, "1", "59"),), 118)
    assert table_cells(twice) == ("customer", "118", "rental_id (in each delivery)")
    broken = replace(twice, natural_keys=117)
    assert table_cells(broken)[2] == "not rental_id (in each delivery): 1 row repeats one"


def test_a_declared_key_with_a_null_in_it_repeats_nothing() -> None:
    profile = TableProfile(PAYMENT, 10, 10, (ColumnProfile(ID, 1, None, 9, "1", "9"),), 10)
    assert table_cells(profile)[2] == "not rental_id: a part of it is NULL"


def test_a_table_without_rows_has_no_key_candidates() -> None:
    empty = TableProfile(PAYMENT, 0, 0, (ColumnProfile(ID, 0, None, 0, None, None),), 0)
    assert empty.key_candidates == []


def test_a_relation_names_columns_that_both_tables_have() -> None:
    with pytest.raises(ValueError, match=r"payment\.note → rental\.note: unknown columns"):
        Relation(PAYMENT, ("note",), RENTAL)
    with pytest.raises(ValueError, match="not as many"):
        Relation(RENTAL, ("rental_id", "note"), PAYMENT, ("rental_id",))
    assert str(Relation(RENTAL, ("rental_id", "note"), RENTAL)) == "rental (rental_id, note) → rental (rental_id, note)"


def test_text_of_files_is_one_printable_line() -> None:
    assert printable("é\n\x1b[31m") == r"é\n\x1b[31m"
