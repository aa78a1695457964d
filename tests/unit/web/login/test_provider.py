"""Which claims let a person in, and as what."""

from __future__ import annotations

from typing import Any

import pytest

from cinestream_platform.web.login.provider import Rules, name_in

RULES = Rules.of("@example.com, films-readers", "films-operators,boss@example.com", "groups")
ANNA = {"email": "anna@example.com", "email_verified": True}


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({}, None),
        (ANNA, "viewer"),
        ({"email": "Anna@EXAMPLE.com", "email_verified": True}, "viewer"),
        ({"email": "anna@example.com"}, None),
        ({"email": "anna@example.com", "email_verified": "true"}, None),
        ({"email": "anna@example.com", "email_verified": False}, None),
        ({"email": "anna@example.com.evil.example", "email_verified": True}, None),
        ({"email": "anna@evil.example@example.com", "email_verified": True}, None),
        ({"email": ["anna@example.com"], "email_verified": True}, None),
        ({"email": "boss@example.com", "email_verified": True}, "operator"),
        ({"email": "boss@example.com", "email_verified": False}, None),
        ({"groups": ["films-operators"]}, "operator"),
        ({"groups": "films-readers"}, "viewer"),
        ({"groups": ["Films-Operators", "films-operators-emeritus", ""]}, None),
        ({"groups": ["@example.com", "boss@example.com"]}, None),  # whoever makes groups makes no addresses
        ({"groups": {"films-operators": True}}, None),
        ({"groups": [["films-operators"], 7, None]}, None),
        ({**ANNA, "groups": ["films-operators"]}, "operator"),
        ({"roles": ["films-operators"]}, None),
    ],
)
def test_groups_and_verified_addresses_decide(claims: dict[str, Any], role: str | None):
    assert RULES.role_of(claims) == role


def test_everybody_is_said_with_a_star_and_nobody_by_default():
    assert Rules.of("*", "", "groups").role_of({}) == "viewer"
    assert Rules.of("", " , ", "groups").role_of(ANNA) is None
    assert Rules.of("", "admins", "roles").role_of({"roles": ["admins"]}) == "operator"


def test_a_name_is_bounded_and_there_always_is_one():
    assert name_in({"preferred_username": "anna", "sub": "17"}) == "anna"
    assert name_in({"preferred_username": "", "email": None, "name": 7, "sub": "17"}) == "17"
    assert name_in({}) == "somebody"
    assert len(name_in({"name": "a" * 10_000})) == 100
