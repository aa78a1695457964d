"""Session cookies: nobody makes one, changes one or keeps one beyond its time."""

from __future__ import annotations

from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import URLSafeTimedSerializer
from starlette.responses import Response

from cinestream_platform.web.login.sessions import MOST_ENDED_BYTES, Ended, Sessions, is_secure


def scope_with(cookie: str = "", host: str = "127.0.0.1:3000", scheme: str = "http") -> dict[str, Any]:
    headers = [(b"host", host.encode()), (b"cookie", cookie.encode())]
    return {"type": "http", "scheme": scheme, "path": "/", "headers": headers}


def cookies_of(answer: Response) -> SimpleCookie:
    found: SimpleCookie = SimpleCookie()
    for name, value in answer.raw_headers:
        if name == b"set-cookie":
            found.load(value.decode())
    return found


def begun(sessions: Sessions, **place: str) -> tuple[str, str, Any]:
    """Name, value and attributes of the cookie of a new session."""
    answer = Response()
    sessions.begin(scope_with(**place), answer, "anna", "operator", "proof")
    [(name, morsel)] = cookies_of(answer).items()
    return name, morsel.value, morsel


def test_a_session_says_who_it_is_and_every_one_is_new(tmp_path: Path):
    sessions = Sessions(tmp_path, 1, "rules")
    name, value, morsel = begun(sessions)
    person = sessions.person(scope_with(f"{name}={value}"))
    assert person is not None
    assert (person.name, person.role, person.proof) == ("anna", "operator", "proof")
    assert begun(sessions)[1] != value
    assert (morsel["httponly"], morsel["samesite"].lower(), morsel["path"], morsel["max-age"], morsel["domain"]) == (
        *(True, "lax", "/", "3600"),
        "",
    )


def test_the_cookie_is_secure_and_this_hosts_alone_wherever_the_browser_talks_tls(tmp_path: Path):
    sessions = Sessions(tmp_path, 1, "rules")
    for place in ({"host": "dagster.example.com"}, {"scheme": "https"}):
        name, value, morsel = begun(sessions, **place)
        assert name.startswith("__Host-")
        assert morsel["secure"]
        assert sessions.person(scope_with(f"{name}={value}", **place))
        assert not sessions.person(scope_with(f"{name.removeprefix('__Host-')}={value}", **place))
    assert not begun(sessions)[2]["secure"]
    assert not is_secure(scope_with(host="[::1]:3000"))
    assert is_secure(scope_with(host="127.0.0.1.evil.example"))


def test_a_cookie_that_was_not_given_by_us_is_worth_nothing(tmp_path: Path):
    sessions = Sessions(tmp_path / "a", 1, "rules")
    name, value, _ = begun(sessions)
    payload, moment, signature = value.split(".")
    forged = URLSafeTimedSerializer("guessed", salt="session")
    values = {"s": "1", "n": "anna", "r": "operator", "p": "proof"}
    others = Sessions(tmp_path / "b", 1, "rules")  # another home, another key
    for bad in (
        *(
            "",
            "x",
            value[:-1],
            value + "a",
            f"{payload}.{moment}",
            f"{payload}.{signature}",
            "." + value,
            value.upper(),
        ),
        *(forged.dumps(values), begun(others)[1], "a" * 10_000, "\x00", f"{payload[:-2]}AA.{moment}.{signature}"),
    ):
        assert sessions.person(scope_with(f"{name}={bad}")) is None, bad[:50]
    answer = Response()
    sessions.begin_flow(scope_with(), answer, values)
    [(_, flow)] = cookies_of(answer).items()
    assert sessions.person(scope_with(f"{name}={flow.value}")) is None, "a cookie for the way to the provider is none"


def test_a_session_ends_with_its_time_and_with_the_rules_that_it_was_begun_under(tmp_path: Path, monkeypatch):
    sessions = Sessions(tmp_path, 1, "rules")
    name, value, _ = begun(sessions)
    cookie = scope_with(f"{name}={value}")
    assert Sessions(tmp_path, 1, "rules").person(cookie), "the other webserver of the home knows it too"
    assert Sessions(tmp_path, 1, "other rules").person(cookie) is None
    import time

    moment = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: moment + 3_500)
    assert sessions.person(cookie)
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: moment + 3_700)
    assert sessions.person(cookie) is None


def test_an_ended_session_is_ended_for_every_process_and_whoever_has_its_cookie(tmp_path: Path):
    sessions, others = Sessions(tmp_path, 1, "rules"), Sessions(tmp_path, 1, "rules")
    name, value, _ = begun(sessions)
    kept, cookie = begun(sessions)[1], scope_with(f"{name}={value}")
    assert others.person(cookie)
    answer = Response()
    sessions.end(cookie, answer)
    assert cookies_of(answer)[name].value == ""
    assert sessions.person(cookie) is None
    assert others.person(cookie) is None
    assert others.person(scope_with(f"{name}={kept}")), "other sessions go on"
    others.end(scope_with(f"{name}=nonsense"), Response())


def test_the_list_of_ended_sessions_stays_short(tmp_path: Path):
    path, session = tmp_path / "ended", "s" * 22
    path.write_text(f"{'x' * 22} 1000000000\n" * (MOST_ENDED_BYTES // 34 + 1))
    ended = Ended(path, 3_600)
    ended.add(session)
    assert ended.has(session)
    assert path.read_text().splitlines() == [path.read_text().strip()]
    path.write_text("torn\n\nx y z\n")
    assert not ended.has(session)


@pytest.mark.parametrize("missing", ["session.key", "ended-sessions"])
def test_the_folder_may_be_emptied(tmp_path: Path, missing: str):
    sessions = Sessions(tmp_path, 1, "rules")
    name, value, _ = begun(sessions)
    (tmp_path / missing).unlink(missing_ok=True)
    is_known = Sessions(tmp_path, 1, "rules").person(scope_with(f"{name}={value}")) is not None
    assert is_known == (missing == "ended-sessions"), "without the key all sessions end"
