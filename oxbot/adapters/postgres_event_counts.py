"""How many events of each type there are in a range of the log, counted by Postgres."""

import asyncpg

from oxbot.adapters.database import connected

_BY_TYPE = """
SELECT event_type, count(*) AS count FROM log.events WHERE "position" > $1 AND "position" <= $2 GROUP BY event_type
"""


class PostgresEventCounts:
    """Implements ``EventCounts`` over a pool. Of events that were archived it knows nothing."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def by_type(self, *, after_position: int, up_to: int) -> dict[str, int]:
        """See ``EventCounts.by_type``."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_BY_TYPE, after_position, up_to)
        return {row["event_type"]: row["count"] for row in rows}
