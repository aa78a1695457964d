"""Dagster's own polling that has no setting, slowed down: most of what an idle platform costs.

A process calls ``poll_less`` before it becomes Dagster's daemon or webserver. Where Dagster has other names for these,
its own intervals hold, and a test says so.
"""

from importlib import import_module

INTERVALS = {
    # All definitions are read anew, 1.2 s of CPU each time: only a remedy, for the watch below sees a new code server.
    ("dagster._daemon.controller", "RELOAD_WORKSPACE_INTERVAL"): 1_800,
    # Whether the code server is still the same: a request through two processes each time.
    ("dagster._grpc.server_watcher", "WATCH_INTERVAL"): 5,
}
"""Module and name of an interval, and the seconds that it gets."""


def poll_less() -> None:
    """Give Dagster's intervals in this process longer values."""
    for (module, name), seconds in INTERVALS.items():
        found = import_module(module)
        if hasattr(found, name):
            setattr(found, name, seconds)
