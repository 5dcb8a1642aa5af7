"""The actor that carries out the orders of one account at a venue."""

import os
from typing import TYPE_CHECKING

from actors.resident import Resident
from oxbot.app.keyed_execution import KeyedExecution
from oxbot.logs import configure_logs

if TYPE_CHECKING:
    # What it takes to reach a venue is loaded in the actor's own process and nowhere else.
    from oxbot.wiring.execution import ExecutionPlan
    from oxbot.wiring.stores import Database


class ExecutionActor:
    """A process for one account; it learns the orders from the log, and how they stand from the venue."""

    def __init__(self, name: str, plan: "ExecutionPlan", database: "Database", log_level: str) -> None:
        from oxbot.wiring.execution import open_execution  # noqa: PLC0415 - see above

        configure_logs(log_level)
        self._resident: Resident[KeyedExecution] = Resident(name, lambda: open_execution(name, plan, database))

    async def wake(self) -> int:
        """Be at work; answers the process id."""
        await self._resident.runner()
        return os.getpid()
