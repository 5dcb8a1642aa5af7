"""The Postgres log under many writers, lost connections, bad data and attempts to change what was recorded."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from itertools import pairwise

import asyncpg
import pytest

from events.bot import BotPaused
from events.codec import Codec
from events.envelope import NewEvent
from events.errors import InvalidAppend, LogError, LogUnavailable
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION, NO_STREAM, AppendCommand, Appended
from events.postgres import APPEND, PostgresEventLog
from oxbot.adapters.database import open_pool

pytestmark = pytest.mark.anyio

STREAM = StreamId("bot-1")
WRITERS = 16
LOCK_LINE = "    PERFORM pg_advisory_xact_lock(6039475301852);\n"
BASE_LINE = "    SELECT coalesce(max(e.position), 0) INTO base FROM log.events AS e;\n"

Delivery = tuple[int, StreamId, int]


def event(reason: str = "") -> NewEvent:
    """A new event with an id of its own."""
    return NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotPaused(reason=reason))


def faults(delivered: Sequence[Delivery], stored: Sequence[Delivery]) -> list[str]:
    """What a reader that follows positions got wrong: events missed, repeated, or out of order in their stream."""
    found = [f"missed {missing}" for missing in sorted(set(stored) - set(delivered))]
    found += [f"position {right} after {left}" for (left, *_), (right, *_) in pairwise(delivered) if right <= left]
    versions: dict[StreamId, int] = {}
    for position, stream, version in delivered:
        if version != versions.get(stream, 0) + 1:
            found.append(f"{stream} version {version} at {position} after {versions.get(stream, 0)}")
        versions[stream] = version
    return found


async def follow(log: PostgresEventLog, done: asyncio.Event) -> list[Delivery]:
    """Everything that reading on from the last position delivers, until the writers are done and nothing is left."""
    delivered: list[Delivery] = []
    while True:
        finished = done.is_set()
        position = delivered[-1][0] if delivered else 0
        page = await log.read_all(after_position=position, limit=200)
        delivered += [(found.position, found.stream, found.version) for found in page]
        if finished and not page:
            return delivered


async def write(log: PostgresEventLog, stream: StreamId, appends: int) -> None:
    """Append one to three events at a time to a stream of one's own."""
    version = 0
    for number in range(appends):
        appended = await log.append(stream, [event() for _ in range(1 + number % 3)], expected=version)
        version = appended.version


async def race(database: str, appends: int) -> tuple[list[Delivery], list[Delivery]]:
    """What a tailing reader was delivered while sixteen writers, a connection each, appended; and what is stored."""
    async with (
        await open_pool(database, size=WRITERS, application_name="writers") as writers,
        await open_pool(database, size=1, application_name="reader") as readers,
    ):
        writer, reader = PostgresEventLog(writers, Codec()), PostgresEventLog(readers, Codec())
        done = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(follow(reader, done))
            async with asyncio.TaskGroup() as writing:
                for number in range(WRITERS):
                    writing.create_task(write(writer, StreamId(f"bot-{number}"), appends))
            done.set()
        stored = [(found.position, found.stream, found.version) for found in await reader.read_all(limit=100_000)]
    return following.result(), stored


async def test_a_reader_by_position_misses_nothing_while_sixteen_write(database: str) -> None:
    delivered, stored = await race(database, appends=60)
    assert faults(delivered, stored) == []
    assert [position for position, *_ in stored] == list(range(1, len(stored) + 1))
    assert len(stored) == WRITERS * sum(1 + number % 3 for number in range(60))


async def test_the_same_check_fails_without_the_lock(database: str) -> None:
    """Positions from a sequence and no lock, as a naive store has it, lose events: the check above can fail."""
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE SEQUENCE log.naive INCREMENT 1000")
    await connection.execute(naive_append())
    await connection.close()
    found: list[str] = []
    for _ in range(5):
        delivered, stored = await race(database, appends=40)
        found = faults(delivered, stored)
        if found:
            break
        await forget(database)
    assert any(fault.startswith("missed") for fault in found)


