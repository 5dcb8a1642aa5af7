"""The actor that keeps a fleet's bots alive, and its way to their hosts."""

import asyncio
import os
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import ray

from actors import options
from actors.bot_host import BotHostActor
from actors.calls import ActorUnavailable, Handle, answer, find, named, spawn
from actors.gateway import Gateways
from actors.resident import Resident
from events.identifiers import BotId, FleetName
from oxbot.app.host_runner import HostStatus
from oxbot.app.supervisor_runner import HostReport, HostUnavailable
from oxbot.app.venue_checks import MovingMarket
from oxbot.logs import configure_logs
from oxbot.wiring.connections import HostConnections
from oxbot.wiring.stores import Database
from oxbot.wiring.supervisor import Supervisor, open_supervisor

T = TypeVar("T")


class SupervisorPlan(NamedTuple):
    """How bots are spread over hosts and hosts reach the log, and which markets it should see moving, if any."""

    bots_per_actor: int
    connections: HostConnections
    moving: Sequence[MovingMarket] | None


class SupervisorActor:
    """A process for the control loop; it learns the fleet from the log."""

    def __init__(self, fleet: FleetName, database: Database, log_level: str, plan: SupervisorPlan) -> None:
        configure_logs(log_level)
        hosts = RemoteHosts(fleet, database, log_level, plan.connections)
        self._resident: Resident[Supervisor] = Resident(
            "supervisor",
            lambda: open_supervisor(fleet, database, hosts, bots_per_actor=plan.bots_per_actor, moving=plan.moving),
        )

    async def reports(self) -> tuple[HostReport, ...]:
        """Every host as it was last seen."""
        return (await self._resident.runner()).reports()

    async def wake(self) -> int:
        """Be at work; answers the process id."""
        await self._resident.runner()
        return os.getpid()


class RemoteHosts:
    """``Hosts`` that are Ray actors: the first of them with a connection each, the others behind gateways."""

    def __init__(self, fleet: FleetName, database: Database, log_level: str, connections: HostConnections) -> None:
        self._fleet = fleet
        self._database = database
        self._log_level = log_level
        self._connections = connections
        self._handles: dict[str, Handle] = {}

    async def ensure(self, host: str) -> None:
        """Create the host's process unless there is one."""
        if host not in self._handles:
            market = options.market_name(self._fleet)
            arguments = (host, market, self._way_to_log(host), self._log_level)
            self._handles[host] = spawn(BotHostActor, options.resident(host), *arguments)

    async def status(self, host: str) -> HostStatus:
        """Who lives in the host."""
        return await self._answer(host, self._handles[host].status.remote())

    async def place(self, host: str, bot_ids: Sequence[BotId]) -> None:
        """Let the bots live in the host."""
        await self._answer(host, self._handles[host].place.remote(list(bot_ids)))

    async def refresh(self, host: str, bot_ids: Sequence[BotId]) -> None:
        """Tell the bots that others appended."""
        await self._answer(host, self._handles[host].refresh.remote(list(bot_ids)))

    async def wake(self) -> None:
        """Make sure that market, projector and sealer are at work, also after Ray has restarted them.

        So are those of notifier, executions and models that there are; none of these waits for another.
        """
        needed = [name(self._fleet) for name in (options.market_name, options.projector_name, options.sealer_name)]
        names = (options.notifier_name, options.execution_name, options.models_name)
        begins = tuple(name(self._fleet) for name in names)
        there = [name for name in named() if name.startswith(begins)]
        unavailable = await asyncio.gather(*map(self._woken, [*needed, *there]))
        if any(unavailable):
            raise HostUnavailable("; ".join(filter(None, unavailable)))

    def _way_to_log(self, host: str) -> Database | Gateways:
        """What the host is given for its lifetime: by its number alone, so that every supervisor gives the same."""
        if int(host.rpartition("-")[2]) <= self._connections.direct:
            return self._database
        gateways = Gateways(fleet=self._fleet, nodes=self._connections.gateways)
        gateways.ensure(self._database, self._log_level)
        return gateways

    async def _woken(self, name: str) -> str:
        """What kept it from being at work, or nothing."""
        try:
            await answer(find(name).wake.remote(), of=name)
        except ActorUnavailable as error:
            return str(error)
        return ""

    async def _answer(self, host: str, reference: "ray.ObjectRef[T]") -> T:
        try:
            return await answer(reference, of=host)
        except ActorUnavailable as error:
            self._handles.pop(host, None)
            raise HostUnavailable(str(error)) from error
