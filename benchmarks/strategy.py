"""What a strategy costs per closed candle, beside the bare TA-Lib calls it makes, and what a bot keeps in memory."""

import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import islice
from statistics import median
from typing import NamedTuple

import msgspec
import talib

from benchmarks import Result, result
from events.identifiers import BotId, FleetName, Symbol, VenueName
from events.values import MarketReference, RiskLimits
from oxbot.adapters.synthetic_market import SyntheticMarket
from oxbot.cli.installation import FEES
from oxbot.core.bot import BotDecider, ClaimBot, StartBot
from oxbot.core.candle_series import SharedSeries
from oxbot.core.candles import Candle, Series, timeframe_duration
from oxbot.core.creation import CreateBot
from oxbot.core.market_view import CandleWindow, MarketView
from oxbot.core.state import BotState, fold
from oxbot.core.strategies import built_in, built_in_strategies
from oxbot.core.strategy import BoundStrategy, Holding, StrategyState

VENUE, TIMEFRAME = VenueName("synthetic"), "5m"
SYMBOLS = tuple(Symbol(f"{base}/USDT") for base in ("BTC", "ETH", "SOL", "XRP", "DOGE"))
BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)
CANDLES = 2000
SHARING = 10
BOTS, BOTS_ALONE = 1000, 50

Call = Callable[[], object]


class _Market(NamedTuple):
    reference: MarketReference
    candles: dict[Symbol, list[Candle]]


async def run() -> AsyncIterator[Result]:
    """Every built-in strategy under its defaults over a synthetic BTC/USDT: flat, holding, and as ten bots that share.

    Then the bytes that each of 1,000 bots of five symbols adds, under the strategy that looks back furthest.
    """
    bound = {strategy.name: strategy.bind(strategy.parameters({})) for strategy in built_in_strategies()}
    market = _made(CANDLES + max(strategy.window for strategy in bound.values()))
    for name, strategy in bound.items():
        for line in _times(name, strategy, market.candles[SYMBOLS[0]]):
            yield line
    furthest = max(bound, key=lambda name: bound[name].window)
    yield _memory(furthest, market)


def _made(count: int) -> _Market:
    synthetic = SyntheticMarket(1, SYMBOLS, TIMEFRAME, BEGINS_AT)
    candles: dict[Symbol, list[Candle]] = {symbol: [] for symbol in SYMBOLS}
    for frame in islice(synthetic.frames_after(None), count):
        for symbol, candle in frame.candles:
            candles[symbol].append(candle)
    reference = MarketReference(
        venue=synthetic.venue,
        timeframe=TIMEFRAME,
        begins_at=BEGINS_AT,
        instruments=tuple(synthetic.instruments),
    )
    return _Market(reference, candles)


def _times(name: str, strategy: BoundStrategy, candles: Sequence[Candle]) -> Iterator[Result]:
    entry = Holding("long", Decimal(1), candles[0].close, candles[0].open_time, candles=5, setup="")
    flat, holding = StrategyState(), StrategyState(holding=entry)
    bare, calls = _bare_calls(strategy, candles)
    for case, state in (("flat", flat), ("holding", holding)):
        yield result(
            "strategy",
            f"{name}, {case}: one closed candle",
            ours=_microseconds(strategy, candles, state, bots=1),
            reference=bare,
            reference_name=f"its {calls:g} TA-Lib calls, bare" if calls else "a copy of the closes; it calls no TA-Lib",
            unit="us",
        )
    yield result(
        "strategy",
        f"{name}, flat: one closed candle of each of {SHARING} bots that share it",
        ours=_microseconds(strategy, candles, flat, bots=SHARING),
        reference=_microseconds(strategy, candles, flat, bots=1),
        reference_name="one bot alone",
        unit="us",
    )


def _microseconds(strategy: BoundStrategy, candles: Sequence[Candle], state: StrategyState, *, bots: int) -> float:
    """The median over the candles of what a bot takes to see one and to decide."""
    shared = SharedSeries() if bots > 1 else None
    windows = [_window(strategy, shared) for _ in range(bots)]
    _show(windows, candles[: strategy.window])
    taken = []
    for candle in candles[strategy.window :]:
        begun = time.perf_counter()
        for window in windows:
            window.push(candle)
            strategy.observe(window, state)
        taken.append((time.perf_counter() - begun) / bots)
    return 1e6 * median(taken)


