"""The Postgres log when the wire is cut, the lock's holder hangs, the disk is full, or the server dies."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import psutil
import pytest
import stamina

from events.codec import Codec
from events.commit import GroupCommitLog
from events.envelope import RecordedEvent
from events.errors import LogError, LogUnavailable
from events.identifiers import StreamId
from events.log import ANY_VERSION, NO_STREAM, Appended
from events.postgres import PostgresEventLog
from events.subscription import subscribe
from oxbot.adapters import embedded_postgres
from oxbot.adapters.database import open_pool
from oxbot.adapters.migrations import migrate
from tests.events.appending import (
    LOCK_KEY,
    STREAM,
    blocked,
    change_append,
    event,
    events,
    faults,
    kill_backends,
    stored,
    write,
)
from tests.events.wire import Cut, wired

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("cut", ["question", "answer"])
async def test_an_append_cut_off_before_or_after_its_commit_is_stored_once(
    database: str, pool: asyncpg.Pool, cut: Cut
) -> None:
    """A5: only the retry with the same ids knows which of the two it was."""
    async with wired(database) as (wire, dsn), await open_pool(dsn, size=1, application_name="wired") as through:
        log = PostgresEventLog(through, Codec())
        await log.append(STREAM, events(2), expected=NO_STREAM)
        wire.cut = cut
        appended = await log.append(STREAM, events(2), expected=2)
        assert wire.cuts == 1
    assert appended == Appended(version=4, position=4, duplicate=cut == "answer")
    assert await stored(PostgresEventLog(pool, Codec())) == [(number, STREAM, number) for number in range(1, 5)]


@pytest.mark.parametrize("cut", ["question", "answer"])
async def test_an_append_that_is_cut_off_for_good_is_of_unknown_outcome(database: str, cut: Cut) -> None:
    """A5: past the deadline the caller hears just that, and his own retry tells."""
    async with wired(database) as (wire, dsn), await open_pool(dsn, size=1, application_name="wired") as through:
        log = PostgresEventLog(through, Codec(), deadline_seconds=0.2)
        await log.append(STREAM, events(1), expected=NO_STREAM)
        sent = events(1)
        wire.cut, wire.down_next = cut, True
        with pytest.raises(LogUnavailable):
            await log.append(STREAM, sent, expected=1)
        wire.down = False
        assert await log.head() == (1 if cut == "question" else 2)
        assert await log.append(STREAM, sent, expected=1) == Appended(2, 2, duplicate=cut == "answer")


async def test_killed_connections_neither_lose_nor_repeat_an_event(database: str, pool: asyncpg.Pool) -> None:
    """A5, over and over."""
    async with await open_pool(database, size=4, application_name="victims") as victims:
        log = PostgresEventLog(victims, Codec())
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            killing = tasks.create_task(kill_backends(pool, "victims", stop))
            async with asyncio.TaskGroup() as writing:
                for number in range(4):
                    writing.create_task(write(log, StreamId(f"bot-{number}"), 60))
            stop.set()
    assert killing.result() > 0
    held = await stored(PostgresEventLog(pool, Codec()))
    assert faults(held, held) == []
    assert len(held) == 4 * sum(1 + number % 3 for number in range(60))


async def test_an_append_that_never_gets_through_ends_as_unavailable(database: str, pool: asyncpg.Pool) -> None:
    """A10: another session holds the log's lock; appends give up at their deadline and store nothing."""
    holder = await asyncpg.connect(database)
    await holder.execute(f"SELECT pg_advisory_lock({LOCK_KEY})")
    log = PostgresEventLog(pool, Codec(), deadline_seconds=0.3)
    async with pool.acquire() as connection:
        await connection.execute("SET lock_timeout = '50ms'")
    with pytest.raises(LogUnavailable, match="LockNotAvailable"):
        await log.append(STREAM, [event()], expected=NO_STREAM)
    await holder.close()
    assert await log.head() == 0


async def test_appends_go_on_once_a_hanging_holder_of_the_lock_is_gone(database: str, pool: asyncpg.Pool) -> None:
    """A10: idle in its transaction, the holder is ended by the server, and what waited is stored."""
    holder = await asyncpg.connect(database)
    await holder.execute(
        f"SET idle_in_transaction_session_timeout = '500ms'; BEGIN; SELECT pg_advisory_xact_lock({LOCK_KEY})"
    )
    async with pool.acquire() as connection:
        await connection.execute("SET lock_timeout = '50ms'")
    log = PostgresEventLog(pool, Codec())
    assert (await log.append(STREAM, [event()], expected=NO_STREAM)).position == 1
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await holder.fetchval("SELECT 1")
    await holder.close()


async def test_appends_go_on_once_a_stopped_holder_of_the_lock_continues(database: str, pool: asyncpg.Pool) -> None:
    """A10: the holder's own process is stopped; nothing is stored twice when it goes on."""
    async with await open_pool(database, size=1, application_name="stopped") as single:
        frozen, log = PostgresEventLog(single, Codec()), PostgresEventLog(pool, Codec())
        pid = await single.fetchval("SELECT pg_backend_pid()")
        holder = await asyncpg.connect(database)
        await holder.execute(f"BEGIN; SELECT pg_advisory_xact_lock({LOCK_KEY})")
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(frozen.append(StreamId("frozen"), [event()], expected=NO_STREAM))
            await blocked(pool)
            os.kill(pid, signal.SIGSTOP)
            try:
                await holder.close()
                other = tasks.create_task(log.append(STREAM, [event()], expected=NO_STREAM))
                await asyncio.sleep(0.3)
                assert not waiting.done()
            finally:
                os.kill(pid, signal.SIGCONT)
    assert sorted([waiting.result().position, other.result().position]) == [1, 2]
    assert len(await stored(log)) == 2


