"""The highest and the lowest of the newest values."""

import talib

from oxbot.core.indicators.series import Floats, defined_part, require_periods


@defined_part(1)
def highest(values: Floats, /, period: int) -> Floats:
    """The highest of the last ``period`` values, the newest included. TA-Lib's MAX; ``period`` >= 1.

    First at index period - 1. Does not depend on where the window begins. A breakout above the ``period`` candles
    before the newest one is ``high[-1] > highest(high, period)[-2]``.
    """
    require_periods(1, period)
    return values.copy() if period == 1 else talib.MAX(values, timeperiod=period)


@defined_part(1)
def lowest(values: Floats, /, period: int) -> Floats:
    """The lowest of the last ``period`` values, the newest included. TA-Lib's MIN; ``period`` >= 1.

    First at index period - 1. Does not depend on where the window begins.
    """
    require_periods(1, period)
    return values.copy() if period == 1 else talib.MIN(values, timeperiod=period)
