"""What every event log promises, asked of each of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.bot import BotPaused, BotStarted, BotStopped
from events.codec import Codec
from events.commit import GroupCommitLog
from events.envelope import Fact, Metadata, NewEvent
from events.errors import EventIdReused, InvalidAppend, WrongExpectedVersion
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION, NO_STREAM, Appended, EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.adapters.database import open_pool
from tests.strategies import NEW_EVENTS

pytestmark = pytest.mark.anyio

STREAM = StreamId("bot-1")
OTHER = StreamId("bot-2")


@pytest.fixture(params=["memory", "postgres", "group_commit"])
def store(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The name of an implementation and the database it needs, if any; not async, since databases are made outside."""
    return request.param, "" if request.param == "memory" else request.getfixturevalue("database")


@pytest.fixture
async def log(store: tuple[str, str]) -> AsyncIterator[EventLog]:
    """Each implementation in turn, empty."""
    kind, database = store
    if kind == "memory":
        yield MemoryEventLog(Codec())
        return
    async with await open_pool(database, size=4, application_name="contract") as pool:
        postgres = PostgresEventLog(pool, Codec())
        if kind == "postgres":
            yield postgres
            return
        async with GroupCommitLog(postgres) as grouped:
            yield grouped


def event(fact: Fact | None = None) -> NewEvent:
    """A new event with an id of its own."""
    return NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=fact or BotStarted())


def events(count: int) -> list[NewEvent]:
    """So many different new events."""
    return [event(BotPaused(reason=f"pause {number}")) for number in range(count)]


async def stored(log: EventLog) -> list[tuple[int, StreamId, int]]:
    """Position, stream and version of everything in the log."""
    return [(found.position, found.stream, found.version) for found in await log.read_all(limit=10_000)]


async def test_an_empty_log_has_head_zero_and_no_events(log: EventLog) -> None:
    assert await log.head() == 0
    assert list(await log.read_all()) == []
    assert list(await log.read_stream(STREAM)) == []


async def test_versions_count_per_stream_and_positions_over_all(log: EventLog) -> None:
    assert await log.append(STREAM, events(2), expected=NO_STREAM) == Appended(version=2, position=2)
    assert await log.append(OTHER, events(1), expected=NO_STREAM) == Appended(version=1, position=3)
    assert await log.append(STREAM, events(1), expected=2) == Appended(version=3, position=4)
    assert await stored(log) == [(1, STREAM, 1), (2, STREAM, 2), (3, OTHER, 1), (4, STREAM, 3)]
    assert await log.head() == 4


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


@pytest.mark.parametrize("expected", [1, 3])
async def test_another_expected_version_conflicts_and_says_the_actual_one(log: EventLog, expected: int) -> None:
    await log.append(STREAM, events(2), expected=NO_STREAM)
    with pytest.raises(WrongExpectedVersion) as caught:
        await log.append(STREAM, events(1), expected=expected)
    assert (caught.value.stream, caught.value.expected, caught.value.actual) == (STREAM, expected, 2)
    assert await log.head() == 2


async def test_no_stream_conflicts_with_a_stream(log: EventLog) -> None:
    await log.append(STREAM, events(1), expected=NO_STREAM)
    with pytest.raises(WrongExpectedVersion) as caught:
        await log.append(STREAM, events(1), expected=NO_STREAM)
    assert caught.value.actual == 1


async def test_an_exact_version_conflicts_with_no_stream(log: EventLog) -> None:
    with pytest.raises(WrongExpectedVersion) as caught:
        await log.append(STREAM, events(1), expected=1)
    assert caught.value.actual == 0
    assert list(await log.read_stream(STREAM)) == []


async def test_any_version_appends_to_a_new_and_to_an_old_stream(log: EventLog) -> None:
    assert (await log.append(STREAM, events(1), expected=ANY_VERSION)).version == 1
    assert (await log.append(STREAM, events(2), expected=ANY_VERSION)).version == 3


@pytest.mark.parametrize("expected", [NO_STREAM, ANY_VERSION])
async def test_a_repeated_append_gets_the_first_answer_again(log: EventLog, expected: int) -> None:
    sent = events(2)
    first = await log.append(STREAM, sent, expected=expected)
    await log.append(OTHER, events(1), expected=NO_STREAM)
    await log.append(STREAM, events(1), expected=2)
    assert await log.append(STREAM, sent, expected=expected) == first._replace(duplicate=True)
    assert await log.head() == 4


async def test_an_event_id_with_other_content_is_refused(log: EventLog) -> None:
    sent = event(BotPaused(reason="first"))
    await log.append(STREAM, [sent], expected=NO_STREAM)
    changed = NewEvent(event_id=sent.event_id, occurred_at=sent.occurred_at, fact=BotPaused(reason="second"))
    with pytest.raises(EventIdReused) as caught:
        await log.append(STREAM, [changed], expected=1)
    assert (caught.value.stream, caught.value.event_id) == (STREAM, sent.event_id)
    assert await log.head() == 1


