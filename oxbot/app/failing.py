"""Which bots the log wants alive and cannot live: told by the supervisor, read by whoever shows a bot."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from events.identifiers import BotId
from oxbot.views.rows import BotLine, BotRow

FAILURES = ("failed", "crashed")


class FailingBot(NamedTuple):
    """Since when a bot has not lived, and what it failed of last."""

    failing_since: datetime
    error: str


class FailingBots(Protocol):
    """Remembers which bots fail, across processes; losing it costs a reader the news until the next failure."""

    async def failed(self, errors: Mapping[BotId, str]) -> None:
        """These bots fail, each of its error: since now, or since earlier if they were failing already."""
        ...

    async def recovered(self, bot_ids: Collection[BotId]) -> None:
        """These bots live again, or have nothing left to live for."""
        ...

    async def all(self) -> dict[BotId, FailingBot]:
        """Those that fail."""
        ...


class BotListed(BotLine, frozen=True, kw_only=True):
    """A bot in a list, and whether it fails: since when it has not lived, as its supervisor last saw it."""

    failing_since: datetime | None = None
    error: str | None = None


class BotShown(BotRow, frozen=True, kw_only=True):
    """A bot, all that it was created with, and whether it fails, as in a list.

    ``version`` counts the events of its stream up to where everything else here is as of: what a command's `If-Match`
    is compared with, and what a conflict names as the actual one.
    """

    version: int = 0
    failing_since: datetime | None = None
    error: str | None = None


SeenT = TypeVar("SeenT", BotListed, BotShown)


def shown(body: bytes, failing: FailingBot | None, *, version: int) -> BotShown:
    """A bot's row as it is shown, of a bot at that version."""
    bot = _seen(msgspec.json.decode(body, type=BotShown), failing)
    return msgspec.structs.replace(bot, version=version)


def listed(body: bytes, failing: FailingBot | None) -> BotListed:
    """A bot's row as it is listed."""
    return _seen(msgspec.json.decode(body, type=BotListed), failing)


class Failures:
    """What a supervisor learns of its bots' failures, and makes known."""

    def __init__(self, store: FailingBots) -> None:
        self._store = store
        self._errors: dict[BotId, str] = {}
        self._well: set[BotId] = set()
        self._stored: dict[BotId, str] | None = None

    def failed(self, bot_id: BotId, error: str) -> None:
        """The bot left for this reason."""
        self._errors[bot_id] = error
        self._well.discard(bot_id)

    def well(self, bot_ids: Collection[BotId]) -> None:
        """These live, or are finished."""
        self._well.update(bot_ids)
        for bot_id in bot_ids:
            self._errors.pop(bot_id, None)

    async def tell(self) -> None:
        """Make known what has changed. Raises ``StoreUnavailable``; nothing is lost then, ask again."""
        if self._stored is None:
            self._stored = {bot_id: failing.error for bot_id, failing in (await self._store.all()).items()}
        new = {bot_id: error for bot_id, error in self._errors.items() if self._stored.get(bot_id) != error}
        if new:
            await self._store.failed(new)
            self._stored |= new
        gone = self._well & self._stored.keys()
        if gone:
            await self._store.recovered(gone)
            self._stored = {bot_id: error for bot_id, error in self._stored.items() if bot_id not in gone}


def _seen(bot: SeenT, failing: FailingBot | None) -> SeenT:
    if failing is None:
        return bot
    return msgspec.structs.replace(bot, failing_since=failing.failing_since, error=failing.error)
