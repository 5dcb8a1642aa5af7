"""The actor of a node through which processes without a connection of their own reach the log, and the way to it."""

import asyncio
import os
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import ray

from actors import options
from actors.calls import ActorUnavailable, Handle, answer, find, spawn
from actors.remote_log import GatewayUnavailable
from actors.resident import Resident
from events.identifiers import FleetName
from oxbot.logs import configure_logs

if TYPE_CHECKING:
    # What a gateway works with is imported by the gateway alone: hosts import this module for the way to it.
    from actors.log_service import LogService
    from oxbot.wiring.stores import Database


class Gateways(msgspec.Struct, frozen=True, kw_only=True):
    """The gateways of a fleet, one on each of these machines."""

    fleet: FleetName
    nodes: tuple[str, ...]

    def names(self, *, nearest_to: str) -> list[str]:
        """Their names, the one on this machine first; each machine has another second, so a loss is spread."""
        first = self.nodes.index(nearest_to) if nearest_to in self.nodes else zlib.crc32(nearest_to.encode())
        turn = first % len(self.nodes)
        return [options.gateway_name(self.fleet, node) for node in (*self.nodes[turn:], *self.nodes[:turn])]

    def ensure(self, database: "Database", log_level: str) -> None:
        """Create those that do not exist. A single one may be anywhere, so that it can outlive its machine."""
        for node in self.nodes:
            name = options.gateway_name(self.fleet, node)
            pinned_to = node if len(self.nodes) > 1 else None
            spawn(GatewayActor, options.gateway(name, pinned_to), name, database, log_level)


class GatewayActor:
    """A process that holds a node's connections, and nothing that is not in the log or on its way there."""

    def __init__(self, name: str, database: "Database", log_level: str) -> None:
        configure_logs(log_level)
        self._resident: Resident[LogService] = Resident(name, lambda: open_service(name, database))

    async def answer(self, request: bytes) -> bytes:
        """The reply to one request, see ``LogService``."""
        return await (await self._resident.runner()).answer(request)

    async def wake(self) -> int:
        """Be at work; answers the process id."""
        await self._resident.runner()
        return os.getpid()


@asynccontextmanager
async def open_service(name: str, database: "Database") -> "AsyncIterator[LogService]":
    """What a gateway runs, over two connections."""
    from actors.append_queue import AppendQueue  # noqa: PLC0415 - see above
    from actors.log_service import LogService  # noqa: PLC0415 - see above
    from oxbot.wiring.gateway import open_gateway  # noqa: PLC0415 - see above

    async with open_gateway(name, database) as stores:
        # Hints go out beside the appends, never in their way.
        appends = AppendQueue(stores.appends.append_encoded, stores.reads.hint)
        yield LogService(appends, reads=stores.reads, candles=stores.candles)


class RayGateway:
    """The way to the gateway actors of these names: the first for as long as it answers, then the next one."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._turn = 0
        self._handle: Handle | None = None

    async def ask(self, request: bytes, *, seconds: float) -> bytes:
        """See ``Gateway.ask``."""
        name = self._names[self._turn % len(self._names)]
        turn = self._turn
        try:
            handle = await asyncio.to_thread(find, name) if self._handle is None else self._handle
            self._handle = handle
            reply: ray.ObjectRef[bytes] = handle.answer.remote(request)
            return await answer(reply, of=name, seconds=seconds)
        except ray.exceptions.PendingCallsLimitExceeded as error:
            raise GatewayUnavailable(f"{name} has enough to do with the calls of this process") from error
        except (ActorUnavailable, ray.exceptions.RaySystemError, ray.exceptions.ObjectLostError) as error:
            if self._turn == turn:
                self._turn, self._handle = turn + 1, None
            raise GatewayUnavailable(str(error)) from error
