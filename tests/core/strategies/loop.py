"""A small trading loop for tests: enters and exits at the next open, and at a bracket's levels within a candle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from events.values import PositionSide
from oxbot.core.candles import Candle
from oxbot.core.market_view import CandleWindow
from oxbot.core.memory import NO_MEMORY, Memory
from oxbot.core.money import exact
from oxbot.core.strategies import built_in
from oxbot.core.strategy import BoundStrategy, Holding, Signal, StrategyState


@dataclass
class Trade:
    """A position from its entry to its exit; what is left of it at the end, in shares of one."""

    side: PositionSide
    entry: Signal
    opened: int
    opened_at: datetime
    price: Decimal
    exit_reason: str = ""
    closed: int = 0
    exit_price: Decimal = Decimal(0)
    reductions: list[Signal] = field(default_factory=list)

    @property
    def gain(self) -> float:
        """The move in its favour, before costs."""
        change = float(self.exit_price) / float(self.price) - 1
        return change if self.side == "long" else -change


@dataclass
class Walk:
    """What a strategy did on a market."""

    trades: list[Trade] = field(default_factory=list)
    signals: list[tuple[int, Signal]] = field(default_factory=list)
    flat_looks: int = 0
    entries_wanted: int = 0
    holding: Trade | None = None

    @property
    def reasons(self) -> set[str]:
        """How its trades ended."""
        return {trade.exit_reason for trade in self.trades}


def bound(name: str, parameters: Mapping[str, str] | None = None) -> BoundStrategy:
    """A built-in strategy under these parameters."""
    strategies = built_in()
    return strategies.bind(strategies.refer(name, parameters or {}))


def empty_window(strategy: BoundStrategy, market: Sequence[Candle], *, capacity: int | None = None) -> CandleWindow:
    """A window that holds what the strategy must be shown, or more."""
    step = market[1].open_time - market[0].open_time if len(market) > 1 else timedelta(hours=1)
    return CandleWindow(capacity or strategy.window, timeframe=step)


def holding(
    market: Sequence[Candle],
    *,
    candles: int,
    side: PositionSide = "long",
    price: Decimal | None = None,
    setup: str = "",
) -> Holding:
    """A position that was opened in the candle so many before the newest, at its open or at another price."""
    opened = market[-1 - candles]
    return Holding(side, Decimal(1), price or opened.open, opened.open_time, candles, setup)


def at_the_close(
    strategy: BoundStrategy, market: Sequence[Candle], held: Holding | None = None, *, memory: Memory = NO_MEMORY
) -> Signal | None:
    """What the strategy wants after the last candle."""
    window = empty_window(strategy, market)
    for candle in market:
        window.push(candle)
    with exact():
        return strategy.observe(window, StrategyState(held, memory))


def numbers(signal: Signal) -> dict[str, float]:
    """A signal's measurements by name."""
    return {measurement.name: measurement.value for measurement in signal.measurements}


def walk(strategy: BoundStrategy, market: Sequence[Candle], *, memory: Memory = NO_MEMORY, trade: bool = True) -> Walk:
    """Let the strategy trade the market, or only say what it would enter while it stays flat."""
    seen, window, pending = Walk(), empty_window(strategy, market), None
    for number, candle in enumerate(market):
        closed = _execute(seen, pending, number, candle) if trade else False
        window.push(candle)
        pending = None
        if closed:
            continue
        holding = _holding(seen.holding, number)
        with exact():
            pending = strategy.observe(window, StrategyState(holding, memory))
        if holding is None and len(window) >= strategy.window:
            seen.flat_looks += 1
            seen.entries_wanted += pending is not None
        if pending is not None:
            seen.signals.append((number, pending))
    return seen


def _holding(trade: Trade | None, number: int) -> Holding | None:
    if trade is None:
        return None
    return Holding(trade.side, Decimal(1), trade.price, trade.opened_at, number - trade.opened, trade.entry.setup)


def _execute(seen: Walk, pending: Signal | None, number: int, candle: Candle) -> bool:
    """What the candle does before its close; whether it closed a position."""
    if pending is not None and pending.intent in ("enter_long", "enter_short"):
        side: PositionSide = "long" if pending.intent == "enter_long" else "short"
        seen.holding = Trade(side, pending, number, candle.open_time, candle.open)
    held = seen.holding
    if held is None:
        return False
    if pending is not None and pending.intent == "exit":
        return _close(seen, held, number, candle.open, "exit")
    if pending is not None and pending.intent == "reduce":
        held.reductions.append(pending)
    stop, target = held.entry.stop_loss, held.entry.take_profit
    if stop is not None and (candle.low <= stop if held.side == "long" else candle.high >= stop):
        return _close(seen, held, number, stop, "stop")
    if target is not None and (candle.high >= target if held.side == "long" else candle.low <= target):
        return _close(seen, held, number, target, "target")
    most = held.entry.bracket.candles_max if held.entry.bracket else None
    if most is not None and number - held.opened >= most:
        return _close(seen, held, number, candle.close, "time")
    return False


def _close(seen: Walk, held: Trade, number: int, price: Decimal, reason: str) -> bool:
    held.exit_reason, held.closed, held.exit_price = reason, number, price
    seen.trades.append(held)
    seen.holding = None
    return True
