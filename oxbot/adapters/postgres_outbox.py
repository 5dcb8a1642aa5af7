"""The outbox of notifications in Postgres."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from oxbot.adapters.database import connected
from oxbot.app.notifications import Waiting
from oxbot.views.notices import Notice

_POSITION = "SELECT position FROM notifications.progress"
_PUT = """
    INSERT INTO notifications.outbox (key, position, at, level, line, due_at)
    SELECT key, position, at, level, line, at
      FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[])
           AS new(key, position, at, level, line)
    ON CONFLICT (key) DO NOTHING
"""
_MOVE = "UPDATE notifications.progress SET position = greatest(position, $1)"
_DUE = """
    SELECT key, position, at, level, line, attempts FROM notifications.outbox
     WHERE sent_at IS NULL AND due_at <= $1 ORDER BY position, key LIMIT $2
"""
_SENT = "UPDATE notifications.outbox SET sent_at = clock_timestamp(), error = NULL WHERE key = ANY($1::text[])"
_POSTPONE = """
    UPDATE notifications.outbox SET attempts = attempts + 1, due_at = $2, error = $3
     WHERE key = ANY($1::text[]) AND sent_at IS NULL
"""
_FORGET = "DELETE FROM notifications.outbox WHERE sent_at < clock_timestamp() - interval '30 days' AND position <= $1"


class PostgresOutbox:
    """Implements ``Outbox`` over a pool. What was sent is kept for thirty days."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def position(self) -> int:
        """See ``Outbox.position``."""
        async with connected(self._pool) as connection:
            return int(await connection.fetchval(_POSITION))

    async def put(self, notices: Sequence[Notice], *, position: int) -> None:
        """See ``Outbox.put``."""
        async with connected(self._pool) as connection, connection.transaction():
            await connection.execute(
                _PUT,
                [notice.key for notice in notices],
                [notice.position for notice in notices],
                [notice.at for notice in notices],
                [notice.level for notice in notices],
                # Postgres takes no zero character in a text, whatever a venue wrote.
                [notice.line.replace("\x00", "?") for notice in notices],
            )
            await connection.execute(_MOVE, position)
            await connection.execute(_FORGET, position)

    async def due(self, now: datetime, *, limit: int) -> Sequence[Waiting]:
        """See ``Outbox.due``."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_DUE, now, limit)
        return [
            Waiting(
                Notice(key=row["key"], position=row["position"], at=row["at"], level=row["level"], line=row["line"]),
                row["attempts"],
            )
            for row in rows
        ]

    async def sent(self, keys: Sequence[str]) -> None:
        """See ``Outbox.sent``."""
        async with connected(self._pool) as connection:
            await connection.execute(_SENT, list(keys))

    async def postpone(self, keys: Sequence[str], *, until: datetime, error: str) -> None:
        """See ``Outbox.postpone``."""
        async with connected(self._pool) as connection:
            await connection.execute(_POSTPONE, list(keys), until, error.replace("\x00", "?"))
