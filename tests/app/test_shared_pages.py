"""Pages of the log that the projections of one process share."""

import asyncio
import gc
from collections.abc import Sequence

import pytest

from events.envelope import RecordedEvent
from events.errors import LogUnavailable
from events.log import EventLog
from oxbot.app.shared_pages import PAGES_MAX, SharedPages
from oxbot.core.bot import DepositCapital
from tests.app.fakes import HookedLog, tell, written
from tests.core.scenario import deposited, running

pytestmark = pytest.mark.anyio


class CountingLog(HookedLog):
    """A log that counts how often it is read, and fails as often as it is told to."""

    reads = 0
    failures = 0

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """The inner log's page, after letting others run."""
        self.reads += 1
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise LogUnavailable("away")
        return await super().read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)


class RestoredLog(HookedLog):
    """A log in whose place an older copy of it can be put."""

    def turn_back(self, copy: EventLog) -> None:
        """From now on the log is the copy."""
        self._inner = copy


def locks() -> int:
    """How many locks this process holds in memory."""
    gc.collect()
    return sum(isinstance(held, asyncio.Lock) for held in gc.get_objects())


def positions(page: Sequence[RecordedEvent]) -> list[int]:
    """The page's positions."""
    return [event.position for event in page]


async def test_what_several_ask_for_at_once_or_after_each_other_is_read_once() -> None:
    log = CountingLog(await written(running()))
    pages = SharedPages(log)

    found = await asyncio.gather(*(pages.read_all(limit=2) for _ in range(3)))
    found.append(await pages.read_all(limit=2))

    assert [positions(page) for page in found] == [[1, 2]] * 4
    assert log.reads == 1


async def test_what_is_empty_is_asked_for_again() -> None:
    inner = await written(running())
    pages = SharedPages(inner)
    assert positions(await pages.read_all(after_position=3)) == []

    await tell(inner, DepositCapital(deposited("1").amount))

    assert positions(await pages.read_all(after_position=3)) == [4]


async def test_other_places_limits_and_ends_are_other_pages() -> None:
    log = CountingLog(await written(running()))
    pages = SharedPages(log)

    assert positions(await pages.read_all(limit=2)) == [1, 2]
    assert positions(await pages.read_all(limit=3)) == [1, 2, 3]
    assert positions(await pages.read_all(limit=3, up_to=1)) == [1]
    assert positions(await pages.read_all(after_position=1, limit=2)) == [2, 3]
    assert positions(await pages.read_all(types=("bot.started",))) == [3]
    assert log.reads == 5


async def test_a_read_that_fails_fails_for_whoever_asked_and_is_tried_again_for_the_next() -> None:
    log = CountingLog(await written(running()))
    log.failures = 1
    pages = SharedPages(log)

    found = await asyncio.gather(*(pages.read_all(limit=2) for _ in range(3)), return_exceptions=True)

    assert [isinstance(page, LogUnavailable) for page in found].count(True) == 1
    assert [positions(page) for page in found if not isinstance(page, BaseException)] == [[1, 2]] * 2


async def test_only_the_last_pages_are_kept() -> None:
    log = CountingLog(await written([*running(), *[deposited("1")] * 10]))
    pages = SharedPages(log)
    for position in range(PAGES_MAX + 1):
        await pages.read_all(after_position=position, limit=1)
    await pages.read_all(after_position=PAGES_MAX, limit=1)
    assert log.reads == PAGES_MAX + 1

    await pages.read_all(after_position=0, limit=1)

    assert log.reads == PAGES_MAX + 2


async def test_what_was_read_once_and_taken_again_leaves_nothing_behind_but_the_last_pages() -> None:
    pages = SharedPages(await written([*running(), *[deposited("1")] * 10]))
    before = locks()

    for position in range(10):
        for _ in range(2):
            await pages.read_all(after_position=position, limit=1)

    assert locks() == before


async def test_pages_of_a_log_that_was_restored_to_before_are_dropped() -> None:
    log = RestoredLog(await written([*running(), *[deposited("1")] * 10]))
    pages = SharedPages(log)
    assert len(await pages.read_all(after_position=2)) == 11

    log.turn_back(await written(running()))
    await pages.head()

    assert positions(await pages.read_all(after_position=2)) == [3]
