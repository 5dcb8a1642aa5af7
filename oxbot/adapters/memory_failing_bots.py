"""Which bots fail, in memory, for tests."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from events.identifiers import BotId
from oxbot.app.failing import FailingBot


class MemoryFailingBots:
    """Implements ``FailingBots``."""

    def __init__(self) -> None:
        self._failing: dict[BotId, FailingBot] = {}

    async def failed(self, errors: Mapping[BotId, str]) -> None:
        """See ``FailingBots.failed``."""
        for bot_id, error in errors.items():
            known = self._failing.get(bot_id)
            self._failing[bot_id] = FailingBot(known.failing_since if known else datetime.now(UTC), error)

    async def recovered(self, bot_ids: Collection[BotId]) -> None:
        """See ``FailingBots.recovered``."""
        for bot_id in bot_ids:
            self._failing.pop(bot_id, None)

    async def all(self) -> dict[BotId, FailingBot]:
        """See ``FailingBots.all``."""
        return dict(self._failing)
