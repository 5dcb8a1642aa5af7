"""The reads of the Postgres log: what is archived or missing, rare types, far times, and waiting without a hint."""

import asyncio
import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from msgspec.structs import replace

from events.bot import BotPaused, BotStarted
from events.codec import Codec, EventColumns
from events.encoded import EncodedCommand, EncodedEvent
from events.envelope import NewEvent
from events.errors import BelowFloor, LogDamaged
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION, NO_STREAM, AppendCommand
from events.postgres import PostgresEventLog
from events.postgres_reads import TYPES_WINDOW
from oxbot.adapters.database import open_pool
from tests.events.appending import STREAM, event, events, stored
from tests.partitions import fill, shrink_partitions

pytestmark = pytest.mark.anyio

OTHER = StreamId("bot-2")


@pytest.fixture
def log(pool: asyncpg.Pool) -> PostgresEventLog:
    """The log over the test's pool."""
    return PostgresEventLog(pool, Codec(), poll_seconds=0.05)


async def drop(pool: asyncpg.Pool, last: int) -> None:
    """Let the partitions up to this position go, as if they were archived."""
    for first in range(1, last, 100):
        await pool.execute("SELECT log.drop_archived($1, $2, 'none')", first, first + 99)


async def test_a_read_below_the_floor_names_it(log: PostgresEventLog, pool: asyncpg.Pool) -> None:
    """R17, below the API: never an empty success."""
    await shrink_partitions(pool)
    await fill(log, 250)
    await drop(pool, 200)
    reads = [
        log.read_all(),
        log.read_all(after_position=199),
        log.read_all(after_position=100, up_to=150),
        log.read_all(types=["bot.paused"]),
        log.read_all(types=["bot.paused"], up_to=100),
        log.read_stream(STREAM),
        log.read_stream(STREAM, up_to_position=100),
        log.position_at(datetime.now(UTC) - timedelta(days=1)),
    ]
    for read in reads:
        with pytest.raises(BelowFloor) as caught:
            await read
        assert caught.value.floor == 201
        assert caught.value.position < 201


class _LeavingLog(PostgresEventLog):
    """A log of 250 events whose first two hundred leave for an archive once a read of it has begun."""

    async def _recorded(self, positions: Sequence[int]) -> Sequence[asyncpg.Record]:
        """See ``PostgresLogReader``."""
        if await self._floor() == 1:
            await drop(self._pool, 200)
        return await super()._recorded(positions)

    async def _columns(self, statement: str, *arguments: object) -> EventColumns | None:
        """See ``PostgresLogReader``."""
        if await self._floor() == 1:
            await drop(self._pool, 200)
        return await super()._columns(statement, *arguments)


@pytest.mark.parametrize("read", ["types", "time"])
async def test_what_leaves_while_it_is_read_is_refused_and_not_passed_over(
    log: PostgresEventLog, pool: asyncpg.Pool, read: str
) -> None:
    await shrink_partitions(pool)
    await fill(log, 250)
    time = (await log.read_all())[100].recorded_at
    leaving = _LeavingLog(pool, Codec())
    async with asyncio.timeout(20):
        with pytest.raises(BelowFloor):
            await (leaving.read_all(types=["bot.paused"]) if read == "types" else leaving.position_at(time))


async def test_a_time_is_not_looked_for_in_a_hole_for_ever(log: PostgresEventLog, pool: asyncpg.Pool) -> None:
    for number in range(5):
        await log.append(STREAM, [event()], expected=number)
    time = (await log.read_all())[2].recorded_at
    await pool.execute("ALTER TABLE log.events_p1 DISABLE TRIGGER ALL; ALTER TABLE log.events DISABLE TRIGGER ALL")
    await pool.execute("DELETE FROM log.events WHERE position = 3")
    async with asyncio.timeout(20):
        with pytest.raises(LogDamaged, match="position 3"):
            await log.position_at(time)


async def test_what_is_above_the_floor_is_read(log: PostgresEventLog, pool: asyncpg.Pool) -> None:
    await shrink_partitions(pool)
    await fill(log, 250)
    everything = await log.read_all()
    kept = everything[200:]
    await drop(pool, 200)
    assert await log.head() == 250
    assert list(await log.read_all(after_position=200)) == list(kept)
    assert list(await log.read_all(after_position=200, types=["bot.paused"])) == list(kept)
    assert list(await log.read_all(after_position=230, up_to=200)) == []
    for stream in (STREAM, OTHER):
        own = [found for found in everything if found.stream == stream]
        first = next(found.version for found in own if found.position > 200)
        assert list(await log.read_stream(stream, after_version=first - 1)) == own[first - 1 :]
        assert list(await log.read_stream(stream, after_version=first, up_to_position=own[first - 1].position)) == []
        assert list(await log.read_stream(stream, after_version=len(own))) == []
    assert list(await log.read_stream(StreamId("nobody"))) == []
    assert await log.position_at(kept[0].recorded_at) >= 201


