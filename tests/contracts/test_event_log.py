"""What every event log promises to whoever appends, asked of each of them."""

import asyncio
from datetime import datetime

import pytest

from events.bot import BotPaused, BotStarted
from events.encoded import COMMAND_EVENTS_MAX, EVENT_BYTES_MAX
from events.envelope import NewEvent
from events.errors import EventIdReused, InvalidAppend, PayloadTooLarge, StreamClosed, WrongExpectedVersion
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION, NO_STREAM, STREAM_EXISTS, Appended, EventLog
from events.system import StreamEnded
from tests.contracts.event_logs import OTHER, STREAM, event, events, stored

pytestmark = pytest.mark.anyio


async def test_versions_count_per_stream_and_positions_over_all(log: EventLog) -> None:
    assert await log.append(STREAM, events(2), expected=NO_STREAM) == Appended(version=2, position=2)
    assert await log.append(OTHER, events(1), expected=NO_STREAM) == Appended(version=1, position=3)
    assert await log.append(STREAM, events(1), expected=2) == Appended(version=3, position=4)
    assert await stored(log) == [(1, STREAM, 1), (2, STREAM, 2), (3, OTHER, 1), (4, STREAM, 3)]
    assert await log.head() == 4


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
    """A3."""
    sent = events(2)
    first = await log.append(STREAM, sent, expected=expected)
    await log.append(OTHER, events(1), expected=NO_STREAM)
    await log.append(STREAM, events(1), expected=2)
    assert await log.append(STREAM, sent, expected=expected) == first._replace(duplicate=True)
    assert await log.head() == 4


async def test_an_event_id_with_other_content_is_refused(log: EventLog) -> None:
    """A4."""
    sent = event(BotPaused(reason="first"))
    await log.append(STREAM, [sent], expected=NO_STREAM)
    changed = NewEvent(event_id=sent.event_id, occurred_at=sent.occurred_at, fact=BotPaused(reason="second"))
    with pytest.raises(EventIdReused) as caught:
        await log.append(STREAM, [changed], expected=1)
    assert (caught.value.stream, caught.value.event_id) == (STREAM, sent.event_id)
    assert await log.head() == 1


async def test_an_event_id_of_another_stream_is_refused(log: EventLog) -> None:
    """A4."""
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


async def test_an_append_that_cannot_be_is_refused(log: EventLog) -> None:
    """A8, before anything is sent."""
    one = event()
    naive = NewEvent(event_id=new_event_id(), occurred_at=datetime(2024, 1, 1), fact=BotStarted())  # noqa: DTZ001  # the point
    refused: list[tuple[str, list[NewEvent], int]] = [
        ("bot-1", [], ANY_VERSION),
        ("bot-1", [one], -3),
        ("bot-1", [one, one], ANY_VERSION),
        ("bot-1", [naive], ANY_VERSION),
        ("", [one], ANY_VERSION),
        ("bot-\x00", [one], ANY_VERSION),
        ("bot-\ud800", [one], ANY_VERSION),
        ("b" * 513, [one], ANY_VERSION),
        ("bot-1", [event(StreamEnded()), event()], ANY_VERSION),
        ("bot-1", [event(BotPaused(reason="\ud800"))], ANY_VERSION),
    ]
    for stream, sent, expected in refused:
        with pytest.raises(InvalidAppend):
            await log.append(StreamId(stream), sent, expected=expected)
    assert await log.head() == 0


async def test_of_two_racing_writers_one_wins(log: EventLog) -> None:
    """A9: both bring the stream's first event."""
    results = await asyncio.gather(
        *(log.append(STREAM, events(1), expected=NO_STREAM) for _ in range(2)), return_exceptions=True
    )
    winners = [result for result in results if isinstance(result, Appended)]
    losers = [result for result in results if isinstance(result, WrongExpectedVersion)]
    assert winners == [Appended(version=1, position=1)]
    assert [loser.actual for loser in losers] == [1]
    assert await stored(log) == [(1, STREAM, 1)]


async def test_twenty_parallel_appends_at_any_version_are_all_stored(log: EventLog) -> None:
    """A2."""
    results = await asyncio.gather(*(log.append(STREAM, events(1), expected=ANY_VERSION) for _ in range(20)))
    assert sorted(result.version for result in results) == list(range(1, 21))
    assert await stored(log) == [(number, STREAM, number) for number in range(1, 21)]


