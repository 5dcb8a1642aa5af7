"""What volume says: on-balance volume and the volume-weighted average price of the day."""

import numpy as np
import talib

from oxbot.core.indicators.series import Floats, Times, defined_part, undefined

DAY_SECONDS = 86_400


@defined_part(2)
def obv(close: Floats, volume: Floats, /) -> Floats:
    """On-balance volume: volume is added on a higher close, taken off on a lower one, left out on an equal one.

    Granville (1963); TA-Lib's OBV. First at index 0, where it is that candle's volume: its level depends on where the
    window begins, its changes do not. Compare it with its own average or its own past, never with a constant.
    """
    return talib.OBV(close, volume)


@defined_part(5)
def vwap(high: Floats, low: Floats, close: Floats, volume: Floats, open_times: Times, /) -> Floats:
    """The volume-weighted mean of (H + L + C) / 3 since midnight UTC. ``open_times`` are epoch seconds.

    A day of which the window lacks the beginning (it begins with a candle that does not open at midnight) reads NaN,
    so a value does not depend on where the window begins (but for rounding); to be defined at every candle the window
    must hold a whole day. NaN also until the day has seen any volume.
    """
    if len(close) == 0:
        return undefined(0)
    days = open_times // DAY_SECONDS
    begins = np.flatnonzero(days[1:] != days[:-1]) + 1
    typical = (high + low + close) / 3.0
    turnover = (typical * volume).cumsum()
    traded = volume.cumsum()
    if len(begins):
        lengths = np.diff(begins, append=len(close))
        turnover[begins[0] :] -= turnover[begins - 1].repeat(lengths)
        traded[begins[0] :] -= traded[begins - 1].repeat(lengths)
    untraded = traded == 0.0
    values: Floats = turnover / (traded + untraded)
    values[untraded] = np.nan
    if open_times[0] % DAY_SECONDS:
        values[: begins[0] if len(begins) else len(close)] = np.nan
    return values
