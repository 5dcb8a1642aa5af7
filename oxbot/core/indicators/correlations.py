"""How alike two instruments move."""

import numpy as np
import talib

from oxbot.core.indicators.channels import highest, lowest
from oxbot.core.indicators.series import Floats, defined_part, require_periods, undefined


@defined_part(2)
def correlation(first: Floats, second: Floats, /, period: int = 30) -> Floats:
    """Pearson's correlation of the last ``period`` simple returns of two series of closes at the same times, -1 to 1.

    TA-Lib's CORREL over C / C before - 1; ``period`` >= 2. First at index period. NaN where either has not varied
    within the period (TA-Lib says 0). Does not depend on where the window begins (but for the rounding of running
    sums).
    """
    require_periods(2, period)
    values = undefined(len(first))
    if len(first) <= period:
        return values
    one = first[1:] / first[:-1] - 1.0
    other = second[1:] / second[:-1] - 1.0
    within = talib.CORREL(one, other, timeperiod=period)
    varied = (highest(one, period) > lowest(one, period)) & (highest(other, period) > lowest(other, period))
    values[1:] = np.where(varied, np.minimum(np.maximum(within, -1.0), 1.0), np.nan)
    return values
