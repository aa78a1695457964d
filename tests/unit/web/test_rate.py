"""How often an address may ask."""

from __future__ import annotations

from cinestream_platform.web.rate import MOST_KEYS, Rate, address_of


def test_a_second_has_so_many_requests_of_one_address_and_others_have_their_own() -> None:
    rate = Rate(20)
    assert [rate.allows("a", 0.0) for _ in range(25)] == [True] * 20 + [False] * 5
    assert rate.allows("b", 0.0)
    assert not rate.allows("a", 0.01)
    assert [rate.allows("a", 1.0) for _ in range(21)].count(True) == 20


def test_the_memory_for_addresses_is_bounded() -> None:
    rate = Rate(20)
    for place in range(MOST_KEYS + 100):
        rate.allows(str(place), 0.0)
    assert len(rate._left) == MOST_KEYS


def test_a_visitor_with_a_network_of_ipv6_is_one() -> None:
    addresses = [("2001:db8:1:2::7", 1), ("2001:db8:1:2:ffff::9", 2), ("127.0.0.1", 3)]
    assert [address_of({"client": one}) for one in addresses] == ["2001:db8:1:2::", "2001:db8:1:2::", "127.0.0.1"]
    assert address_of({"client": None}) == ""
