"""What strangers try is counted, and told once, whatever becomes of the log meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from events.codec import Codec
from events.errors import LogUnavailable
from events.log import EventLog
from events.memory import MemoryEventLog
from events.security import SECURITY_STREAM, AttemptsRefused
from oxbot.app.security_log import ADDRESSES_MAX, PERIOD_SECONDS, SecurityLog
from tests.app.fakes import failing_log

pytestmark = pytest.mark.anyio

START = datetime(2024, 1, 1, tzinfo=UTC)


class Minutes:
    """A clock of which each wait takes no time, and the second one does not end."""

    def __init__(self) -> None:
        self.at = START
        self.waited: list[float] = []
        self.stuck = asyncio.Event()

    def now(self) -> datetime:
        """The time."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass, the first time."""
        self.waited.append(seconds)
        if len(self.waited) > 1:
            self.stuck.set()
            await asyncio.Event().wait()
        self.at += timedelta(seconds=seconds)


async def told(log: EventLog) -> list[object]:
    """What the log was told."""
    return [event.fact for event in await log.read_stream(SECURITY_STREAM)]


async def test_what_was_counted_is_told_by_kind_with_when_and_from_how_many_addresses() -> None:
    log, clock = MemoryEventLog(Codec()), Minutes()
    security = SecurityLog(log, now=clock.now)
    for number in range(ADDRESSES_MAX + 5):
        security.refused("unknown_name", f"10.0.{number // 250}.{number % 250}")
    clock.at += timedelta(seconds=30)
    security.refused("unknown_name", "10.0.0.0")
    security.refused("cross_site_refresh", "10.0.0.0")
    await security.tell()
    await security.tell()

    assert await told(log) == [
        AttemptsRefused(
            attempt="unknown_name", attempts=ADDRESSES_MAX + 6, addresses=ADDRESSES_MAX, since=START, until=clock.at
        ),
        AttemptsRefused(attempt="cross_site_refresh", attempts=1, addresses=1, since=clock.at, until=clock.at),
    ]


async def test_what_the_log_did_not_take_or_answer_is_told_once_all_the_same() -> None:
    within = MemoryEventLog(Codec())
    security = SecurityLog(failing_log(within, refused=[1], lost=[2]), now=lambda: START)
    security.refused("unknown_name", "192.0.2.1")
    for _ in range(2):
        with pytest.raises(LogUnavailable):
            await security.tell()
    security.refused("unknown_name", "192.0.2.1")
    await security.tell()
    await security.tell()

    counts = [fact.attempts for fact in await told(within) if isinstance(fact, AttemptsRefused)]
    assert counts == [1, 1]


async def test_it_is_told_every_minute_and_at_the_end_and_a_log_that_is_away_stops_nothing() -> None:
    within, clock = MemoryEventLog(Codec()), Minutes()
    purged: list[str] = []

    async def purge() -> None:
        purged.append("once")

    security = SecurityLog(failing_log(within, refused=[2]), now=clock.now)
    security.refused("unknown_name", "192.0.2.1")
    async with security.kept(clock, [purge]):
        await clock.stuck.wait()
        assert len(await told(within)) == 1
        security.refused("refresh_unknown", "192.0.2.1")

    assert clock.waited == [PERIOD_SECONDS] * 2
    assert purged == ["once"]
    assert len(await told(within)) == 1
