"""What the server counts about itself, in Prometheus' format at ``/metrics``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import Scope

BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counters of one server; a registry of its own, so that a process may have several."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        labels = ("route", "status")
        self._requests = Counter("dashboards_requests", "Answered requests.", labels, registry=self._registry)
        self._seconds = Histogram(
            "dashboards_seconds", "Time to the first byte.", ("route",), buckets=BUCKETS, registry=self._registry
        )
        self.pages = Counter(
            "dashboards_pages", "Pages by whether they were kept.", ("outcome",), registry=self._registry
        )
        self.streams = Gauge("dashboards_open_pages", "Pages that are told what is new.", registry=self._registry)
        self.listening = Gauge(
            "dashboards_listening", "Whether the warehouse tells what is new.", registry=self._registry
        )
        self.watched = Gauge(
            "dashboards_daemon_works", "Whether a daemon looks for what is wrong.", registry=self._registry
        )
        self.kept = Gauge("dashboards_kept_bytes", "Bytes of kept pages.", registry=self._registry)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one answer; routes are patterns, so that addresses that people type make no series."""
        route = getattr(scope.get("route"), "path", None) or scope.get("state", {}).get("route", "other")
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of them."""
        found: bytes = generate_latest(self._registry)
        return found
