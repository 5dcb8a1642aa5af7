"""The order of the log under many writers, slow and failing transactions, and other work on the server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import pytest

from events.codec import Codec
from events.encoded import encode_command
from events.errors import LogError
from events.identifiers import StreamId
from events.log import NO_STREAM
from events.postgres import APPEND, PostgresEventLog, append_arguments
from oxbot.adapters.database import open_pool
from tests.events.appending import STREAM, Delivery, blocked, change_append, event, events, faults, stored, write

pytestmark = pytest.mark.anyio

WRITERS = 16
LOCK = "PERFORM pg_advisory_xact_lock(6039475301852);"
BASE = "(SELECT e.position FROM log.events AS e ORDER BY e.position DESC LIMIT 1),"


@pytest.fixture
def log(pool: asyncpg.Pool) -> PostgresEventLog:
    """The log over the test's pool."""
    return PostgresEventLog(pool, Codec(), poll_seconds=0.05)


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


async def race(database: str, appends: int) -> list[str]:
    """What goes wrong while sixteen writers, a connection each, append and one reader follows."""
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
        held = await stored(reader)
    assert [position for position, *_ in held] == list(range(1, len(held) + 1))
    assert len(held) == WRITERS * sum(1 + number % 3 for number in range(appends))
    return faults(following.result(), held)


async def test_a_reader_by_position_misses_nothing_while_sixteen_write(database: str) -> None:
    """R1."""
    assert await race(database, appends=60) == []


@pytest.mark.parametrize(
    "cuts",
    [{LOCK: ""}, {LOCK: "", BASE: "nextval('log.naive'),"}],
    ids=["without the lock", "without the lock, positions from a sequence"],
)
async def test_the_same_check_fails_without_the_lock(database: str, cuts: dict[str, str]) -> None:
    """R1: the check can fail. The writers are refused, or the reader finds a hole."""
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE SEQUENCE log.naive INCREMENT 10; GRANT USAGE ON SEQUENCE log.naive TO oxbot_owner")
    await connection.close()
    await change_append(database, cuts)
    with pytest.raises(ExceptionGroup) as caught:
        await race(database, appends=40)
    assert all(isinstance(error, LogError) for error in leaves(caught.value)), caught.value


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The errors of the group and of the groups in it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


@asynccontextmanager
async def uncommitted(database: str, stream: str) -> AsyncIterator[asyncpg.transaction.Transaction]:
    """An append of one event that has its position and is neither committed nor rolled back yet."""
    connection = await asyncpg.connect(database)
    try:
        transaction = connection.transaction()
        await transaction.start()
        command = encode_command(Codec(), StreamId(stream), [event()], expected=NO_STREAM)
        await connection.fetch(APPEND, *append_arguments([command]))
        yield transaction
    finally:
        await connection.close()


async def test_a_reader_never_passes_a_slow_append(log: PostgresEventLog, database: str, pool: asyncpg.Pool) -> None:
    """R2: what has its position first is read first, however late it commits."""
    async with uncommitted(database, "slow") as slow, asyncio.TaskGroup() as tasks:
        later = tasks.create_task(log.append(STREAM, [event()], expected=NO_STREAM))
        await blocked(pool)
        assert await log.read_all() == []
        await slow.commit()
    assert later.result().position == 2
    assert await stored(log) == [(1, "slow", 1), (2, STREAM, 1)]


async def test_a_rolled_back_append_leaves_no_gap(log: PostgresEventLog, database: str, pool: asyncpg.Pool) -> None:
    """R3."""
    async with uncommitted(database, "gone") as gone, asyncio.TaskGroup() as tasks:
        later = tasks.create_task(log.append(STREAM, [event()], expected=NO_STREAM))
        await blocked(pool)
        await gone.rollback()
    assert later.result().position == 1
    assert await stored(log) == [(1, STREAM, 1)]


async def test_other_transactions_hold_nobody_up(log: PostgresEventLog, database: str, empty_database: str) -> None:
    """R4: an old snapshot, an open write beside the log, and one in another database; none is waited for."""
    old, writing, elsewhere = [await asyncpg.connect(dsn) for dsn in (database, database, empty_database)]
    await old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT count(*) FROM log.events")
    await writing.execute("CREATE TABLE beside (n int); BEGIN; INSERT INTO beside VALUES (1)")
    await elsewhere.execute("CREATE TABLE beside (n int); BEGIN; INSERT INTO beside VALUES (1)")
    await log.append(STREAM, events(3), expected=NO_STREAM)
    async with asyncio.timeout(20):
        assert await log.wait_beyond(2, timeout_seconds=20) == 3
    assert [position for position, *_ in await stored(log)] == [1, 2, 3]
    assert await old.fetchval("SELECT count(*) FROM log.events") == 0
    for connection in (old, writing, elsewhere):
        await connection.close()


async def test_a_clock_that_is_set_back_changes_no_order(log: PostgresEventLog, database: str) -> None:
    """A14: positions alone are the order; the time recorded goes back with the clock, and every read still works."""
    before = datetime.now(UTC)
    await log.append(STREAM, events(3), expected=NO_STREAM)
    await change_append(database, {"clock_timestamp(),": "clock_timestamp() - interval '1 hour',"})
    await log.append(STREAM, events(3), expected=3)
    found = await log.read_all()
    assert [one.version for one in found] == [1, 2, 3, 4, 5, 6]
    assert found[2].recorded_at > before > found[3].recorded_at
    assert await log.position_at(datetime.now(UTC)) == 6
    assert await log.position_at(before) in {0, 6}
