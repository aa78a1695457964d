"""The file of people: who is in it, who may read it, and what a wrong name costs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cinestream_platform.web.login.people import HASHER, People, PeopleError, read_people

PASSWORD = "a long enough password"


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "web" / "people")


def test_a_person_is_known_by_the_right_password_alone(people: People):
    people.put("anna", "operator", PASSWORD)
    found = people.checked("anna", PASSWORD)
    assert found is not None
    assert found.role == "operator"
    for name, password in (("anna", PASSWORD + " "), ("anna", ""), ("Anna", PASSWORD), ("ben", PASSWORD), ("", "")):
        assert people.checked(name, password) is None, (name, password)


def test_the_file_is_its_owners_alone_and_has_no_password(people: People):
    people.put("anna", "viewer", PASSWORD)
    people.put("ben", "operator", PASSWORD)
    assert stat.S_IMODE(people.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(people.path.parent.stat().st_mode) == 0o700
    assert PASSWORD not in people.path.read_text()
    first, second = people.path.read_text().splitlines()
    assert first.startswith("anna:viewer:$argon2id$")
    assert second.startswith("ben:operator:$argon2id$")
    assert first.rpartition("$")[2] != second.rpartition("$")[2], "each has a salt of its own"


def test_a_change_of_the_file_counts_at_once(people: People):
    people.put("anna", "viewer", PASSWORD)
    before = people.entries()["anna"]
    people.put("anna", "operator", PASSWORD)
    after = people.entries()["anna"]
    assert (before.role, after.role) == ("viewer", "operator")
    assert before.fingerprint != after.fingerprint
    people.remove("anna")
    assert people.entries() == {}
    people.path.unlink()
    assert people.entries() == {}


def test_a_name_that_does_not_exist_is_compared_with_a_hash_of_the_same_cost(people: People, monkeypatch):
    people.put("anna", "viewer", PASSWORD)
    compared = []

    class Noting:
        def verify(self, hashed: str, password: str) -> bool:
            compared.append(hashed)
            return HASHER.verify(hashed, password)

    monkeypatch.setattr("cinestream_platform.web.login.people.HASHER", Noting())
    people.checked("anna", "wrong")
    people.checked("nobody", "wrong")
    costs = [hashed.rsplit("$", 2)[0] for hashed in compared]
    assert costs[0] == costs[1] != ""


@pytest.mark.parametrize("name", ["", "Anna", "a:b", "a\nb", "-a", "a" * 65, "ä", "a b", "../a"])
def test_a_name_that_could_be_mistaken_is_refused(people: People, name: str):
    with pytest.raises(PeopleError):
        people.put(name, "viewer", PASSWORD)


@pytest.mark.parametrize("password", ["", "short", "x" * 201])
def test_a_password_that_is_too_short_or_too_long_is_refused_without_being_quoted(people: People, password: str):
    with pytest.raises(PeopleError) as refused:
        people.put("anna", "viewer", password)
    assert not password or password not in str(refused.value)


@pytest.mark.parametrize(
    "line",
    ["anna", "anna:viewer", "anna:admin:$argon2id$x", "anna:viewer:plain", "anna:viewer:$1$md5", ":viewer:$argon2id$x"],
)
def test_a_line_that_is_none_is_named_at_the_start_and_lets_nobody_in_later(people: People, line: str):
    people.put("ben", "viewer", PASSWORD)
    people.path.write_text(people.path.read_text() + line + "\n")
    with pytest.raises(PeopleError, match="line 2"):
        read_people(people.path)
    assert people.checked("ben", PASSWORD) is None


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o606])
def test_a_file_that_others_may_read_or_change_is_not_believed(people: People, mode: int):
    people.put("anna", "viewer", PASSWORD)
    people.path.chmod(mode)
    with pytest.raises(PeopleError, match="chmod 600"):
        read_people(people.path)
    assert people.entries() == {}


def test_nobody_is_removed_who_is_not_there(people: People):
    with pytest.raises(PeopleError, match="nobody of that name"):
        people.remove("anna")
