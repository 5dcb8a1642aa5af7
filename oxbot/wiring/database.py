"""Finds the database: the configured one, or the embedded one, started if need be and stopped by whoever started it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from oxbot.adapters import embedded_postgres
from oxbot.config import Secret, Settings
from oxbot.wiring.stores import Database, migrate_database

_OTHERS = """
    select count(*) from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()
"""


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The database at this program's schema. Raises ``DatabaseUnreachable`` or ``SchemaTooNew``."""
    async with open_unmigrated(settings) as database:
        await migrate_database(database)
        yield database


@asynccontextmanager
async def open_unmigrated(settings: Settings) -> AsyncIterator[Database]:
    """The database as it is.

    The embedded one stops at the end, unless it was running before or others still use it.
    """
    if settings.database_url is not None:
        yield Database(
            dsn=settings.database_url, role_password=settings.database_role_password, archive=settings.archive
        )
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    directory = settings.home / "postgres"
    was_running = embedded_postgres.is_running(directory)
    dsn = await asyncio.to_thread(embedded_postgres.start, directory)
    try:
        yield Database(dsn=Secret(dsn), embedded=True, archive=settings.archive)
    finally:
        if not was_running and await _is_unused(dsn):
            await asyncio.to_thread(embedded_postgres.stop, directory)


async def _is_unused(dsn: str) -> bool:
    connection = await asyncpg.connect(dsn)
    try:
        return bool(await connection.fetchval(_OTHERS) == 0)
    finally:
        await connection.close()
