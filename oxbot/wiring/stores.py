"""What every process that touches the database shares: the pool and the stores over it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from events.codec import Codec
from events.postgres import PostgresEventLog
from oxbot.adapters.database import open_pool
from oxbot.adapters.migrations import check_schema, migrate
from oxbot.adapters.postgres_candles import PostgresCandleStore
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.config import Secret


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Where the database is."""

    dsn: Secret


class Stores(msgspec.Struct, frozen=True, kw_only=True):
    """The stores of one process, over one pool."""

    pool: asyncpg.Pool
    log: PostgresEventLog
    candles: PostgresCandleStore
    views: PostgresViews


@asynccontextmanager
async def open_stores(
    database: Database, *, name: str, connections: int, deadline_seconds: float = 30.0
) -> AsyncIterator[Stores]:
    """The stores over at most this many connections; the log gives up after ``deadline_seconds``.

    Raises ``DatabaseUnreachable`` or ``SchemaTooNew``.
    """
    pool = await open_pool(database.dsn.reveal(), size=connections, application_name=f"oxbot {name}")
    try:
        async with pool.acquire() as connection:
            await check_schema(connection)
        yield Stores(
            pool=pool,
            log=PostgresEventLog(pool, Codec(), deadline_seconds=deadline_seconds),
            candles=PostgresCandleStore(pool),
            views=PostgresViews(pool),
        )
    finally:
        await pool.close()


async def migrate_database(database: Database) -> list[str]:
    """Bring the database to this program's schema; the names of what was applied."""
    pool = await open_pool(database.dsn.reveal(), size=1, application_name="oxbot migrate")
    try:
        async with pool.acquire() as connection:
            return await migrate(connection)
    finally:
        await pool.close()
