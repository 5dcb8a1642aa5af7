"""A process that keeps a fleet's bots alive, and watches over what no fact says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from events.identifiers import FleetName
from oxbot.adapters.postgres_failing_bots import PostgresFailingBots
from oxbot.app.account_directory import AccountDirectory
from oxbot.app.alert_watch import AlertWatch, Watched
from oxbot.app.clock import SystemClock
from oxbot.app.projections import Projections
from oxbot.app.supervisor_runner import HostReport, Hosts, SupervisorRunner
from oxbot.app.venue_checks import MovingMarket, VenueChecks
from oxbot.wiring.stores import Database, Stores, open_stores


class Supervisor:
    """The control loop of a fleet, and beside it the watch, if there is one."""

    def __init__(self, runner: SupervisorRunner, watch: AlertWatch | None) -> None:
        self._runner = runner
        self._watch = watch

    def reports(self) -> tuple[HostReport, ...]:
        """Every host as it was last seen."""
        return self._runner.reports()

    async def reconcile(self) -> None:
        """One pass of the control loop."""
        await self._runner.reconcile()

    async def run(self) -> None:
        """Be at work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._runner.run(), name="supervisor")
            if self._watch is not None:
                tasks.create_task(self._watch.run(), name="alert watch")


@asynccontextmanager
async def open_supervisor(
    fleet: FleetName,
    database: Database,
    hosts: Hosts,
    *,
    bots_per_actor: int,
    moving: Sequence[MovingMarket] | None = None,
) -> AsyncIterator[Supervisor]:
    """The supervisor; it watches if it is told which markets should move, of which there may be none."""
    async with open_stores(database, "oxbot_host", name="supervisor", connections=1) as stores:
        runner = SupervisorRunner(
            fleet,
            log=stores.log,
            hosts=hosts,
            failing=PostgresFailingBots(stores.pool),
            clock=SystemClock(),
            bots_per_actor=bots_per_actor,
        )
        yield Supervisor(runner, None if moving is None else _watch(stores, runner, tuple(moving)))


def _watch(stores: Stores, runner: SupervisorRunner, moving: Sequence[MovingMarket]) -> AlertWatch:
    clock = SystemClock()
    watched = Watched(
        log=stores.log,
        views=stores.views,
        projections=Projections(stores.log, stores.views),
        failing=PostgresFailingBots(stores.pool),
        venues=VenueChecks(stores.candles, AccountDirectory(stores.log), moving=lambda: moving, now=clock.now),
        cycles=runner.slowest,
    )
    return AlertWatch(watched, clock)
