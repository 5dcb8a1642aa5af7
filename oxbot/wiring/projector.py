"""A process that keeps the views up with the log, and states of bots along it."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from oxbot.adapters.postgres_pasts import PostgresPasts
from oxbot.app.clock import SystemClock
from oxbot.app.past import BotHistory, HistoryKeeper
from oxbot.app.projection import ProjectionRunner
from oxbot.wiring.stores import Database, open_stores

GARBAGE_THRESHOLDS = (50_000, 20, 50)


def collect_garbage_seldom() -> None:
    """Let this process look for reference cycles less often: a fold makes none.

    It does make tens of thousands of small objects for each batch, and by default every 700 of them are looked
    through, which takes a third of the time.
    """
    gc.set_threshold(*GARBAGE_THRESHOLDS)


class Projector:
    """The runner of all projections, and beside it the keeper of what answers questions about the past are made of."""

    def __init__(self, projections: ProjectionRunner, keeper: HistoryKeeper) -> None:
        self._projections = projections
        self._keeper = keeper

    @property
    def position(self) -> int:
        """The position up to which this process has projected the bots."""
        return self._projections.position

    async def run(self) -> None:
        """Be at work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._projections.run(), name="projections")
            tasks.create_task(self._keeper.run(), name="history keeper")


@asynccontextmanager
async def open_projector(database: Database) -> AsyncIterator[Projector]:
    """The projector, each projection at its stored checkpoint."""
    collect_garbage_seldom()
    async with open_stores(database, "oxbot_projector", name="projector", connections=2) as stores:
        history = BotHistory(stores.log, PostgresPasts(stores.pool))
        yield Projector(ProjectionRunner(stores.log, stores.views), HistoryKeeper(history, SystemClock()))
