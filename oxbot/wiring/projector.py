"""A process that keeps the views up with the log."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from oxbot.app.projection import ProjectionRunner
from oxbot.wiring.stores import Database, open_stores


@asynccontextmanager
async def open_projector(database: Database) -> AsyncIterator[ProjectionRunner]:
    """The projection's runner, at the stored checkpoint."""
    async with open_stores(database, "oxbot_projector", name="projector", connections=2) as stores:
        yield ProjectionRunner(stores.log, stores.views)
