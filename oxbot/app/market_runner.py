"""Runs a market: moves its head forward at its pace and hands every follower the frames after its cursor."""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Protocol

import msgspec

from events.identifiers import Symbol
from oxbot.app.clock import Clock
from oxbot.app.feed import FeedReply, FeedRequest, FrameSource
from oxbot.core.candles import Frame

PAGE = 512
WINDOW = 4 * PAGE
WAIT_SECONDS = 2.0


class Pace(Protocol):
    """How fast market time may pass."""

    def seconds_until(self, frame: Frame) -> float:
        """Seconds until the frame may be seen; 0 or less if it may be now."""
        ...


class MaximumPace:
    """As fast as the followers keep up."""

    def seconds_until(self, frame: Frame) -> float:
        """Always now."""
        del frame
        return 0.0


class MarketPace:
    """Market time runs ``speed`` times as fast as the clock, from ``market_at`` on at the moment ``started_at``."""

    def __init__(
        self, clock: Clock, *, speed: float, started_at: datetime, market_at: datetime, candle: timedelta
    ) -> None:
        self._clock = clock
        self._speed = speed
        self._started_at = started_at
        self._market_at = market_at
        self._candle = candle

    def seconds_until(self, frame: Frame) -> float:
        """Seconds until the frame's candles have closed in market time."""
        elapsed = (self._clock.now() - self._started_at).total_seconds()
        closes_after = (frame.open_time + self._candle - self._market_at).total_seconds()
        return closes_after / self._speed - elapsed


class FrameSink(Protocol):
    """Where a market that makes its candles as time passes stores them before anyone sees them."""

    async def store(self, frames: Sequence[Frame]) -> None:
        """Make the frames durable; storing them again changes nothing."""
        ...


class MarketProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the market and its slowest follower are, by open time; ``finished`` when all have seen the last candle.

    ``begun_at`` is the time of day at which market time began to pass.
    """

    begun_at: datetime | None
    head: datetime | None
    slowest: datetime | None
    followers: int
    finished: bool


class Market(Protocol):
    """A market at work: what its actor needs of it."""

    async def run(self) -> None:
        """Move its head forward; raises what makes it unable to."""
        ...

    async def after(self, request: FeedRequest) -> FeedReply:
        """See ``CandleFeed.after``."""
        ...

    def progress(self) -> MarketProgress:
        """Where everybody is."""
        ...


class MarketRunner:
    """One market for any number of followers.

    Its head runs at most ``WINDOW`` frames and a page ahead of the slowest follower, so a slow or dead one is waited
    for, and a frame that has left memory is read again, from ``history`` if there is one, else from the source: nothing
    is dropped. ``followers`` of them must have asked before time begins to pass; it begins after ``begins_after``, or
    else after the slowest of them. Its followers may wait ``patience_seconds`` between two candles for advice.
    """

    def __init__(
        self,
        source: FrameSource,
        pace: Pace,
        clock: Clock,
        *,
        followers: int = 0,
        sink: FrameSink | None = None,
        history: FrameSource | None = None,
        begins_after: datetime | None = None,
        patience_seconds: float = 0.0,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._source = source
        self._history = history or source
        self._begins_after = begins_after
        self._pace = pace
        self._clock = clock
        self._sink = sink
        self._followers = followers
        self._window: list[Frame] = []
        self._window_after: datetime | None = None
        self._head: datetime | None = None
        self._ended = False
        self._begun_at: datetime | None = None
        self._cursors: dict[str, datetime] = {}
        self._met: set[str] = set()
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Move the head until the source ends; from then on only answer."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._met) >= self._followers)
        self._head = self._window_after = self._begins_after or self._slowest()
        self._begun_at = self._clock.now()
        while page := await self._source.read(after=self._head, limit=PAGE):
            await self._publish_page(page)
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def after(self, request: FeedRequest) -> FeedReply:
        """What follows the request's cursor, at most ``PAGE`` frames, waiting up to ``WAIT_SECONDS`` for the first."""
        async with self._changed:
            self._met.add(request.follower)
            self._cursors[request.follower] = request.cursor
            self._changed.notify_all()
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._changed.wait_for(lambda: self._ended or _is_after(self._head, request.cursor))
            except TimeoutError:
                return FeedReply(frames=())
        frames = await self._frames_after(request.cursor)
        symbols = frozenset(request.symbols)
        return FeedReply(
            frames=tuple(only(frame, symbols) for frame in frames),
            ended=self._ended and not frames,
            patience_seconds=self._patience_seconds,
        )

    async def leave(self, follower: str) -> None:
        """Wait for this follower no longer; it still counts as one of those who have asked."""
        async with self._changed:
            self._cursors.pop(follower, None)
            self._changed.notify_all()

    def progress(self) -> MarketProgress:
        """Where everybody is."""
        slowest = self._slowest()
        everybody = len(self._met) >= self._followers
        return MarketProgress(
            begun_at=self._begun_at,
            head=self._head,
            slowest=slowest,
            followers=len(self._cursors),
            finished=self._ended and everybody and slowest == self._head,
        )

    async def _publish_page(self, page: Sequence[Frame]) -> None:
        while page:
            due = list(takewhile(lambda frame: self._pace.seconds_until(frame) <= 0, page))
            if not due:
                await self._clock.sleep(min(self._pace.seconds_until(page[0]), WAIT_SECONDS))
                continue
            if self._sink is not None:
                await self._sink.store(due)
            await self._publish(due)
            page = page[len(due) :]

    async def _publish(self, frames: Sequence[Frame]) -> None:
        async with self._changed:
            await self._changed.wait_for(self._has_room)
            self._window.extend(frames)
            self._head = frames[-1].open_time
            if len(self._window) > WINDOW + PAGE:
                self._window_after = self._window[PAGE - 1].open_time
                del self._window[:PAGE]
            self._changed.notify_all()

    def _has_room(self) -> bool:
        """Whether the head may move: the slowest follower is not a whole window behind."""
        if len(self._window) < WINDOW or not self._cursors:
            return True
        slowest = self._slowest()
        return slowest is not None and slowest >= self._window[PAGE - 1].open_time

    def _slowest(self) -> datetime | None:
        return min(self._cursors.values(), default=None)

    async def _frames_after(self, cursor: datetime) -> Sequence[Frame]:
        if self._window_after is None or cursor >= self._window_after:
            first = bisect_right(self._window, cursor, key=lambda frame: frame.open_time)
            return self._window[first : first + PAGE]
        read = await self._history.read(after=cursor, limit=PAGE)
        return [frame for frame in read if not _is_after(frame.open_time, self._head)]


def _is_after(moment: datetime | None, other: datetime | None) -> bool:
    return moment is not None and (other is None or moment > other)


def only(frame: Frame, symbols: frozenset[Symbol]) -> Frame:
    """The frame with these symbols' candles alone."""
    return Frame(frame.open_time, tuple(pair for pair in frame.candles if pair[0] in symbols))
