"""The indicators that TA-Lib lacks, and Supertrend, again: plain loops over lists, from their definitions."""

import math
from typing import NamedTuple

from tests.core.indicators.plain import NAN, Row, atr, deviation, highest, last, lowest, mean, true_ranges


def supertrend(high: Row, low: Row, close: Row, period: int, multiplier: float) -> tuple[list[float], list[float]]:
    line, direction = [NAN] * len(close), [NAN] * len(close)
    upper, lower, up = math.inf, -math.inf, True
    for t, width in enumerate(atr(high, low, close, period)):
        if math.isnan(width):
            continue
        middle = (high[t] + low[t]) / 2
        new_upper, new_lower = middle + multiplier * width, middle - multiplier * width
        upper = new_upper if new_upper < upper or close[t - 1] > upper else upper
        lower = new_lower if new_lower > lower or close[t - 1] < lower else lower
        up = close[t] >= lower if up else close[t] > upper
        line[t], direction[t] = (lower, 1.0) if up else (upper, -1.0)
    return line, direction


def ichimoku(
    high: Row, low: Row, close: Row, *, conversion: int, base: int, leading: int, displacement: int
) -> tuple[list[float], ...]:
    def middle(period: int) -> list[float]:
        return [(a + b) / 2 for a, b in zip(highest(high, period), lowest(low, period), strict=True)]

    count = len(close)
    tenkan, kijun, wide = middle(conversion), middle(base), middle(leading)
    earlier = range(-displacement, count - displacement)
    span_a = [(tenkan[i] + kijun[i]) / 2 if i >= 0 else NAN for i in earlier]
    span_b = [wide[i] if i >= 0 else NAN for i in earlier]
    chikou = [NAN if i < 0 else float((close[t] > close[i]) - (close[t] < close[i])) for t, i in enumerate(earlier)]
    return tenkan, kijun, span_a, span_b, chikou


def order_flow(
    open_: Row, high: Row, low: Row, close: Row, volume: Row, *, window: int, deviation_window: int
) -> tuple[list[float], ...]:
    delta = [
        0.0 if high[t] == low[t] else volume[t] * (close[t] - open_[t]) / (high[t] - low[t]) for t in range(len(close))
    ]
    cumulative = [math.fsum(last(delta, t, window)) if t >= window - 1 else NAN for t in range(len(close))]
    spread = [
        deviation(last(delta, t, deviation_window)) if t >= deviation_window - 1 else NAN for t in range(len(close))
    ]
    return delta, cumulative, spread


def divergence(price: Row, indicator: Row, pivot: int, distance_max: int) -> tuple[list[float], list[float]]:
    bullish, bearish = [0.0] * len(price), [0.0] * len(price)
    for flags, sign in ((bullish, 1), (bearish, -1)):
        lows: list[int] = []
        for t in range(2 * pivot, len(price)):
            at = t - pivot
            before = all(sign * price[at] < sign * price[i] for i in range(at - pivot, at))
            after = all(sign * price[at] <= sign * price[i] for i in range(at + 1, t + 1))
            if not (before and after):
                continue
            if lows and at - lows[-1] <= distance_max:
                lower = sign * price[at] < sign * price[lows[-1]]
                risen = sign * indicator[at] > sign * indicator[lows[-1]]
                flags[t] = float(lower and risen)
            lows.append(at)
    return bullish, bearish


def regime(strength: Row, plus: Row, minus: Row, index: Row, *, strong: float, chop: float) -> list[float]:
    row = []
    for t in range(len(strength)):
        if math.isnan(strength[t]):
            row.append(NAN)
        elif strength[t] < chop or plus[t] == minus[t]:
            row.append(0.0)
        elif plus[t] > minus[t]:
            row.append(2.0 if strength[t] > strong and index[t] > 50 else 1.0)
        else:
            row.append(-2.0 if strength[t] > strong and index[t] < 50 else -1.0)
    return row


class Zone(NamedTuple):
    side: str
    low: float
    high: float
    age: int
    impulse: float
    touched: int | None
    broken: int | None


def fair_value_gaps(
    open_: Row, high: Row, low: Row, close: Row, *, fraction: float, impulse_min: float, period: int, age_max: int
) -> list[Zone]:
    zones, newest = [], len(close) - 1
    ranges = true_ranges(high, low, close)
    for third in range(period + 2, newest + 1):
        middle, first = third - 1, third - 2
        usual = mean(ranges[middle - period : middle])
        if newest - third > age_max or usual == 0 or abs(close[middle] - open_[middle]) < impulse_min * usual:
            continue
        for side, bottom, top in (("bullish", high[first], low[third]), ("bearish", high[third], low[first])):
            if top <= bottom or top - bottom < fraction * close[middle]:
                continue
            later = range(third + 1, newest + 1)
            bullish = side == "bullish"
            touches = [newest - i for i in later if (low[i] <= top if bullish else high[i] >= bottom)]
            breaks = [newest - i for i in later if (close[i] < bottom if bullish else close[i] > top)]
            impulse = abs(close[middle] - open_[middle]) / usual
            zones.append(
                Zone(side, bottom, top, newest - third, impulse, max(touches, default=None), max(breaks, default=None))
            )
    return zones
