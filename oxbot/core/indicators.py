"""Indicators over closes, each a pure function of the window it is given. Floats live here and nowhere else."""

import talib

from oxbot.core.market_view import Closes


def ema_last(closes: Closes, period: int) -> float:
    """The exponential moving average at the newest close; TA-Lib's EMA over exactly these closes.

    It is seeded with the mean of the first ``period`` closes of the window, so the value depends on where the window
    begins. ``closes`` has shape (n,) with n >= period.
    """
    return float(talib.EMA(closes, timeperiod=period)[-1])
