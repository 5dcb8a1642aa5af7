"""The actor that seals the log."""

import os
from pathlib import Path

from actors.resident import Resident
from oxbot.app.sealer import Sealer, SealerState
from oxbot.logs import configure_logs
from oxbot.wiring.sealer import open_sealer
from oxbot.wiring.stores import Database


class SealerActor:
    """A process that signs checkpoints, on the machine that has the key; it goes on from what it signed last."""

    def __init__(self, home: Path, database: Database, log_level: str, interval_seconds: float) -> None:
        configure_logs(log_level)
        self._resident: Resident[Sealer] = Resident(
            "sealer", lambda: open_sealer(home, database, interval_seconds=interval_seconds)
        )

    async def seal(self) -> SealerState:
        """Seal what is new now, without waiting for the interval to pass."""
        sealer = await self._resident.runner()
        await sealer.attempt()
        return sealer.state

    async def wake(self) -> int:
        """Be at work; answers the process id."""
        await self._resident.runner()
        return os.getpid()
