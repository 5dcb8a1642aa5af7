"""The actor that keeps the views up with the log."""

import os

from actors.resident import Resident
from oxbot.logs import configure_logs
from oxbot.wiring.projector import Projector, open_projector
from oxbot.wiring.stores import Database


class ProjectorActor:
    """A process for the views; it begins from their checkpoint."""

    def __init__(self, database: Database, log_level: str) -> None:
        configure_logs(log_level)
        self._resident: Resident[Projector] = Resident("projector", lambda: open_projector(database))

    async def position(self) -> int:
        """How far the views are."""
        return (await self._resident.runner()).position

    async def wake(self) -> int:
        """Be at work; answers the process id."""
        await self._resident.runner()
        return os.getpid()