def naive_append() -> str:
    """``log.append`` with its lock line removed and its positions drawn from a sequence."""
    source = (files("events") / "sql" / "0001_log.sql").read_text()
    function = re.search(r"CREATE FUNCTION log\.append\(.*?\n\$\$;\n", source, re.DOTALL)
    assert function is not None
    text = function[0]
    assert text.count(LOCK_LINE) == 1
    assert text.count(BASE_LINE) == 1
    naive = text.replace(LOCK_LINE, "").replace(BASE_LINE, "    base := nextval('log.naive');\n")
    return naive.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


async def forget(database: str) -> None:
    """Empty the log, as only the owner who disables its triggers can."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        "ALTER TABLE log.events DISABLE TRIGGER USER; ALTER TABLE log.streams DISABLE TRIGGER USER;"
        "TRUNCATE log.events, log.streams;"
        "ALTER TABLE log.streams ENABLE ALWAYS TRIGGER streams_follow_events"
    )
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log.events SET payload = ''",
        "DELETE FROM log.events",
        "TRUNCATE log.events",
        "TRUNCATE log.events, log.streams",
        "UPDATE log.streams SET version = 9",
        "DELETE FROM log.streams",
        "TRUNCATE log.streams CASCADE",
        "INSERT INTO log.events SELECT * FROM log.events ON CONFLICT (position) DO UPDATE SET payload = ''",
        "SET session_replication_role = replica; DELETE FROM log.events",
    ],
)
async def test_what_was_recorded_cannot_be_changed(pool: asyncpg.Pool, statement: str) -> None:
    log = PostgresEventLog(pool, Codec())
    await log.append(STREAM, [event()], expected=NO_STREAM)
    before = await log.read_all()
    with pytest.raises(asyncpg.RestrictViolationError, match="refused"):
        await pool.execute(statement)
    assert await log.read_all() == before


async def test_killed_connections_neither_lose_nor_repeat_an_event(database: str, pool: asyncpg.Pool) -> None:
    """Appends whose backends are terminated are sent again with the same ids, and are stored once."""
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
    stored = await PostgresEventLog(pool, Codec()).read_all(limit=10_000)
    assert faults([(found.position, found.stream, found.version) for found in stored], []) == []
    assert len(stored) == 4 * sum(1 + number % 3 for number in range(60))


async def kill_backends(pool: asyncpg.Pool, application_name: str, stop: asyncio.Event) -> int:
    """Terminate the application's connections every few milliseconds; answer how many died."""
    killed = 0
    while not stop.is_set():
        killed += await pool.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1",
            application_name,
        )
        await asyncio.sleep(0.05)
    return killed


async def test_an_append_that_never_gets_through_ends_as_unavailable(database: str, pool: asyncpg.Pool) -> None:
    """Another session holds the log's lock; appends give up at their deadline and store nothing."""
    holder = await asyncpg.connect(database)
    await holder.execute("SELECT pg_advisory_lock(6039475301852)")
    await pool.execute("SELECT 1")
    log = PostgresEventLog(pool, Codec(), deadline_seconds=0.3)
    async with pool.acquire() as connection:
        await connection.execute("SET lock_timeout = '50ms'")
    with pytest.raises(LogUnavailable):
        await log.append(STREAM, [event()], expected=NO_STREAM)
    await holder.close()
    assert await log.head() == 0


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_append_refuses_other_isolation_than_read_committed(pool: asyncpg.Pool, isolation: str) -> None:
    empty: list[list[object]] = [[] for _ in range(10)]
    async with pool.acquire() as connection, connection.transaction(isolation=isolation):  # type: ignore[arg-type]
        with pytest.raises(asyncpg.InvalidTransactionStateError, match="READ COMMITTED"):
            await connection.fetch(APPEND, *empty)


@pytest.mark.parametrize("bad", ["\ud800", "".join(chr(0x4E00 + number) for number in range(9000))])
async def test_a_bad_command_fails_alone(pool: asyncpg.Pool, bad: str) -> None:
    """A name that cannot be encoded, and one too long for the index, each among good commands."""
    log = PostgresEventLog(pool, Codec())
    names = ["bot-1", "bot-2", bad, "bot-3", "bot-4"]
    outcomes = await log.append_batch([AppendCommand(StreamId(name), NO_STREAM, [event()]) for name in names])
    assert [type(outcome) for outcome in outcomes] == [Appended, Appended, InvalidAppend, Appended, Appended]
    assert [found.stream for found in await log.read_all()] == ["bot-1", "bot-2", "bot-3", "bot-4"]
    assert await log.head() == 4


