"""The actor that hosts bots: one or many, each with its own stream."""

import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from actors.gateway import Gateways, RayGateway
from actors.market import RemoteFeed
from actors.nodes import this_node
from actors.remote_log import RemoteCandles, RemoteLog
from actors.resident import Resident
from events.identifiers import BotId
from oxbot.app.host_runner import HostRunner, HostStatus
from oxbot.logs import configure_logs
from oxbot.wiring.host import open_host, open_remote_host

if TYPE_CHECKING:
    # The only reason to load asyncpg is a connection, and not every host has one; nothing here loads it.
    from oxbot.wiring.stores import Database


class BotHostActor:
    """A process for bots; everything it knows it learns from the log, which it reaches directly or by a gateway."""

    def __init__(self, name: str, market: str, log: "Database | Gateways", log_level: str) -> None:
        configure_logs(log_level)
        self._resident: Resident[HostRunner] = Resident(name, lambda: _open(name, market, log))

    async def place(self, bot_ids: Sequence[BotId]) -> None:
        """Let the bots live here."""
        await (await self._resident.runner()).place(bot_ids)

    async def refresh(self, bot_ids: Sequence[BotId]) -> None:
        """Let the bots learn what others appended."""
        await (await self._resident.runner()).refresh(bot_ids)

    async def status(self) -> HostStatus:
        """Who lives here."""
        return (await self._resident.runner()).status(os.getpid())


def _open(name: str, market: str, log: "Database | Gateways") -> AbstractAsyncContextManager[HostRunner]:
    if not isinstance(log, Gateways):
        return open_host(name, log, RemoteFeed(market))
    gateway = RayGateway(log.names(nearest_to=this_node()))
    return open_remote_host(name, RemoteLog(gateway), RemoteCandles(gateway), RemoteFeed(market))
