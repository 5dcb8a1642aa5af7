"""The actor that tells people what happened."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from actors.resident import Resident
from oxbot.app.notifications import NotificationRunner
from oxbot.logs import configure_logs

if TYPE_CHECKING:
    # What it takes to reach a hundred services is loaded in the actor's own process.
    from oxbot.config import Secret
    from oxbot.wiring.stores import Database


class NotifierActor:
    """A process for the outbox; where it is in the log, and what is still to be told, the outbox says."""

    def __init__(self, targets: "Sequence[Secret]", database: "Database", log_level: str) -> None:
        from oxbot.wiring.notifier import open_notifier  # noqa: PLC0415 - see above

        configure_logs(log_level)
        self._resident: Resident[NotificationRunner] = Resident("notifier", lambda: open_notifier(targets, database))

    async def wake(self) -> int:
        """Be at work; answers the process id."""
        await self._resident.runner()
        return os.getpid()
