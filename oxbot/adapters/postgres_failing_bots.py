"""Which bots fail, in Postgres, for every process that shows bots."""

from collections.abc import Collection, Mapping

import asyncpg

from events.identifiers import BotId
from oxbot.adapters.database import connected
from oxbot.app.failing import FailingBot

_FAILED = """
    INSERT INTO caches.failing_bots (bot_id, error) SELECT * FROM unnest($1::text[], $2::text[])
    ON CONFLICT (bot_id) DO UPDATE SET error = EXCLUDED.error
"""
_RECOVERED = "DELETE FROM caches.failing_bots WHERE bot_id = ANY($1::text[])"
_ALL = "SELECT bot_id, failing_since, error FROM caches.failing_bots ORDER BY bot_id"


class PostgresFailingBots:
    """Implements ``FailingBots`` over a pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def failed(self, errors: Mapping[BotId, str]) -> None:
        """See ``FailingBots.failed``."""
        # Whatever an error quotes, Postgres takes no zero character in a text.
        texts = [error.replace("\x00", "?") for error in errors.values()]
        async with connected(self._pool) as connection:
            await connection.execute(_FAILED, list(errors), texts)

    async def recovered(self, bot_ids: Collection[BotId]) -> None:
        """See ``FailingBots.recovered``."""
        async with connected(self._pool) as connection:
            await connection.execute(_RECOVERED, list(bot_ids))

    async def all(self) -> dict[BotId, FailingBot]:
        """See ``FailingBots.all``."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_ALL)
        return {BotId(row["bot_id"]): FailingBot(row["failing_since"], row["error"]) for row in rows}
