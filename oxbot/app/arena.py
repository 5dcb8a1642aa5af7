"""Reads the arena: a line for every bot out of the views and the stored candles, ranked; drawdowns of the first."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from events.identifiers import BotId, ModelName, OwnerId, Symbol
from oxbot.app.equity import HOLDINGS_MAX, EquityReader
from oxbot.app.models.known import ModelTable
from oxbot.app.views import Snapshot, ViewReader
from oxbot.core.candles import Frame
from oxbot.core.money import text
from oxbot.views.advice_rows import ArenaRow
from oxbot.views.arena import ArenaLine, Cutoffs, arena_line, ranked
from oxbot.views.equity import deepest_fall, equity_curve
from oxbot.views.rows import BotLine, HoldingRow

PAGE = 500
LINES_MAX = 200
LINES = 20
NEVER = date.min
"""The cutoff of what was never trained."""

_Market = tuple[str, str, tuple[Symbol, ...]]


class ArenaBoard(msgspec.Struct, frozen=True, kw_only=True):
    """The first lines of so many bots, and the position of the log up to which all of them count."""

    position: int
    bots: int
    items: list[ArenaLine]


class ArenaReader:
    """Compares all bots, or those of one fleet."""

    def __init__(self, views: ViewReader, equity: EquityReader, models: ModelTable) -> None:
        self._views = views
        self._equity = equity
        self._cutoffs = cutoffs_of(models)

    async def board(
        self, *, fleet: str | None = None, limit: int = LINES, of_owners: Collection[OwnerId] | None = None
    ) -> ArenaBoard:
        """The arena as of one position, of all bots or those of some owners; equity is at each symbol's newest close.

        Nobody else's bots have a part in contests and ranks.
        """
        async with self._views.snapshot() as views:
            bots = [bot for bot in await _all_bots(views, of_owners) if fleet in (None, bot.fleet)]
            rows = await _all_rows(views, of_owners)
            position = views.position
        compared = [(bot, rows[bot.bot_id]) for bot in bots if bot.bot_id in rows]
        marks: dict[_Market, Mapping[Symbol, Decimal]] = {}
        for bot, _ in compared:
            if _market(bot) not in marks:
                marks[_market(bot)] = await self._equity.marks_of(bot)
        lines = ranked(arena_line(bot, row, marks[_market(bot)], self._cutoffs) for bot, row in compared)
        shown = await self._with_drawdowns({bot.bot_id: bot for bot in bots}, lines[:limit])
        return ArenaBoard(position=position, bots=len(lines), items=shown)

    async def _with_drawdowns(self, bots: Mapping[BotId, BotLine], lines: Sequence[ArenaLine]) -> list[ArenaLine]:
        """The lines of a market one after another, so that no more than one market's candles are held."""
        falls: dict[BotId, str] = {}
        market, frames = None, list[Frame]()
        for bot in sorted((bots[line.bot_id] for line in lines), key=lambda bot: (*_market(bot), bot.begins_at)):
            if (_market(bot), bot.begins_at) != market:
                market, frames = (_market(bot), bot.begins_at), await self._equity.frames(bot)
            rows = await self._views.rows("holdings", bot.bot_id, limit=HOLDINGS_MAX)
            holdings = [msgspec.json.decode(row.body, type=HoldingRow) for row in rows]
            # A long life is some seconds of work, and others are waiting for their answers.
            falls[bot.bot_id] = text(await asyncio.to_thread(_fall, bot, holdings, frames))
        return [msgspec.structs.replace(line, max_drawdown=falls[line.bot_id]) for line in lines]


def cutoffs_of(models: ModelTable) -> Cutoffs:
    """What the table says of the training of a model and of its fallbacks; a model that it does not know is unknown."""

    def cutoffs(name: ModelName) -> list[date | None]:
        known = models.get(name)
        if known is None:
            return [None]
        chain = [known, *(models.models[fallback] for fallback in known.fallbacks)]
        return [NEVER if each.scripted else each.cutoff for each in chain]

    return cutoffs


def _fall(bot: BotLine, holdings: Sequence[HoldingRow], frames: Sequence[Frame]) -> Decimal:
    return deepest_fall(bot, holdings, equity_curve(holdings, frames))


def _market(bot: BotLine) -> _Market:
    return bot.venue, bot.timeframe, tuple(sorted(bot.symbols))


async def _all_bots(views: Snapshot, of_owners: Collection[OwnerId] | None) -> list[BotLine]:
    bots: list[BotLine] = []
    after = ""
    while page := await views.across("bots", of_owners=of_owners, after_bot=after, limit=PAGE):
        bots.extend(msgspec.json.decode(row.body, type=BotLine) for row in page)
        after = page[-1].owner
    return bots


async def _all_rows(views: Snapshot, of_owners: Collection[OwnerId] | None) -> dict[BotId, ArenaRow]:
    """None of bots whose rows an older program made, until they are made anew."""
    rows: dict[BotId, ArenaRow] = {}
    after = ""
    while page := await views.across("arena", of_owners=of_owners, after_bot=after, limit=PAGE):
        rows.update((row.bot_id, msgspec.json.decode(row.body, type=ArenaRow)) for row in page)
        after = page[-1].owner
    return rows
