"""The snapshots of streams in Postgres, in a table whose rows anybody may delete."""

import asyncpg

from events.identifiers import EventId, StreamId
from oxbot.adapters.database import connected
from oxbot.app.snapshots import Snapshot

_FIND = "SELECT version, event_id, fingerprint, state, sha256 FROM caches.snapshots WHERE stream_id = $1"

_KEEP = """
INSERT INTO caches.snapshots (stream_id, version, event_id, fingerprint, state, sha256) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (stream_id) DO UPDATE SET
    version = EXCLUDED.version, event_id = EXCLUDED.event_id, fingerprint = EXCLUDED.fingerprint,
    state = EXCLUDED.state, sha256 = EXCLUDED.sha256, kept_at = EXCLUDED.kept_at
"""


class PostgresSnapshots:
    """A ``SnapshotStore`` over a pool of connections to a migrated database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def find(self, stream: StreamId) -> Snapshot | None:
        """The one kept last."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(_FIND, stream)
        if row is None:
            return None
        return Snapshot(
            stream=stream,
            version=row["version"],
            event_id=EventId(row["event_id"]),
            fingerprint=row["fingerprint"],
            state=row["state"],
            sha256=row["sha256"],
        )

    async def keep(self, snapshot: Snapshot) -> None:
        """Keep it in place of any other of the stream."""
        async with connected(self._pool) as connection:
            await connection.execute(
                _KEEP,
                snapshot.stream,
                snapshot.version,
                snapshot.event_id,
                snapshot.fingerprint,
                snapshot.state,
                snapshot.sha256,
            )
