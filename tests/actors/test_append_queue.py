"""One writer merges what many callers append, and loses, doubles and reorders nothing of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from actors.append_queue import AppendQueue, Bounds
from events.bot import BotPaused
from events.codec import Codec
from events.encoded import EncodedCommand, encode_command
from events.envelope import NewEvent
from events.errors import Backpressure, LogUnavailable, WrongExpectedVersion
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION, Appended, Outcome
from events.memory import MemoryEventLog

pytestmark = pytest.mark.anyio

CODEC = Codec()


def command(stream: str, *, expected: int = ANY_VERSION) -> EncodedCommand:
    """One event for the stream."""
    event = NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotPaused(reason=stream))
    return encode_command(CODEC, StreamId(stream), [event], expected=expected)


class SlowLog:
    """A log that shows each batch it is given, and stores it when it is told to."""

    def __init__(self) -> None:
        self.log = MemoryEventLog(CODEC)
        self.batches: list[list[str]] = []
        self.hints: list[int] = []
        self.hinted = asyncio.Event()
        self.go = asyncio.Event()
        self.down = False

    async def send(self, commands: Sequence[EncodedCommand]) -> list[Outcome]:
        """See ``BatchLog.append_encoded``."""
        self.batches.append([command.stream for command in commands])
        await self.go.wait()
        if self.down:
            raise LogUnavailable("the database is down")
        return await self.log.append_encoded(commands)

    async def hint(self, position: int) -> None:
        """Note the hint."""
        self.hints.append(position)
        self.hinted.set()


@asynccontextmanager
async def at_work(slow: SlowLog, bounds: Bounds) -> AsyncIterator[AppendQueue]:
    queue = AppendQueue(slow.send, slow.hint, bounds)
    running = asyncio.create_task(queue.run())
    yield queue
    running.cancel()
    await asyncio.wait([running])


async def busy(queue: AppendQueue, slow: SlowLog) -> asyncio.Task[list[Outcome]]:
    """The append of a first batch, under way and stuck."""
    first = asyncio.create_task(queue.append([command("first")], size=1))
    await settled(lambda: len(slow.batches) == 1)
    return first


async def settled(happened: Callable[[], bool]) -> None:
    """Let every task run until it has to wait for another."""
    for _ in range(100):
        if happened():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


async def queued(queue: AppendQueue, *batches: Sequence[EncodedCommand]) -> list[asyncio.Task[list[Outcome]]]:
    """The appends of so many callers, in this order."""
    tasks = [asyncio.create_task(queue.append(batch, size=1)) for batch in batches]
    await asyncio.sleep(0)
    return tasks


async def test_what_waits_goes_out_as_one_batch_and_each_caller_hears_of_its_own() -> None:
    slow = SlowLog()
    async with at_work(slow, Bounds()) as queue:
        await busy(queue, slow)
        one, two = await queued(queue, [command("a"), command("b")], [command("c", expected=7), command("d")])
        slow.go.set()
        assert await one == [Appended(version=1, position=2), Appended(version=1, position=3)]
        conflict, stored = await two
    assert isinstance(conflict, WrongExpectedVersion)
    assert (conflict.stream, conflict.expected, conflict.actual) == ("c", 7, 0)
    assert stored == Appended(version=1, position=4)
    assert slow.batches == [["first"], ["a", "b", "c", "d"]]


async def test_two_appends_to_one_stream_keep_their_order_in_two_batches() -> None:
    slow = SlowLog()
    async with at_work(slow, Bounds()) as queue:
        await busy(queue, slow)
        tasks = await queued(
            queue,
            [command("a", expected=0)],
            [command("a", expected=1), command("b", expected=0)],
            [command("b", expected=1)],
            [command("c", expected=0)],
        )
        slow.go.set()
        outcomes = [outcome for task in tasks for outcome in await task]
    assert all(isinstance(outcome, Appended) for outcome in outcomes), outcomes
    assert slow.batches == [["first"], ["a", "c"], ["a", "b"], ["b"]]


async def test_a_batch_ends_at_its_bounds_and_the_rest_follows_in_order() -> None:
    slow = SlowLog()
    async with at_work(slow, Bounds(events=2)) as queue:
        await busy(queue, slow)
        streams = [("a", 0), ("a", 1), ("b", 0), ("a", 2), ("c", 0)]
        tasks = await queued(queue, *([command(name, expected=expected)] for name, expected in streams))
        slow.go.set()
        outcomes = [await task for task in tasks]
    assert all(isinstance(outcome, Appended) for [outcome] in outcomes), outcomes
    assert slow.batches == [["first"], ["a", "b"], ["a", "c"], ["a"]]


async def test_what_nobody_waits_for_any_more_is_not_sent() -> None:
    slow = SlowLog()
    async with at_work(slow, Bounds()) as queue:
        await busy(queue, slow)
        gone, here = await queued(queue, [command("gone")], [command("here")])
        gone.cancel()
        slow.go.set()
        await here
    assert slow.batches == [["first"], ["here"]]


async def test_what_has_waited_too_long_is_refused_and_not_sent() -> None:
    slow = SlowLog()
    async with at_work(slow, Bounds(wait_seconds=0.5)) as queue:
        first = await busy(queue, slow)
        late, *_ = await queued(queue, [command("late")])
        await asyncio.wait([late], timeout=0.6)
        slow.go.set()
        assert await first == [Appended(version=1, position=1)]
        with pytest.raises(Backpressure):
            await late
    assert slow.batches == [["first"]]


async def test_more_than_may_wait_is_refused_until_there_is_room() -> None:
    slow = SlowLog()
    async with at_work(slow, Bounds(waiting_bytes=10)) as queue:
        await busy(queue, slow)
        waiting = asyncio.create_task(queue.append([command("a")], size=8))
        await asyncio.sleep(0)
        with pytest.raises(Backpressure):
            await queue.append([command("b")], size=3)
        slow.go.set()
        await waiting
        slow.go.clear()
        third = asyncio.create_task(queue.append([command("c")], size=8))
        await settled(lambda: len(slow.batches) == 3)
        others = [asyncio.create_task(queue.append([command(name)], size=size)) for name, size in (("d", 8), ("e", 2))]
        await asyncio.sleep(0)
        slow.go.set()
        await asyncio.gather(third, *others)
    assert slow.batches == [["first"], ["a"], ["c"], ["d", "e"]]


async def test_a_batch_that_failed_is_answered_and_the_next_one_goes_out() -> None:
    slow = SlowLog()
    slow.down = True
    async with at_work(slow, Bounds()) as queue:
        first = await busy(queue, slow)
        slow.go.set()
        [outcome] = await first
        assert isinstance(outcome, LogUnavailable)
        slow.down = False
        assert await queue.append([command("a")], size=1) == [Appended(version=1, position=1)]


async def test_waiters_are_told_how_far_the_log_reaches() -> None:
    slow = SlowLog()
    slow.go.set()
    async with at_work(slow, Bounds(hint_seconds=0)) as queue:
        await queue.append([command("a"), command("b")], size=1)
        await slow.hinted.wait()
    assert slow.hints == [2]
