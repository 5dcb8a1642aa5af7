"""The appends of the Postgres log: one answer for each command of a batch, whatever the others are like."""

import asyncio

import asyncpg
import pytest

from events.codec import Codec
from events.encoded import encode_command
from events.errors import InvalidAppend, LogClosed, LogError, WrongExpectedVersion
from events.identifiers import StreamId
from events.log import ANY_VERSION, NO_STREAM, STREAM_EXISTS, AppendCommand, Appended
from events.postgres import APPEND, PostgresEventLog
from oxbot.adapters.database import open_pool
from tests.events.appending import STREAM, event

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_append_refuses_other_isolation_than_read_committed(pool: asyncpg.Pool, isolation: str) -> None:
    """A15."""
    empty: list[list[object]] = [[] for _ in range(10)]
    async with pool.acquire() as connection, connection.transaction(isolation=isolation):  # type: ignore[arg-type]
        with pytest.raises(asyncpg.InvalidTransactionStateError, match="READ COMMITTED"):
            await connection.fetch(APPEND, *empty)


async def test_append_refuses_a_transaction_that_has_written_already(pool: asyncpg.Pool) -> None:
    """A15: nobody else could append until it ended."""
    empty: list[list[object]] = [[] for _ in range(10)]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("CREATE TABLE public.notes (note text)")
        with pytest.raises(asyncpg.InvalidTransactionStateError, match="nothing else was written"):
            await connection.fetch(APPEND, *empty)


BAD_EVENTS = [
    {"event_type": ""},
    {"event_type": "x" * 600},
    {"event_type": "\ud800"},
    {"event_type": "bot\x00paused"},
    {"schema_version": 0},
    {"schema_version": 40_000},
    {"event_id": "not an id"},
    {"payload": None},
    {"metadata": "text"},
    {"occurred_at": None},
]


@pytest.mark.parametrize("bad", BAD_EVENTS, ids=str)
async def test_a_command_that_the_database_refuses_fails_alone(pool: asyncpg.Pool, bad: dict[str, object]) -> None:
    """A8: found by halving the batch, wherever in it the command stands; the others are stored."""
    log, codec = PostgresEventLog(pool, Codec()), Codec()
    names = [StreamId(f"bot-{number}") for number in range(7)]
    commands = [encode_command(codec, name, [event(), event()], expected=NO_STREAM) for name in names]
    good, broken = commands[4].events
    commands[4] = commands[4]._replace(events=[good, broken._replace(**bad)])  # type: ignore[arg-type]  # the point
    outcomes = await log.append_encoded(commands)
    refused = [name for name, outcome in zip(names, outcomes, strict=True) if isinstance(outcome, InvalidAppend)]
    assert refused == ["bot-4"]
    positions = [outcome.position for outcome in outcomes if isinstance(outcome, Appended)]
    assert positions == [2, 4, 6, 8, 10, 12]
    assert await log.head() == 12


async def test_a_stream_name_that_the_database_refuses_fails_alone(pool: asyncpg.Pool) -> None:
    log = PostgresEventLog(pool, Codec())
    good = [encode_command(Codec(), StreamId(name), [event()], expected=NO_STREAM) for name in ("a", "b", "c")]
    for bad in ("", "x" * 513, "\ud800"):
        [outcome] = await log.append_encoded([good[0]._replace(stream=StreamId(bad))])
        assert isinstance(outcome, InvalidAppend)
    assert [type(outcome) for outcome in await log.append_encoded(good)] == [Appended] * 3


async def test_a_fact_that_cannot_be_encoded_fails_alone(pool: asyncpg.Pool) -> None:
    log = PostgresEventLog(pool, Codec())
    reasons = ["good", "\ud800", "good"]
    commands = [AppendCommand(StreamId(f"bot-{n}"), NO_STREAM, [event(reason)]) for n, reason in enumerate(reasons)]
    outcomes = await log.append_batch(commands)
    assert [type(outcome) for outcome in outcomes] == [Appended, InvalidAppend, Appended]
    assert await log.head() == 2


async def test_one_conflict_among_five_hundred_leaves_no_gap(pool: asyncpg.Pool) -> None:
    """A7."""
    log = PostgresEventLog(pool, Codec())
    await log.append(StreamId("bot-250"), [event()], expected=NO_STREAM)
    commands = [AppendCommand(StreamId(f"bot-{number}"), NO_STREAM, [event()]) for number in range(500)]
    outcomes = await log.append_batch(commands)
    conflicts = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, WrongExpectedVersion)]
    assert conflicts == [250]
    positions = [outcome.position for outcome in outcomes if isinstance(outcome, Appended)]
    assert positions == list(range(2, 501))


async def test_a_repeated_append_gets_its_first_answer_after_a_restart(database: str, pool: asyncpg.Pool) -> None:
    """A3: from another process, over another connection, at any version, after others have gone on."""
    sent = [event("one"), event("two")]
    async with await open_pool(database, size=1, application_name="first") as first:
        answer = await PostgresEventLog(first, Codec()).append(STREAM, sent, expected=ANY_VERSION)
    log = PostgresEventLog(pool, Codec())
    await log.append(STREAM, [event()], expected=2)
    for expected in (ANY_VERSION, STREAM_EXISTS, NO_STREAM, 2, 77):
        assert await log.append(STREAM, sent, expected=expected) == answer._replace(duplicate=True)
    assert await log.head() == 3


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
        f"stream bot-4: event id {old.event_id} is already in the log, with other content or archived",
        "an append needs at least one event",
        Appended(version=1, position=4),
    ]
    assert [found.position for found in await log.read_all()] == [1, 2, 3, 4]


async def test_a_stream_twice_in_a_batch_is_refused_before_anything_is_sent(pool: asyncpg.Pool) -> None:
    """A16."""
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
        with pytest.raises(LogClosed):
            await PostgresEventLog(pool, Codec()).append(STREAM, [event()], expected=NO_STREAM)
