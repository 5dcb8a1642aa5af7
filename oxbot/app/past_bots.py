"""Several bots as of one position of the log: in pages, or so many that they can be folded for one answer."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from events.errors import OxbotError
from events.identifiers import BotId, OwnerId
from oxbot.app.bots import UnknownBot
from oxbot.app.past import BotHistory
from oxbot.app.past_rows import PastRows
from oxbot.app.views import RowReader, StoredRow
from oxbot.views.past import BotPast
from oxbot.views.rows import ViewName

PAGE_BOTS = 50
"""So many bots a page looks at, each folded from the nearest state that is kept of it."""

TOGETHER_BOTS = 100
"""So many bots are folded for one answer that is of all of them together."""

PAGE = 500


class TooManyBots(OxbotError):
    """There were more bots than are folded for one answer."""


class BotThen(NamedTuple):
    """A bot as it was."""

    bot_id: BotId
    past: BotPast
    rows: PastRows

    @property
    def cursor(self) -> datetime:
        """The open time of the newest candle that it had on record; that of its first one if it had none."""
        state = self.past.state
        return state.cursor or state.configuration.market.begins_at


class BotsThen(NamedTuple):
    """Some bots in order of id; ``after``: there may be more behind this one, None if there are not."""

    bots: Sequence[BotThen]
    after: BotId | None


class PastBots:
    """Finds bots in views that are built up to the position at least, and folds those that there were then."""

    def __init__(self, history: BotHistory, views: RowReader) -> None:
        self._history = history
        self._views = views

    async def page(
        self, position: int, *, of_owners: Collection[OwnerId] | None, after_bot: str, limit: int
    ) -> BotsThen:
        """Those of up to ``limit`` bots of these owners, and up to ``PAGE_BOTS``, that there were at the position."""
        looked_at = min(limit, PAGE_BOTS)
        rows = await self._views.across("bots", of_owners=of_owners, after_bot=after_bot, limit=looked_at + 1)
        bots = [found for row in rows[:looked_at] if (found := await self._then(row.bot_id, position)) is not None]
        return BotsThen(bots, rows[looked_at - 1].bot_id if len(rows) > looked_at else None)

    async def together(
        self, position: int, *, of_owners: Collection[OwnerId] | None, fleet: str | None
    ) -> "RowsTogether":
        """All of these owners' bots, or those of one fleet. Raises ``TooManyBots`` for more than ``TOGETHER_BOTS``."""
        found: dict[BotId, BotThen] = {}
        after = ""
        while rows := await self._views.across("bots", of_owners=of_owners, after_bot=after, limit=PAGE):
            for row in rows:
                if fleet is not None and msgspec.json.decode(row.body, type=_OfFleet).fleet != fleet:
                    continue
                then = await self._then(row.bot_id, position)
                if then is not None:
                    found[row.bot_id] = then
                if len(found) > TOGETHER_BOTS:
                    raise TooManyBots(f"there were more than {TOGETHER_BOTS} such bots then; name a fleet, or a bot")
            after = rows[-1].owner
        return RowsTogether(found, position)

    async def _then(self, bot_id: BotId, position: int) -> BotThen | None:
        try:
            past = await self._history.at(bot_id, position)
        except UnknownBot:
            return None
        return BotThen(bot_id, past, PastRows(bot_id, past, self._views, position))


class RowsTogether:
    """Implements ``RowReader`` for some bots as of one position."""

    def __init__(self, bots: Mapping[BotId, BotThen], position: int) -> None:
        self._bots = bots
        self.position = position

    @property
    def cursors(self) -> dict[BotId, datetime]:
        """The newest candle on record of each."""
        return {bot_id: found.cursor for bot_id, found in self._bots.items()}

    async def row(self, view: ViewName, owner: str, key: str = "") -> bytes | None:
        """One row's JSON; None for another bot."""
        found = self._bots.get(BotId(owner))
        return None if found is None else await found.rows.row(view, owner, key)

    async def rows(
        self, view: ViewName, owner: str, *, after_key: str = "", limit: int, descending: bool = False
    ) -> list[StoredRow]:
        """A bot's rows after a key; none of another bot."""
        found = self._bots.get(BotId(owner))
        if found is None:
            return []
        return await found.rows.rows(view, owner, after_key=after_key, limit=limit, descending=descending)

    async def across(
        self, view: ViewName, *, of_owners: Collection[OwnerId] | None = None, after_bot: str = "", limit: int
    ) -> list[StoredRow]:
        """The single-row view across these bots, whoever's they are: they were chosen by that."""
        del of_owners
        behind = sorted(bot_id for bot_id in self._bots if bot_id > after_bot)
        rows = [(bot_id, await self._bots[bot_id].rows.row(view, bot_id)) for bot_id in behind]
        return [StoredRow(bot_id, "", body) for bot_id, body in rows if body is not None][:limit]


class _OfFleet(msgspec.Struct, frozen=True):
    fleet: str
