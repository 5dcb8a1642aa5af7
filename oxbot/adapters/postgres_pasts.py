"""The pasts of bots in Postgres, in a table whose rows anybody may delete."""

import asyncpg

from events.identifiers import EventId, StreamId
from oxbot.adapters.database import connected
from oxbot.app.past import KeptPast

_BEFORE = """
SELECT version, "position", event_id, fingerprint, decisions, state, sha256 FROM caches.pasts
WHERE stream_id = $1 AND "position" <= $2 AND fingerprint = $3 ORDER BY "position" DESC LIMIT 1
"""

_BEFORE_DECISION = """
SELECT version, "position", event_id, fingerprint, decisions, state, sha256 FROM caches.pasts
WHERE stream_id = $1 AND decisions < $2 AND fingerprint = $3 ORDER BY "position" DESC LIMIT 1
"""

_KEEP = """
INSERT INTO caches.pasts (stream_id, "position", version, event_id, fingerprint, decisions, state, sha256)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (stream_id, "position") DO UPDATE SET
    version = EXCLUDED.version, event_id = EXCLUDED.event_id, fingerprint = EXCLUDED.fingerprint,
    decisions = EXCLUDED.decisions, state = EXCLUDED.state, sha256 = EXCLUDED.sha256, kept_at = EXCLUDED.kept_at
"""

_DUE = """
SELECT s.stream_id FROM log.streams AS s
WHERE starts_with(s.stream_id, $1) AND s.version - coalesce(
    (
        SELECT p.version FROM caches.pasts AS p WHERE p.stream_id = s.stream_id AND p.fingerprint = $3
        ORDER BY p."position" DESC LIMIT 1
    ), 0) >= $2
ORDER BY s.stream_id
"""


class PostgresPasts:
    """A ``PastStore`` over a pool of connections to a migrated database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def before(self, stream: StreamId, position: int, fingerprint: str) -> KeptPast | None:
        """The newest up to the position that this program folded."""
        return await self._one(_BEFORE, stream, position, fingerprint)

    async def before_decision(self, stream: StreamId, number: int, fingerprint: str) -> KeptPast | None:
        """The newest in which less than that many decisions had been made, likewise."""
        return await self._one(_BEFORE_DECISION, stream, number, fingerprint)

    async def keep(self, past: KeptPast) -> None:
        """Keep it in place of any other of its stream and position."""
        async with connected(self._pool) as connection:
            await connection.execute(
                _KEEP,
                past.stream,
                past.position,
                past.version,
                past.event_id,
                past.fingerprint,
                past.decisions,
                past.state,
                past.sha256,
            )

    async def due(self, prefix: str, every: int, fingerprint: str) -> list[StreamId]:
        """Streams that have come so far since their newest past of this program."""
        async with connected(self._pool) as connection:
            return [StreamId(row[0]) for row in await connection.fetch(_DUE, prefix, every, fingerprint)]

    async def _one(self, statement: str, stream: StreamId, bound: int, fingerprint: str) -> KeptPast | None:
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(statement, stream, bound, fingerprint)
        if row is None:
            return None
        return KeptPast(
            stream=stream,
            version=row["version"],
            position=row["position"],
            event_id=EventId(row["event_id"]),
            fingerprint=row["fingerprint"],
            decisions=row["decisions"],
            state=row["state"],
            sha256=row["sha256"],
        )