async def test_a_missing_event_is_never_passed_over(log: PostgresEventLog, pool: asyncpg.Pool) -> None:
    """A hole, which only a superuser can make, stops the reader in front of it."""
    await log.append(STREAM, events(6), expected=NO_STREAM)
    await pool.execute("ALTER TABLE log.events_p1 DISABLE TRIGGER USER")
    await pool.execute("DELETE FROM log.events_p1 WHERE position IN (1, 4)")
    with pytest.raises(LogDamaged, match="position 1 "):
        await log.read_all()
    with pytest.raises(LogDamaged, match="position 4 "):
        await log.read_all(after_position=1)
    with pytest.raises(LogDamaged, match="version 1 "):
        await log.read_stream(STREAM)
    with pytest.raises(LogDamaged, match="between 3 and 6"):
        await log.read_stream(STREAM, after_version=2)
    assert [found.position for found in await log.read_all(after_position=4)] == [5, 6]


async def test_an_event_without_its_stream_is_never_passed_over(log: PostgresEventLog, pool: asyncpg.Pool) -> None:
    await log.append(STREAM, events(2), expected=NO_STREAM)
    await pool.execute("ALTER TABLE log.streams DISABLE TRIGGER USER")
    await pool.execute("DELETE FROM log.streams")
    with pytest.raises(LogDamaged, match="stream number"):
        await log.read_all()


async def test_a_name_learnt_over_one_connection_is_not_believed_over_the_next(
    database: str, pool: asyncpg.Pool
) -> None:
    """A13, in part: a stand-in that lost the last commits may give a stream's number to another stream."""
    async with await open_pool(database, size=1, application_name="survivor") as single:
        survivor = PostgresEventLog(single, Codec())
        await survivor.append(STREAM, events(1), expected=NO_STREAM)
        assert await stored(survivor) == [(1, STREAM, 1)]
        await pool.execute("ALTER TABLE log.streams DISABLE TRIGGER USER")
        await pool.execute("UPDATE log.streams SET stream_id = 'bot-2'")
        await single.expire_connections()
        assert await stored(survivor) == [(1, OTHER, 1)]


async def test_a_rare_type_is_found_window_by_window(log: PostgresEventLog) -> None:
    """R19: two among many; no statement looks through more than a window, and none is missed at its edge."""
    await bulk(log, TYPES_WINDOW - 1)
    await log.append(OTHER, [rare(), rare()], expected=NO_STREAM)
    await bulk(log, 10)
    edge = [TYPES_WINDOW, TYPES_WINDOW + 1]

    async def positions(limit: int = 1000, after: int = 0) -> list[int]:
        found = await log.read_all(types=["bot.started"], after_position=after, limit=limit)
        return [one.position for one in found]

    assert await positions() == edge
    assert await positions(limit=1) == edge[:1]
    assert await positions(after=TYPES_WINDOW) == edge[1:]
    assert await positions(after=TYPES_WINDOW + 1) == []
    assert await log.position_at(datetime.now(UTC)) == TYPES_WINDOW + 11


def rare() -> NewEvent:
    """An event of a type that there is little of."""
    return NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotStarted())


async def bulk(log: PostgresEventLog, count: int) -> None:
    """So many events in one stream, with as little work as possible."""
    _, _, payload = Codec().encode(BotPaused())
    now = datetime.now(UTC)
    for begin in range(0, count, 5000):
        some = [
            EncodedEvent(new_event_id(), "bot.paused", 1, now, payload, b"\x80")
            for _ in range(min(5000, count - begin))
        ]
        await log.append_encoded([EncodedCommand(STREAM, ANY_VERSION, some)])


async def test_recorded_times_are_exact_to_the_microsecond(log: PostgresEventLog, pool: asyncpg.Pool) -> None:
    for number in range(50):
        await log.append(STREAM, events(1), expected=number)
    truth = [moment for (moment,) in await pool.fetch("SELECT recorded_at FROM log.events ORDER BY position")]
    assert [found.recorded_at for found in await log.read_all()] == truth
    assert [found.recorded_at for found in await log.read_stream(STREAM)] == truth


async def test_waiting_finds_events_without_any_hint(database: str) -> None:
    """R5: a pool of one connection cannot listen; polling finds the event all the same."""
    async with await open_pool(database, size=1, application_name="alone") as alone:
        log = PostgresEventLog(alone, Codec(), poll_seconds=0.02)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(log.wait_beyond(0, timeout_seconds=20))
            await asyncio.sleep(0.05)
            await log.append(STREAM, [event()], expected=NO_STREAM)
        assert waiting.result() == 1


