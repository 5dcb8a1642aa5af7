"""The log's Merkle tree and its checkpoints in Postgres."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from events.codec import UNREADABLE, Codec
from events.errors import UndecodableFact
from events.merkle import STORED_BITS, Span, Subtree
from events.system import SYSTEM_STREAM
from oxbot.adapters.database import connected
from oxbot.app.checkpoints import CHECKPOINT, RecordedCheckpoint, SystemTail, recorded_checkpoint
from oxbot.app.tree import TreeUnusable

_LEAVES = "SELECT leaf_hash FROM log.events WHERE position > $1 AND position <= $2 ORDER BY position"
_SUBTREES = "SELECT hash FROM log.subtrees WHERE level = $1 AND index >= $2 AND index < $3 ORDER BY index"
_KEPT = "SELECT coalesce(max(index) + 1, 0) FROM log.subtrees WHERE level = 1"
_KEEP = """
    INSERT INTO log.subtrees (level, index, hash) SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])
    ON CONFLICT DO NOTHING
"""
_AS_KEPT = """
    SELECT count(*) FROM unnest($1::smallint[], $2::bigint[], $3::bytea[]) AS given (level, index, hash)
    JOIN log.subtrees AS kept USING (level, index, hash)
"""

_LOG_ID = "SELECT log_id FROM log.identity"
_TAIL = """
    SELECT s.version, e.position, e.recorded_at, e.schema_version, e.payload
    FROM log.streams AS s
    LEFT JOIN LATERAL (
        SELECT * FROM log.events AS e WHERE e.stream_no = s.stream_no AND e.event_type = $2
        ORDER BY e.version DESC LIMIT 1
    ) AS e ON true
    WHERE s.stream_id = $1
"""
_BEFORE = """
    SELECT e.position, e.recorded_at, e.schema_version, e.payload
    FROM log.streams AS s
    JOIN log.events AS e ON e.stream_no = s.stream_no
    WHERE s.stream_id = $1 AND e.event_type = $2 AND ($3::bigint IS NULL OR e.position < $3)
    ORDER BY e.version DESC
    LIMIT $4
"""
_OTHERS = "SELECT EXISTS (SELECT FROM log.events WHERE position > $1 AND position <= $2 AND event_type <> $3)"


class PostgresTree:
    """Implements ``TreeStore`` over a pool; its nodes are written by the sealer's role alone."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def leaves(self, start: int, end: int) -> Sequence[bytes]:
        """See ``TreeStore.leaves``."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_LEAVES, start, end)
        if len(rows) != end - start:
            raise TreeUnusable(f"the database holds {len(rows)} of the events at positions {start + 1} to {end}")
        return [row[0] for row in rows]

    async def subtrees(self, span: Span) -> Sequence[bytes]:
        """See ``TreeStore.subtrees``."""
        level, first, length = span
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_SUBTREES, level, first, first + length)
        if len(rows) != length:
            raise TreeUnusable(f"log.subtrees lacks nodes {first} to {first + length - 1} of level {level}")
        return [row[0] for row in rows]

    async def keep(self, subtrees: Sequence[Subtree]) -> None:
        """See ``TreeStore.keep``."""
        if not subtrees:
            return
        columns = [list(column) for column in zip(*subtrees, strict=True)]
        async with connected(self._pool) as connection, connection.transaction():
            await connection.execute(_KEEP, *columns)
            same: int = await connection.fetchval(_AS_KEPT, *columns)
            if same != len(subtrees):
                raise TreeUnusable("log.subtrees holds other nodes than the events lead to: empty that table")

    async def kept(self) -> int:
        """See ``TreeStore.kept``."""
        async with connected(self._pool) as connection:
            nodes: int = await connection.fetchval(_KEPT)
        return nodes << STORED_BITS


class PostgresCheckpoints:
    """Implements ``CheckpointStore`` over a pool."""

    def __init__(self, pool: asyncpg.Pool, codec: Codec) -> None:
        self._pool = pool
        self._codec = codec

    async def log_id(self) -> UUID:
        """See ``CheckpointStore.log_id``."""
        async with connected(self._pool) as connection:
            identity: UUID = await connection.fetchval(_LOG_ID)
        return identity

    async def tail(self) -> SystemTail:
        """See ``CheckpointStore.tail``."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(_TAIL, SYSTEM_STREAM, CHECKPOINT)
        if row is None:
            return SystemTail(0, None)
        version, position, *rest = row
        return SystemTail(version, None if position is None else self._recorded(position, *rest))

    async def before(self, position: int | None, limit: int) -> Sequence[RecordedCheckpoint]:
        """See ``CheckpointStore.before``."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_BEFORE, SYSTEM_STREAM, CHECKPOINT, position, limit)
        return [self._recorded(*row) for row in rows]

    async def others(self, start: int, end: int) -> bool:
        """See ``CheckpointStore.others``."""
        async with connected(self._pool) as connection:
            found: bool = await connection.fetchval(_OTHERS, start, end, CHECKPOINT)
        return found

    def _recorded(
        self, position: int, recorded_at: datetime, schema_version: int, payload: bytes
    ) -> RecordedCheckpoint:
        try:
            fact = self._codec.decode(CHECKPOINT, schema_version, payload)
        except UNREADABLE as error:
            raise UndecodableFact(position, SYSTEM_STREAM, CHECKPOINT, str(error)) from error
        return recorded_checkpoint(fact, position, recorded_at)