async def test_a_batch_answers_each_command_for_itself(pool: asyncpg.Pool) -> None:
    log = PostgresEventLog(pool, Codec())
    old = event("old")
    await log.append(STREAM, [old], expected=NO_STREAM)
    outcomes = await log.append_batch(
        [
            AppendCommand(StreamId("bot-2"), NO_STREAM, [event(), event()]),
            AppendCommand(STREAM, NO_STREAM, [old]),
            AppendCommand(StreamId("bot-3"), 7, [event()]),
            AppendCommand(StreamId("bot-4"), NO_STREAM, [old]),
            AppendCommand(StreamId("bot-5"), ANY_VERSION, []),
            AppendCommand(StreamId("bot-6"), ANY_VERSION, [event()]),
        ]
    )
    assert [str(outcome) if isinstance(outcome, LogError) else outcome for outcome in outcomes] == [
        Appended(version=2, position=3),
        Appended(version=1, position=1, duplicate=True),
        "stream bot-3: expected version 7, but it is at 0",
        f"stream bot-4: event id {old.event_id} is already in the log with other content",
        "an append needs at least one event",
        Appended(version=1, position=4),
    ]
    assert [found.position for found in await log.read_all()] == [1, 2, 3, 4]


async def test_a_stream_twice_in_a_batch_is_refused_before_anything_is_sent(pool: asyncpg.Pool) -> None:
    log = PostgresEventLog(pool, Codec())
    with pytest.raises(InvalidAppend, match="once"):
        await log.append_batch([AppendCommand(STREAM, ANY_VERSION, [event()]) for _ in range(2)])
    assert await log.head() == 0


async def test_an_empty_batch_has_no_outcomes(pool: asyncpg.Pool) -> None:
    assert await PostgresEventLog(pool, Codec()).append_batch([]) == []


async def test_a_closed_pool_is_unavailable_at_once(database: str) -> None:
    pool = await open_pool(database, size=1, application_name="closed")
    await pool.close()
    async with asyncio.timeout(2):
        with pytest.raises(LogUnavailable):
            await PostgresEventLog(pool, Codec()).append(STREAM, [event()], expected=NO_STREAM)


async def test_waiting_finds_events_without_any_hint(database: str) -> None:
    """A pool of one connection cannot listen; polling finds the event all the same."""
    async with await open_pool(database, size=1, application_name="alone") as alone:
        log = PostgresEventLog(alone, Codec(), poll_seconds=0.02)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(log.wait_beyond(0, timeout_seconds=20))
            await asyncio.sleep(0.05)
            await log.append(STREAM, [event()], expected=NO_STREAM)
        assert waiting.result() == 1


async def test_a_hint_wakes_a_waiter_before_its_poll(pool: asyncpg.Pool) -> None:
    log = PostgresEventLog(pool, Codec(), poll_seconds=20)
    async with asyncio.TaskGroup() as tasks:
        waiters = [tasks.create_task(log.wait_beyond(0, timeout_seconds=20)) for _ in range(3)]
        await asyncio.sleep(0.2)
        await log.append(STREAM, [event()], expected=NO_STREAM)
        async with asyncio.timeout(2):
            await log.hint(1)
            assert [await waiter for waiter in waiters] == [1, 1, 1]
    assert pool.get_idle_size() == pool.get_size()


async def test_waiting_survives_the_death_of_its_listening_connection(database: str, pool: asyncpg.Pool) -> None:
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
    async with await open_pool(database, size=1, application_name="planner") as pool:
        log = PostgresEventLog(pool, Codec())
        for number in range(20):
            await log.append(StreamId(f"bot-{number}"), [event() for _ in range(100)], expected=NO_STREAM)
        await pool.execute("SELECT pg_stat_force_next_flush()")
        counts = await pool.fetch(
            "SELECT relname, n_tup_ins, seq_tup_read FROM pg_stat_user_tables WHERE schemaname = 'log' ORDER BY relname"
        )
    assert [tuple(row) for row in counts] == [("events", 2000, 0), ("streams", 20, 0)]