async def test_waiting_finds_events_while_its_listener_is_dead_to_the_world(
    log: PostgresEventLog, database: str, pool: asyncpg.Pool
) -> None:
    """R5: the listening connection is up and silent, as a half-open socket is; the poll goes over another one."""
    async with await open_pool(database, size=3, application_name="half-open") as listeners:
        reader = PostgresEventLog(listeners, Codec(), poll_seconds=0.05)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(reader.wait_beyond(0, timeout_seconds=20))
            listening = "SELECT pid FROM pg_stat_activity WHERE application_name = 'half-open' AND query LIKE 'LISTEN%'"
            while (pid := await pool.fetchval(listening)) is None:
                await asyncio.sleep(0.01)
            os.kill(pid, signal.SIGSTOP)
            try:
                await log.append(STREAM, [event()], expected=NO_STREAM)
                await log.hint(1)
                async with asyncio.timeout(20):
                    while await reader.head() == 0:
                        await asyncio.sleep(0.01)
                await asyncio.sleep(0.2)
            finally:
                os.kill(pid, signal.SIGCONT)
        assert waiting.result() == 1


async def test_a_listener_that_is_dead_to_the_world_lets_its_waiter_go(database: str, pool: asyncpg.Pool) -> None:
    """R5: a wait ends at its time although the listening connection never answers again."""
    async with await open_pool(database, size=3, application_name="half-open") as listeners:
        reader = PostgresEventLog(listeners, Codec(), poll_seconds=0.05)
        waiting = asyncio.create_task(reader.wait_beyond(0, timeout_seconds=1))
        listening = "SELECT pid FROM pg_stat_activity WHERE application_name = 'half-open' AND query LIKE 'LISTEN%'"
        while (pid := await pool.fetchval(listening)) is None:
            await asyncio.sleep(0.01)
        os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(60):
                assert await waiting == 0
        finally:
            os.kill(pid, signal.SIGCONT)


async def test_a_connection_that_does_not_begin_to_listen_lets_its_waiter_go(database: str) -> None:
    async with await open_pool(database, size=3, application_name="deaf") as listeners:
        reader = PostgresEventLog(listeners, Codec(), poll_seconds=0.05)
        async with listeners.acquire() as connection:
            pid = connection.get_server_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(60):
                assert await reader.wait_beyond(0, timeout_seconds=1) == 0
        finally:
            os.kill(pid, signal.SIGCONT)


async def test_a_hint_wakes_a_waiter_before_its_poll(pool: asyncpg.Pool) -> None:
    log = PostgresEventLog(pool, Codec(), poll_seconds=20)
    async with asyncio.TaskGroup() as tasks:
        waiters = [tasks.create_task(log.wait_beyond(0, timeout_seconds=20)) for _ in range(3)]
        await asyncio.sleep(0.2)
        await log.append(STREAM, [event()], expected=NO_STREAM)
        async with asyncio.timeout(5):
            await log.hint(1)
            assert [await waiter for waiter in waiters] == [1, 1, 1]
    assert pool.get_idle_size() == pool.get_size()


async def test_waiting_survives_the_death_of_its_listening_connection(database: str, pool: asyncpg.Pool) -> None:
    """R6."""
    async with await open_pool(database, size=3, application_name="listeners") as listeners:
        log = PostgresEventLog(listeners, Codec(), poll_seconds=0.05)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(log.wait_beyond(0, timeout_seconds=20))
            await asyncio.sleep(0.2)
            await pool.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'listeners'"
            )
            await PostgresEventLog(pool, Codec()).append(STREAM, [event()], expected=NO_STREAM)
        assert waiting.result() == 1
        assert (await log.append(STREAM, [event()], expected=1)).version == 2


async def test_the_plans_made_on_an_empty_log_never_read_a_whole_table(database: str) -> None:
    """Appends and reads alike go by index, however much has come since their plans were made."""
    async with await open_pool(database, size=1, application_name="planner") as pool:
        log = PostgresEventLog(pool, Codec())
        for number in range(20):
            await log.append_batch([AppendCommand(StreamId(f"bot-{number}"), NO_STREAM, events(100))])
            await log.read_all(after_position=100 * number, limit=50)
            await log.read_stream(StreamId(f"bot-{number}"), after_version=50)
            await log.read_all(after_position=100 * number, types=["bot.started"])
        await pool.execute("SELECT pg_stat_force_next_flush()")
        counts = await pool.fetch(
            "SELECT relname, n_tup_ins, seq_tup_read FROM pg_stat_user_tables "
            "WHERE schemaname = 'log' AND n_tup_ins > 9"
        )
    assert sorted(tuple(row) for row in counts) == [("event_ids", 2000, 0), ("events_p1", 2000, 0), ("streams", 20, 0)]


async def test_any_time_that_postgres_keeps_is_read(log: PostgresEventLog) -> None:
    """The earliest and the latest, to the microsecond, and the infinities, which asyncpg makes of Python's extremes."""
    times = [
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime(2262, 4, 11, 23, 47, 16, 854775, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999998, tzinfo=UTC),
    ]
    sent = [replace(event(), occurred_at=at) for at in times]
    await log.append(STREAM, sent, expected=NO_STREAM)
    assert [found.occurred_at for found in await log.read_all()] == times
    extremes = [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]
    await log.append(OTHER, [replace(event(), occurred_at=at) for at in extremes], expected=NO_STREAM)
    assert [found.occurred_at for found in await log.read_stream(OTHER)] == extremes
