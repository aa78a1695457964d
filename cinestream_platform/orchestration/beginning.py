"""What every step that writes does first."""

from dagster import Failure

from cinestream_platform import progress
from cinestream_platform.services.disk import shortage
from cinestream_platform.settings import Settings


def begin_step(name: str, settings: Settings) -> None:
    """Note that a step begins, and refuse while a disk is short of room.

    Raises:
        Failure: It is; the sentence says where. Sensors ask again once there is room.
    """
    progress.note(f"step {name} began")
    if reason := shortage(settings):
        raise Failure(reason, allow_retries=False)
