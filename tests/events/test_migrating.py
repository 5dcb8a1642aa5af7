"""A schema that changes under a running writer: it waits, goes on with the new one, or fails with nothing written."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from events.bot import BotStarted
from events.codec import Codec
from events.envelope import NewEvent
from events.errors import LogError
from events.identifiers import StreamId, new_event_id
from events.log import NO_STREAM, Appended
from events.postgres import PostgresEventLog

pytestmark = pytest.mark.anyio

STREAM = StreamId("bot-1")


def _event() -> NewEvent:
    return NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotStarted())


async def test_without_the_append_function_a_writer_fails_closed_and_goes_on_once_it_is_back(
    pool: asyncpg.Pool,
) -> None:
    """A18: nothing is written, and the same event goes in when there is a function again."""
    log, event = PostgresEventLog(pool, Codec()), _event()
    await pool.execute("ALTER FUNCTION log.append RENAME TO append_of_another_version")
    with pytest.raises(LogError):
        await log.append(STREAM, [event], expected=NO_STREAM)
    assert await log.head() == 0
    await pool.execute("ALTER FUNCTION log.append_of_another_version RENAME TO append")
    assert await log.append(STREAM, [event], expected=NO_STREAM) == Appended(version=1, position=1)


async def test_an_append_waits_for_a_migration_that_replaces_the_function(pool: asyncpg.Pool) -> None:
    """A18: a writer with prepared statements of before the migration uses the new function after it."""
    log = PostgresEventLog(pool, Codec())
    await log.append(STREAM, [_event()], expected=NO_STREAM)
    source = await pool.fetchval("SELECT pg_get_functiondef('log.append'::regproc)")
    async with pool.acquire() as migrating:
        async with migrating.transaction():
            await migrating.execute("SELECT pg_advisory_xact_lock(6039475301852)")
            await migrating.execute("DROP FUNCTION log.append")
            await migrating.execute(source)
            appending = asyncio.create_task(log.append(STREAM, [_event()], expected=1))
            await asyncio.wait([appending], timeout=0.3)
            assert not appending.done()
        assert await appending == Appended(version=2, position=2)
    assert await log.append(STREAM, [_event()], expected=2) == Appended(version=3, position=3)
