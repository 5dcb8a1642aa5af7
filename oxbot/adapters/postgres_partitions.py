"""The log's partitions in Postgres: what is full, what was let go, who still reads, and letting the oldest go."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import asyncpg

from events.codec import Codec
from events.encoded import StoredEvent
from events.system import SYSTEM_STREAM, CheckpointSigned
from oxbot.adapters.database import connected
from oxbot.app.archive import CHECKPOINT_TYPE, Dropped, DropRefused, Follower, Range

PAGE = 10_000

_LOG_ID = "SELECT log_id FROM log.identity"
_FULL = """
    SELECT p.first_position, p.last_position FROM log.partitions AS p
    WHERE EXISTS (SELECT FROM log.events AS e WHERE e.position = p.last_position + 1)
    ORDER BY p.first_position
"""
_DROPPED = "SELECT first_position, last_position, manifest_sha256 FROM log.archives ORDER BY first_position"
_PAGE = """
    SELECT e.position, s.stream_id, e.version, e.event_id, e.event_type, e.schema_version,
           e.occurred_at, e.recorded_at, e.payload, e.metadata, e.prev_hash, e.leaf_hash
    FROM log.events AS e
    JOIN log.streams AS s ON s.stream_no = e.stream_no
    WHERE e.position BETWEEN $1 AND $2
    ORDER BY e.position
"""
_LEAVES = "SELECT leaf_hash FROM log.events WHERE position BETWEEN $1 AND $2 ORDER BY position"
_PROJECTIONS = """
    SELECT name, rebuild, "position" FROM views.projections ORDER BY "position", name
"""
_SIGNED = """
    SELECT e.schema_version, e.payload FROM log.events AS e
    JOIN log.streams AS s ON s.stream_no = e.stream_no
    WHERE s.stream_id = $1 AND e.event_type = $2
    ORDER BY e.version DESC
    LIMIT 1
"""
# The function holds the log's lock while it waits for the table's, and appends wait behind it: better to give up soon.
_PATIENCE = "SET LOCAL lock_timeout = '500ms'"
_DROP = "SELECT log.drop_archived($1, $2, $3)"


class PostgresPartitions:
    """Implements ``Partitions`` over a pool of the archiver's."""

    def __init__(self, pool: asyncpg.Pool, codec: Codec) -> None:
        self._pool = pool
        self._codec = codec

    async def log_id(self) -> UUID:
        """See ``Partitions.log_id``."""
        async with connected(self._pool) as connection:
            log_id: UUID = await connection.fetchval(_LOG_ID)
        return log_id

    async def full(self) -> list[Range]:
        """See ``Partitions.full``; it is full once an event follows it."""
        async with connected(self._pool) as connection:
            return [Range(first, last) for first, last in await connection.fetch(_FULL)]

    async def dropped(self) -> list[Dropped]:
        """See ``Partitions.dropped``."""
        async with connected(self._pool) as connection:
            return [Dropped(Range(first, last), sha256) for first, last, sha256 in await connection.fetch(_DROPPED)]

    async def pages(self, positions: Range) -> AsyncIterator[Sequence[StoredEvent]]:
        """See ``Partitions.pages``; what a full partition holds does not change, so each page is a statement alone."""
        for first in range(positions.first, positions.last + 1, PAGE):
            async with connected(self._pool) as connection:
                rows = await connection.fetch(_PAGE, first, min(first + PAGE - 1, positions.last))
            yield [StoredEvent(*row) for row in rows]

    async def leaves(self, positions: Range) -> list[bytes]:
        """See ``Partitions.leaves``."""
        async with connected(self._pool) as connection:
            return [leaf for (leaf,) in await connection.fetch(_LEAVES, positions.first, positions.last)]

    async def followers(self) -> list[Follower]:
        """See ``Partitions.followers``; the one that is furthest behind comes first of the projections."""
        async with connected(self._pool) as connection:
            builds = await connection.fetch(_PROJECTIONS)
            signed = await connection.fetchrow(_SIGNED, SYSTEM_STREAM, CHECKPOINT_TYPE)
        followers = [
            Follower(f"{'the rebuild of ' if rebuild else ''}projection {name}", position)
            for name, rebuild, position in builds
        ]
        return [*followers, Follower("the sealer", 0 if signed is None else self._signed_size(*signed))]

    async def drop(self, positions: Range, manifest_sha256: str) -> None:
        """See ``Partitions.drop``."""
        stays = f"positions {positions.first} to {positions.last} stay in the database"
        async with connected(self._pool) as connection:
            try:
                async with connection.transaction():
                    await connection.execute(_PATIENCE)
                    await connection.execute(_DROP, *positions, manifest_sha256)
            except asyncpg.InvalidParameterValueError as error:
                raise DropRefused(f"{stays}: {error}") from error
            except asyncpg.LockNotAvailableError as error:
                raise DropRefused(
                    f"{stays}: somebody reads the log at length, such as a backup or audit; try again after it"
                ) from error

    def _signed_size(self, schema_version: int, payload: bytes) -> int:
        fact = self._codec.decode(CHECKPOINT_TYPE, schema_version, payload)
        return fact.tree_size if isinstance(fact, CheckpointSigned) else 0