async def test_two_writers_at_the_same_version_get_one_answer_each(log: EventLog) -> None:
    """A1: one is stored, the other hears of the actual version; round after round nothing is lost or stored twice."""
    for version in range(10):
        results = await asyncio.gather(
            *(log.append(STREAM, events(1), expected=version) for _ in range(2)), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["Appended", "WrongExpectedVersion"]
        [loser] = [result for result in results if isinstance(result, WrongExpectedVersion)]
        assert (loser.expected, loser.actual) == (version, version + 1)
    assert await stored(log) == [(number, STREAM, number) for number in range(1, 11)]


async def test_stream_exists_appends_to_an_old_stream_only(log: EventLog) -> None:
    with pytest.raises(WrongExpectedVersion) as caught:
        await log.append(STREAM, events(1), expected=STREAM_EXISTS)
    assert (caught.value.expected, caught.value.actual) == (STREAM_EXISTS, 0)
    await log.append(STREAM, events(2), expected=NO_STREAM)
    assert (await log.append(STREAM, events(1), expected=STREAM_EXISTS)).version == 3


async def test_a_long_name_and_a_full_event_are_stored(log: EventLog) -> None:
    name = StreamId("Z\u00fc" * 170 + "xx")
    full = event(BotPaused(reason="x" * (EVENT_BYTES_MAX - 64)))
    await log.append(name, [full], expected=NO_STREAM)
    [found] = await log.read_stream(name)
    assert (found.stream, found.fact) == (name, full.fact)


async def test_what_is_too_large_is_refused(log: EventLog) -> None:
    """A8."""
    large = event(BotPaused(reason="x" * EVENT_BYTES_MAX))
    with pytest.raises(PayloadTooLarge, match="at most"):
        await log.append(STREAM, [large], expected=NO_STREAM)
    with pytest.raises(PayloadTooLarge, match="events in one append"):
        await log.append(STREAM, events(COMMAND_EVENTS_MAX + 1), expected=NO_STREAM)
    chunks = [event(BotPaused(reason="x" * (EVENT_BYTES_MAX - 64))) for _ in range(17)]
    with pytest.raises(PayloadTooLarge, match="an append of"):
        await log.append(STREAM, chunks, expected=NO_STREAM)
    assert await log.head() == 0


async def test_an_ended_stream_takes_no_more_events(log: EventLog) -> None:
    """A21."""
    end = [event(), event(StreamEnded(reason="gone"))]
    ended = await log.append(STREAM, end, expected=NO_STREAM)
    for expected in (ANY_VERSION, 2, 1, STREAM_EXISTS):
        with pytest.raises(StreamClosed) as caught:
            await log.append(STREAM, events(1), expected=expected)
        assert caught.value.stream == STREAM
    assert await log.append(STREAM, end, expected=NO_STREAM) == ended._replace(duplicate=True)
    assert (await log.append(OTHER, events(1), expected=NO_STREAM)).position == 3
    assert await stored(log) == [(1, STREAM, 1), (2, STREAM, 2), (3, OTHER, 1)]


async def test_a_stream_may_begin_with_its_end(log: EventLog) -> None:
    await log.append(STREAM, [event(StreamEnded())], expected=NO_STREAM)
    with pytest.raises(StreamClosed):
        await log.append(STREAM, events(1), expected=ANY_VERSION)


async def test_a_late_writer_conflicts_or_is_a_duplicate(log: EventLog) -> None:
    """A20: whoever was stopped for a while sends what he had decided before; others have gone on since."""
    known, unknown = events(1), events(1)
    first = await log.append(STREAM, known, expected=NO_STREAM)
    await log.append(STREAM, events(3), expected=1)
    assert await log.append(STREAM, known, expected=NO_STREAM) == first._replace(duplicate=True)
    with pytest.raises(WrongExpectedVersion) as caught:
        await log.append(STREAM, unknown, expected=1)
    assert caught.value.actual == 4
    assert await log.head() == 4


async def test_a_hot_stream_keeps_its_order_and_starves_nobody(log: EventLog) -> None:
    """A19: a thousand appends to one stream under way, and one to each of twenty others."""
    hot = [events(1) for _ in range(1000)]
    others = [StreamId(f"cold-{number}") for number in range(20)]
    async with asyncio.TaskGroup() as tasks:
        under_way = [tasks.create_task(log.append(STREAM, sent, expected=ANY_VERSION)) for sent in hot]
        cold = [tasks.create_task(log.append(name, events(1), expected=NO_STREAM)) for name in others]
    assert [task.result().version for task in cold] == [1] * 20
    found = await log.read_stream(STREAM)
    by_version = sorted((task.result().version, sent[0].event_id) for task, sent in zip(under_way, hot, strict=True))
    assert [(one.version, one.event_id) for one in found] == by_version
    assert [version for version, _ in by_version] == list(range(1, 1001))
    assert [position for position, *_ in await stored(log)] == list(range(1, 1021))
