"""A log in Postgres with a sealer, a verifier, and somebody who may do anything to the database."""

from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg

from events.bot import BotPaused
from events.checkpoint import Checkpoint, SignerKey, open_checkpoint, origin_of
from events.codec import Codec
from events.encoded import StoredEvent
from events.entry import FIRST_PREV_HASH, leaf_of, raw_event
from events.envelope import NewEvent
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION
from events.postgres import PostgresEventLog
from oxbot.adapters.memory_seal import MemorySeal
from oxbot.adapters.postgres_audit import PostgresAuditedLog
from oxbot.adapters.postgres_tree import PostgresCheckpoints, PostgresTree
from oxbot.app.audit_verify import AuditReport, Verifier
from oxbot.app.checkpoints import RecordedCheckpoint, SealMemory
from oxbot.app.clock import Clock
from oxbot.app.sealer import Sealer
from tests.app.fakes import SteppingClock

SECRET = bytes(range(32))
TABLES = ("log.events", "log.streams", "log.event_ids", "log.identity")

ROWS = """
    SELECT e.position, s.stream_id, e.version, e.event_id, e.event_type, e.schema_version,
           e.occurred_at, e.recorded_at, e.payload, e.metadata, e.prev_hash, e.leaf_hash
    FROM log.events AS e JOIN log.streams AS s USING (stream_no) ORDER BY e.position
"""
REHASH = "UPDATE log.events SET prev_hash = $2, leaf_hash = $3 WHERE position = $1"
REPOINT = """
    UPDATE log.streams AS s SET version = e.version, last_position = e.position, last_hash = e.leaf_hash
    FROM log.events AS e
    WHERE e.stream_no = s.stream_no
        AND e.version = (SELECT max(version) FROM log.events AS o WHERE o.stream_no = s.stream_no)
"""


class SealedLog:
    """A log with everything that seals and verifies it, over a superuser's pool."""

    def __init__(self, pool: asyncpg.Pool, key: SignerKey, memory: SealMemory | None = None) -> None:
        self.pool = pool
        self.key = key
        self.codec = Codec()
        self.log = PostgresEventLog(pool, self.codec)
        self.tree = PostgresTree(pool)
        self.checkpoints = PostgresCheckpoints(pool, self.codec)
        self.memory = memory or MemorySeal()

    def sealer(
        self, *, memory: SealMemory | None = None, key: SignerKey | None = None, clock: Clock | None = None
    ) -> Sealer:
        """A sealer that knows nothing yet."""
        return Sealer(
            self.log,
            self.tree,
            checkpoints=self.checkpoints,
            memory=memory or self.memory,
            key=key or self.key,
            clock=clock or SteppingClock(),
            interval_seconds=10,
        )

    async def append(self, stream: str, count: int = 1, *, reason: str = "lunch") -> None:
        """So many events at the end of a stream."""
        events = [
            NewEvent(
                event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotPaused(reason=f"{reason} {number}")
            )
            for number in range(count)
        ]
        await self.log.append(StreamId(stream), events, expected=ANY_VERSION)

    async def recorded(self) -> list[RecordedCheckpoint]:
        """Every recorded checkpoint, the oldest first."""
        return list(reversed(await self.checkpoints.before(None, 1000)))

    async def newest(self) -> Checkpoint:
        """The newest recorded checkpoint, its signature checked."""
        return open_checkpoint((await self.recorded())[-1].fact.note, [self.key.verifier])

    async def verify(
        self, *, anchors: Sequence[Checkpoint] = (), base: Checkpoint | None = None, keyless: bool = False
    ) -> AuditReport:
        """A verification as ``oxbot audit verify`` makes it."""
        keys = [] if keyless else [self.key.verifier]
        verifier = Verifier(PostgresAuditedLog(self.pool, self.codec), self.tree, self.codec, keys=keys)
        return await verifier.verify(anchors=anchors, base=base)

    async def rows(self) -> list[StoredEvent]:
        """Every event as it is stored."""
        return [StoredEvent(*row) for row in await self.pool.fetch(ROWS)]

    async def attack(self, *statements: str) -> None:
        """Run the statements with all triggers off."""
        async with self.pool.acquire() as connection, connection.transaction():
            for table in await self._tables():
                await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            for statement in statements:
                await connection.execute(statement)

    async def remake_hashes(self) -> None:
        """Make every hash fit what the events are now, as somebody would who knows how they are made."""
        heads: dict[str, bytes] = {}
        async with self.pool.acquire() as connection, connection.transaction():
            for event in await self.rows():
                previous = heads.get(event.stream, FIRST_PREV_HASH)
                leaf = leaf_of(raw_event(event._replace(prev_hash=previous)))
                heads[event.stream] = leaf
                await connection.execute(REHASH, event.position, previous, leaf)
            await connection.execute(REPOINT)

    async def _tables(self) -> list[str]:
        partitions = await self.pool.fetch("SELECT format('log.%I', 'events_p' || first_position) FROM log.partitions")
        return [*TABLES, *(row[0] for row in partitions)]


async def sealed_log(pool: asyncpg.Pool) -> SealedLog:
    """An empty log."""
    log_id = await PostgresCheckpoints(pool, Codec()).log_id()
    return SealedLog(pool, SignerKey(origin_of(log_id), SECRET))


async def lived_log(pool: asyncpg.Pool, *, key: SignerKey | None = None, memory: SealMemory | None = None) -> SealedLog:
    """Three bots' streams, sealed at 5, 10 and 14 events; the checkpoints stand at 6, 11 and 15, the head is 17."""
    log = await sealed_log(pool)
    if key is not None:
        log = SealedLog(pool, key, memory)
    sealer = log.sealer()
    await log.append("bot-1", 2)
    await log.append("bot-2", 2)
    await log.append("bot-1")
    await sealer.seal()
    await log.append("bot-3", 3)
    await log.append("bot-2")
    await sealer.seal()
    await log.append("bot-1", 2)
    await log.append("bot-3")
    await sealer.seal()
    await log.append("bot-2", 2)
    return log