def _bare_calls(strategy: BoundStrategy, candles: Sequence[Candle]) -> tuple[float, float]:
    """The median time in microseconds of the TA-Lib calls of one decision, made again, and their median number."""
    window = _window(strategy, None)
    _show([window], candles[: strategy.window])
    taken, numbers = [], []
    for candle in candles[strategy.window :]:
        window.push(candle)
        with _recorded() as calls:
            strategy.observe(window, StrategyState())
        again = list(calls) or [window.closes(strategy.window).copy]
        begun = time.perf_counter()
        for call in again:
            call()
        taken.append(time.perf_counter() - begun)
        numbers.append(len(calls))
    return 1e6 * median(taken), median(numbers)


@contextmanager
def _recorded() -> Iterator[list[Call]]:
    """The calls of TA-Lib's functions that are made within, each ready to be made again."""
    calls: list[Call] = []
    functions = {name: getattr(talib, name) for name in talib.get_functions()}  # type: ignore[no-untyped-call]  # talib has no types

    def recorder(function: Callable[..., object], *arguments: object, **options: object) -> object:
        calls.append(partial(function, *arguments, **options))
        return function(*arguments, **options)

    for name, function in functions.items():
        setattr(talib, name, partial(recorder, function))
    try:
        yield calls
    finally:
        for name, function in functions.items():
            setattr(talib, name, function)


def _window(strategy: BoundStrategy, shared: SharedSeries | None) -> CandleWindow:
    series = None if shared is None else shared.of(Series(VENUE, SYMBOLS[0], TIMEFRAME))
    timeframe = timeframe_duration(TIMEFRAME)
    return CandleWindow(strategy.window, symbol=SYMBOLS[0], timeframe=timeframe, shared=series)


def _show(windows: Sequence[CandleWindow], candles: Sequence[Candle]) -> None:
    for candle in candles:
        for window in windows:
            window.push(candle)


def _memory(name: str, market: _Market) -> Result:
    return result(
        "strategy",
        f"{name}, {BOTS} bots of {len(SYMBOLS)} symbols: bytes of each beyond what they share",
        ours=_bytes_per_bot(name, market, SharedSeries(), bots=BOTS),
        reference=_bytes_per_bot(name, market, None, bots=BOTS_ALONE),
        reference_name="each with candles of its own",
        unit="bytes",
        digits=0,
    )


def _bytes_per_bot(name: str, market: _Market, shared: SharedSeries | None, *, bots: int) -> float:
    """What a bot's state, its view of the market and its newest decision add to those of a first bot.

    Each is shown candles that it has read itself, as after a restart.
    """
    decider = BotDecider(built_in())
    seen = built_in().bind(built_in().refer(name, {})).window + 50
    stored = {symbol: msgspec.msgpack.encode(candles[-seen:]) for symbol, candles in market.candles.items()}
    kept = [_bot(name, decider, market, stored, shared)]
    gc.collect()
    tracemalloc.start()
    kept += [_bot(name, decider, market, stored, shared) for _ in range(bots)]
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return grown / bots


def _bot(
    name: str, decider: BotDecider, market: _Market, stored: dict[Symbol, bytes], shared: SharedSeries | None
) -> tuple[BotState, MarketView]:
    create = CreateBot(
        bot_id=BotId("bot"),
        fleet=FleetName("fleet"),
        name="Bot",
        strategy=name,
        parameters={},
        market=market.reference,
        capital=Decimal(10000),
        quote="USDT",
        fees=FEES,
        limits=RiskLimits(),
    )
    state = fold(decider.decide(create, decider.initial))
    for command in (StartBot(), ClaimBot("bare")):
        state = fold(decider.decide(command, state), state)
    strategy = built_in().bind(state.configuration.strategy)
    view = MarketView.of(market.reference, capacity=strategy.window, shared=shared)
    for symbol, encoded in stored.items():
        view.warm(symbol, msgspec.msgpack.decode(encoded, type=list[Candle]))
        strategy.observe(view[symbol], StrategyState())
    return state, view
