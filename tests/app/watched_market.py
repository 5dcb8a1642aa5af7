"""A venue's market at work on a virtual clock, and the candles, pushes and followers that tests give it."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from events.codec import Codec
from events.identifiers import Symbol, VenueName, venue_stream
from events.memory import MemoryEventLog
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.feed import FeedRequest
from oxbot.app.live_market import LiveVenueMarket
from oxbot.app.live_market_source import (
    CandleClosed,
    CandlePush,
)
from oxbot.app.live_market_time import LiveTiming
from oxbot.app.stored_frames import StoredFrames
from oxbot.core.candles import Candle, Frame, Series
from tests.app.live_venue import Outage, ScriptedVenue, VirtualClock
from tests.core.scenario import BTC, ETH, START, STEP, candle, moment

NAME = VenueName("exchange")
LENGTH = 12
SYMBOLS = (BTC, ETH)
END = moment(LENGTH) + timedelta(seconds=10)
BEFORE = START - STEP
LATER = END + timedelta(minutes=32)


def listed(symbol: Symbol, length: int = LENGTH) -> list[Candle]:
    """A symbol's candles, all different."""
    base = 100 if symbol == BTC else 10
    return [candle(number, str(base + number)) for number in range(length)]


def all_listed(symbols: Sequence[Symbol] = SYMBOLS) -> dict[Symbol, list[Candle]]:
    return {symbol: listed(symbol) for symbol in symbols}


def without(candles: Mapping[Symbol, list[Candle]], symbol: Symbol, *numbers: int) -> dict[Symbol, list[Candle]]:
    """The candles, but for these of one symbol."""
    lost = {moment(number) for number in numbers}
    return {
        one: [each for each in those if one != symbol or each.open_time not in lost] for one, those in candles.items()
    }


def prompt(candles: Mapping[Symbol, Sequence[Candle]], seconds: float = 1.0) -> list[tuple[datetime, CandlePush]]:
    """Each candle pushed so long after its close."""
    return [
        (each.open_time + STEP + timedelta(seconds=seconds), CandleClosed(symbol, each))
        for symbol, those in candles.items()
        for each in those
    ]


class Watched:
    """A market at work on a virtual clock, and a follower who writes down all that it is shown."""

    def __init__(
        self,
        candles: Mapping[Symbol, Sequence[Candle]],
        *,
        pushes: Sequence[tuple[datetime, CandlePush]] = (),
        outages: Sequence[Outage] = (),
        timing: LiveTiming = LiveTiming(),  # noqa: B008 - immutable
        skew: timedelta = timedelta(0),
        withheld_until: datetime = START,
    ) -> None:
        self.clock = VirtualClock()
        self.venue = ScriptedVenue(
            self.clock, candles, pushes=pushes, outages=outages, skew=skew, withheld_until=withheld_until
        )
        self.store = MemoryCandleStore()
        self.log = MemoryEventLog(Codec())
        self.shown: list[Frame] = []
        self.faults: dict[datetime, Mapping[Symbol, str]] = {}
        self.cursor = BEFORE
        self.asks = True
        self._symbols = tuple(candles)
        self._timing = timing
        self._market = self._new()

    def _new(self) -> LiveVenueMarket:
        return LiveVenueMarket(
            self.venue,
            venue=NAME,
            timeframe="5m",
            symbols=self._symbols,
            begins_at=START,
            store=self.store,
            log=self.log,
            clock=self.clock,
            timing=self._timing,
        )

    async def live(self, *deaths: datetime, end: datetime = END) -> "Watched":
        """Until the end, killed and begun anew at these moments."""
        for death in (*sorted(deaths), end):
            self._market = self._new()
            working = asyncio.ensure_future(self._market.run())
            try:
                await self.clock.pass_until(death, self._follow)
                assert not working.done()
            finally:
                working.cancel()
                with suppress(asyncio.CancelledError):
                    await working
        return self

    async def _follow(self) -> None:
        head = self._market.progress().head
        while self.asks and head is not None and head > self.cursor:
            reply = await self._market.after(FeedRequest(follower="f", cursor=self.cursor, symbols=self._symbols))
            assert reply.frames
            self.shown.extend(reply.frames)
            self.faults |= reply.faults
            self.cursor = reply.frames[-1].open_time

    async def stored(self, symbol: Symbol) -> list[Candle]:
        series = Series(NAME, symbol, "5m")
        return await self.store.read(series, begins_at=BEFORE, ends_before=END)

    async def facts(self) -> list[object]:
        return [event.fact for event in await self.log.read_stream(venue_stream(NAME))]

    async def assert_shown_is_stored(self) -> None:
        """What followers saw is exactly what a replay will read."""
        frames = StoredFrames(
            self.store, venue=NAME, timeframe="5m", symbols=self._symbols, begins_at=BEFORE, ends_before=END
        )
        assert self.shown == await frames.read(after=None, limit=10 * LENGTH)
