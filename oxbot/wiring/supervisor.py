"""A process that keeps a fleet's bots alive."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from events.identifiers import FleetName
from oxbot.adapters.postgres_failing_bots import PostgresFailingBots
from oxbot.app.clock import SystemClock
from oxbot.app.supervisor_runner import Hosts, SupervisorRunner
from oxbot.wiring.stores import Database, open_stores


@asynccontextmanager
async def open_supervisor(
    fleet: FleetName, database: Database, hosts: Hosts, *, bots_per_actor: int
) -> AsyncIterator[SupervisorRunner]:
    """The supervisor's runner."""
    async with open_stores(database, "oxbot_host", name="supervisor", connections=1) as stores:
        yield SupervisorRunner(
            fleet,
            log=stores.log,
            hosts=hosts,
            failing=PostgresFailingBots(stores.pool),
            clock=SystemClock(),
            bots_per_actor=bots_per_actor,
        )
