"""The actor that hosts bots: one or many, each with its own stream."""

import os
from collections.abc import Sequence

from actors.market import RemoteFeed
from actors.resident import Resident
from events.identifiers import BotId
from oxbot.app.host_runner import HostRunner, HostStatus
from oxbot.logs import configure_logs
from oxbot.wiring.host import open_host
from oxbot.wiring.stores import Database


class BotHostActor:
    """A process for bots; everything it knows it learns from the log."""

    def __init__(self, name: str, market: str, database: Database, log_level: str) -> None:
        configure_logs(log_level)
        self._resident: Resident[HostRunner] = Resident(name, lambda: open_host(name, database, RemoteFeed(market)))

    async def place(self, bot_ids: Sequence[BotId]) -> None:
        """Let the bots live here."""
        await (await self._resident.runner()).place(bot_ids)

    async def refresh(self, bot_ids: Sequence[BotId]) -> None:
        """Let the bots learn what others appended."""
        await (await self._resident.runner()).refresh(bot_ids)

    async def status(self) -> HostStatus:
        """Who lives here."""
        return (await self._resident.runner()).status(os.getpid())
