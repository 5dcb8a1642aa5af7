"""A venue's candles over ccxt.pro: pushed as they close, asked for page by page, exact to the last digit."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeVar, cast

import structlog

from events.identifiers import Symbol
from oxbot.adapters.candle_profiles import CandleProfile, PushedCandle, candle_of, candle_profile, moment_of
from oxbot.adapters.ccxt_loading import Exchange, close_exchange, error_kind, open_exchange
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.ccxt_wire import Ended, uncancelled
from oxbot.adapters.rate_limiter import Priority, QueueFull, RateLimiter
from oxbot.adapters.redaction import redacted
from oxbot.app.clock import Clock
from oxbot.app.live_market_source import (
    CandleBegun,
    CandleClosed,
    CandlePush,
    CandlesConnected,
    CandlesHeard,
    CandlesLost,
    SourceRefused,
    SourceUnavailable,
)
from oxbot.core.candles import Candle, timeframe_duration

ANSWER_SECONDS = 15.0
MARKETS_SECONDS = 60.0
BACK_OFF_SECONDS = (0.5, 15.0)
HEARD_EVERY = timedelta(seconds=1)
PUSHES_MAX = 10_000
SILENT_CANDLES = 3
SILENT_SECONDS_LEAST = 60.0
"""A subscription that says nothing for so many candles, and so long, is made anew."""

_REFUSALS = ("BadSymbol", "BadRequest", "NotSupported", "PermissionDenied", "AuthenticationError")

ClockOf = Literal["server", "ticker"]
_AnswerT = TypeVar("_AnswerT")

logger = structlog.get_logger(__name__)


class _CandleExchange(Exchange, Protocol):
    timeframes: dict[str, str]
    clients: dict[str, "_Connection"]
    handle_ohlcv: Callable[["_Connection", Mapping[str, object]], object]
    parse_ohlcv: Callable[..., list[object]]

    async def watch_ohlcv(self, symbol: str, timeframe: str) -> object: ...

    async def fetch_ohlcv(self, symbol: str, timeframe: str, since: int, limit: int) -> Sequence[Sequence[object]]: ...

    async def fetch_time(self) -> object: ...

    async def fetch_ticker(self, symbol: str) -> Mapping[str, object]: ...


class _Connection(Protocol):
    url: str

    async def close(self) -> object: ...


@asynccontextmanager
async def open_candles(
    venue: str,
    *,
    symbols: Sequence[Symbol],
    timeframe: str,
    clock: Clock,
    addresses: VenueAddresses | None = None,
    demo: bool = False,
    clock_of: ClockOf = "server",
) -> AsyncIterator["CcxtCandleSource"]:
    """The source, which has not spoken to the venue yet. Raises ``SourceRefused`` or ``VenueUnfit``."""
    profile = candle_profile(venue)
    profile.check(timeframe, venue)
    exchange = cast("_CandleExchange", open_exchange(venue, addresses=addresses, demo=demo))
    try:
        async with RateLimiter({"candles": profile.limit}, clock=clock) as limiter:
            yield CcxtCandleSource(
                exchange, profile, limiter, symbols=symbols, timeframe=timeframe, clock=clock, clock_of=clock_of
            )
    finally:
        await close_exchange(exchange)


class CcxtCandleSource:
    """A ``CandleSource``: one subscription per symbol, all over one connection where the venue has it so.

    ccxt drops what a push says of whether its candle is final, and at some venues makes floats of its numbers. So the
    messages themselves are read, on their way to ccxt.
    """

    def __init__(
        self,
        exchange: _CandleExchange,
        profile: CandleProfile,
        limiter: RateLimiter,
        *,
        symbols: Sequence[Symbol],
        timeframe: str,
        clock: Clock,
        clock_of: ClockOf = "server",
    ) -> None:
        """``clock_of`` says what tells the venue's time: a test venue's market may have a clock of its own."""
        self._exchange = exchange
        self._profile = profile
        self._limiter = limiter
        self._symbols = tuple(symbols)
        self._timeframe = timeframe
        self._step = timeframe_duration(timeframe)
        self._clock = clock
        self._clock_of = clock_of
        self._ahead = timedelta(0)
        self._begun: dict[Symbol, datetime] = {}
        self._heard: dict[Symbol, datetime] = {}
        self._names: dict[tuple[str, bool], Symbol] = {}
        self._queue: asyncio.Queue[CandlePush | Exception] = asyncio.Queue(PUSHES_MAX)
        self._error = error_kind("BaseError")
        self._refusals = tuple(map(error_kind, _REFUSALS))
        exchange.timeframes = {**exchange.timeframes, **profile.renamed}
        exchange.options.update(profile.ccxt_options)
        if profile.flag_place is not None:
            _keep_flags(exchange, profile.flag_place)
        self._tap()
        _refuse_pages(exchange)

    @property
    def page(self) -> int:
        """The number of candles' moments that one page covers."""
        return self._profile.page

    async def load(self) -> None:
        """Learn the venue's symbols. Raises ``SourceRefused`` for one that it has not, or ``SourceUnavailable``."""
        markets = await self._asked(self._exchange.load_markets, seconds=MARKETS_SECONDS)
        for symbol in self._symbols:
            market = markets.get(symbol)
            if market is None:
                raise SourceRefused(f"{self._exchange.id} has no {symbol}")
            self._names[str(market["id"]), bool(market.get("spot"))] = symbol
            self._names[str(symbol), bool(market.get("spot"))] = symbol

    def markets(self) -> Mapping[str, Mapping[str, object]]:
        """What ccxt says of each symbol."""
        return self._exchange.markets or {}

    async def now(self) -> datetime:
        """The venue's own clock; the first time, its symbols are loaded too. Raises as ``load``."""
        if not self._names:
            await self.load()
        if self._clock_of == "ticker":
            ticker = await self._asked(lambda: self._exchange.fetch_ticker(self._symbols[0]))
            told = moment_of(ticker.get("timestamp"))
        else:
            told = moment_of(await self._asked(self._exchange.fetch_time))
        if told is None:
            raise SourceUnavailable(f"{self._exchange.id} told no time")
        self._ahead = told - self._clock.now()
        return told

    async def history(self, symbol: Symbol, *, begins_at: datetime, ends_before: datetime) -> Sequence[Candle]:
        """One page of closed candles, oldest first."""
        limit = max(1, min(self.page, -(-(ends_before - begins_at) // self._step)))
        since = round(begins_at.timestamp() * 1000)
        rows = await self._asked(lambda: self._exchange.fetch_ohlcv(symbol, self._timeframe, since, limit))
        candles: dict[datetime, Candle] = {}
        for number, row in enumerate(rows, start=1):
            opened = moment_of(row[0])
            if (
                opened is None
                or not begins_at <= opened < ends_before
                or not self._closed(symbol, opened, row, rows[number:])
            ):
                continue
            candle = candle_of(opened, row[1:6])
            if candle is None:
                raise SourceUnavailable(f"{self._exchange.id} answered with a candle of {symbol} that cannot be")
            candles[opened] = candle
        return [candles[opened] for opened in sorted(candles)]

    async def pushes(self) -> AsyncGenerator[CandlePush, None]:
        """What the venue pushes; for one follower."""
        watchers = [asyncio.create_task(self._keep(symbol), name=f"watch {symbol}") for symbol in self._symbols]
        try:
            while True:
                push = await self._queue.get()
                if isinstance(push, Exception):
                    raise push
                yield push
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    def _closed(self, symbol: Symbol, opened: datetime, row: Sequence[object], later: Sequence[object]) -> bool:
        if self._profile.flag_place is not None:
            return row[6] == "1"
        settled = opened + self._step + timedelta(seconds=self._profile.settles_seconds)
        begun = self._begun.get(symbol)
        return bool(later) or (begun is not None and opened < begun) or settled <= self._clock.now() + self._ahead

    async def _keep(self, symbol: Symbol) -> None:
        try:
            await self._watch(symbol)
        except Exception as error:
            logger.exception("candle_stream_broken", symbol=symbol)
            self._put(error)
            raise

    async def _watch(self, symbol: Symbol) -> None:
        silent = max(SILENT_SECONDS_LEAST, SILENT_CANDLES * self._step.total_seconds())
        failures = 0
        while True:
            connected = False
            try:
                while True:
                    async with asyncio.timeout(silent):
                        await uncancelled(self._exchange.watch_ohlcv(symbol, self._timeframe))
                    if not connected:
                        self._put(CandlesConnected(symbol))
                    connected, failures = True, 0
            except TimeoutError:
                self._put(CandlesLost(symbol, f"nothing came for {silent:.0f} s"))
                await self._hang_up()
            except (self._error, OSError, Ended) as error:
                self._put(CandlesLost(symbol, _words(error)))
            least, most = BACK_OFF_SECONDS
            await self._clock.sleep(min(most, least * 2**failures))
            failures = min(failures + 1, 16)

    async def _hang_up(self) -> None:
        """Close the connections, so that the next look makes them anew; ccxt keeps a silent subscription for ever."""
        for address, connection in list(self._exchange.clients.items()):
            self._exchange.clients.pop(address, None)
            await connection.close()

    def _tap(self) -> None:
        handle = self._exchange.handle_ohlcv

        def handle_ohlcv(connection: _Connection, message: Mapping[str, object]) -> object:
            for pushed in self._profile.read(message, connection.url):
                self._pushed(pushed)
            return handle(connection, message)

        self._exchange.handle_ohlcv = handle_ohlcv

    def _pushed(self, pushed: PushedCandle) -> None:
        spots = (True, False) if pushed.spot is None else (pushed.spot,)
        symbol = next(
            (self._names[pushed.venue_id, spot] for spot in spots if (pushed.venue_id, spot) in self._names), None
        )
        if symbol is None:
            return
        if pushed.closed and pushed.candle is not None:
            self._put(CandleClosed(symbol, pushed.candle))
            return
        begun = self._begun.get(symbol)
        if begun is None or pushed.open_time > begun:
            self._begun[symbol] = pushed.open_time
            if not self._profile.flagged:
                self._put(CandleBegun(symbol, pushed.open_time))
        now = self._clock.now()
        if symbol not in self._heard or now - self._heard[symbol] >= HEARD_EVERY:
            self._heard[symbol] = now
            self._put(CandlesHeard(symbol))

    def _put(self, push: CandlePush | Exception) -> None:
        """If nobody takes what is here, it is lost: what is missing will be asked for."""
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(push)

    async def _asked(self, ask: Callable[[], Awaitable[_AnswerT]], *, seconds: float = ANSWER_SECONDS) -> _AnswerT:
        try:
            async with self._limiter.turn(("candles",), priority=Priority.SWEEP), asyncio.timeout(seconds):
                return await uncancelled(ask())
        except self._refusals as error:
            reason, refused = _words(error), True
        except (self._error, TimeoutError, OSError, Ended, QueueFull) as error:
            reason, refused = _words(error), False
        # What ccxt raised is left behind: its text may hold the whole answer.
        if refused:
            raise SourceRefused(reason)
        raise SourceUnavailable(reason)


def _keep_flags(exchange: _CandleExchange, place: int) -> None:
    """Let what is asked for keep, behind the volume, the flag that says whether a candle is final."""
    parse = exchange.parse_ohlcv

    def parse_ohlcv(row: Sequence[object], *rest: object, **named: object) -> list[object]:
        return [*parse(row, *rest, **named), row[place]]

    exchange.parse_ohlcv = parse_ohlcv


def _refuse_pages(exchange: _CandleExchange) -> None:
    """Let an answer that is no JSON be none; ccxt takes a page of HTML with status 200 for an empty list."""
    judge = exchange.handle_errors
    unavailable = error_kind("ExchangeNotAvailable")

    def handle_errors(status: int, reason: str, url: str, method: str, headers: object, body: str, response: object, *rest: object) -> object:  # fmt: skip # noqa: E501, PLR0917  # ccxt's own signature
        if response is None:
            raise unavailable(f"{exchange.id} answered {status} with what is no JSON")
        return judge(status, reason, url, method, headers, body, response, *rest)

    exchange.handle_errors = handle_errors


def _words(error: BaseException) -> str:
    return redacted(f"{type(error).__name__}: {error}", ())
