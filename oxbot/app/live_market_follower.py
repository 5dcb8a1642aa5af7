"""Follows one symbol of a live market: waits for its candles, asks for those that do not come, gives up in the end."""

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

from events.identifiers import Symbol
from oxbot.app.clock import Clock
from oxbot.app.live_market_book import CandleBook, Hole
from oxbot.app.live_market_incidents import MarketIncidents
from oxbot.app.live_market_source import CandleSource, SourceRefused, SourceUnavailable
from oxbot.app.live_market_time import LiveTiming, VenueTime
from oxbot.core.candles import Candle

AHEAD_MAX = 2000
"""So many candles of a symbol may wait in memory for those of others."""


class Contacts:
    """Counts the signs of life of a venue, by symbol, and wakes whoever waits for new candles."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._counts: dict[Symbol, int] = {}

    def note(self, symbol: Symbol) -> None:
        """The venue said something of the symbol."""
        self._counts[symbol] = self._counts.get(symbol, 0) + 1

    def of_others(self, symbol: Symbol) -> int:
        """How often it said something of any other."""
        return sum(self._counts.values()) - self._counts.get(symbol, 0)


class Following(NamedTuple):
    """What the followers of a market's symbols share."""

    source: CandleSource
    book: CandleBook
    incidents: MarketIncidents
    contacts: Contacts
    time: VenueTime
    clock: Clock
    timing: LiveTiming


class SymbolFollower:
    """One symbol's share of the book.

    A candle that is not pushed is asked for, ever more rarely, until it comes. It is given up only if others wait for
    it and the venue is there: time after time, it answered without the candle, or refused, or spoke of other symbols.
    """

    def __init__(self, symbol: Symbol, market: Following) -> None:
        self.symbol = symbol
        self._source, self._book, self._incidents, self._contacts, self._time, self._clock, self._timing = market
        self._step = self._book.step
        self._woken = asyncio.Event()
        self._begun: datetime | None = None
        self._missing: datetime | None = None
        self._misses = 0
        self._missed_since = self._time.now()
        self._heard = 0

    def wake(self) -> None:
        """Look at once: something may have been missed."""
        self._woken.set()

    def begun(self, opened: datetime) -> None:
        """The venue pushed the candle that opened then, which still forms: all before it have closed."""
        if self._begun is None or opened > self._begun:
            self._begun = opened
            self._woken.set()

    async def take(self, candle: Candle, *, asked_for: bool = False) -> None:
        """Put a closed candle into the book; what differs from what was seen of it is said."""
        lacked = self._book.lacks(self.symbol, candle.open_time)
        words = self._book.take(self.symbol, candle)
        self._contacts.note(self.symbol)
        if words is not None:
            await self._incidents.revised(self.symbol, opened=candle.open_time, at=self._time.now(), words=words)
        elif asked_for and lacked:
            self._incidents.came_late(self.symbol)
        self._contacts.arrived.set()

    async def follow(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            self._woken.clear()
            hole = self._book.hole(self.symbol, closed_before=self._closed_before())
            if hole is None:
                failures = 0
                await self._complete()
            elif hole.first - self._book.head > AHEAD_MAX * self._step:
                await self._pause(self._timing.retry_least)
            elif reason := await self._ask(hole):
                failures += 1
                await self._miss(hole, reason)
                await self._pause(self._timing.retry(failures))

    async def _complete(self) -> None:
        missing = self._book.next_missing(self.symbol)
        await self._incidents.recovered(self.symbol, newest=missing - self._step, at=self._time.now())
        due = missing + self._step + timedelta(seconds=self._timing.ask_after)
        await self._pause(max(0.0, self._time.seconds_until(due)))

    def _closed_before(self) -> datetime:
        """What opened so long before this moment has closed, or should have been pushed by now."""
        by_time = self._time.now() - timedelta(seconds=self._timing.ask_after)
        return by_time if self._begun is None else max(by_time, self._begun)

    async def _ask(self, hole: Hole) -> str:
        """Ask for what is missing; why its first candle is still not there, or nothing if it is."""
        self._heard, heard = self._contacts.of_others(self.symbol), self._heard
        begins_at, reason, answered = hole.first, "", True
        try:
            while begins_at < hole.beyond and begins_at - self._book.head <= AHEAD_MAX * self._step:
                page = await self._source.history(self.symbol, begins_at=begins_at, ends_before=hole.beyond)
                self._contacts.note(self.symbol)
                for candle in page:
                    await self.take(candle, asked_for=True)
                begins_at = page[-1].open_time + self._step if page else begins_at + self._source.page * self._step
        except SourceRefused as error:
            reason = str(error)
        except SourceUnavailable as error:
            reason, answered = str(error), self._contacts.of_others(self.symbol) > heard
        if self._book.next_missing(self.symbol) > hole.first:
            return ""
        if not answered or self._missing != hole.first:
            self._misses, self._missed_since = 0, self._time.now()
        self._misses += answered
        self._missing = hole.first
        return reason or "the venue answered without it"

    async def _miss(self, hole: Hole, reason: str) -> None:
        now = self._time.now()
        expected = hole.first + self._step
        if now >= expected + timedelta(seconds=self._timing.stale_after):
            await self._incidents.stale(self.symbol, expected=expected, at=now, reason=reason)
        if self._incidents.stale_since(self.symbol) is None:
            return
        again = self._incidents.leaves_out(self.symbol)
        if self._misses < (1 if again else self._timing.asks_before_giving_up):
            return
        patience = timedelta(seconds=0 if again else self._timing.give_up_after)
        if now < self._missed_since + patience:
            return
        opened = hole.first
        while opened < hole.beyond and opened + self._step + patience <= now:
            if self._book.waited_for(opened):
                self._book.give_up(self.symbol, opened)
                self._incidents.left_out(self.symbol, opened)
            opened += self._step
        self._contacts.arrived.set()

    async def _pause(self, seconds: float) -> None:
        """Until then, or until woken."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