async def test_an_event_id_of_another_stream_is_refused(log: EventLog) -> None:
    sent = event()
    await log.append(STREAM, [sent], expected=NO_STREAM)
    with pytest.raises(EventIdReused):
        await log.append(OTHER, [sent], expected=NO_STREAM)
    assert list(await log.read_stream(OTHER)) == []


async def test_known_and_new_events_together_are_refused(log: EventLog) -> None:
    known = event()
    await log.append(STREAM, [known], expected=NO_STREAM)
    for sent in ([known, event()], [event(), known]):
        with pytest.raises(EventIdReused) as caught:
            await log.append(STREAM, sent, expected=1)
        assert caught.value.event_id == known.event_id
    assert await log.head() == 1


async def test_known_events_in_another_order_are_refused(log: EventLog) -> None:
    first, second = events(2)
    await log.append(STREAM, [first, second], expected=NO_STREAM)
    with pytest.raises(EventIdReused):
        await log.append(STREAM, [second, first], expected=ANY_VERSION)


async def test_a_refused_append_stores_none_of_its_events(log: EventLog) -> None:
    await log.append(STREAM, events(1), expected=NO_STREAM)
    with pytest.raises(WrongExpectedVersion):
        await log.append(STREAM, events(3), expected=NO_STREAM)
    assert await stored(log) == [(1, STREAM, 1)]
    assert (await log.append(STREAM, events(1), expected=1)).position == 2


async def test_a_stream_is_read_after_a_version_up_to_a_limit(log: EventLog) -> None:
    await log.append(OTHER, events(1), expected=NO_STREAM)
    await log.append(STREAM, events(5), expected=NO_STREAM)
    assert [found.version for found in await log.read_stream(STREAM, after_version=2)] == [3, 4, 5]
    assert [found.version for found in await log.read_stream(STREAM, after_version=1, limit=2)] == [2, 3]
    assert list(await log.read_stream(STREAM, after_version=5)) == []


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
async def test_pages_of_the_log_neither_skip_nor_repeat(log: EventLog, limit: int) -> None:
    await log.append(STREAM, events(3), expected=NO_STREAM)
    await log.append(OTHER, events(2), expected=NO_STREAM)
    positions: list[int] = []
    while page := await log.read_all(after_position=positions[-1] if positions else 0, limit=limit):
        assert len(page) <= limit
        positions += [found.position for found in page]
    assert positions == [1, 2, 3, 4, 5]


async def test_a_page_ends_exactly_at_the_head(log: EventLog) -> None:
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


async def test_an_append_that_cannot_be_is_refused(log: EventLog) -> None:
    one = event()
    naive = NewEvent(event_id=new_event_id(), occurred_at=datetime(2024, 1, 1), fact=BotStarted())  # noqa: DTZ001  # the point
    refused: list[tuple[str, list[NewEvent], int]] = [
        ("bot-1", [], ANY_VERSION),
        ("bot-1", [one], -2),
        ("bot-1", [one, one], ANY_VERSION),
        ("bot-1", [naive], ANY_VERSION),
        ("", [one], ANY_VERSION),
        ("bot-\x00", [one], ANY_VERSION),
    ]
    for stream, sent, expected in refused:
        with pytest.raises(InvalidAppend):
            await log.append(StreamId(stream), sent, expected=expected)
    assert await log.head() == 0


async def test_of_two_racing_writers_one_wins(log: EventLog) -> None:
    results = await asyncio.gather(
        *(log.append(STREAM, events(1), expected=NO_STREAM) for _ in range(2)), return_exceptions=True
    )
    winners = [result for result in results if isinstance(result, Appended)]
    losers = [result for result in results if isinstance(result, WrongExpectedVersion)]
    assert winners == [Appended(version=1, position=1)]
    assert [loser.actual for loser in losers] == [1]
    assert await stored(log) == [(1, STREAM, 1)]


async def test_twenty_parallel_appends_at_any_version_are_all_stored(log: EventLog) -> None:
    results = await asyncio.gather(*(log.append(STREAM, events(1), expected=ANY_VERSION) for _ in range(20)))
    assert sorted(result.version for result in results) == list(range(1, 21))
    assert await stored(log) == [(number, STREAM, number) for number in range(1, 21)]


@given(batches=st.lists(st.lists(NEW_EVENTS, min_size=1, max_size=4), max_size=4))
def test_any_facts_come_back_in_order(batches: list[list[NewEvent]]) -> None:
    """Whatever facts are appended, reading gives them back; in memory, since the codec is the same for all."""
    sent = {new.event_id: new for batch in batches for new in batch}
    if len(sent) != sum(map(len, batches)):
        return
    log = MemoryEventLog(Codec())

    async def exercise() -> list[tuple[object, Fact, Metadata]]:
        for batch in batches:
            await log.append(STREAM, batch, expected=ANY_VERSION)
        return [(found.event_id, found.fact, found.metadata) for found in await log.read_stream(STREAM)]

    assert asyncio.run(exercise()) == [(new.event_id, new.fact, new.metadata) for new in sent.values()]
