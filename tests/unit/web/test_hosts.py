"""Which hosts are answered, and which pages are refused."""

from __future__ import annotations

import pytest

from cinestream_platform.web.hosts import AllowedHosts, HostsError, refusal

HOSTS = AllowedHosts.of(3000, "dagster.example.com, view.example.com:8443")


def judged(*, is_page: bool = False, is_websocket: bool = False, **headers: str) -> str | None:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return refusal(HOSTS, pairs, is_page=is_page, is_websocket=is_websocket)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:3000",
        "localhost:3000",
        "LOCALHOST:3000",
        "[::1]:3000",
        "dagster.example.com",
        "view.example.com:8443",
    ],
)
def test_loopback_names_with_the_port_and_public_names_are_answered(host):
    assert judged(host=host) is None
    assert judged(host=host, origin=f"http://{host}", sec_fetch_site="same-origin") is None
    assert judged(host=host, origin=f"https://{host}") is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1",
        "127.0.0.1:3001",
        "127.0.0.1:3000.evil.example",
        "view.example.com",
        "",
        "0.0.0.0:3000",
    ],
)
def test_other_hosts_are_refused_with_the_setting_to_change(host):
    assert "CINESTREAM_UI_HOSTS" in (judged(host=host) or "")


def test_a_request_without_a_host_or_with_two_is_refused():
    assert judged() is not None
    assert refusal(HOSTS, [(b"host", b"localhost:3000")] * 2, is_page=False, is_websocket=False) is not None


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:3001", "http://localhost:3000", "file://127.0.0.1:3000", ""],
)
def test_pages_of_another_origin_are_refused(origin):
    assert judged(host="127.0.0.1:3000", origin=origin) is not None
    assert judged(host="127.0.0.1:3000", origin=origin, is_page=True, is_websocket=True) is not None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_another_port_of_this_machine_is_another_site(site):
    assert judged(host="127.0.0.1:3000", sec_fetch_site=site) is not None
    assert judged(host="127.0.0.1:3000", sec_fetch_site=site, sec_fetch_mode="no-cors", is_page=True) is not None


def test_a_link_elsewhere_may_lead_to_a_page_and_only_to_a_page_of_its_own():
    link = {"host": "127.0.0.1:3000", "sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert judged(**link, sec_fetch_dest="document", is_page=True) is None
    assert judged(**link, sec_fetch_dest="document") is not None
    assert judged(**link, sec_fetch_dest="iframe", is_page=True) is not None
    assert judged(**link, sec_fetch_dest="document", is_page=True, is_websocket=True) is not None


@pytest.mark.parametrize("name", ["*", "http://a.example", "a.example/x", "a b", "*.example.com", "user@a.example"])
def test_a_setting_that_is_no_host_is_named(name):
    with pytest.raises(HostsError, match="CINESTREAM_UI_HOSTS"):
        AllowedHosts.of(3000, f"good.example, {name}")
