"""The actor that asks language models."""

import os
from typing import TYPE_CHECKING

from actors.resident import Resident
from oxbot.logs import configure_logs

if TYPE_CHECKING:
    # What it takes to reach a model is loaded in the actor's own process and nowhere else.
    from oxbot.wiring.models import ModelsPlan, ModelsRunner
    from oxbot.wiring.stores import Database


class ModelActor:
    """A process for the models of an installation; what was asked, answered and spent it learns from the log."""

    def __init__(self, name: str, plan: "ModelsPlan", database: "Database", log_level: str) -> None:
        from oxbot.wiring.models import open_models  # noqa: PLC0415 - see above

        configure_logs(log_level)
        self._resident: Resident[ModelsRunner] = Resident(name, lambda: open_models(name, plan, database))

    async def wake(self) -> int:
        """Be at work; answers the process id."""
        await self._resident.runner()
        return os.getpid()
