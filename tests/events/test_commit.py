"""Group commit: what is queued goes out together, each command gets its own answer, nobody waits for the cancelled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from events.codec import Codec
from events.commit import GroupCommitLog
from events.errors import InvalidAppend, LogClosed, LogUnavailable, WrongExpectedVersion
from events.identifiers import StreamId
from events.log import ANY_VERSION, NO_STREAM, Appended
from events.postgres import PostgresEventLog
from tests.events.appending import event
from tests.events.gated import GatedLog, settle

pytestmark = pytest.mark.anyio


class Fleet:
    """A group-commit log and the appends that were asked of it."""

    def __init__(self, log: GroupCommitLog, tasks: asyncio.TaskGroup) -> None:
        self.log = log
        self._tasks = tasks

    async def append(self, name: str, *, expected: int = ANY_VERSION, events: int = 1) -> asyncio.Task[Appended]:
        """Begin an append and let it get as far as the queue."""
        append = self.log.append(StreamId(name), [event() for _ in range(events)], expected=expected)
        task = self._tasks.create_task(append)
        await settle()
        return task


@asynccontextmanager
async def fleet(
    log: GatedLog, *, events_max: int = 1000, commands_max: int = 500, queue_max: int = 100
) -> AsyncIterator[Fleet]:
    """A running group commit over the gated log."""
    async with (
        GroupCommitLog(log, Codec(), events_max=events_max, commands_max=commands_max, queue_max=queue_max) as grouped,
        asyncio.TaskGroup() as tasks,
    ):
        yield Fleet(grouped, tasks)


async def test_what_is_queued_during_a_commit_goes_out_as_one_batch() -> None:
    log = GatedLog()
    async with fleet(log) as running:
        for name in ("a", "b", "c", "d"):
            await running.append(name)
        assert log.batches == [["a"]]
        log.gate.set()
    assert log.batches == [["a"], ["b", "c", "d"]]


async def test_each_command_of_a_batch_gets_its_own_result() -> None:
    log = GatedLog()
    async with fleet(log) as running:
        first = await running.append("a", expected=NO_STREAM, events=2)
        second = await running.append("b", expected=NO_STREAM)
        conflicting = asyncio.ensure_future(running.log.append(StreamId("c"), [event()], expected=5))
        third = await running.append("d", expected=NO_STREAM)
        log.gate.set()
        with pytest.raises(WrongExpectedVersion) as caught:
            await conflicting
    assert caught.value.actual == 0
    assert [task.result().position for task in (first, second, third)] == [2, 3, 4]


async def test_commands_of_one_stream_keep_their_order_in_different_batches() -> None:
    log = GatedLog()
    async with fleet(log) as running:
        await running.append("z")
        appends = [await running.append("a", expected=version) for version in range(3)]
        await running.append("b")
        log.gate.set()
    assert log.batches == [["z"], ["a", "b"], ["a"], ["a"]]
    assert [task.result().version for task in appends] == [1, 2, 3]


async def test_a_busy_stream_does_not_starve_the_others() -> None:
    log = GatedLog()
    async with fleet(log, commands_max=1) as running:
        for name in ("a", "a", "a", "b"):
            await running.append(name)
        log.gate.set()
    assert log.batches == [["a"], ["a"], ["b"], ["a"]]


async def test_a_batch_holds_at_most_so_many_commands_and_events() -> None:
    log = GatedLog()
    async with fleet(log, commands_max=3, events_max=4) as running:
        await running.append("first")
        for name, events in (("a", 1), ("b", 1), ("c", 1), ("d", 2), ("e", 2), ("f", 9), ("g", 1)):
            await running.append(name, events=events)
        log.gate.set()
    assert log.batches == [["first"], ["a", "b", "c"], ["d", "e"], ["f"], ["g"]]


async def test_a_full_queue_makes_the_next_append_wait() -> None:
    log = GatedLog()
    async with fleet(log, queue_max=2) as running:
        for name in ("a", "b", "c", "d"):
            await running.append(name)
        log.gate.set()
    assert log.batches == [["a"], ["b"], ["c", "d"]]


async def test_a_cancelled_append_that_is_still_queued_is_not_sent_and_disturbs_nobody() -> None:
    log = GatedLog()
    async with fleet(log) as running:
        await running.append("a")
        cancelled = await running.append("b")
        other = await running.append("c")
        cancelled.cancel()
        await settle()
        log.gate.set()
    assert log.batches == [["a"], ["c"]]
    assert other.result().position == 2


async def test_an_append_cancelled_on_its_way_is_stored_and_disturbs_nobody() -> None:
    log = GatedLog()
    async with fleet(log) as running:
        cancelled = await running.append("a", expected=NO_STREAM)
        cancelled.cancel()
        other = await running.append("b", expected=NO_STREAM)
        log.gate.set()
    assert other.result().position == 2
    assert [found.stream for found in await log.read_all()] == ["a", "b"]


async def test_closing_answers_what_is_queued_and_refuses_the_rest() -> None:
    log = GatedLog()
    async with fleet(log, queue_max=3) as running:
        appends = [await running.append(name) for name in ("a", "b", "c")]
        late = asyncio.ensure_future(running.log.append(StreamId("d"), [event()], expected=ANY_VERSION))
        await settle()
        running.log.close()
        log.gate.set()
        with pytest.raises(LogUnavailable, match="nothing was stored"):
            await late
    assert [task.result().position for task in appends] == [1, 2, 3]
    with pytest.raises(LogUnavailable):
        await running.log.append(StreamId("e"), [event()], expected=ANY_VERSION)


async def test_an_error_of_the_caller_still_drains_the_queue() -> None:
    log = GatedLog()
    log.gate.set()
    grouped = GroupCommitLog(log, Codec())
    appends: list[asyncio.Future[Appended]] = []

    async def fail() -> None:
        async with grouped:
            appends.append(asyncio.ensure_future(grouped.append(StreamId("a"), [event()], expected=NO_STREAM)))
            await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (await appends[0]).position == 1


async def test_a_log_that_is_unavailable_fails_the_batch_and_serves_the_next() -> None:
    log = GatedLog()
    log.gate.set()
    log.failure = LogUnavailable("no answer")
    async with GroupCommitLog(log, Codec()) as grouped:
        with pytest.raises(LogUnavailable, match="no answer"):
            await grouped.append(StreamId("a"), [event()], expected=NO_STREAM)
        log.failure = None
        assert (await grouped.append(StreamId("a"), [event()], expected=NO_STREAM)).version == 1


async def test_a_bug_in_the_log_ends_the_writer_and_answers_everyone() -> None:
    log = GatedLog()
    log.failure = ZeroDivisionError()
    grouped = GroupCommitLog(log, Codec())
    running = asyncio.ensure_future(grouped.run())
    appends = [
        asyncio.ensure_future(grouped.append(StreamId(name), [event()], expected=NO_STREAM)) for name in ("a", "b")
    ]
    await settle()
    late = asyncio.ensure_future(grouped.append(StreamId("c"), [event()], expected=NO_STREAM))
    await settle()
    log.gate.set()
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(ZeroDivisionError)
    answers = await asyncio.gather(*appends, late, return_exceptions=True)
    assert [type(answer) for answer in answers] == [LogUnavailable, LogUnavailable, LogClosed]


async def test_an_append_that_cannot_be_is_refused_before_it_is_queued() -> None:
    log = GatedLog()
    log.gate.set()
    async with GroupCommitLog(log, Codec()) as grouped:
        with pytest.raises(InvalidAppend):
            await grouped.append(StreamId("a"), [], expected=NO_STREAM)
    assert log.batches == []


async def test_hints_are_few_and_the_last_position_is_always_told() -> None:
    log = GatedLog()
    log.gate.set()
    async with GroupCommitLog(log, Codec(), hints_per_second_max=20) as grouped:
        for version in range(50):
            await grouped.append(StreamId("a"), [event()], expected=version)
    assert log.hints[-1] == 50
    assert len(log.hints) < 10


async def test_a_waiter_in_another_process_is_woken_by_the_hint(pool: asyncpg.Pool) -> None:
    """Long before its own poll, by a NOTIFY sent after the commit."""
    elsewhere = PostgresEventLog(pool, Codec(), poll_seconds=20)
    async with GroupCommitLog(PostgresEventLog(pool, Codec()), Codec()) as grouped, asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(elsewhere.wait_beyond(0, timeout_seconds=20))
        await asyncio.sleep(0.2)
        await grouped.append(StreamId("a"), [event()], expected=NO_STREAM)
        async with asyncio.timeout(5):
            assert await waiting == 1


async def test_many_bots_share_few_commits(pool: asyncpg.Pool) -> None:
    """Forty-eight bots of five appends each cost far fewer transactions than appends."""
    log = PostgresEventLog(pool, Codec())
    before = await pool.fetchval("SELECT pg_current_xact_id()::text::bigint")

    async def bot(name: str) -> None:
        for version in range(5):
            await grouped.append(StreamId(name), [event()], expected=version)

    async with GroupCommitLog(log, Codec()) as grouped:
        await asyncio.gather(*(bot(f"bot-{number}") for number in range(48)))
    after = await pool.fetchval("SELECT pg_current_xact_id()::text::bigint")
    assert await log.head() == 240
    assert after - before < 60
