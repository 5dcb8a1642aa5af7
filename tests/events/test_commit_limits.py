"""Group commit at its limits: a full queue, a long wait, a batch too large, a shutdown with work under way."""

import asyncio
from collections.abc import Sequence

import pytest

from events.codec import Codec
from events.commit import GroupCommitLog
from events.errors import Backpressure, InvalidAppend, LogClosed, LogUnavailable
from events.identifiers import StreamId
from events.log import ANY_VERSION, NO_STREAM, Appended
from tests.events.appending import event, events
from tests.events.gated import GatedLog, settle

pytestmark = pytest.mark.anyio


def begin(log: GroupCommitLog, *names: str, reason: str = "") -> list[asyncio.Future[Appended]]:
    """Begin an append to each of these streams."""
    return [asyncio.ensure_future(log.append(StreamId(name), [event(reason)], expected=ANY_VERSION)) for name in names]


async def kinds(appends: Sequence[asyncio.Future[Appended]]) -> list[str]:
    """What became of each of them."""
    return [type(answer).__name__ for answer in await asyncio.gather(*appends, return_exceptions=True)]


async def test_whoever_finds_no_room_in_time_is_turned_away() -> None:
    """A17: the queue is bounded, and so is the wait for a place in it."""
    log = GatedLog()
    async with GroupCommitLog(log, Codec(), queue_max=2, wait_seconds=0.05) as grouped:
        inside = begin(grouped, "a", "b")
        await settle()
        outside = begin(grouped, "c", "d")
        assert await kinds(outside) == ["Backpressure"] * 2
        log.gate.set()
        answers = await kinds(inside)
    assert answers[0] == "Appended"
    assert [found.stream for found in await log.read_all()][:1] == ["a"]
    assert not {"c", "d"} & {found.stream for found in await log.read_all()}


async def test_whoever_waits_too_long_behind_others_is_not_sent() -> None:
    log = GatedLog()
    async with GroupCommitLog(log, Codec(), wait_seconds=0.05) as grouped:
        [first] = begin(grouped, "a")
        await settle()
        [second] = begin(grouped, "b")
        await asyncio.sleep(0.1)
        third, fourth = begin(grouped, "b", "c")
        log.gate.set()
        with pytest.raises(Backpressure, match="nothing was stored"):
            await second
        assert [(await one).version for one in (first, third, fourth)] == [1, 1, 1]
    assert log.batches == [["a"], ["b", "c"]]


async def test_room_is_found_again_after_a_refusal() -> None:
    log = GatedLog()
    log.gate.set()
    async with GroupCommitLog(log, Codec(), queue_max=1) as grouped:
        for _ in range(3):
            with pytest.raises(InvalidAppend):
                await grouped.append(StreamId("a"), [], expected=NO_STREAM)
            assert await kinds(begin(grouped, "a")) == ["Appended"]


async def test_a_fact_that_cannot_be_encoded_fails_alone_and_at_once() -> None:
    log = GatedLog()
    async with GroupCommitLog(log, Codec()) as grouped:
        [good] = begin(grouped, "a")
        [bad] = begin(grouped, "b", reason="\ud800")
        with pytest.raises(InvalidAppend, match="encoded"):
            await bad
        log.gate.set()
        assert (await good).position == 1


async def test_a_batch_holds_at_most_so_many_bytes() -> None:
    log = GatedLog()
    async with GroupCommitLog(log, Codec(), bytes_max=2500) as grouped:
        first = begin(grouped, "first")
        await settle()
        rest = begin(grouped, "a", "b", "c", "d", reason="x" * 1000)
        rest += begin(grouped, "large", reason="x" * 9000)
        await settle()
        log.gate.set()
        assert await kinds([*first, *rest]) == ["Appended"] * 6
    assert log.batches == [["first"], ["a", "b"], ["c", "d"], ["large"]]


async def test_a_writer_that_lingers_sends_what_comes_meanwhile_together() -> None:
    log = GatedLog()
    log.gate.set()
    async with GroupCommitLog(log, Codec(), linger_seconds=0.05) as grouped:
        first = begin(grouped, "a")
        await asyncio.sleep(0.01)
        second = begin(grouped, "b")
        assert await kinds([*first, *second]) == ["Appended"] * 2
    assert log.batches == [["a", "b"]]


async def test_a_writer_lingers_no_longer_once_its_batch_is_full() -> None:
    log = GatedLog()
    log.gate.set()
    async with GroupCommitLog(log, Codec(), linger_seconds=60, events_max=3) as grouped, asyncio.timeout(20):
        assert await kinds(begin(grouped, "a", "b", "c")) == ["Appended"] * 3
        last = begin(grouped, "d")
        await settle()
        grouped.close()
        assert await kinds(last) == ["Appended"]
    assert log.batches == [["a", "b", "c"], ["d"]]


async def test_what_is_under_way_at_the_end_of_the_grace_time_is_of_unknown_outcome() -> None:
    """A22: what is on its way is reported unknown, what is still queued as not stored, and nobody waits longer."""
    log = GatedLog()
    async with GroupCommitLog(log, Codec(), grace_seconds=0.05) as grouped:
        [under_way] = begin(grouped, "a")
        await settle()
        [queued] = begin(grouped, "b")
        await settle()
    with pytest.raises(LogUnavailable, match="unknown"):
        await under_way
    with pytest.raises(LogClosed, match="nothing was stored"):
        await queued
    assert log.batches == [["a"]]


async def test_what_can_be_stored_within_the_grace_time_is() -> None:
    """A22."""
    log = GatedLog()
    async with GroupCommitLog(log, Codec(), grace_seconds=30) as grouped:
        appends = begin(grouped, "a", "b", "a")
        await settle()
        asyncio.get_running_loop().call_later(0.05, log.gate.set)
    assert await kinds(appends) == ["Appended"] * 3
    with pytest.raises(LogClosed):
        await grouped.append(StreamId("a"), events(1), expected=ANY_VERSION)


async def test_a_cancelled_writer_answers_everyone_at_once() -> None:
    """A22: a process that is told to stop now."""
    log = GatedLog()
    grouped = GroupCommitLog(log, Codec())
    running = asyncio.ensure_future(grouped.run())
    [under_way] = begin(grouped, "a")
    await settle()
    [queued] = begin(grouped, "b")
    await settle()
    running.cancel()
    assert await kinds([under_way, queued]) == ["LogUnavailable", "LogClosed"]
    with pytest.raises(asyncio.CancelledError):
        await running
