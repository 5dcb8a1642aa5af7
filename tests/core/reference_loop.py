"""The reference of ``ema_cross``: one plain loop over candles, written from its definition and not from the core."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import talib
from numpy.typing import NDArray

from oxbot.core.candles import Candle

FEE = Decimal("0.001")
LOT = Decimal("0.00000001")


class Rules(NamedTuple):
    """The numbers in the definition of ``ema_cross``."""

    fast: int = 20
    slow: int = 50
    lookback: int = 250
    size: Decimal = Decimal("0.05")
    stop: Decimal = Decimal("0.02")
    target: Decimal = Decimal("0.04")


class Holding(NamedTuple):
    """A position that was bought and not yet sold."""

    quantity: Decimal
    entry_time: datetime
    entry_price: Decimal


class Trade(NamedTuple):
    """A round trip; fees and net in quote currency."""

    quantity: Decimal
    entry_time: datetime
    entry_price: Decimal
    exit_time: datetime
    exit_price: Decimal
    fees: Decimal
    net: Decimal
    reason: str


class Result(NamedTuple):
    """What a bot has after the last candle, at whose close an open position is marked."""

    trades: list[Trade]
    cash: Decimal
    equity: Decimal
    holding: Holding | None


def run(candles: Sequence[Candle], capital: Decimal, rules: Rules | None = None) -> Result:
    """Trade the candles from the first to the last with fees of 0.1 % and lots of 1e-8."""
    with localcontext() as context:
        context.prec = 80
        return _loop(candles, capital, rules or Rules())


def _loop(candles: Sequence[Candle], cash: Decimal, rules: Rules) -> Result:
    closes = np.array([float(candle.close) for candle in candles])
    trades: list[Trade] = []
    holding: Holding | None = None
    buy_for, sell = Decimal(0), False
    for t, candle in enumerate(candles):
        closed: Trade | None = None
        if buy_for:
            holding = _buy(candle, buy_for)
            cash -= holding.quantity * holding.entry_price * (1 + FEE) if holding else 0
        if holding and sell:
            closed = _sell(holding, candle, candle.open, "exit_signal")
        elif holding:
            closed = _bracket(holding, candle, rules)
        if closed:
            trades.append(closed)
            cash += closed.quantity * closed.exit_price * (1 - FEE)
            holding = None
        buy_for, sell = Decimal(0), False
        if t < rules.lookback:
            continue
        cross = _cross(closes, t, rules)
        if cross == "up" and not holding and not closed:
            buy_for = rules.size * cash
        sell = cross == "down" and holding is not None
    equity = cash + (holding.quantity * candles[-1].close if holding else 0)
    return Result(trades, cash, equity, holding)


def _buy(candle: Candle, notional: Decimal) -> Holding | None:
    lots = int(Fraction(notional) / (Fraction(candle.open) * Fraction(LOT)))
    return Holding(lots * LOT, candle.open_time, candle.open) if lots else None


def _bracket(holding: Holding, candle: Candle, rules: Rules) -> Trade | None:
    stop = holding.entry_price * (1 - rules.stop)
    target = holding.entry_price * (1 + rules.target)
    if candle.low <= stop:
        return _sell(holding, candle, candle.open if candle.open < stop else stop, "stop_loss")
    if candle.high >= target:
        return _sell(holding, candle, candle.open if candle.open > target else target, "take_profit")
    return None


def _sell(holding: Holding, candle: Candle, price: Decimal, reason: str) -> Trade:
    paid, received = holding.quantity * holding.entry_price, holding.quantity * price
    fees = paid * FEE + received * FEE
    return Trade(*holding, candle.open_time, price, fees, received - paid - fees, reason)


def _cross(closes: NDArray[np.float64], t: int, rules: Rules) -> str | None:
    fast, slow = _averages(closes[t - rules.lookback + 1 : t + 1], rules)
    fast_before, slow_before = _averages(closes[t - rules.lookback : t], rules)
    if fast_before <= slow_before and fast > slow:
        return "up"
    if fast_before >= slow_before and fast < slow:
        return "down"
    return None


def _averages(closes: NDArray[np.float64], rules: Rules) -> tuple[float, float]:
    fast, slow = talib.EMA(closes, timeperiod=rules.fast), talib.EMA(closes, timeperiod=rules.slow)
    return float(fast[-1]), float(slow[-1])
