"""One grammar of keys for every store."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinestream_platform.declarations.landing_keys import MAX_KEY_BYTES, is_in_transit, key_problem

good_segment = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=50
).filter(lambda segment: segment not in (".", ".."))
good_key = st.lists(good_segment, min_size=3, max_size=5).map("/".join)


@given(good_key)
def test_source_dataset_and_file_name_in_any_script_are_a_key(key):
    assert key_problem(key) is None


@given(st.text(st.sampled_from("a.//\n\x85é") | st.characters(), max_size=12))
def test_a_key_is_accepted_exactly_if_it_keeps_the_grammar(key):
    segments = key.split("/")
    keeps = (
        len(segments) >= 3
        and not {"", ".", ".."} & set(segments)
        and not any(unicodedata.category(char) in ("Cc", "Cs") for char in key)
    )
    assert (key_problem(key) is None) == keeps


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "empty segment"),
        ("ratings.csv", "a key has the form <source>/<dataset>/<file>"),
        ("movielens/ratings.csv", "a key has the form <source>/<dataset>/<file>"),
        ("movielens//ratings.csv", "empty segment"),
        ("/movielens/ratings/a.csv", "empty segment"),
        ("movielens/ratings/", "empty segment"),
        ("movielens/ratings/../../etc/passwd", "'..'"),
        ("movielens/./ratings/a.csv", "'.'"),
        ("movielens/ratings/a\n.csv", "control character"),
        ("movielens/ratings/a\x00.csv", "control character"),
        ("movielens/ratings/a\x7f.csv", "control character"),
        ("movielens/ratings/a\x85.csv", "control character"),
        ("movielens/ratings/a\udcff.csv", "not valid Unicode"),
        ("movielens/ratings/" + "a" * 256, "longer than 255 bytes"),
        ("movielens/ratings/" + "é" * 128, "longer than 255 bytes"),
        ("m/r/" + "a/" * 600 + "a", "longer than 1,024 bytes"),
    ],
)
def test_a_key_outside_the_grammar_is_refused_with_the_reason(key, problem):
    assert problem in (key_problem(key) or "accepted")


def test_the_limits_are_inclusive():
    assert key_problem("m/r/" + "a" * 255) is None
    longest = "m/r/" + "/".join(["a" * 200] * 5)
    assert key_problem(longest + "/" + "a" * (MAX_KEY_BYTES - len(longest) - 1)) is None
    assert key_problem(longest + "/" + "a" * (MAX_KEY_BYTES - len(longest))) is not None


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("m/r/.ratings.csv.x7Gs9", True),
        (".ratings.csv", True),
        ("m/r/ratings.csv", False),
        ("m/.rsync-partial/ratings.csv", True),
        ("m/../ratings.csv", False),
        ("m/r/ratings.csv.", False),
    ],
)
def test_a_name_that_begins_with_a_dot_is_still_being_written(key, expected):
    assert is_in_transit(key) is expected
