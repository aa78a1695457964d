"""How often somebody may ask: a bucket for each address or account, which fills as time passes."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from starlette.types import Scope

MOST_KEYS = 10_000


class Rate:
    """How many requests each key has left.

    Args:
        most: Requests at once.
        seconds: The time in which a used bucket is full again.
    """

    def __init__(self, most: int, seconds: float = 1.0) -> None:
        self.most = most
        self._a_second = most / seconds
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, key: str, now: float) -> bool:
        """Take one request of this key; whether it had one."""
        left = self._now_left(key, now)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed else left, now)
        if len(self._left) > MOST_KEYS:
            self._left.popitem(last=False)
        return allowed

    def give_back(self, key: str, now: float) -> None:
        """One request did not count."""
        self._left[key] = (min(self.most, self._now_left(key, now) + 1), now)

    def seconds_to_wait(self, key: str, now: float) -> float:
        """Until the key has a request again."""
        left, at = self._left.get(key, (self.most, now))
        return max(0.0, (1 - left) / self._a_second - (now - at))

    def _now_left(self, key: str, now: float) -> float:
        left, at = self._left.pop(key, (self.most, now))
        return min(self.most, left + (now - at) * self._a_second)


def address_of(scope: Scope) -> str:
    """Of the visitor; of IPv6 the network, since one visitor has all of it."""
    host = (scope.get("client") or ("", 0))[0]
    try:
        found = ip_address(host)
    except ValueError:
        return str(host)
    return str(IPv6Address(int(found) >> 64 << 64)) if found.version == 6 else str(found)
