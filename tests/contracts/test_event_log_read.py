"""What every event log promises to whoever reads, asked of each of them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.bot import BotPaused, BotStarted, BotStopped
from events.codec import Codec
from events.envelope import Fact, Metadata, NewEvent
from events.errors import UndecodableFact
from events.identifiers import new_event_id
from events.log import ANY_VERSION, NO_STREAM, EventLog
from events.memory import MemoryEventLog
from events.system import StreamEnded
from tests.contracts.event_logs import OTHER, STREAM, append_bytes, event, events
from tests.strategies import NEW_EVENTS

pytestmark = pytest.mark.anyio


async def test_an_empty_log_has_head_zero_and_no_events(log: EventLog) -> None:
    assert await log.head() == 0
    assert list(await log.read_all()) == []
    assert list(await log.read_stream(STREAM)) == []


async def test_what_is_read_is_what_was_appended(log: EventLog) -> None:
    sent = NewEvent(
        event_id=new_event_id(),
        occurred_at=datetime(2024, 1, 31, 23, 55, 0, 123456, tzinfo=timezone(timedelta(hours=2))),
        fact=BotPaused(reason="by hand"),
        metadata=Metadata(actor="operator", correlation_id=new_event_id()),
    )
    await log.append(STREAM, [sent], expected=NO_STREAM)
    [found] = await log.read_stream(STREAM)
    assert (found.event_id, found.fact, found.metadata) == (sent.event_id, sent.fact, sent.metadata)
    assert (found.occurred_at, found.occurred_at.utcoffset()) == (sent.occurred_at, timedelta(0))
    assert (found.event_type, found.position, found.version) == ("bot.paused", 1, 1)
    assert abs(found.recorded_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_stream_is_read_after_a_version_up_to_a_limit(log: EventLog) -> None:
    await log.append(OTHER, events(1), expected=NO_STREAM)
    await log.append(STREAM, events(5), expected=NO_STREAM)
    assert [found.version for found in await log.read_stream(STREAM, after_version=2)] == [3, 4, 5]
    assert [found.version for found in await log.read_stream(STREAM, after_version=1, limit=2)] == [2, 3]
    assert list(await log.read_stream(STREAM, after_version=5)) == []


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
async def test_pages_of_the_log_neither_skip_nor_repeat(log: EventLog, limit: int) -> None:
    """R16."""
    await log.append(STREAM, events(3), expected=NO_STREAM)
    await log.append(OTHER, events(2), expected=NO_STREAM)
    positions: list[int] = []
    while page := await log.read_all(after_position=positions[-1] if positions else 0, limit=limit):
        assert len(page) <= limit
        positions += [found.position for found in page]
    assert positions == [1, 2, 3, 4, 5]


async def test_a_page_ends_exactly_at_the_head(log: EventLog) -> None:
    """R16."""
    await log.append(STREAM, events(4), expected=NO_STREAM)
    assert [found.position for found in await log.read_all(after_position=2, limit=2)] == [3, 4]
    assert list(await log.read_all(after_position=4, limit=2)) == []
    assert list(await log.read_all(after_position=99)) == []


async def test_only_the_named_types_are_read(log: EventLog) -> None:
    await log.append(STREAM, [event(BotStarted()), event(BotPaused()), event(BotStopped())], expected=NO_STREAM)
    await log.append(OTHER, [event(BotPaused())], expected=NO_STREAM)

    async def positions(types: Sequence[str], limit: int = 10) -> list[int]:
        return [found.position for found in await log.read_all(types=types, limit=limit)]

    assert await positions(["bot.paused"]) == [2, 4]
    assert await positions(["bot.stopped", "bot.paused"], limit=2) == [2, 3]
    assert await positions(["bot.created"]) == []
    assert await positions([]) == []


async def test_waiting_ends_as_soon_as_an_event_comes(log: EventLog) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(log.wait_beyond(0, timeout_seconds=20))
        await asyncio.sleep(0.05)
        await log.append(STREAM, events(2), expected=NO_STREAM)
    assert waiting.result() == 2


async def test_waiting_for_what_is_there_does_not_wait(log: EventLog) -> None:
    await log.append(STREAM, events(1), expected=NO_STREAM)
    async with asyncio.timeout(2):
        assert await log.wait_beyond(0, timeout_seconds=20) == 1


async def test_waiting_ends_at_its_timeout(log: EventLog) -> None:
    await log.append(STREAM, events(1), expected=NO_STREAM)
    async with asyncio.timeout(2):
        assert await log.wait_beyond(1, timeout_seconds=0.05) == 1


@given(batches=st.lists(st.lists(NEW_EVENTS, min_size=1, max_size=4), max_size=4))
def test_any_facts_come_back_in_order(batches: list[list[NewEvent]]) -> None:
    """Whatever facts are appended, reading gives them back; in memory, since the codec is the same for all."""
    batches = [[new for new in batch if not isinstance(new.fact, StreamEnded)] for batch in batches]
    sent = {new.event_id: new for batch in batches for new in batch}
    if len(sent) != sum(map(len, batches)):
        return
    log = MemoryEventLog(Codec())

    async def exercise() -> list[tuple[object, Fact, Metadata]]:
        for batch in filter(None, batches):
            await log.append(STREAM, batch, expected=ANY_VERSION)
        return [(found.event_id, found.fact, found.metadata) for found in await log.read_stream(STREAM)]

    assert asyncio.run(exercise()) == [(new.event_id, new.fact, new.metadata) for new in sent.values()]


async def test_a_read_ends_at_the_position_asked_for(log: EventLog) -> None:
    await log.append(STREAM, events(3), expected=NO_STREAM)
    await log.append(OTHER, events(2), expected=NO_STREAM)

    async def positions(after: int, up_to: int, limit: int = 10) -> list[int]:
        return [found.position for found in await log.read_all(after_position=after, up_to=up_to, limit=limit)]

    assert await positions(0, 4) == [1, 2, 3, 4]
    assert await positions(2, 4, limit=1) == [3]
    assert await positions(2, 99) == [3, 4, 5]
    assert await positions(2, 2) == []
    assert await positions(4, 2) == []
    assert await positions(5, 99) == []
    assert await positions(0, 0) == []


async def test_a_stream_is_read_as_it_stood_at_a_position(log: EventLog) -> None:
    await log.append(STREAM, events(2), expected=NO_STREAM)
    await log.append(OTHER, events(2), expected=NO_STREAM)
    await log.append(STREAM, events(2), expected=2)

    async def versions(up_to: int, after: int = 0) -> list[int]:
        found = await log.read_stream(STREAM, after_version=after, up_to_position=up_to)
        return [one.version for one in found]

    assert [await versions(up_to) for up_to in (0, 1, 4, 5, 6, 99)] == [
        [],
        [1],
        [1, 2],
        [1, 2, 3],
        [1, 2, 3, 4],
        [1, 2, 3, 4],
    ]
    assert await versions(5, after=1) == [2, 3]
    assert await versions(4, after=2) == []


async def test_reads_longer_than_a_page_are_whole(log: EventLog) -> None:
    """R16, and a rehydration: several thousand events come in order, whatever the limit."""
    for number in range(3):
        await log.append(STREAM, events(1100), expected=1100 * number)
    await log.append(OTHER, events(1), expected=NO_STREAM)
    everything = await log.read_all(limit=9999)
    assert [found.position for found in everything] == list(range(1, 3302))
    assert list(await log.read_stream(STREAM)) == list(everything[:3300])
    for limit in (999, 1000, 1001, 2000, 3300):
        assert list(await log.read_all(after_position=1, limit=limit)) == list(everything[1 : 1 + limit])
        assert len(await log.read_stream(STREAM, limit=limit)) == limit
    assert [found.stream for found in await log.read_all(after_position=2301)][-2:] == [STREAM, OTHER]


async def test_types_are_looked_for_up_to_a_position(log: EventLog) -> None:
    await log.append(STREAM, [event(BotStarted()), event(BotPaused()), event(BotPaused())], expected=NO_STREAM)

    async def positions(up_to: int, after: int = 0) -> list[int]:
        found = await log.read_all(types=["bot.paused"], up_to=up_to, after_position=after)
        return [one.position for one in found]

    assert [await positions(up_to) for up_to in (0, 1, 2, 3, 9)] == [[], [], [2], [2, 3], [2, 3]]
    assert await positions(3, after=2) == [3]
    assert await positions(3, after=3) == []


async def test_an_undecodable_event_is_named_and_hides_nothing_before_it(log: EventLog) -> None:
    await log.append(STREAM, events(2), expected=NO_STREAM)
    await append_bytes(log, STREAM, ("bot.dreamt", 1, b"\x80"), ("bot.paused", 1, b"\xc1"))
    await log.append(STREAM, events(1), expected=4)
    for read in (log.read_all(), log.read_stream(STREAM), log.read_all(after_position=2)):
        with pytest.raises(UndecodableFact) as caught:
            await read
        assert (caught.value.position, caught.value.stream, caught.value.event_type) == (3, STREAM, "bot.dreamt")
    with pytest.raises(UndecodableFact, match="position 4"):
        await log.read_all(types=["bot.paused"])
    assert [found.position for found in await log.read_all(up_to=2)] == [1, 2]
    assert [found.version for found in await log.read_stream(STREAM, up_to_position=2)] == [1, 2]
    assert [found.position for found in await log.read_all(after_position=4)] == [5]


async def test_the_position_at_a_time_is_the_last_one_recorded_by_then(log: EventLog) -> None:
    for number in range(40):
        await log.append(STREAM, events(1 + number % 3), expected=ANY_VERSION)
    recorded = [found.recorded_at for found in await log.read_all()]
    instant = timedelta(microseconds=1)
    for at in (*recorded, *(moment - instant for moment in recorded), recorded[-1] + timedelta(days=1)):
        assert await log.position_at(at) == sum(moment <= at for moment in recorded)


async def test_an_empty_log_has_no_position_at_any_time(log: EventLog) -> None:
    assert await log.position_at(datetime.now(UTC)) == 0
