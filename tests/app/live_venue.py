"""A venue's market that exists only here, and a clock whose time passes as soon as everybody waits for it."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from events.identifiers import Symbol
from oxbot.app.live_market_source import CandlePush, SourceRefused, SourceUnavailable
from oxbot.core.candles import Candle
from tests.core.scenario import START, STEP

QUIET_TURNS = 60


class VirtualClock:
    """A clock that ``pass_until`` moves from one waking to the next, each time that nobody does anything any more."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []

    def now(self) -> datetime:
        """The present moment."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait for that moment."""
        woken = asyncio.Event()
        sleeper = (self._now + timedelta(seconds=seconds), woken)
        self._sleepers.append(sleeper)
        try:
            await woken.wait()
        finally:
            with suppress(ValueError):
                self._sleepers.remove(sleeper)

    async def pass_until(self, end: datetime, between: Callable[[], Awaitable[None]] | None = None) -> None:
        """Let time pass up to this moment; ``between`` is called each time that all is quiet."""
        while True:
            for _ in range(QUIET_TURNS):
                await asyncio.sleep(0)
            if between is not None:
                await between()
            due = min((moment for moment, _ in self._sleepers), default=end)
            if due > end:
                self._now = max(self._now, end)
                return
            self._now = max(self._now, due)
            if not self._sleepers:
                return
            for moment, woken in self._sleepers:
                if moment <= self._now:
                    woken.set()


class Outage(NamedTuple):
    """What does not work from ``begins`` to ``ends``: questions, pushes, or both; of one symbol, or of all."""

    begins: datetime
    ends: datetime
    questions: bool = True
    pushes: bool = True
    symbol: Symbol | None = None
    refuses: bool = False

    def hits(self, moment: datetime, symbol: Symbol | None) -> bool:
        """Whether it is on then for this symbol."""
        return self.begins <= moment < self.ends and self.symbol in (None, symbol)


class ScriptedVenue:
    """A ``CandleSource`` whose candles, pushes and outages are all given beforehand."""

    def __init__(
        self,
        clock: VirtualClock,
        candles: Mapping[Symbol, Sequence[Candle]],
        *,
        pushes: Sequence[tuple[datetime, CandlePush]] = (),
        outages: Sequence[Outage] = (),
        page: int = 4,
        skew: timedelta = timedelta(0),
        withheld_until: datetime = START,
    ) -> None:
        """Before ``withheld_until`` its answers hold no candles, though it answers."""
        self.asked: list[tuple[Symbol, datetime]] = []
        self.page = page
        self._clock = clock
        self._candles = candles
        self._pushes = sorted(pushes, key=lambda push: push[0])
        self._outages = outages
        self._skew = skew
        self._withheld_until = withheld_until

    async def pushes(self) -> AsyncIterator[CandlePush]:
        """What is to be pushed from now on, unless it is lost in an outage."""
        first = bisect_left(self._pushes, self._clock.now(), key=lambda push: push[0])
        for moment, push in self._pushes[first:]:
            await self._clock.sleep((moment - self._clock.now()).total_seconds())
            if not any(outage.pushes and outage.hits(moment, push.symbol) for outage in self._outages):
                yield push
        await asyncio.Event().wait()

    async def history(self, symbol: Symbol, *, begins_at: datetime, ends_before: datetime) -> Sequence[Candle]:
        """What of the first page of moments has closed by now."""
        self.asked.append((symbol, begins_at))
        await self._clock.sleep(0.1)
        self._fail(symbol)
        now = self._clock.now() + self._skew
        if now < self._withheld_until:
            return []
        beyond = min(ends_before, begins_at + self.page * STEP)
        known = [one for one in self._candles[symbol] if begins_at <= one.open_time < beyond]
        return [one for one in known if one.open_time + STEP <= now]

    async def now(self) -> datetime:
        """The time, unless questions fail."""
        self._fail(None)
        return self._clock.now() + self._skew

    def _fail(self, symbol: Symbol | None) -> None:
        for outage in self._outages:
            if outage.questions and outage.hits(self._clock.now(), symbol):
                if outage.refuses:
                    raise SourceRefused(f"there is no {symbol}")
                raise SourceUnavailable("no answer")
