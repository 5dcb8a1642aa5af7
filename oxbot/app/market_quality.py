"""What the log and the candle store say of venues' candles: incidents that go on and are over, and how old they are."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, assert_never

import msgspec

from events.envelope import RecordedEvent
from events.identifiers import Symbol, VenueName, venue_stream
from events.log import LogReader
from events.venue import MarketCandleRevised, MarketGapFound, MarketRecovered, MarketStale, VenueFact
from oxbot.app.account_directory import is_local_market
from oxbot.app.candle_store import CandleLibrary
from oxbot.app.clock import Clock
from oxbot.app.equity import MarketTime
from oxbot.app.news.book import is_made_up
from oxbot.core.candles import Series, timeframe_duration

PAGE = 1000
INCIDENTS_KEPT = 5000
_INSTANT = timedelta(microseconds=1)
_FAR = 9999
"""A market whose time is of that year knows of no time of its own."""

Kind = Literal["stale", "gap", "revised"]
MarketClock = Literal["ours", "own"]


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was wrong with a symbol's candles; ``position`` is where the log says so.

    stale: a candle that should have closed by ``first`` did not come, until ``ended_at``; None while it goes on.
    ``backfilled`` came late. gap: those that opened from ``first`` to ``last`` never came. revised: the venue says
    otherwise of the one that opened at ``first``, as ``words`` tell.
    """

    position: int
    kind: Kind
    at: datetime
    symbol: Symbol
    timeframe: str
    first: datetime
    last: datetime | None = None
    ended_at: datetime | None = None
    backfilled: int = 0
    words: str = ""


class SeriesQuality(msgspec.Struct, frozen=True, kw_only=True):
    """A series in the candle store: its newest closed candle, and how long ago that closed, in seconds.

    The age is by the market's own clock where it has one, else by ours, and null where nobody knows what that clock
    says; ``stale_since`` is that of an incident that goes on.
    """

    symbol: Symbol
    timeframe: str
    newest: datetime | None
    age_seconds: float | None
    stale_since: datetime | None


class VenueQuality(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's candles; ``incidents`` counts those on record, ``open`` are those that go on.

    ``clock``: candles of a real venue come by ours; a market that is played or made up goes by its own.
    """

    venue: VenueName
    clock: MarketClock
    series: list[SeriesQuality]
    incidents: int
    open: list[Incident]


class _Told(msgspec.Struct):
    """What a venue's stream has said so far."""

    version: int = 0
    count: int = 0
    open: dict[tuple[Symbol, str], Incident] = {}
    incidents: list[Incident] = []


class MarketQuality:
    """Reads each venue's stream once, and then what is new in it."""

    def __init__(self, log: LogReader, candles: CandleLibrary, market_time: MarketTime, clock: Clock) -> None:
        self._log = log
        self._candles = candles
        self._market_time = market_time
        self._clock = clock
        self._told: dict[VenueName, _Told] = defaultdict(_Told)
        self._reading = asyncio.Lock()

    async def venues(self) -> list[VenueQuality]:
        """Every venue of which there are candles, in order of name."""
        by_venue: dict[VenueName, list[tuple[Symbol, str]]] = defaultdict(list)
        for series in await self._candles.series():
            by_venue[series.venue].append((series.symbol, series.timeframe))
        return [await self._venue(venue, series) for venue, series in sorted(by_venue.items())]

    async def incidents(self, venue: VenueName, *, before: int | None, limit: int) -> list[Incident]:
        """A venue's incidents that the log tells of before a position, the newest first."""
        told = await self._read(venue)
        found = [one for one in reversed(told.incidents) if before is None or one.position < before]
        return found[:limit]

    async def _venue(self, venue: VenueName, series: Sequence[tuple[Symbol, str]]) -> VenueQuality:
        told = await self._read(venue)
        closed = await self._market_time.closed_before(venue)
        clock: MarketClock = "own" if closed.year < _FAR or _is_played(venue) else "ours"
        now = self._clock.now() if clock == "ours" else closed if closed.year < _FAR else None
        return VenueQuality(
            venue=venue,
            clock=clock,
            series=[await self._series(venue, symbol, timeframe, closed, now) for symbol, timeframe in series],
            incidents=told.count,
            open=sorted(told.open.values(), key=lambda incident: incident.position),
        )

    async def _series(
        self, venue: VenueName, symbol: Symbol, timeframe: str, closed: datetime, now: datetime | None
    ) -> SeriesQuality:
        found = await self._candles.window(Series(venue, symbol, timeframe), last=closed - _INSTANT, count=1)
        newest = found[-1].open_time if found else None
        age = None
        if newest is not None and now is not None:
            age = (now - newest - timeframe_duration(timeframe)).total_seconds()
        going_on = self._told[venue].open.get((symbol, timeframe))
        return SeriesQuality(
            symbol=symbol,
            timeframe=timeframe,
            newest=newest,
            age_seconds=age,
            stale_since=going_on.first if going_on else None,
        )

    async def _read(self, venue: VenueName) -> _Told:
        told = self._told[venue]
        async with self._reading:
            while events := await self._log.read_stream(venue_stream(venue), after_version=told.version, limit=PAGE):
                for event in events:
                    _take(told, event)
                told.version = events[-1].version
        return told


def _is_played(venue: VenueName) -> bool:
    return is_made_up(venue) or is_local_market(venue)


def _take(told: _Told, event: RecordedEvent) -> None:
    fact: VenueFact = event.fact  # type: ignore[assignment]  # a venue's stream holds a venue's facts
    key = fact.symbol, fact.timeframe
    match fact:
        case MarketStale():
            begun = _incident(event, fact, "stale", first=fact.expected, words=fact.reason)
            told.open = {**told.open, key: begun}
            _keep(told, begun)
        case MarketRecovered():
            if key in told.open:
                begun = told.open.pop(key)
                over = msgspec.structs.replace(begun, ended_at=fact.at, backfilled=fact.backfilled)
                told.incidents = [over if one.position == begun.position else one for one in told.incidents]
        case MarketGapFound():
            _keep(told, _incident(event, fact, "gap", first=fact.first, last=fact.last))
        case MarketCandleRevised():
            _keep(told, _incident(event, fact, "revised", first=fact.open_time, words=fact.words))
        case _:
            assert_never(fact)


def _keep(told: _Told, incident: Incident) -> None:
    told.count += 1
    told.incidents = [*told.incidents, incident][-INCIDENTS_KEPT:]


def _incident(
    event: RecordedEvent,
    fact: MarketStale | MarketGapFound | MarketCandleRevised,
    kind: Kind,
    *,
    first: datetime,
    last: datetime | None = None,
    words: str = "",
) -> Incident:
    return Incident(
        position=event.position,
        kind=kind,
        at=fact.at,
        symbol=fact.symbol,
        timeframe=fact.timeframe,
        first=first,
        last=last,
        words=words,
    )
