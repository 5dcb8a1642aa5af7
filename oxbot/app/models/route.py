"""The way to one model: what waits for it, and when the next call may be made."""

import asyncio
import heapq
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count

from events.advice import AbstainReason
from events.identifiers import AdviceId
from oxbot.app.clock import Clock
from oxbot.app.models.breaker import Breaker, Quality
from oxbot.app.models.flight import Flight
from oxbot.app.models.known import KnownModel
from oxbot.app.models.limiter import Limiter
from oxbot.app.models.queue import FairQueue
from oxbot.app.models.wanted import AdviceWanted

QUEUE_MAX = 5000
UNDER_WAY_MAX = 64
LATENCIES = 20
MARGIN_MAX = timedelta(seconds=5)

PATIENCE = timedelta(seconds=5)
"""A model that can be asked sooner than this is waited for, even if another one could be asked at once."""

Closed = tuple[AbstainReason, str]


class Route:
    """A model's limiter, breaker and queue. A flight is in ``queued`` from ``push`` until ``pop``."""

    def __init__(self, model: KnownModel) -> None:
        self.model = model
        self.limiter = Limiter(model.calls_per_minute, model.burst)
        self.breaker = Breaker()
        self.queue: FairQueue[Flight] = FairQueue()
        self.queued: set[Flight] = set()
        self.under_way = 0
        self.settings_fault: str | None = None
        self._qualities: dict[str, Quality] = {}
        self._delayed: list[tuple[datetime, int, Flight]] = []
        self._deadlines: list[tuple[datetime, int, Flight, AdviceId]] = []
        self._numbers = count()
        self._latencies: deque[timedelta] = deque(maxlen=LATENCIES)
        self._news = asyncio.Event()

    def quality(self, template: str) -> Quality:
        """Of the answers to what a template renders."""
        return self._qualities.setdefault(template, Quality())

    @property
    def margin(self) -> timedelta:
        """How long before its deadline a call must be begun to be of use: as long as nine of the last ten took.

        At most five seconds, so that a model which was slow for a while is not taken for one that is no use at all.
        """
        if not self._latencies:
            return timedelta(0)
        slow = sorted(self._latencies)[int(0.9 * len(self._latencies))]
        return min(slow, MARGIN_MAX)

    def took(self, latency: timedelta) -> None:
        """A call was answered after so long."""
        self._latencies.append(latency)

    def rested(self, now: datetime) -> Iterator[str]:
        """The templates whose rest has ended since it was asked last."""
        return (template for template, quality in self._qualities.items() if quality.over(now))

    def closed(self, flight: Flight) -> Closed | None:
        """Why a flight need not wait here, if it need not."""
        if self.settings_fault is not None:
            return "breaker_open", f"{self.model.name} is closed: {self.settings_fault}"
        quality = self.quality(flight.template)
        if quality.closed_until is not None:
            return "breaker_open", f"{self.model.name} is closed to {flight.template}: {quality.words}"
        until = self.breaker.open_until
        if until is not None and until >= flight.deadline:
            return self.held(until)
        if len(self.queued) >= QUEUE_MAX and not flight.continuing and flight.advice_class != "exit":
            return "overloaded", f"{len(self.queued)} requests wait for {self.model.name} already"
        return None

    def held_until(self, now: datetime) -> datetime:
        """Until when no call is made, because the model does not answer or its provider wants none; now, if one may be.

        While one call decides whether it answers again, that is as long as the call may take.
        """
        until = self.breaker.open_until or now
        if self.breaker.probing:
            until = now + timedelta(seconds=self.model.timeout_seconds)
        return max(until, self.limiter.frozen_until, now)

    def held(self, now: datetime) -> Closed | None:
        """Why nobody's turn comes here for now, if it does not."""
        until = self.breaker.open_until
        if until is not None:
            return "breaker_open", f"{self.model.name} does not answer; it is tried again at {until:%H:%M:%S}"
        if self.limiter.frozen_until > now:
            until = self.limiter.frozen_until
            return "rate_limited", f"the provider of {self.model.name} wants no call before {until:%H:%M:%S}"
        return None

    def push(self, flight: Flight, *, not_before: datetime | None = None) -> None:
        """It waits for a call."""
        self.queued.add(flight)
        for wanted in flight.waiting.values():
            self.watch(flight, wanted)
        if not_before is None:
            self.queue.push(flight)
        else:
            heapq.heappush(self._delayed, (not_before, next(self._numbers), flight))
        self.wake()

    def watch(self, flight: Flight, wanted: AdviceWanted) -> None:
        """Mind the deadline of one who waits."""
        heapq.heappush(self._deadlines, (wanted.deadline, next(self._numbers), flight, wanted.advice_id))

    def rejoin(self, flight: Flight) -> None:
        """One more waits for a flight that waits here; its place may be another one now."""
        if not any(delayed is flight for _, _, delayed in self._delayed):
            self.queue.push(flight)
        self.wake()

    def pop(self) -> Flight | None:
        """Whose turn it is."""
        while (flight := self.queue.pop()) is not None:
            if flight in self.queued and flight.model is self.model:
                self.queued.discard(flight)
                return flight
        # What is left in the queue is of no use to anybody.
        self.queued = {flight for _, _, flight in self._delayed if flight in self.queued}
        return None

    def expired(self, now: datetime) -> Iterator[tuple[Flight, AdviceWanted]]:
        """Those whom no call that is begun now would reach in time, and for whom none is under way."""
        while self._deadlines and self._deadlines[0][0] <= now + self.margin:
            _, _, flight, advice_id = heapq.heappop(self._deadlines)
            if flight in self.queued and advice_id in flight.waiting:
                yield flight, flight.waiting[advice_id]

    def opens(self, now: datetime) -> datetime | None:
        """When the next call may be made; None if that hangs on something else than time."""
        while self._delayed and self._delayed[0][0] <= now:
            self.queue.push(heapq.heappop(self._delayed)[2])
        delayed = {flight for _, _, flight in self._delayed if flight in self.queued}
        if len(self.queued) <= len(delayed) or self.under_way >= UNDER_WAY_MAX or self.breaker.probing:
            return None
        return max(self.limiter.opens(), self.breaker.open_until or now, now)

    def wake(self) -> None:
        """Something changed."""
        self._news.set()

    async def pause(self, until: datetime | None, clock: Clock) -> None:
        """Return then, or as soon as something changes."""
        times = [until] if until is not None else []
        times += [self._delayed[0][0]] if self._delayed else []
        times += [self._deadlines[0][0] - self.margin] if self._deadlines else []
        times += [quality.closed_until for quality in self._qualities.values() if quality.closed_until is not None]
        self._news.clear()
        waits: list[asyncio.Future[None]] = [asyncio.ensure_future(self._hear())]
        if times:
            seconds = (min(times) - clock.now()) / timedelta(seconds=1)
            waits.append(asyncio.ensure_future(clock.sleep(max(0.0, seconds))))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _hear(self) -> None:
        await self._news.wait()
