"""Reads a bot's equity curve: its holdings marked with the stored candles, up to the market's own time."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec

from events.identifiers import BotId, Symbol, VenueName
from oxbot.app.candle_store import CandleStore
from oxbot.app.stored_frames import StoredFrames
from oxbot.app.views import RowReader, ViewReader
from oxbot.core.candles import Frame, Series
from oxbot.views.equity import EquityPoint, equity_curve
from oxbot.views.rows import BotLine, BotRow, HoldingRow

HOLDINGS_MAX = 1_000_000


class MarketTime(Protocol):
    """How far a market has come, so that nobody is shown a candle of its future."""

    async def closed_before(self, venue: str) -> datetime:
        """Only candles that opened before this moment have closed."""
        ...


class Holdings(NamedTuple):
    """A bot and what it held from when on, all as of one position of the log."""

    bot: BotRow
    rows: list[HoldingRow]


class EquityReader:
    """Equity of any bot over any range, from the views and the candle store alone."""

    def __init__(self, views: ViewReader, candles: CandleStore, market_time: MarketTime) -> None:
        self._views = views
        self._candles = candles
        self._market_time = market_time

    async def curve(
        self,
        bot_id: BotId,
        *,
        begins_at: datetime | None = None,
        ends_before: datetime | None = None,
        points_max: int = 10_000_000,
    ) -> list[EquityPoint]:
        """Points at candle closes, oldest first, evenly thinned to ``points_max``; empty for an unknown bot."""
        async with self._views.snapshot() as views:
            holdings = await self.holdings(bot_id, views)
        if holdings is None:
            return []
        return await self.marked(holdings, begins_at=begins_at, ends_before=ends_before, points_max=points_max)

    async def holdings(self, bot_id: BotId, views: RowReader) -> Holdings | None:
        """What a curve is made of beside candles; None for an unknown bot."""
        body = await views.row("bots", bot_id)
        if body is None:
            return None
        rows = await views.rows("holdings", bot_id, limit=HOLDINGS_MAX)
        bot = msgspec.json.decode(body, type=BotRow)
        return Holdings(bot, [msgspec.json.decode(row.body, type=HoldingRow) for row in rows])

    async def marked(
        self, holdings: Holdings, *, begins_at: datetime | None, ends_before: datetime | None, points_max: int
    ) -> list[EquityPoint]:
        """The curve of these holdings at candle closes, oldest first, evenly thinned to ``points_max``."""
        frames = await self.frames(holdings.bot, ends_before)
        points = equity_curve(holdings.rows, frames)
        if begins_at is not None:
            points = [point for point in points if point.at >= begins_at]
        return thinned(points, points_max)

    async def marks(self, bot_id: BotId) -> dict[Symbol, Decimal]:
        """The newest close of each of the bot's symbols, in quote currency; a symbol without one is left out."""
        body = await self._views.row("bots", bot_id)
        if body is None:
            return {}
        return await self.marks_of(msgspec.json.decode(body, type=BotRow))

    async def marks_of(self, bot: BotLine) -> dict[Symbol, Decimal]:
        """The newest close of each symbol of a bot's market, likewise."""
        newest = await self._market_time.closed_before(bot.venue) - timedelta(microseconds=1)
        marks: dict[Symbol, Decimal] = {}
        for symbol in bot.symbols:
            series = Series(VenueName(bot.venue), symbol, bot.timeframe)
            for candle in await self._candles.window(series, last=newest, count=1):
                marks[symbol] = candle.close
        return marks

    async def frames(self, bot: BotLine, ends_before: datetime | None = None) -> list[Frame]:
        """All that has closed of a bot's market since it began."""
        now = await self._market_time.closed_before(bot.venue)
        frames = StoredFrames(
            self._candles,
            venue=VenueName(bot.venue),
            timeframe=bot.timeframe,
            symbols=bot.symbols,
            begins_at=bot.begins_at,
            ends_before=min(now, ends_before) if ends_before else now,
        )
        return [frame async for frame in frames.all()]


class EverythingStoredIsClosed:
    """The time of a market whose candles are stored only once they have closed."""

    async def closed_before(self, venue: str) -> datetime:
        """After every candle there is."""
        del venue
        return datetime.max.replace(tzinfo=UTC)


def thinned(points: list[EquityPoint], points_max: int) -> list[EquityPoint]:
    """At most ``points_max`` of the points, evenly spread, the last one always among them."""
    if len(points) <= points_max:
        return points
    step = -(-len(points) // points_max)
    return points[::-1][::step][::-1]
