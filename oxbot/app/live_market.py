"""Runs a real venue's market: every candle once and in order into the store, then to any number of followers."""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta

import structlog

from events.identifiers import Symbol, VenueName
from events.log import EventLog
from oxbot.app.candle_store import CandleStore
from oxbot.app.clock import Clock
from oxbot.app.feed import FeedReply, FeedRequest
from oxbot.app.live_market_book import CandleBook, late_faults
from oxbot.app.live_market_follower import Contacts, Following, SymbolFollower
from oxbot.app.live_market_incidents import MarketIncidents
from oxbot.app.live_market_source import (
    CandleBegun,
    CandleClosed,
    CandlesConnected,
    CandlesHeard,
    CandlesLost,
    CandleSource,
)
from oxbot.app.live_market_time import LiveTiming, VenueTime
from oxbot.app.market_runner import PAGE, WAIT_SECONDS, WINDOW, MarketProgress, only
from oxbot.app.stored_frames import StoredFrames
from oxbot.core.candles import Candle, Frame, Series, timeframe_duration

EVER = datetime.max.replace(tzinfo=UTC)

logger = structlog.get_logger(__name__)


class LiveVenueMarket:
    """One venue's candles of some symbols and one timeframe, for any number of followers: one subscription each.

    A frame is stored whole, in one step, before anybody sees it, and what was seen is final. So the store holds exactly
    what followers were shown, whenever this process dies, and the next one goes on after the newest frame in it.
    """

    def __init__(
        self,
        source: CandleSource,
        *,
        venue: VenueName,
        timeframe: str,
        symbols: Sequence[Symbol],
        begins_at: datetime,
        store: CandleStore,
        log: EventLog,
        clock: Clock,
        timing: LiveTiming = LiveTiming(),  # noqa: B008 - immutable
    ) -> None:
        """Without anything in the store, its first frame opens at ``begins_at``."""
        self._source = source
        self._series = {symbol: Series(venue, symbol, timeframe) for symbol in sorted(symbols)}
        self._step = timeframe_duration(timeframe)
        self._begins_at = begins_at
        self._store = store
        self._clock = clock
        self._timing = timing
        self._time = VenueTime(source, clock, timing)
        self._contacts = Contacts()
        self._incidents = MarketIncidents(log, clock, venue=venue, timeframe=timeframe, step=self._step)
        self._history = StoredFrames(
            store, venue=venue, timeframe=timeframe, symbols=symbols, begins_at=begins_at, ends_before=EVER
        )
        self._window: list[Frame] = []
        self._window_after: datetime | None = None
        self._head: datetime | None = None
        self._begun_at: datetime | None = None
        self._cursors: dict[str, datetime] = {}
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Follow the venue until cancelled. Raises what the store or the log raises."""
        await self._time.begin()
        book = await self._resume()
        shared = Following(self._source, book, self._incidents, self._contacts, self._time, self._clock, self._timing)
        followers = {symbol: SymbolFollower(symbol, shared) for symbol in self._series}
        async with self._changed:
            self._head = self._window_after = book.head
            self._begun_at = self._clock.now()
            self._changed.notify_all()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(followers))
            group.create_task(self._publish(book))
            group.create_task(self._time.keep())
            for follower in followers.values():
                group.create_task(follower.follow())

    async def after(self, request: FeedRequest) -> FeedReply:
        """What follows the request's cursor, at most ``PAGE`` frames, waiting up to ``WAIT_SECONDS`` for the first.

        With them goes what is wrong with their candles at this moment: those that are missing, or closed long ago.
        """
        async with self._changed:
            self._cursors[request.follower] = request.cursor
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._changed.wait_for(lambda: self._head is not None and self._head > request.cursor)
            except TimeoutError:
                return FeedReply(frames=())
        symbols = frozenset(request.symbols)
        frames = [only(frame, symbols) for frame in await self._frames_after(request.cursor)]
        faults = late_faults(
            frames,
            request.symbols,
            step=self._step,
            now=self._time.now(),
            bound=timedelta(seconds=self._timing.late_after),
        )
        return FeedReply(frames=tuple(frames), faults=faults)

    async def leave(self, follower: str) -> None:
        """Count this follower no longer."""
        self._cursors.pop(follower, None)

    def progress(self) -> MarketProgress:
        """Where everybody is; such a market never finishes."""
        return MarketProgress(
            begun_at=self._begun_at,
            head=self._head,
            slowest=min(self._cursors.values(), default=None),
            followers=len(self._cursors),
            finished=False,
        )

    async def _resume(self) -> CandleBook:
        """The book as the store and the log leave it.

        Everything up to the head may have been seen. A candle after it that is in the store stands; one that is not
        was given up if the log says so, which it does before any frame goes out without it.
        """
        await self._incidents.load()
        before = self._begins_at - self._step
        extents = {symbol: await self._store.extent(series) for symbol, series in self._series.items()}
        lasts = {symbol: max(before, extent.last) if extent else before for symbol, extent in extents.items()}
        newest = max(lasts.values())
        heads = [newest if self._left_behind(symbol, last) else last for symbol, last in lasts.items()]
        book = CandleBook(tuple(self._series), self._step, head=min(heads))
        for symbol, series in self._series.items():
            begins_at = min(book.head + self._step, self._incidents.stale_since(symbol) or EVER) - self._step
            stored = await self._store.read(series, begins_at=begins_at, ends_before=EVER)
            for candle in stored:
                book.take(symbol, candle)
            self._leave_out_again(book, symbol, {candle.open_time for candle in stored}, newest)
        return book

    def _left_behind(self, symbol: Symbol, last: datetime) -> bool:
        """Whether the incident that goes on is all that the symbol lacks."""
        since = self._incidents.stale_since(symbol)
        return since is not None and since <= last + 2 * self._step

    def _leave_out_again(
        self, book: CandleBook, symbol: Symbol, stored: AbstractSet[datetime], newest: datetime
    ) -> None:
        since = self._incidents.stale_since(symbol)
        gaps = self._incidents.gaps(symbol)
        opened = book.head + self._step if since is None else min(book.head, since - 2 * self._step) + self._step
        while opened <= newest:
            if opened not in stored and since is not None and opened + self._step >= since:
                self._incidents.left_out(symbol, opened)
                book.give_up(symbol, opened)
            elif opened not in stored and any(gap.first <= opened <= gap.last for gap in gaps):
                book.give_up(symbol, opened)
            opened += self._step

    async def _listen(self, followers: dict[Symbol, SymbolFollower]) -> None:
        async for push in self._source.pushes():
            follower = followers[push.symbol]
            match push:
                case CandleClosed():
                    await follower.take(push.candle)
                case CandleBegun():
                    self._contacts.note(push.symbol)
                    follower.begun(push.open_time)
                case CandlesHeard():
                    self._contacts.note(push.symbol)
                case CandlesConnected():
                    logger.info("market_connected", symbol=push.symbol)
                    follower.wake()
                case CandlesLost():
                    logger.warning("market_connection_lost", symbol=push.symbol, reason=push.reason)

    async def _publish(self, book: CandleBook) -> None:
        while True:
            self._contacts.arrived.clear()
            ready = book.ready(PAGE)
            if not ready:
                await self._contacts.arrived.wait()
                continue
            frames = [one.frame for one in ready]
            await self._keep(frames)
            book.handed_on(frames[-1].open_time)
            async with self._changed:
                self._window.extend(frames)
                if len(self._window) > WINDOW + PAGE:
                    surplus = len(self._window) - WINDOW
                    self._window_after = self._window[surplus - 1].open_time
                    del self._window[:surplus]
                self._head = frames[-1].open_time
                self._changed.notify_all()

    async def _keep(self, frames: Sequence[Frame]) -> None:
        by_symbol: dict[Symbol, list[Candle]] = {}
        for frame in frames:
            for symbol, candle in frame.candles:
                by_symbol.setdefault(symbol, []).append(candle)
        await self._store.add([(self._series[symbol], candles) for symbol, candles in by_symbol.items()])

    async def _frames_after(self, cursor: datetime) -> Sequence[Frame]:
        if self._window_after is not None and cursor >= self._window_after:
            first = bisect_right(self._window, cursor, key=lambda frame: frame.open_time)
            return self._window[first : first + PAGE]
        head = self._head
        read = await self._history.read(after=cursor, limit=PAGE)
        return [frame for frame in read if head is not None and frame.open_time <= head]