async def test_a_server_process_that_answers_nothing_holds_an_append_up_for_a_while_only(
    database: str, pool: asyncpg.Pool
) -> None:
    """A10: the append's own server process is stopped and never acknowledges anything; another one takes over."""
    async with await open_pool(database, size=1, application_name="stopped") as single:
        pid = await single.fetchval("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGSTOP)
        try:
            log = PostgresEventLog(single, Codec(), deadline_seconds=1)
            with suppress(LogUnavailable):
                async with asyncio.timeout(20):
                    await log.append(STREAM, [event()], expected=NO_STREAM)
            async with asyncio.timeout(20):
                await log.append(STREAM, [event()], expected=ANY_VERSION)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert await PostgresEventLog(pool, Codec()).head() >= 1


async def test_a_full_disk_gives_no_answer_and_appends_go_on_when_there_is_room(
    database: str, pool: asyncpg.Pool
) -> None:
    """A12, as the server says it (SQLSTATE 53100), once nothing and once the position is taken."""
    full = "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';"
    before = await change_append(database, {"IF base IS NULL THEN": f"{full} IF base IS NULL THEN"})
    log = PostgresEventLog(pool, Codec(), deadline_seconds=0.2)
    sent = events(2)
    with pytest.raises(LogUnavailable, match="DiskFull"):
        await log.append(STREAM, sent, expected=NO_STREAM)
    assert await log.head() == 0
    patient = PostgresEventLog(pool, Codec())
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(patient.append(STREAM, sent, expected=NO_STREAM))
        await asyncio.sleep(0.2)
        await pool.execute(before)
    assert waiting.result() == Appended(version=2, position=2)
    assert await stored(log) == [(1, STREAM, 1), (2, STREAM, 2)]


@pytest.fixture
async def server() -> AsyncIterator[tuple[Path, str]]:
    """The directory and the connection string of a migrated server of the test's own, which it may kill."""
    with TemporaryDirectory(prefix="oxbot-", ignore_cleanup_errors=True) as directory:
        data = Path(directory) / "postgres"
        try:
            dsn = await asyncio.to_thread(embedded_postgres.start, data)
            connection = await asyncpg.connect(dsn)
            await migrate(connection)
            await connection.close()
            yield data, dsn
        finally:
            await asyncio.to_thread(embedded_postgres.stop, data)


@pytest.fixture
def without_warnings() -> Iterator[None]:
    """Nothing but repeated calls; telling of each would hide what else there is to say."""
    hooks = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks(())
    yield
    stamina.instrumentation.set_on_retry_hooks(hooks)


def kill_server(data: Path) -> None:
    """End every process of the server at once, with no chance to write anything."""
    postmaster = psutil.Process(int((data / "postmaster.pid").read_text().split("\n", 1)[0]))
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=10)


async def follow(log: PostgresEventLog, count: int) -> list[RecordedEvent]:
    """The first so many events, followed from the first one on."""
    found: list[RecordedEvent] = []
    async for one in subscribe(log):
        if isinstance(one, RecordedEvent):
            found.append(one)
            if len(found) == count:
                return found
    raise AssertionError("a subscription has no end")


@pytest.mark.usefixtures("without_warnings")
async def test_a_killed_server_loses_nothing_that_was_acknowledged(server: tuple[Path, str]) -> None:
    """A11, R14: writers and a reader go on through it; what is stored is what was acknowledged, in order."""
    data, dsn = server
    async with await open_pool(dsn, size=4, application_name="writers") as pool:
        log = PostgresEventLog(pool, Codec(), deadline_seconds=60)
        async with GroupCommitLog(log, Codec()) as grouped, asyncio.TaskGroup() as tasks:
            writing = [tasks.create_task(write(grouped, StreamId(f"bot-{n}"), 400)) for n in range(8)]
            following = tasks.create_task(follow(log, 8 * sum(1 + n % 3 for n in range(400))))
            while await log.head() < 200:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(kill_server, data)
            await asyncio.to_thread(embedded_postgres.start, data)
        held = await stored(log)
        assert len({one.event_id for one in following.result()}) == len(held)
        assert [(one.position, one.stream, one.version) for one in following.result()] == held
        assert faults(held, held) == []
        assert [position for position, *_ in held] == list(range(1, len(held) + 1))
        assert [sum(stream == f"bot-{n}" for _, stream, _ in held) for n in range(8)] == [
            task.result() for task in writing
        ]


async def test_a_burst_is_all_answered_over_few_connections(database: str, pool: asyncpg.Pool) -> None:
    """A17: five thousand bots at once, two connections, a short queue; each hears whether it is stored."""
    async with await open_pool(database, size=2, application_name="burst") as few:
        log = PostgresEventLog(few, Codec())
        async with GroupCommitLog(log, Codec(), queue_max=200, wait_seconds=0.3) as grouped:
            burst = [grouped.append(StreamId(f"bot-{n}"), [event()], expected=ANY_VERSION) for n in range(5000)]
            answers = await asyncio.gather(*burst, return_exceptions=True)
        backends = await pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'burst'")
    assert backends <= 2
    kinds = {type(answer).__name__ for answer in answers}
    assert kinds <= {"Appended", "Backpressure"}
    acknowledged = {answer.position for answer in answers if isinstance(answer, Appended)}
    assert len(acknowledged) > 0
    assert not any(isinstance(answer, LogError) and "unknown" in str(answer) for answer in answers)
    assert {position for position, *_ in await stored(PostgresEventLog(pool, Codec()))} == acknowledged
