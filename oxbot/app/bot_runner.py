"""Runs one bot: claims its stream, folds it, shows it one frame after another, appends what it decides."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from types import MappingProxyType

import structlog
from structlog.contextvars import bound_contextvars

from events.advice import Sentiment
from events.bot import BotFact, DecisionMade
from events.envelope import Metadata
from events.errors import OxbotError
from events.identifiers import BOT_STREAM_PREFIX, AdviceId, BotId, Symbol, bot_stream
from events.log import EventLog
from oxbot.app.account_watch import AccountWatch
from oxbot.app.candle_store import CandleStore
from oxbot.app.clock import Clock
from oxbot.app.fleet_book import FleetBook
from oxbot.app.handle import Decider, FoldCache, Folded, fold_stream, handle
from oxbot.app.news.book import NewsBook, is_made_up
from oxbot.core.bot import BotDecider, ClaimBot, Lived, NoticeStatus, ObserveFrame, ViewTooShort
from oxbot.core.candle_series import SharedSeries
from oxbot.core.candles import Frame, Series, timeframe_duration
from oxbot.core.entry import Fleet
from oxbot.core.market_view import MarketView
from oxbot.core.state import BotState

FRAMES_AT_ONCE = 32
WAIT_SECONDS_MIN, WAIT_SECONDS_MAX = 0.01, 1.0
NO_FAULTS: Mapping[datetime, Mapping[Symbol, str]] = MappingProxyType({})

logger = structlog.get_logger(__name__)


class Superseded(OxbotError):
    """A newer incarnation of the bot has claimed its stream; this one must not act any more."""


class BotRunner:
    """One incarnation of one bot. Everything it keeps in memory is folded from its stream and the candle store.

    It stops with ``Superseded`` as soon as it learns of a newer claim, before it appends anything else.
    """

    def __init__(
        self,
        bot_id: BotId,
        *,
        log: EventLog,
        decider: BotDecider,
        candles: CandleStore,
        clock: Clock,
        holder: str,
        cache: FoldCache[BotState] | None = None,
        shared: SharedSeries | None = None,
        fleets: FleetBook | None = None,
        news: NewsBook | None = None,
        accounts: AccountWatch | None = None,
    ) -> None:
        """It looks at its candles in the ``shared`` series of its process, and at other bots' stakes in ``fleets``.

        What it is told of ``news`` goes into what it asks a model, if it asks one. A live one learns from ``accounts``
        what keeps its account shut.
        """
        self._stream = bot_stream(bot_id)
        self._log = log
        self._decider = decider
        self._candles = candles
        self._clock = clock
        self._holder = holder
        self._cache = cache
        self._shared = shared
        self._fleets = fleets
        self._news = news
        self._accounts = accounts
        self._account_fault = ""
        self._folded: Folded[BotState] = Folded(decider.initial, 0)
        self._epoch = 0
        self._waited_for: AdviceId | None = None
        self._said: Mapping[Symbol, Sentiment] = {}
        self._view: MarketView
        self._cursor: datetime
        self._candle: timedelta
        self._metadata = Metadata(actor=holder)
        self._turn = asyncio.Lock()

    async def claim(self) -> None:
        """Become the bot's newest incarnation and be ready for the candle after its cursor."""
        claimed = await handle(
            self._log,
            self._decider,
            self._stream,
            ClaimBot(self._holder),
            at=self._clock.now(),
            cache=self._cache,
            metadata=self._metadata,
        )
        self._folded = claimed
        self._epoch = claimed.state.epoch
        await self._warm()

    @property
    def state(self) -> BotState:
        """The bot as far as this incarnation knows."""
        return self._folded.state

    @property
    def version(self) -> int:
        """The stream version that ``state`` is folded to."""
        return self._folded.version

    @property
    def cursor(self) -> datetime:
        """The open time of the newest frame that is durably dealt with; before the first, one candle before it."""
        return self._cursor

    @property
    def finished(self) -> bool:
        """Whether it is stopped and has nothing left to manage in any candle to come."""
        return self.state.idle_at(self._cursor + self._candle)

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The symbols it follows."""
        return tuple(instrument.symbol for instrument in self.state.configuration.market.instruments)

    async def observe(
        self,
        frames: Sequence[Frame],
        faults: Mapping[datetime, Mapping[Symbol, str]] = NO_FAULTS,
        *,
        patience_seconds: float = 0.0,
    ) -> None:
        """Live through the frames in order; those at or before the cursor are skipped.

        ``faults`` says what is wrong with a symbol's candle in the frame that opened then. Others get their turn every
        few frames, so that bots which look at the same candles go through them together. Between two frames, and after
        the last, it waits ``patience_seconds``, of real time, for advice that it has asked for, if it has.
        """
        for number, frame in enumerate(frames, start=1):
            if frame.open_time > self._cursor:
                await self._await_advice(patience_seconds)
            async with self._turn:
                if frame.open_time > self._cursor:
                    with bound_contextvars(bot_id=self._stream.removeprefix(BOT_STREAM_PREFIX), candle=frame.open_time):
                        await self._observe(frame, faults.get(frame.open_time, {}))
            if number % FRAMES_AT_ONCE == 0:
                await asyncio.sleep(0)
        await self._await_advice(patience_seconds)

    async def _await_advice(self, patience_seconds: float) -> None:
        """Return once what it asked for is answered, or after so long, which is waited once for each request."""
        pending, pause = self.state.advice.pending, WAIT_SECONDS_MIN
        if patience_seconds <= 0 or pending is None or pending.advice_id == self._waited_for:
            return
        self._waited_for = pending.advice_id
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                while self.state.advice.pending is pending and self.state.advice.answer is None:
                    head = await self._log.head()
                    await self.refresh()
                    if self.state.advice.answer is None:
                        await self._log.wait_beyond(head, timeout_seconds=pause)
                    pause = min(2 * pause, WAIT_SECONDS_MAX)

    async def refresh(self) -> None:
        """Fold what others have appended, such as a pause."""
        async with self._turn:
            await self._refresh()

    async def _refresh(self) -> None:
        self._folded = await handle(
            self._log,
            self._decider,
            self._stream,
            NoticeStatus(self._epoch, self._lived()),
            at=self._cursor + self._candle,
            known=await fold_stream(self._log, self._decider, self._stream, self._folded, cache=self._cache),
            cache=self._cache,
            metadata=self._metadata,
        )
        self._check_epoch()

    async def _observe(self, frame: Frame, faults: Mapping[Symbol, str]) -> None:
        self._view.push(frame)
        if self.state.advice.waiting and not self.state.live:
            await self._refresh()
        if self.state.live:
            # Its venue's reports are appended by others: what it does not know of, it must not decide without.
            self._folded = await fold_stream(self._log, self._decider, self._stream, self._folded, cache=self._cache)
            self._check_epoch()
            if self._accounts is not None:
                self._account_fault = await self._accounts.fault(self.state)
        before = self._folded.version
        self._said = await self._heard(frame)
        try:
            self._folded = await self._live_through(frame, faults)
        except ViewTooShort as short:
            await self._look(short.count)
            self._view.push(frame)
            self._folded = await self._live_through(frame, faults)
        self._check_epoch()
        self._cursor = frame.open_time
        if self._folded.version > before:
            logger.info("bot_acted", stream=self._stream, version=self._folded.version)

    async def _heard(self, frame: Frame) -> Mapping[Symbol, Sentiment]:
        """What news said by the close of the frame's candles, if the bot may ask a model then."""
        if self._news is None or not self._decider.asks_at(self.state, frame.open_time):
            return {}
        made_up = is_made_up(self.state.configuration.market.venue)
        return await self._news.sentiments(self.symbols, frame.open_time + self._candle, made_up=made_up)

    async def _live_through(self, frame: Frame, faults: Mapping[Symbol, str]) -> Folded[BotState]:
        """The bot after the frame. What others have at stake is asked for once an entry hangs on it, and only then."""
        limits = self.state.configuration.limits
        limited = limits.fleet_exposure_max is not None or limits.fleet_net_exposure_max is not None
        if not limited or self._fleets is None:
            return await self._decided(frame, faults, self._decider)
        with suppress(_EntryWeighed):
            return await self._decided(frame, faults, _EntriesAside(self._decider))
        fleet = await self._fleets.without(self.state.bot_id)
        return await self._decided(frame, faults, self._decider, fleet=fleet)

    async def _decided(
        self,
        frame: Frame,
        faults: Mapping[Symbol, str],
        decider: Decider[BotState, ObserveFrame, BotFact],
        *,
        fleet: Fleet | None = None,
    ) -> Folded[BotState]:
        return await handle(
            self._log,
            decider,
            self._stream,
            ObserveFrame(self._epoch, frame, self._view, self._lived(), fleet, faults, self._said, self._account_fault),
            at=frame.open_time + self._candle,
            known=self._folded,
            cache=self._cache,
            metadata=self._metadata,
        )

    def _lived(self) -> Lived:
        """What this incarnation has lived, so that no later one lives it again under a status that came too late."""
        return Lived(self._cursor, self.state.standings)

    async def _warm(self) -> None:
        market = self.state.configuration.market
        self._candle = timeframe_duration(market.timeframe)
        self._cursor = self.state.cursor or market.begins_at - self._candle
        await self._look(self._decider.window(self.state))

    async def _look(self, capacity: int) -> None:
        """Show the bot so many candles of each symbol, up to its cursor."""
        market = self.state.configuration.market
        self._view = MarketView.of(market, capacity=capacity, shared=self._shared)
        for symbol in self.symbols:
            series = Series(market.venue, symbol, market.timeframe)
            candles = await self._candles.window(series, last=self._cursor, count=capacity)
            self._view.warm(symbol, (candle for candle in candles if candle.open_time >= market.begins_at))

    def _check_epoch(self) -> None:
        if self.state.epoch != self._epoch:
            raise Superseded(f"{self._stream}: epoch {self.state.epoch} has taken over from {self._epoch}")


class _EntryWeighed(Exception):
    """An entry is weighed, which nobody may decide before the fleet was asked about; nothing was recorded."""


class _EntriesAside:
    """Decides as the bot's decider does, but stops short of a cycle that records an entry, allowed or refused.

    All else in a cycle is the same whatever the fleet has at stake: an entry that would pass every other rule is
    refused, on record each time, as long as the fleet is not known.
    """

    def __init__(self, decider: BotDecider) -> None:
        self.initial = decider.initial
        self.evolve = decider.evolve
        self._decider = decider

    def decide(self, command: ObserveFrame, state: BotState) -> list[BotFact]:
        """The facts that follow; raises ``_EntryWeighed`` if there is an entry among them."""
        facts = self._decider.decide(command, state)
        if any(isinstance(fact, DecisionMade) and fact.intent in {"enter_long", "enter_short"} for fact in facts):
            raise _EntryWeighed
        return facts
