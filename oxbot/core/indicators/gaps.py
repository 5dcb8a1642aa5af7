"""Fair value gaps: prices that an impulse of three candles leapt over, and what became of them."""

from typing import Literal, NamedTuple

import numpy as np
import talib

from oxbot.core.indicators.series import Flags, Floats, finite_span, require_periods, rolling_sum


class FairValueGap(NamedTuple):
    """A zone of prices; what is counted in candles is 0 at the newest one."""

    side: Literal["bullish", "bearish"]
    low: float
    high: float
    age: int
    """Candles since the third one, which completed the zone."""
    impulse: float
    """The middle candle's body in average true ranges."""
    touched: int | None
    """Candles since the first one after completion that traded within the zone; None while it is fresh."""
    broken: int | None
    """Candles since the first one that closed beyond the zone's far edge; None while it holds."""

    @property
    def middle(self) -> float:
        """The price halfway through the zone."""
        return (self.low + self.high) / 2.0


def fair_value_gaps(
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    /,
    *,
    gap_fraction_min: float = 0.001,
    impulse_min: float = 1.5,
    range_period: int = 14,
    age_max: int = 50,
) -> tuple[FairValueGap, ...]:
    """The zones of at most ``age_max`` candles as they stand at the newest candle, oldest first.

    A bullish zone lies between the first candle's high and the third one's low above it, a bearish one mirrored. It
    counts if it is at least ``gap_fraction_min`` of the middle close wide and the middle body at least ``impulse_min``
    times the mean of the ``range_period`` true ranges before it. Touched by a low at or below its upper edge (bearish
    mirrored) of any later candle. ``range_period`` >= 1, ``age_max`` >= 0.

    A zone needs range_period + 1 candles before its middle one; with range_period + age_max + 3 candles or more nothing
    depends on where the window begins. A candle that is not finite ends the series as in every indicator: no zones.
    """
    require_periods(1, range_period)
    require_periods(0, age_max)
    begin, end = finite_span(open_, high, low, close)
    begin = max(begin, end - (range_period + age_max + 3))
    if end < len(close) or end - begin < range_period + 3:
        return ()
    open_, high, low, close = open_[begin:], high[begin:], low[begin:], close[begin:]
    impulse = _impulses(open_, high, low, close, range_period)
    width = np.where(impulse >= impulse_min, gap_fraction_min * close[range_period + 1 : -1], np.inf)
    zones = [_bullish(third, high, low, close) for third in _completed(high, low, width, range_period)]
    zones += [_bearish(third, high, low, close) for third in _completed(-low, -high, width, range_period)]
    zones.sort(key=lambda zone: -zone.age)
    return tuple(zone._replace(impulse=float(impulse[-1 - zone.age])) for zone in zones)


def _impulses(open_: Floats, high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    ranges = talib.TRANGE(high, low, close)
    mean = rolling_sum(ranges[1:], period)[period - 1 : -2] / period
    body = np.abs(close - open_)[period + 1 : -1]
    impulse = np.zeros(len(body))
    np.divide(body, mean, out=impulse, where=mean > 0.0)
    return impulse


def _completed(high: Floats, low: Floats, width: Floats, period: int) -> list[int]:
    gap = low[period + 2 :] - high[period:-2]
    thirds: list[int] = (np.flatnonzero((gap >= width) & (gap > 0.0)) + period + 2).tolist()
    return thirds


def _bullish(third: int, high: Floats, low: Floats, close: Floats) -> FairValueGap:
    bottom, top = float(high[third - 2]), float(low[third])
    return FairValueGap(
        side="bullish",
        low=bottom,
        high=top,
        age=len(close) - 1 - third,
        impulse=0.0,
        touched=_since_first(low[third + 1 :] <= top),
        broken=_since_first(close[third + 1 :] < bottom),
    )


def _bearish(third: int, high: Floats, low: Floats, close: Floats) -> FairValueGap:
    bottom, top = float(high[third]), float(low[third - 2])
    return FairValueGap(
        side="bearish",
        low=bottom,
        high=top,
        age=len(close) - 1 - third,
        impulse=0.0,
        touched=_since_first(high[third + 1 :] >= bottom),
        broken=_since_first(close[third + 1 :] > top),
    )


def _since_first(happened: Flags) -> int | None:
    return len(happened) - 1 - int(happened.argmax()) if happened.any() else None
