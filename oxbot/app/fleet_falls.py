"""How far each bot of a fleet has fallen below its highest, kept up candle by candle as its market goes on."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from events.identifiers import BotId, Symbol, VenueName
from oxbot.app.candle_store import CandleLibrary
from oxbot.app.equity import OfMarket
from oxbot.app.views import RowReader
from oxbot.core.candles import Series, timeframe_duration
from oxbot.views.falls import Closes, Fall, grown
from oxbot.views.rows import HoldingRow, moment_key

PAGE = 2048
SETTLED_CANDLES = 2
"""So many of the newest candles a bot may not have told of yet; they are gone through again the next time."""

HOLDINGS_MAX = 1_000_000
_INSTANT = timedelta(microseconds=1)


class Market(NamedTuple):
    """What bots look at."""

    venue: str
    timeframe: str
    symbols: tuple[Symbol, ...]


class Follower(OfMarket, Protocol):
    """A bot, as far as its market goes."""

    @property
    def bot_id(self) -> BotId:
        """Which."""
        ...

    @property
    def begins_at(self) -> datetime:
        """The open time of its first candle."""
        ...


class Money(Protocol):
    """What a bot has now, and since which candle."""

    @property
    def initial_capital(self) -> str:
        """What it began with."""
        ...

    @property
    def since(self) -> datetime:
        """From which candle on it holds what it holds."""
        ...


class _Gone(NamedTuple):
    """How far a bot's curve was gone through for good, and what the bot held then."""

    at: datetime
    fall: Fall
    held: HoldingRow | None


class _Known(NamedTuple):
    """What a bot's fall came to when it was last asked for, and of what."""

    last: datetime
    money: Money
    fall: Fall


class _Step(NamedTuple):
    """A bot's way through some closes."""

    bot_id: BotId
    gone: _Gone
    holdings: list[HoldingRow]


class FleetFalls:
    """Remembers how far it has gone through each bot's curve, for as long as its process lives."""

    def __init__(self, views: RowReader, candles: CandleLibrary) -> None:
        self._views = views
        self._candles = candles
        self._gone: dict[BotId, _Gone] = {}
        self._known: dict[BotId, _Known] = {}

    async def of(
        self, bots: Mapping[Market, Sequence[Follower]], money: Mapping[BotId, Money], last: Mapping[Market, datetime]
    ) -> dict[BotId, Fall]:
        """The fall of each bot up to its market's newest candle; none of a bot whose curve has not begun."""
        for market, members in bots.items():
            if market in last:
                moved = [bot for bot in members if bot.bot_id in money and self._moved(bot, money, last[market])]
                if moved:
                    await self._go_on(market, moved, money, last[market])
        return {bot.bot_id: self._known[bot.bot_id].fall for bot in _each(bots) if bot.bot_id in self._known}

    def _moved(self, bot: Follower, money: Mapping[BotId, Money], last: datetime) -> bool:
        known = self._known.get(bot.bot_id)
        return bot.begins_at <= last and (known is None or (known.last, known.money) != (last, money[bot.bot_id]))

    async def _go_on(
        self, market: Market, bots: Sequence[Follower], money: Mapping[BotId, Money], last: datetime
    ) -> None:
        """Take the bots' curves on to the newest candle, all of them a page of candles at a time."""
        step = timeframe_duration(market.timeframe)
        settled = last - SETTLED_CANDLES * step
        begun = {bot.bot_id: self._gone.get(bot.bot_id) or _begun(bot, money[bot.bot_id]) for bot in bots}
        after = min(gone.at for gone in begun.values())
        while after < last:
            until = min(last, after + PAGE * step)
            closes = await self._closes(market, after, until)
            steps = [
                _Step(bot.bot_id, gone, await self._holdings(bot.bot_id, gone, money[bot.bot_id]))
                for bot in bots
                if (gone := self._gone.get(bot.bot_id, begun[bot.bot_id])).at < until
            ]
            # A thousand bots are some hundred milliseconds of work, and others are waiting for their answers.
            for bot_id, gone, fall in await asyncio.to_thread(_walked, steps, closes, min(until, settled)):
                self._gone[bot_id] = gone
                self._known[bot_id] = _Known(last, money[bot_id], fall)
            after = until

    async def _holdings(self, bot_id: BotId, gone: _Gone, money: Money) -> list[HoldingRow]:
        """What the bot held where its curve was gone through up to, and everything after that."""
        if gone.held is not None and money.since <= gone.held.since:
            return [gone.held]
        after = "" if gone.held is None else moment_key(gone.held.since)
        rows = await self._views.rows("holdings", bot_id, after_key=after, limit=HOLDINGS_MAX)
        found = [msgspec.json.decode(row.body, type=HoldingRow) for row in rows]
        return found if gone.held is None else [gone.held, *found]

    async def _closes(self, market: Market, after: datetime, until: datetime) -> Closes:
        """The closes of all symbols at each time after one and up to another at which any of them closed."""
        columns: list[dict[datetime, float]] = []
        seeds: list[float] = []
        for symbol in market.symbols:
            series = Series(VenueName(market.venue), symbol, market.timeframe)
            [before] = await self._candles.newest_by(series, [after])
            seeds.append(float(before.close) if before else np.nan)
            found = await self._candles.read(series, begins_at=after + _INSTANT, ends_before=until + _INSTANT)
            columns.append({candle.open_time: float(candle.close) for candle in found})
        times = sorted(set().union(*columns))
        closes = np.empty((len(times), len(columns)))
        newest = list(seeds)
        for row, moment in enumerate(times):
            newest = [column.get(moment, known) for column, known in zip(columns, newest, strict=True)]
            closes[row] = newest
        return Closes(market.symbols, times, closes)


def market_of(bot: OfMarket) -> Market:
    """What a bot looks at."""
    return Market(bot.venue, bot.timeframe, tuple(sorted(bot.symbols)))


def _each(bots: Mapping[Market, Sequence[Follower]]) -> Iterator[Follower]:
    for members in bots.values():
        yield from members


def _begun(bot: Follower, money: Money) -> _Gone:
    return _Gone(bot.begins_at - _INSTANT, Fall.begun(float(money.initial_capital)), None)


def _walked(steps: Sequence[_Step], closes: Closes, settled: datetime) -> list[tuple[BotId, _Gone, Fall]]:
    """Where each bot's curve is after these closes for good, and how it stands at the last of them."""
    found: list[tuple[BotId, _Gone, Fall]] = []
    for bot_id, gone, holdings in steps:
        if not holdings:
            continue
        first, end = bisect_right(closes.times, gone.at), bisect_right(closes.times, settled)
        fall, place = grown(gone.fall, holdings, _part(closes, first, end)), gone
        if settled > gone.at:
            held = bisect_right(holdings, settled, key=_since)
            place = _Gone(settled, fall, holdings[held - 1] if held else gone.held)
        found.append((bot_id, place, grown(fall, holdings, _part(closes, max(first, end), len(closes.times)))))
    return found


def _part(closes: Closes, first: int, end: int) -> Closes:
    return Closes(closes.symbols, closes.times[first:end], closes.closes[first:end])


def _since(holding: HoldingRow) -> datetime:
    return holding.since
