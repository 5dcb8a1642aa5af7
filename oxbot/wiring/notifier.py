"""A process that tells people what happened, wherever they want it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from oxbot.adapters.apprise_notifier import AppriseNotifier
from oxbot.adapters.postgres_outbox import PostgresOutbox
from oxbot.app.clock import SystemClock
from oxbot.app.notifications import NotificationRunner
from oxbot.config import Secret
from oxbot.wiring.connections import NOTIFIER
from oxbot.wiring.stores import Database, open_stores


@asynccontextmanager
async def open_notifier(targets: Sequence[Secret], database: Database) -> AsyncIterator[NotificationRunner]:
    """The runner that empties the outbox towards these targets. Raises ``InvalidTarget``."""
    notifier = AppriseNotifier(targets)
    async with open_stores(database, "oxbot_notifier", name="notifier", connections=NOTIFIER) as stores:
        yield NotificationRunner(stores.log, PostgresOutbox(stores.pool), notifier, SystemClock())


def check_targets(targets: Sequence[Secret]) -> None:
    """Raise ``InvalidTarget``, by its number, for one that no service of Apprise answers to."""
    AppriseNotifier(targets)
