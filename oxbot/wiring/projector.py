"""A process that keeps the views up with the log."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from oxbot.app.projection import ProjectionRunner
from oxbot.wiring.stores import Database, open_stores

GARBAGE_THRESHOLDS = (50_000, 20, 50)


def collect_garbage_seldom() -> None:
    """Let this process look for reference cycles less often: a fold makes none.

    It does make tens of thousands of small objects for each batch, and by default every 700 of them are looked
    through, which takes a third of the time.
    """
    gc.set_threshold(*GARBAGE_THRESHOLDS)


@asynccontextmanager
async def open_projector(database: Database) -> AsyncIterator[ProjectionRunner]:
    """The runner of all projections, each at its stored checkpoint."""
    collect_garbage_seldom()
    async with open_stores(database, "oxbot_projector", name="projector", connections=2) as stores:
        yield ProjectionRunner(stores.log, stores.views)
