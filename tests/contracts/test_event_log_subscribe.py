"""What every event log promises to whoever follows it, asked of each of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from events.bot import BotPaused, BotStarted
from events.envelope import RecordedEvent
from events.errors import LogDamaged, UndecodableFact
from events.log import ANY_VERSION, NO_STREAM, EventLog
from events.subscription import CaughtUp, subscribe
from tests.contracts.event_logs import OTHER, STREAM, append_bytes, event, events

pytestmark = pytest.mark.anyio

Delivered = RecordedEvent | CaughtUp


async def first(subscription: AsyncIterator[Delivered], count: int) -> list[int | str]:
    """The next so many things delivered: an event's position, or ``caught up 7``."""
    told: list[int | str] = []
    async with asyncio.timeout(30):
        while len(told) < count:
            one = await anext(subscription)
            told.append(one.position if isinstance(one, RecordedEvent) else f"caught up {one.position}")
    return told


async def test_a_subscriber_hears_of_what_is_there_and_of_what_comes(log: EventLog) -> None:
    await log.append(STREAM, events(2), expected=NO_STREAM)
    subscription = subscribe(log)
    assert await first(subscription, 3) == [1, 2, "caught up 2"]
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(first(subscription, 3))
        await asyncio.sleep(0.05)
        await log.append(OTHER, events(2), expected=NO_STREAM)
    assert waiting.result() == [3, 4, "caught up 4"]


async def test_a_subscriber_to_nothing_is_caught_up_at_once(log: EventLog) -> None:
    assert await first(subscribe(log), 1) == ["caught up 0"]
    await log.append(STREAM, events(3), expected=NO_STREAM)
    assert await first(subscribe(log, after_position=3), 1) == ["caught up 3"]
    assert await first(subscribe(log, after_position=1), 3) == [2, 3, "caught up 3"]


async def test_a_subscriber_far_behind_is_caught_up_once(log: EventLog) -> None:
    """More than two pages; the marker comes at the head, not at the end of a page."""
    for number in range(2):
        await log.append(STREAM, events(1100), expected=1100 * number)
    assert await first(subscribe(log), 2201) == [*range(1, 2201), "caught up 2200"]


async def test_a_full_last_page_is_caught_up_too(log: EventLog) -> None:
    """R16."""
    await log.append(STREAM, events(1000), expected=NO_STREAM)
    assert (await first(subscribe(log), 1001))[-2:] == [1000, "caught up 1000"]


async def test_a_subscriber_to_types_moves_on_over_the_others(log: EventLog) -> None:
    """R19: the marker's position is a checkpoint, even where nothing was of the type."""
    await log.append(STREAM, [event(BotPaused()), event(BotStarted())], expected=NO_STREAM)
    subscription = subscribe(log, types=["bot.paused"])
    assert await first(subscription, 2) == [1, "caught up 2"]
    await log.append(STREAM, [event(BotStarted()), event(BotStarted())], expected=ANY_VERSION)
    assert await first(subscription, 1) == ["caught up 4"]
    await log.append(STREAM, [event(BotPaused())], expected=ANY_VERSION)
    assert await first(subscription, 2) == [5, "caught up 5"]


@pytest.mark.parametrize("types", [None, ["bot.paused", "bot.dreamt"]])
async def test_a_subscriber_gets_what_comes_before_an_undecodable_event(
    log: EventLog, types: Sequence[str] | None
) -> None:
    await log.append(STREAM, events(3), expected=NO_STREAM)
    await append_bytes(log, STREAM, ("bot.dreamt", 1, b"\x80"))
    subscription = subscribe(log, types=types)
    assert await first(subscription, 3) == [1, 2, 3]
    with pytest.raises(UndecodableFact, match="position 4"):
        await first(subscription, 1)
    assert await first(subscribe(log, after_position=4), 1) == ["caught up 4"]


async def test_a_subscriber_ahead_of_the_head_is_refused(log: EventLog) -> None:
    """R9: the log was restored to an earlier moment than its reader."""
    await log.append(STREAM, events(2), expected=NO_STREAM)
    with pytest.raises(LogDamaged, match=r"ends at position 2.*from 5 on"):
        await first(subscribe(log, after_position=5), 1)
