"""The time zone of the tests' process: each worker has another one, so that the whole suite runs in several."""

import os
import time
from zoneinfo import ZoneInfo

ZONES = ("UTC", "Europe/Paris", "America/New_York")
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def enter(zone: str) -> None:
    """Put this process, and every process that it starts from now on, into the zone; one that nobody knows raises."""
    ZoneInfo(zone)
    os.environ["TZ"] = zone
    time.tzset()


def entered() -> str:
    """Where this process is, in words: the zone it was put into, and what the clock makes of it."""
    return f"{os.environ.get('TZ') or 'as the machine'} ({'/'.join(time.tzname)})"


if WORKER:
    enter(ZONES[int(WORKER.removeprefix("gw")) % len(ZONES)])
