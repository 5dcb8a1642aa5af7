"""Keeps all that one account sends within its venue's limits, exits first."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import IntEnum
from types import TracebackType
from typing import NamedTuple, Self

from events.errors import OxbotError
from oxbot.app.clock import Clock

MARGIN = 0.8
"""The share of a venue's limit that is used: its clock does not see our requests when we send them."""

RESERVED = 0.2
"""The share of that which only exits may use, so that no burst of anything else makes them wait."""

QUEUE_MAX = 1000


class QueueFull(OxbotError):
    """More waits for the venue than can be sent in any useful time; this was not sent."""


class Priority(IntEnum):
    """What goes first: cancels and orders that only reduce, what ends a doubt, entries, and what can wait."""

    EXIT = 0
    DOUBT = 1
    ENTRY = 2
    SWEEP = 3


class Limit(NamedTuple):
    """At most ``requests`` within any ``seconds``; of each symbol by itself, if ``per_symbol``."""

    requests: int
    seconds: float
    per_symbol: bool = False


class _Window:
    """The requests under one limit that the venue may count now.

    When it counts one is known only to lie between its beginning and its answer, so each takes its place from the one
    until the window's length after the other.
    """

    def __init__(self, limit: Limit) -> None:
        self._length = timedelta(seconds=limit.seconds)
        self._whole = max(1, math.floor(limit.requests * MARGIN))
        self._open = max(1, self._whole - math.floor(self._whole * RESERVED))
        self._under_way = 0
        self._ended: deque[datetime] = deque()

    def opens(self, priority: Priority, now: datetime) -> datetime | None:
        """From when on one more may go: ``now`` if at once, None if that hangs on an answer that is still to come."""
        while self._ended and self._ended[0] + self._length <= now:
            self._ended.popleft()
        allowed = self._whole if priority is Priority.EXIT else self._open
        excess = self._under_way + len(self._ended) - allowed
        if excess < 0:
            return now
        return self._ended[excess] + self._length if excess < len(self._ended) else None

    def begin(self) -> None:
        """One goes."""
        self._under_way += 1

    def end(self, now: datetime | None) -> None:
        """One was answered, or, without a time, never went."""
        self._under_way -= 1
        if now is not None:
            self._ended.append(now)


class _Waiter(NamedTuple):
    priority: Priority
    number: int
    windows: tuple[_Window, ...]
    granted: asyncio.Future[None]

    @property
    def rank(self) -> tuple[Priority, int]:
        """Who goes first: by priority, then by who came first."""
        return self.priority, self.number


class RateLimiter:
    """Limits by name, shared by all that use an account. Use it as an async context manager.

    What waits goes by priority and then by arrival. A request that waits keeps what it needs from everything behind it,
    so that a stream of later or lesser ones cannot hold it up. If the queue is full, the last of the least important
    gives way. A cancelled wait takes nothing.
    """

    def __init__(self, limits: Mapping[str, Limit], *, clock: Clock, queue_max: int = QUEUE_MAX) -> None:
        self._limits = limits
        self._clock = clock
        self._queue_max = queue_max
        self._windows: dict[tuple[str, str], _Window] = {}
        self._waiting: list[_Waiter] = []
        self._numbers = 0
        self._alarms: dict[datetime, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for waiter in self._waiting:
            waiter.granted.cancel()
        alarms = list(self._alarms.values())
        for alarm in alarms:
            alarm.cancel()
        await asyncio.gather(*alarms, return_exceptions=True)

    @asynccontextmanager
    async def turn(self, names: Iterable[str], *, symbol: str = "", priority: Priority) -> AsyncIterator[None]:
        """Wait until a request that counts under these limits may go out; send it, and read its answer, in the block.

        Raises ``QueueFull``, and ``KeyError`` for a name that has no limit.
        """
        windows = tuple(self._window(name, symbol) for name in names)
        await self._granted(windows, priority)
        try:
            yield
        finally:
            now = self._clock.now()
            for window in windows:
                window.end(now)
            self._grant()

    async def take(self, names: Iterable[str], *, symbol: str = "", priority: Priority) -> None:
        """``turn`` for what goes out without an answer that could be waited for: it counts from its beginning on."""
        async with self.turn(names, symbol=symbol, priority=priority):
            return

    async def _granted(self, windows: tuple[_Window, ...], priority: Priority) -> None:
        self._numbers += 1
        waiter = _Waiter(priority, self._numbers, windows, asyncio.get_running_loop().create_future())
        self._enter(waiter)
        self._grant()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif not waiter.granted.cancelled() and waiter.granted.exception() is None:
                for window in windows:
                    window.end(None)
            self._grant()
            raise

    def _window(self, name: str, symbol: str) -> _Window:
        limit = self._limits[name]
        key = (name, symbol if limit.per_symbol else "")
        if key not in self._windows:
            self._windows[key] = _Window(limit)
        return self._windows[key]

    def _enter(self, waiter: _Waiter) -> None:
        if len(self._waiting) >= self._queue_max:
            last = max(self._waiting, key=lambda waiting: waiting.rank)
            if last.rank < waiter.rank:
                raise QueueFull(f"{len(self._waiting)} requests wait for the venue already")
            self._waiting.remove(last)
            last.granted.set_exception(QueueFull("more important requests took this one's place in the queue"))
        self._waiting.append(waiter)
        self._waiting.sort(key=lambda waiting: waiting.rank)

    def _grant(self) -> None:
        """Let go whoever may go, and wake up again when the next may."""
        now = self._clock.now()
        claimed: set[int] = set()
        opens: list[datetime] = []
        still: list[_Waiter] = []
        for waiter in self._waiting:
            if waiter.granted.done():
                continue
            openings = [window.opens(waiter.priority, now) for window in waiter.windows]
            free = all(opening is not None and opening <= now for opening in openings)
            if free and not claimed & {id(window) for window in waiter.windows}:
                for window in waiter.windows:
                    window.begin()
                waiter.granted.set_result(None)
                continue
            still.append(waiter)
            claimed |= {id(window) for window in waiter.windows}
            opens += [opening for opening in openings if opening is not None and opening > now]
        self._waiting = still
        if opens:
            self._wake(min(opens), now)

    def _wake(self, at: datetime, now: datetime) -> None:
        if any(alarm <= at for alarm in self._alarms):
            return
        self._alarms[at] = asyncio.create_task(self._sleep(at, (at - now).total_seconds()))

    async def _sleep(self, at: datetime, seconds: float) -> None:
        try:
            await self._clock.sleep(seconds)
        finally:
            del self._alarms[at]
        self._grant()
