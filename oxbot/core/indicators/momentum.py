"""How fast prices move: RSI, MACD and the stochastic oscillator."""

import math
from typing import NamedTuple

import talib

from oxbot.core.indicators.channels import highest, lowest
from oxbot.core.indicators.series import Floats, defined_part, require_periods, rolling_sum, undefined

NEUTRAL = 50.0
"""The middle of an oscillator from 0 to 100: what it reads while nothing has moved."""


class Macd(NamedTuple):
    """Moving average convergence and divergence, in units of price."""

    line: Floats
    signal: Floats
    histogram: Floats


class Stochastic(NamedTuple):
    """The slow stochastic oscillator, 0 to 100."""

    k: Floats
    d: Floats


@defined_part(1)
def rsi(close: Floats, /, period: int = 14) -> Floats:
    """The relative strength index, 0 to 100: 100 * gain / (gain + loss), Wilder's averages of the changes' two signs.

    Wilder, New Concepts in Technical Trading Systems (1978); TA-Lib's RSI; ``period`` >= 2. First at index period,
    seeded with the plain means of the first ``period`` changes: fading dependence on the window's beginning (Wilder).
    Closes that have not moved since the window began read 50 (TA-Lib says 0, which would be oversold); once they have
    moved, a flat stretch keeps the last reading.
    """
    require_periods(2, period)
    values = talib.RSI(close, timeperiod=period)
    if len(close) > period and close[period] == close[0]:
        moved = close != close[0]
        until = int(moved.argmax()) if moved.any() else len(close)
        values[period:until] = NEUTRAL
    return values


@defined_part(1)
def macd(close: Floats, /, *, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd:
    """EMA(fast) - EMA(slow), the EMA(signal) of that line, and the line less its signal.

    Appel (1979); TA-Lib's MACD; fast < slow, fast >= 2, signal >= 1. All three first at index slow + signal - 2. Both
    averages are seeded so that they begin at index slow - 1 (the fast one with the mean of the ``fast`` closes up to
    there): fading dependence on the window's beginning (exponential, that of ``slow``).
    """
    require_periods(2, fast, slow)
    require_periods(1, signal)
    if fast >= slow:
        raise ValueError(f"fast must be below slow, not {fast} and {slow}")
    return Macd(*talib.MACD(close, fastperiod=fast, slowperiod=slow, signalperiod=signal))


@defined_part(3)
def stochastic(
    high: Floats, low: Floats, close: Floats, /, period: int = 14, *, smoothing: int = 3, signal: int = 3
) -> Stochastic:
    """Slow %K and %D: where the close lies between the lowest low and the highest high of ``period`` candles.

    Lane; as TA-Lib's STOCH(period, smoothing, SMA, signal, SMA): raw = 100 * (C - LL) / (HH - LL), K = mean of
    ``smoothing`` raw values, D = mean of ``signal`` Ks; all >= 1. Both first at index period + smoothing + signal - 3.
    A range of zero reads 50 (TA-Lib says 0). Does not depend on where the window begins.
    """
    require_periods(1, period, smoothing, signal)
    bottom = lowest(low, period)
    span = highest(high, period) - bottom
    flat = span == 0.0
    raw = 100.0 * ((close - bottom) / (span + flat)) + NEUTRAL * flat
    first = period - 1
    k = undefined(len(close))
    k[first:] = rolling_sum(raw[first:], smoothing) / smoothing
    d = undefined(len(close))
    first += smoothing - 1
    d[first:] = rolling_sum(k[first:], signal) / signal
    k[: first + signal - 1] = math.nan
    return Stochastic(k=k, d=d)
