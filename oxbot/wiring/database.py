"""Finds the database: the configured one, or the embedded one, which runs for as long as somebody uses it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from oxbot.adapters.embedded_server import embedded_server, keep_running
from oxbot.app.clock import SystemClock
from oxbot.config import Secret, Settings
from oxbot.wiring.home import make_home
from oxbot.wiring.stores import Database, migrate_database

EMBEDDED = "postgres"
"""The directory in the installation's home."""


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The database at this program's schema, for who serves: the embedded one is started again if it dies.

    Raises ``DatabaseUnreachable`` or ``SchemaTooNew``; a group with ``EmbeddedPostgresFailed`` in it, which also ends
    the block, if the embedded one is lost for good.
    """
    async with open_unmigrated(settings) as database:
        await migrate_database(database)
        if not database.embedded:
            yield database
            return
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(keep_running(settings.home / EMBEDDED, SystemClock()))
            yield database
            keeper.cancel()


@asynccontextmanager
async def open_unmigrated(settings: Settings) -> AsyncIterator[Database]:
    """The database as it is. Raises ``HomeUnusable`` or ``EmbeddedPostgresFailed``.

    The embedded one is started if need be, and stops at the end unless others still use it.
    """
    make_home(settings.home)
    if settings.database_url is not None:
        yield Database(
            dsn=settings.database_url, role_password=settings.database_role_password, archive=settings.archive
        )
        return
    async with embedded_server(settings.home / EMBEDDED) as dsn:
        yield Database(dsn=Secret(dsn), embedded=True, archive=settings.archive)
