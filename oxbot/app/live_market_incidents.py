"""Says in the venue's stream what goes wrong with its candles, each thing once, and remembers what goes on."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

import structlog

from events.envelope import Metadata
from events.identifiers import Symbol, VenueName, venue_stream
from events.log import EventLog
from events.venue import MarketCandleRevised, MarketGapFound, MarketRecovered, MarketStale, VenueFact
from oxbot.app.clock import Clock
from oxbot.app.handle import Folded, fold_stream, handle
from oxbot.core.venue_market import Followed, Gap, VenueMarketDecider, VenueMarketState

_ACTOR = Metadata(actor="market")
_DECIDER = VenueMarketDecider()

logger = structlog.get_logger(__name__)


class MarketIncidents:
    """The incidents of one venue's candles in one timeframe. What is said is durable when its method returns."""

    def __init__(self, log: EventLog, clock: Clock, *, venue: VenueName, timeframe: str, step: timedelta) -> None:
        self._log = log
        self._clock = clock
        self._stream = venue_stream(venue)
        self._timeframe = timeframe
        self._step = step
        self._folded: Folded[VenueMarketState] = Folded(_DECIDER.initial, 0)
        self._left_out: dict[Symbol, list[datetime]] = {}
        self._backfilled: dict[Symbol, int] = {}

    async def load(self) -> None:
        """Learn what the stream says."""
        self._folded = await fold_stream(self._log, _DECIDER, self._stream)

    def stale_since(self, symbol: Symbol) -> datetime | None:
        """The close of the candle that the symbol's incident began with, if one goes on."""
        return self._folded.state.stale.get(self._followed(symbol))

    def gaps(self, symbol: Symbol) -> tuple[Gap, ...]:
        """What was left out for good in incidents that have ended."""
        return self._folded.state.gaps.get(self._followed(symbol), ())

    def leaves_out(self, symbol: Symbol) -> bool:
        """Whether candles were given up in the incident that goes on."""
        return bool(self._left_out.get(symbol))

    async def stale(self, symbol: Symbol, *, expected: datetime, at: datetime, reason: str) -> None:
        """A candle that should have closed by then has not come."""
        if self.stale_since(symbol) is None:
            logger.warning("market_stale", symbol=symbol, timeframe=self._timeframe, expected=expected, reason=reason)
            self._backfilled[symbol] = 0
            await self._say(
                MarketStale(at=at, symbol=symbol, timeframe=self._timeframe, expected=expected, reason=reason)
            )

    def left_out(self, symbol: Symbol, opened: datetime) -> None:
        """A candle was given up; said as part of a gap once the symbol's candles come again."""
        self._left_out.setdefault(symbol, []).append(opened)

    def came_late(self, symbol: Symbol) -> None:
        """A candle had to be asked for."""
        self._backfilled[symbol] = self._backfilled.get(symbol, 0) + 1

    async def recovered(self, symbol: Symbol, *, newest: datetime, at: datetime) -> None:
        """The symbol's candles are complete up to this open time, but for those that were given up before it."""
        left_out = self._left_out.get(symbol, [])
        if self.stale_since(symbol) is None or (left_out and newest <= max(left_out)):
            return
        for gap in _runs(left_out, self._step):
            logger.warning("market_gap", symbol=symbol, timeframe=self._timeframe, first=gap.first, last=gap.last)
            await self._say(
                MarketGapFound(at=at, symbol=symbol, timeframe=self._timeframe, first=gap.first, last=gap.last)
            )
        backfilled = self._backfilled.pop(symbol, 0)
        logger.info("market_recovered", symbol=symbol, timeframe=self._timeframe, backfilled=backfilled)
        await self._say(MarketRecovered(at=at, symbol=symbol, timeframe=self._timeframe, backfilled=backfilled))
        self._left_out.pop(symbol, None)

    async def revised(self, symbol: Symbol, *, opened: datetime, at: datetime, words: str) -> None:
        """The venue says otherwise of a candle than what was seen."""
        logger.warning("market_candle_revised", symbol=symbol, timeframe=self._timeframe, candle=opened, words=words)
        await self._say(
            MarketCandleRevised(at=at, symbol=symbol, timeframe=self._timeframe, open_time=opened, words=words)
        )

    async def _say(self, fact: VenueFact) -> None:
        said = await handle(
            self._log, _DECIDER, self._stream, fact, at=self._clock.now(), known=self._folded, metadata=_ACTOR
        )
        if said.version > self._folded.version:
            self._folded = said

    def _followed(self, symbol: Symbol) -> Followed:
        return Followed(symbol, self._timeframe)


async def left_out_of(
    log: EventLog, venue: VenueName, timeframe: str, *, step: timedelta
) -> Mapping[Symbol, tuple[Gap, ...]]:
    """The ranges of open times in which a live market has given up, or may give up, candles of each symbol."""
    state = (await fold_stream(log, _DECIDER, venue_stream(venue))).state
    ranges: dict[Symbol, tuple[Gap, ...]] = {}
    for (symbol, of), gaps in state.gaps.items():
        if of == timeframe:
            ranges[symbol] = gaps
    for (symbol, of), expected in state.stale.items():
        if of == timeframe:
            ranges[symbol] = (*ranges.get(symbol, ()), Gap(expected - step, _EVER.replace(tzinfo=expected.tzinfo)))
    return MappingProxyType(ranges)


_EVER = datetime.max  # noqa: DTZ901 - gets the zone of the moment that it is compared with


def _runs(opened: list[datetime], step: timedelta) -> list[Gap]:
    runs: list[Gap] = []
    for moment in sorted(opened):
        if runs and runs[-1].last + step == moment:
            runs[-1] = Gap(runs[-1].first, moment)
        else:
            runs.append(Gap(moment, moment))
    return runs
