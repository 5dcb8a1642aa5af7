"""How far prices range: average true range and Bollinger bands."""

from typing import NamedTuple

import talib

from oxbot.core.indicators.series import Floats, defined_part, require_periods


class Bollinger(NamedTuple):
    """A moving average with bands of standard deviations, in units of price."""

    upper: Floats
    middle: Floats
    lower: Floats
    bandwidth: Floats
    """(upper - lower) / middle."""


@defined_part(3)
def atr(high: Floats, low: Floats, close: Floats, /, period: int = 14) -> Floats:
    """Wilder's average of the true range max(H - L, |H - C before|, |L - C before|), in units of price.

    Wilder (1978); TA-Lib's ATR; ``period`` >= 1. First at index period (the first candle has no close before it),
    seeded with a plain mean: fading dependence on the window's beginning (Wilder). Candles without any range read 0.
    """
    require_periods(1, period)
    return talib.ATR(high, low, close, timeperiod=period)


@defined_part(1)
def bollinger(close: Floats, /, period: int = 20, deviations: float = 2.0) -> Bollinger:
    """The mean of ``period`` closes, and ``deviations`` population standard deviations above and below it.

    Bollinger; TA-Lib's BBANDS; ``period`` >= 2. First at index period - 1. Does not depend on where the window begins
    (but for the rounding of running sums). Flat closes have bands of no width, and a bandwidth of 0.
    """
    require_periods(2, period)
    upper, middle, lower = talib.BBANDS(close, timeperiod=period, nbdevup=deviations, nbdevdn=deviations)
    return Bollinger(upper=upper, middle=middle, lower=lower, bandwidth=(upper - lower) / middle)
