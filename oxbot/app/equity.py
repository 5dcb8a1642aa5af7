"""Reads a bot's equity curve: its holdings marked with the stored candles, up to the market's own time."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from events.identifiers import BotId, Symbol, VenueName
from oxbot.app.candle_store import CandleLibrary
from oxbot.app.stored_frames import StoredFrames
from oxbot.app.views import RowReader, StoredRow, ViewReader
from oxbot.core.candles import Candle, Frame, Series, timeframe_duration
from oxbot.views.equity import EquityPoint, equity_curve
from oxbot.views.rows import BotLine, BotRow, HoldingRow

HOLDINGS_MAX = 1_000_000

ItemT = TypeVar("ItemT")
_INSTANT = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MarketTime(Protocol):
    """How far a market has come, so that nobody is shown a candle of its future."""

    async def closed_before(self, venue: str) -> datetime:
        """Only candles that opened before this moment have closed."""
        ...


class OfMarket(Protocol):
    """Whoever looks at some symbols of a market."""

    @property
    def venue(self) -> str:
        """Where they are traded."""
        ...

    @property
    def timeframe(self) -> str:
        """How long its candles last."""
        ...

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """Which symbols."""
        ...


class Holdings(NamedTuple):
    """A bot and what it held from when on, all as of one position of the log."""

    bot: BotRow
    rows: list[HoldingRow]


class EquityReader:
    """Equity of any bot over any range, from the views and the candle store alone."""

    def __init__(self, views: ViewReader, candles: CandleLibrary, market_time: MarketTime) -> None:
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
        # A long life is a tenth of a second of work, and others are waiting for their answers; likewise below.
        return Holdings(bot, await asyncio.to_thread(_held, rows))

    async def marked(
        self,
        holdings: Holdings,
        *,
        begins_at: datetime | None,
        ends_before: datetime | None,
        points_max: int,
        apart: timedelta | None = None,
    ) -> list[EquityPoint]:
        """The curve of these holdings at candle closes, oldest first, evenly thinned to ``points_max``.

        ``apart``: only the last point of each such span of time, which are counted from the epoch.
        """
        bot, candle = holdings.bot, timeframe_duration(holdings.bot.timeframe)
        newest = await self.newest(bot, last=None if ends_before is None else ends_before - _INSTANT)
        first = max(bot.begins_at, begins_at or bot.begins_at)
        last = max((found.open_time for found in newest.values()), default=None)
        if last is None or last < first:
            return []
        step = -(-((last - first) // candle + 1) // points_max) * candle
        if apart is None and step == candle:
            return await self._unthinned(holdings, first, last + candle)
        span = apart or step
        end = last + candle if apart is None else _EPOCH + ((last - _EPOCH) // apart + 1) * apart
        ends = thinned([end - number * span for number in range(-((first - end) // span))][::-1], points_max)
        frames = await self._sampled(bot, ends, span, first=first, last=last)
        return await asyncio.to_thread(equity_curve, holdings.rows, frames)

    async def _unthinned(self, holdings: Holdings, first: datetime, ends_before: datetime) -> list[EquityPoint]:
        """A point for each frame of the range."""
        bot = holdings.bot
        frames = await self.frames(bot, ends_before, begins_at=first)
        if first == bot.begins_at:
            return await asyncio.to_thread(equity_curve, holdings.rows, frames)
        # What closed before the range holds until it closes again.
        before = await self.newest(bot, last=first - _INSTANT)
        frames = [Frame(first - _INSTANT, tuple(sorted(before.items()))), *frames]
        return (await asyncio.to_thread(equity_curve, holdings.rows, frames))[1:]

    async def _sampled(
        self, bot: BotLine, ends: Sequence[datetime], span: timedelta, *, first: datetime, last: datetime
    ) -> list[Frame]:
        """The last frame of each span that ends then, with every symbol's newest close; none of a span without any."""
        moments = [min(end - _INSTANT, last) for end in ends]
        closes: list[dict[Symbol, Candle]] = [{} for _ in ends]
        for symbol in sorted(bot.symbols):
            series = Series(VenueName(bot.venue), symbol, bot.timeframe)
            for known, found in zip(closes, await self._candles.newest_by(series, moments), strict=True):
                if found is not None:
                    known[symbol] = found
        frames: list[Frame] = []
        for end, known in zip(ends, closes, strict=True):
            at = max((candle.open_time for candle in known.values()), default=None)
            if at is not None and at >= max(end - span, first):
                frames.append(Frame(at, tuple(known.items())))
        return frames

    async def marks(self, bot_id: BotId) -> dict[Symbol, Decimal]:
        """The newest close of each of the bot's symbols, in quote currency; a symbol without one is left out."""
        body = await self._views.row("bots", bot_id)
        if body is None:
            return {}
        return await self.marks_of(msgspec.json.decode(body, type=BotRow))

    async def marks_of(self, bot: BotLine) -> dict[Symbol, Decimal]:
        """The newest close of each symbol of a bot's market, likewise."""
        return {symbol: candle.close for symbol, candle in (await self.newest(bot)).items()}

    async def newest(self, bot: OfMarket, *, last: datetime | None = None) -> dict[Symbol, Candle]:
        """The newest closed candle of each symbol of a bot's market, or that which opened by ``last``; likewise."""
        closed = await self._market_time.closed_before(bot.venue) - timedelta(microseconds=1)
        candles: dict[Symbol, Candle] = {}
        for symbol in bot.symbols:
            series = Series(VenueName(bot.venue), symbol, bot.timeframe)
            for candle in await self._candles.window(series, last=min(closed, last or closed), count=1):
                candles[symbol] = candle
        return candles

    async def frames(
        self, bot: BotLine, ends_before: datetime | None = None, *, begins_at: datetime | None = None
    ) -> list[Frame]:
        """All that has closed of a bot's market since it began, or since then."""
        now = await self._market_time.closed_before(bot.venue)
        frames = StoredFrames(
            self._candles,
            venue=VenueName(bot.venue),
            timeframe=bot.timeframe,
            symbols=bot.symbols,
            begins_at=begins_at or bot.begins_at,
            ends_before=min(now, ends_before) if ends_before else now,
        )
        return [frame async for frame in frames.all()]


def _held(rows: Iterable[StoredRow]) -> list[HoldingRow]:
    decode = msgspec.json.Decoder(HoldingRow).decode
    return [decode(row.body) for row in rows]


class EverythingStoredIsClosed:
    """The time of a market whose candles are stored only once they have closed."""

    async def closed_before(self, venue: str) -> datetime:
        """After every candle there is."""
        del venue
        return datetime.max.replace(tzinfo=UTC)


def thinned(points: list[ItemT], points_max: int) -> list[ItemT]:
    """At most ``points_max`` of the points, evenly spread, the last one always among them."""
    if len(points) <= points_max:
        return points
    step = -(-len(points) // points_max)
    return points[::-1][::step][::-1]
