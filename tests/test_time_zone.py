"""The suite runs in a time zone that is known, and so does whatever a test starts."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.time_zone import WORKER, ZONES, entered

MOMENTS = [datetime(2024, month, 1, 12, tzinfo=UTC) for month in (1, 7)]
TELL = f"import time; print([time.localtime(at).tm_gmtoff for at in {[at.timestamp() for at in MOMENTS]}])"


def test_acceptance_20_the_clock_of_this_process_is_that_of_its_zone() -> None:
    zone = os.environ.get("TZ")
    if zone:
        expected = [at.astimezone(ZoneInfo(zone)).utcoffset() for at in MOMENTS]
        assert [at.astimezone().utcoffset() for at in MOMENTS] == expected
    assert (zone or "as the machine") in entered()


def test_acceptance_20_a_process_that_a_test_starts_is_in_the_same_zone() -> None:
    here = [offset.total_seconds() for at in MOMENTS if (offset := at.astimezone().utcoffset()) is not None]
    there = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True).stdout
    assert there.split() == str([int(seconds) for seconds in here]).split()


def test_acceptance_20_a_worker_is_in_its_own_zone_unless_another_was_asked_for(pytestconfig: pytest.Config) -> None:
    asked = pytestconfig.getoption("tz")
    own = ZONES[int(WORKER[2:]) % len(ZONES)] if WORKER else os.environ.get("TZ")
    assert os.environ.get("TZ") == (asked or own)
