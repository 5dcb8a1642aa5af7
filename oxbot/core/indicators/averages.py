"""Moving averages."""

import talib

from oxbot.core.indicators.series import Floats, defined_part, require_periods


@defined_part(1)
def sma(values: Floats, /, period: int) -> Floats:
    """The mean of the last ``period`` values. TA-Lib's SMA; ``period`` >= 1.

    First at index period - 1. Does not depend on where the window begins (but for the rounding of a running sum).
    """
    require_periods(1, period)
    return talib.SMA(values, timeperiod=period)


@defined_part(1)
def ema(values: Floats, /, period: int) -> Floats:
    """The exponential moving average, e + (v - e) * 2 / (period + 1). TA-Lib's EMA; ``period`` >= 1.

    First at index period - 1, where it is the mean of the first ``period`` values: fading dependence on the window's
    beginning (a hundredth of the seed's weight is left after 2.3 periods, a thousandth after 3.5).
    """
    require_periods(1, period)
    return talib.EMA(values, timeperiod=period)


def ema_last(closes: Floats, period: int) -> float:
    """The exponential moving average at the newest close; TA-Lib's EMA over exactly these closes.

    It is seeded with the mean of the first ``period`` closes of the window, so the value depends on where the window
    begins. ``closes`` has shape (n,) with n >= period.
    """
    return float(talib.EMA(closes, timeperiod=period)[-1])
