"""What every process that touches the database shares: the pool and the stores over it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec

from events.archived import ArchivedLog, DatabaseLog
from events.codec import Codec
from events.postgres import PostgresEventLog
from oxbot.adapters.archive_reader import ArchiveReader
from oxbot.adapters.database import Role, login_as, open_pool
from oxbot.adapters.migrations import check_schema, migrate
from oxbot.adapters.postgres_candles import PostgresCandleStore
from oxbot.adapters.postgres_partitions import PostgresPartitions
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.config import Secret


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Where the database is, and how a process gets to act as its own role there and no other.

    dsn: the login that migrates, a member of every role.
    role_password: with it, or on the embedded server, each process logs in as its role, so that it cannot be anything
    else; without it, it logs in by ``dsn`` and steps down to its role.
    archive: where the events are that the database has let go of; without it, what begins before them is refused.
    """

    dsn: Secret
    embedded: bool = False
    role_password: Secret | None = None
    archive: Path | None = None

    async def open_pool(self, role: Role, *, name: str, size: int) -> asyncpg.Pool:
        """A pool of connections that act as the role. Raises ``DatabaseUnreachable``."""
        dsn = self.dsn.reveal()
        if self.embedded:
            return await open_pool(login_as(dsn, role), size=size, application_name=name)
        if self.role_password is not None:
            return await open_pool(login_as(dsn, role, self.role_password.reveal()), size=size, application_name=name)
        return await open_pool(dsn, size=size, application_name=name, role=role)


class Stores(msgspec.Struct, frozen=True, kw_only=True):
    """The stores of one process, over one pool."""

    pool: asyncpg.Pool
    log: DatabaseLog
    candles: PostgresCandleStore
    views: PostgresViews


@asynccontextmanager
async def open_stores(
    database: Database, role: Role, *, name: str, connections: int, deadline_seconds: float = 30.0
) -> AsyncIterator[Stores]:
    """The stores, used as the role, over at most this many connections; the log gives up after ``deadline_seconds``.

    Raises ``DatabaseUnreachable`` or ``SchemaTooNew``.
    """
    pool = await database.open_pool(role, name=f"oxbot {name}", size=connections)
    try:
        async with pool.acquire() as connection:
            await check_schema(connection)
        yield Stores(
            pool=pool,
            log=_log(pool, database.archive, deadline_seconds=deadline_seconds),
            candles=PostgresCandleStore(pool),
            views=PostgresViews(pool),
        )
    finally:
        await pool.close()


def _log(pool: asyncpg.Pool, archive: Path | None, *, deadline_seconds: float) -> DatabaseLog:
    codec = Codec()
    log = PostgresEventLog(pool, codec, deadline_seconds=deadline_seconds)
    return log if archive is None else ArchivedLog(log, ArchiveReader(archive, PostgresPartitions(pool, codec)), codec)


async def migrate_database(database: Database) -> list[str]:
    """Bring the database to this program's schema; the names of what was applied."""
    pool = await open_pool(database.dsn.reveal(), size=1, application_name="oxbot migrate")
    try:
        async with pool.acquire() as connection:
            return await migrate(connection)
    finally:
        await pool.close()
