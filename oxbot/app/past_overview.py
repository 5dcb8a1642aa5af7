"""Bots at a glance as of a position of the log, a page at a time."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from events.identifiers import BotId
from oxbot.app.candle_store import CandleLibrary
from oxbot.app.equity import EquityReader
from oxbot.app.fleet_falls import FleetFalls, Market, market_of
from oxbot.app.fleet_overview import OverviewBot, OverviewLine, OverviewMoney, overview_line
from oxbot.app.past_bots import BotThen, RowsTogether
from oxbot.core.candles import timeframe_duration
from oxbot.views.falls import Fall

CANDLES_MAX = 200_000
"""So many candles of all symbols together a page goes through for how far its bots had fallen."""


class _Member(NamedTuple):
    then: BotThen
    bot: OverviewBot
    money: OverviewMoney | None


class PastOverview:
    """Lines of bots as they were: at the close of the newest candle that each had on record, as its equity is."""

    def __init__(self, equity: EquityReader, candles: CandleLibrary) -> None:
        self._equity = equity
        self._candles = candles

    async def lines(self, bots: Sequence[BotThen], position: int, *, archived: bool) -> list[OverviewLine]:
        """A line for each, of those archived by then only if it says so."""
        members = [member for member in map(_member, bots) if archived or not member.bot.archived]
        together: dict[tuple[Market, datetime], list[_Member]] = defaultdict(list)
        for member in members:
            together[market_of(member.bot), member.then.cursor].append(member)
        left, lines = CANDLES_MAX, dict[BotId, OverviewLine]()
        for (market, cursor), group in together.items():
            closes = await self._equity.newest(group[0].bot, last=cursor)
            begun = min(member.bot.begins_at for member in group)
            last = max((candle.open_time for candle in closes.values()), default=None)
            falls: dict[BotId, Fall] = {}
            cost = 0 if last is None else _candles(market, begun, last)
            if last is not None and cost <= left:
                left -= cost
                falls = await self._falls(group, market, last, position)
            for member in group:
                bot_id = member.bot.bot_id
                lines[bot_id] = overview_line(member.bot, member.money, closes, falls.get(bot_id))
        return [lines[member.bot.bot_id] for member in members]

    async def _falls(
        self, group: Sequence[_Member], market: Market, last: datetime, position: int
    ) -> dict[BotId, Fall]:
        rows = RowsTogether({member.bot.bot_id: member.then for member in group}, position)
        money = {member.bot.bot_id: member.money for member in group if member.money is not None}
        bots = [member.bot for member in group]
        return await FleetFalls(rows, self._candles).of({market: bots}, money, {market: last})


def _member(then: BotThen) -> _Member:
    kept = then.past.rows
    [bot] = kept["bots"].values()
    money = next(iter(kept.get("arena", {}).values()), None)
    return _Member(
        then,
        msgspec.json.decode(bot, type=OverviewBot),
        None if money is None else msgspec.json.decode(money, type=OverviewMoney),
    )


def _candles(market: Market, begun: datetime, last: datetime) -> int:
    return max(0, (last - begun) // timeframe_duration(market.timeframe) + 1) * len(market.symbols)
