"""A process that runs a market: played from the candle store, made as time passes, or followed at a venue."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from itertools import islice

import msgspec

from events.identifiers import Symbol, VenueName
from events.values import Instrument, Timestamp
from oxbot.adapters.ccxt_candles import CcxtCandleSource, ClockOf, open_candles
from oxbot.adapters.ccxt_instruments import instruments
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.synthetic_market import SyntheticMarket
from oxbot.app.candle_store import CandleStore
from oxbot.app.clock import Clock, SystemClock
from oxbot.app.live_market import LiveVenueMarket
from oxbot.app.live_market_time import LiveTiming
from oxbot.app.market_runner import Market, MarketPace, MarketRunner, MaximumPace, Pace
from oxbot.app.stored_frames import StoredFrames
from oxbot.app.venue_checks import MovingMarket
from oxbot.core.candles import Candle, Frame, Series, timeframe_duration
from oxbot.wiring.stores import Database, Stores, open_stores

PATIENCE_SECONDS = 120.0
"""So long, of real time, a bot waits between two candles for advice where market time goes as fast as bots live."""


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """Market time from ``market_at`` on runs ``factor`` times as fast as the clock from ``started_at`` on."""

    factor: float
    started_at: Timestamp
    market_at: Timestamp


class PlayedMarket(msgspec.Struct, frozen=True, kw_only=True, tag="played"):
    """A market whose candles are all in the store; no speed means as fast as the followers keep up."""

    venue: VenueName
    timeframe: str
    symbols: tuple[Symbol, ...]
    begins_at: Timestamp
    ends_before: Timestamp
    followers: int
    speed: Speed | None = None


class LiveSyntheticMarket(msgspec.Struct, frozen=True, kw_only=True, tag="synthetic"):
    """A synthetic market without end, whose candles are made and stored as they close."""

    seed: int
    timeframe: str
    symbols: tuple[Symbol, ...]
    begins_at: Timestamp
    speed: Speed

    def market(self) -> SyntheticMarket:
        """The generator."""
        return SyntheticMarket(self.seed, self.symbols, self.timeframe, self.begins_at)


class VenueMarket(msgspec.Struct, frozen=True, kw_only=True, tag="venue"):
    """A venue's own market. ``stored_as`` names its series and its stream, so that a test venue's are not a real one's.

    ``addresses`` are where it is reached, if not where it always is; ``demo``: in the venue's demo mode. ``clock_of``
    and the timing's speed are for a test venue whose market has a clock of its own.
    """

    venue: str
    stored_as: VenueName
    timeframe: str
    symbols: tuple[Symbol, ...]
    begins_at: Timestamp
    addresses: VenueAddresses | None = None
    demo: bool = False
    clock_of: ClockOf = "server"
    timing: LiveTiming = LiveTiming()

    def open_source(self) -> AbstractAsyncContextManager[CcxtCandleSource]:
        """Its candles."""
        return open_candles(
            self.venue,
            symbols=self.symbols,
            timeframe=self.timeframe,
            clock=SystemClock(),
            addresses=self.addresses,
            demo=self.demo,
            clock_of=self.clock_of,
        )

    async def read_instruments(self) -> tuple[Instrument, ...]:
        """What the venue says of its symbols. Raises ``SourceRefused``, ``SourceUnavailable`` or ``VenueUnfit``."""
        async with self.open_source() as source:
            await source.load()
            return instruments(source.markets(), self.symbols)


MarketPlan = PlayedMarket | LiveSyntheticMarket | VenueMarket


def moving_of(plan: MarketPlan) -> tuple[MovingMarket, ...]:
    """The plan's market if its candles should come by the clock of this machine: if it is a venue's own."""
    if not isinstance(plan, VenueMarket) or plan.clock_of != "server":
        return ()
    return (MovingMarket(plan.stored_as, plan.symbols, plan.timeframe),)


class GeneratedFrames:
    """The frames of a synthetic market, readable from any point: they are made again rather than kept."""

    def __init__(self, market: SyntheticMarket) -> None:
        self._market = market
        self._iterator = market.frames_after(None)
        self._last: datetime | None = None

    async def read(self, *, after: datetime | None, limit: int) -> Sequence[Frame]:
        """The next frames, oldest first; never empty."""
        if after != self._last:
            self._iterator = self._market.frames_after(after)
        frames = list(islice(self._iterator, min(limit, 16)))
        self._last = frames[-1].open_time
        return frames


class StoredCandles:
    """Puts the frames of one market into the candle store."""

    def __init__(self, store: CandleStore, venue: VenueName, timeframe: str) -> None:
        self._store = store
        self._venue = venue
        self._timeframe = timeframe

    async def store(self, frames: Sequence[Frame]) -> None:
        """Store them; a frame that is stored already changes nothing."""
        by_symbol: dict[Symbol, list[Candle]] = {}
        for frame in frames:
            for symbol, candle in frame.candles:
                by_symbol.setdefault(symbol, []).append(candle)
        series = [(Series(self._venue, symbol, self._timeframe), candles) for symbol, candles in by_symbol.items()]
        await self._store.add(series)


class LiveTerms:
    """What the live synthetic market offers to new bots; implements ``MarketTerms``."""

    def __init__(self, market: SyntheticMarket, store: CandleStore, begins_at: datetime) -> None:
        self._store = store
        self._begins_at = begins_at
        self.venue = market.venue
        self.timeframe = market.timeframe
        self.instruments = market.instruments

    async def next_open(self) -> datetime:
        """The open time of the first candle that is not stored yet."""
        first = Series(self.venue, self.instruments[0].symbol, self.timeframe)
        extent = await self._store.extent(first)
        return self._begins_at if extent is None else extent.last + timeframe_duration(self.timeframe)


class VenueTerms:
    """What a venue's market offers to new bots; implements ``MarketTerms``. ``offered`` is what the venue said."""

    def __init__(
        self, plan: VenueMarket, offered: Sequence[Instrument], store: CandleStore, clock: Clock | None = None
    ) -> None:
        self.venue = plan.stored_as
        self.timeframe = plan.timeframe
        self.instruments = tuple(offered)
        self._plan = plan
        self._store = store
        self._clock = clock or SystemClock()

    async def next_open(self) -> datetime:
        """The open time of the candle after the newest stored one, or, if that is old, of the one that closed last.

        So a bot that is created after an outage does not begin by living through it.
        """
        step = timeframe_duration(self.timeframe)
        extents = [await self._store.extent(Series(self.venue, one.symbol, self.timeframe)) for one in self.instruments]
        newest = max((extent.last for extent in extents if extent is not None), default=self._plan.begins_at - step)
        if self._plan.clock_of != "server":
            return newest + step
        seconds = step.total_seconds()
        forming = datetime.fromtimestamp(self._clock.now().timestamp() // seconds * seconds, UTC)
        return max(newest + step, forming - step)


@asynccontextmanager
async def open_market(plan: MarketPlan, database: Database) -> AsyncIterator[Market]:
    """The market's runner."""
    async with open_stores(database, "oxbot_market", name="market", connections=1) as stores:
        match plan:
            case PlayedMarket():
                yield _played(plan, stores)
            case LiveSyntheticMarket():
                yield _synthetic(plan, stores)
            case VenueMarket():
                async with plan.open_source() as source:
                    yield _venue(plan, source, stores)


def _venue(plan: VenueMarket, source: CcxtCandleSource, stores: Stores) -> LiveVenueMarket:
    return LiveVenueMarket(
        source,
        venue=plan.stored_as,
        timeframe=plan.timeframe,
        symbols=plan.symbols,
        begins_at=plan.begins_at,
        store=stores.candles,
        log=stores.log,
        clock=SystemClock(),
        timing=plan.timing,
    )


def _played(plan: PlayedMarket, stores: Stores) -> MarketRunner:
    source = StoredFrames(
        stores.candles,
        venue=plan.venue,
        timeframe=plan.timeframe,
        symbols=plan.symbols,
        begins_at=plan.begins_at,
        ends_before=plan.ends_before,
    )
    pace = MaximumPace() if plan.speed is None else _pace(plan.speed, plan.timeframe)
    patience = PATIENCE_SECONDS if plan.speed is None else 0.0
    return MarketRunner(source, pace, SystemClock(), followers=plan.followers, patience_seconds=patience)


def _synthetic(plan: LiveSyntheticMarket, stores: Stores) -> MarketRunner:
    market = plan.market()
    history = StoredFrames(
        stores.candles,
        venue=market.venue,
        timeframe=plan.timeframe,
        symbols=plan.symbols,
        begins_at=plan.begins_at,
        ends_before=datetime.max.replace(tzinfo=UTC),
    )
    return MarketRunner(
        GeneratedFrames(market),
        _pace(plan.speed, plan.timeframe),
        SystemClock(),
        sink=StoredCandles(stores.candles, market.venue, plan.timeframe),
        history=history,
        begins_after=plan.speed.market_at - timeframe_duration(plan.timeframe),
    )


def _pace(speed: Speed, timeframe: str) -> Pace:
    return MarketPace(
        SystemClock(),
        speed=speed.factor,
        started_at=speed.started_at,
        market_at=speed.market_at,
        candle=timeframe_duration(timeframe),
    )
