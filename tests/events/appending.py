"""What the tests of the Postgres log share: new events, writers, and ways to change ``log.append`` under them."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import asyncpg

from events.bot import BotPaused
from events.envelope import NewEvent
from events.identifiers import StreamId, new_event_id
from events.log import EventLog, LogReader

STREAM = StreamId("bot-1")
LOCK_KEY = 6039475301852

DEFINITION = """
SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p WHERE p.pronamespace = 'log'::regnamespace AND p.proname = 'append'
"""

Delivery = tuple[int, StreamId, int]


def event(reason: str = "") -> NewEvent:
    """A new event with an id of its own."""
    return NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotPaused(reason=reason))


def events(count: int) -> list[NewEvent]:
    """So many new events."""
    return [event(f"pause {number}") for number in range(count)]


async def write(log: EventLog, stream: StreamId, appends: int) -> int:
    """Append one to three events at a time to a stream of one's own; how many there are in the end."""
    version = 0
    for number in range(appends):
        version = (await log.append(stream, events(1 + number % 3), expected=version)).version
    return version


async def stored(log: LogReader) -> list[Delivery]:
    """Position, stream and version of everything in the log."""
    return [(found.position, found.stream, found.version) for found in await log.read_all(limit=100_000)]


def faults(delivered: Sequence[Delivery], held: Sequence[Delivery]) -> list[str]:
    """What a reader that follows positions got wrong: events missed, repeated, or out of order in their stream."""
    found = [f"missed {missing}" for missing in sorted(set(held) - set(delivered))]
    found += [f"position {right} after {left}" for (left, *_), (right, *_) in pairwise(delivered) if right <= left]
    versions: dict[StreamId, int] = {}
    for position, stream, version in delivered:
        if version != versions.get(stream, 0) + 1:
            found.append(f"{stream} version {version} at {position} after {versions.get(stream, 0)}")
        versions[stream] = version
    return found


async def change_append(database: str, cuts: Mapping[str, str]) -> str:
    """Put other text in the place of these pieces of ``log.append``, as only a superuser can; what it was before."""
    connection = await asyncpg.connect(database)
    before: str = await connection.fetchval(DEFINITION)
    definition = before
    for piece, instead in cuts.items():
        assert definition.count(piece) == 1, piece
        definition = definition.replace(piece, instead)
    await connection.execute(definition)
    await connection.close()
    return before


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


async def blocked(pool: asyncpg.Pool) -> None:
    """Return once somebody waits for the log's lock."""
    async with asyncio.timeout(20):
        while not await pool.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            await asyncio.sleep(0.01)
