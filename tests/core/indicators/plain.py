"""The indicators again, from their definitions: plain loops over lists, exact sums, no numpy and no TA-Lib."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

NAN = math.nan
Row = Sequence[float]


def mean(values: Row) -> float:
    return float(sum(map(Fraction, values)) / len(values))


def deviation(values: Row) -> float:
    exact = [Fraction(value) for value in values]
    middle = sum(exact) / len(exact)
    return math.sqrt(sum((value - middle) ** 2 for value in exact) / len(exact))


def last(values: Row, t: int, period: int) -> Row:
    return values[t - period + 1 : t + 1]


def sma(values: Row, period: int) -> list[float]:
    return [mean(last(values, t, period)) if t >= period - 1 else NAN for t in range(len(values))]


def smoothed(values: Row, period: int, weight: float, begin: int = 0) -> list[float]:
    """NaN until the mean of ``period`` values from ``begin`` on, then each value weighed in."""
    row = [NAN] * len(values)
    seed = begin + period - 1
    for t in range(seed, len(values)):
        row[t] = mean(values[begin : seed + 1]) if t == seed else row[t - 1] + weight * (values[t] - row[t - 1])
    return row


def ema(values: Row, period: int) -> list[float]:
    return smoothed(values, period, 2 / (period + 1))


def highest(values: Row, period: int) -> list[float]:
    return [max(last(values, t, period)) if t >= period - 1 else NAN for t in range(len(values))]


def lowest(values: Row, period: int) -> list[float]:
    return [min(last(values, t, period)) if t >= period - 1 else NAN for t in range(len(values))]


def rsi(close: Row, period: int) -> list[float]:
    changes = [0.0] + [now - before for before, now in pairwise(close)]
    gains = smoothed([max(change, 0.0) for change in changes], period, 1 / period, begin=1)
    losses = smoothed([max(-change, 0.0) for change in changes], period, 1 / period, begin=1)
    row = []
    for gain, loss in zip(gains, losses, strict=True):
        moved = gain + loss
        row.append(NAN if math.isnan(moved) else 50.0 if moved == 0 else 100 * gain / moved)
    return row[: len(close)]


def macd(close: Row, fast: int, slow: int, signal: int) -> tuple[list[float], list[float], list[float]]:
    fast_row = smoothed(close, fast, 2 / (fast + 1), begin=slow - fast)
    slow_row = smoothed(close, slow, 2 / (slow + 1))
    line = [a - b for a, b in zip(fast_row, slow_row, strict=True)]
    signal_row = smoothed(line, signal, 2 / (signal + 1), begin=slow - 1)
    histogram = [a - b for a, b in zip(line, signal_row, strict=True)]
    shown = [NAN if math.isnan(s) else value for value, s in zip(line, signal_row, strict=True)]
    return shown, signal_row, histogram


def stochastic(
    high: Row, low: Row, close: Row, *, period: int, smoothing: int, signal: int
) -> tuple[list[float], list[float]]:
    raw = []
    for top, bottom, value in zip(highest(high, period), lowest(low, period), close, strict=True):
        raw.append(50.0 if top == bottom else 100 * (value - bottom) / (top - bottom))
    k = delayed_sma(raw, smoothing, period - 1)
    d = delayed_sma(k, signal, period + smoothing - 2)
    return [NAN if math.isnan(b) else a for a, b in zip(k, d, strict=True)], d


def delayed_sma(values: Row, period: int, begin: int) -> list[float]:
    return ([NAN] * begin + sma(values[begin:], period))[: len(values)]


def true_ranges(high: Row, low: Row, close: Row) -> list[float]:
    """The first candle has none, as there is no close before it; 0 stands in its place."""
    return [0.0][: len(close)] + [
        max(high[t] - low[t], abs(high[t] - close[t - 1]), abs(low[t] - close[t - 1])) for t in range(1, len(close))
    ]


def atr(high: Row, low: Row, close: Row, period: int) -> list[float]:
    return smoothed(true_ranges(high, low, close), period, 1 / period, begin=1)


def wilder_sum(values: Row, period: int) -> list[float]:
    """Wilder's sum as he wrote it: the first ``period`` - 1 values after index 0, and from there s - s / period + v."""
    row, total = [NAN] * len(values), 0.0
    for t in range(1, len(values)):
        total = total + values[t] if t < period else total - total / period + values[t]
        if t >= period:
            row[t] = total
    return row


def adx(high: Row, low: Row, close: Row, period: int) -> tuple[list[float], list[float], list[float]]:
    up, down = [0.0], [0.0]
    for t in range(1, len(close)):
        rise, fall = high[t] - high[t - 1], low[t - 1] - low[t]
        up.append(rise if rise > fall and rise > 0 else 0.0)
        down.append(fall if fall > rise and fall > 0 else 0.0)
    ranges = wilder_sum(true_ranges(high, low, close), period)
    plus = [share(*pair) for pair in zip(wilder_sum(up[: len(close)], period), ranges, strict=True)]
    minus = [share(*pair) for pair in zip(wilder_sum(down[: len(close)], period), ranges, strict=True)]
    index = [share(abs(a - b), a + b) for a, b in zip(plus, minus, strict=True)]
    return smoothed(index, period, 1 / period, begin=period), plus, minus


def share(part: float, whole: float) -> float:
    return NAN if math.isnan(whole) else 0.0 if whole == 0 else 100 * part / whole


def bollinger(close: Row, period: int, deviations: float) -> tuple[list[float], ...]:
    rows: list[list[float]] = [[], [], [], []]
    for t in range(len(close)):
        if t < period - 1:
            values = [NAN] * 4
        else:
            middle, width = mean(last(close, t, period)), deviations * deviation(last(close, t, period))
            values = [middle + width, middle, middle - width, 2 * width / middle]
        for row, value in zip(rows, values, strict=True):
            row.append(value)
    return tuple(rows)


def obv(close: Row, volume: Row) -> list[float]:
    row = list(volume[:1])
    for t in range(1, len(close)):
        row.append(row[-1] + (volume[t] if close[t] > close[t - 1] else -volume[t] if close[t] < close[t - 1] else 0.0))
    return row


def vwap(high: Row, low: Row, close: Row, volume: Row, open_times: Sequence[int]) -> list[float]:
    row: list[float] = []
    for t, time in enumerate(open_times):
        begin = next(i for i in range(t + 1) if open_times[i] // 86_400 == time // 86_400)
        traded = sum(Fraction(volume[i]) for i in range(begin, t + 1))
        if (begin == 0 and open_times[0] % 86_400) or traded == 0:
            row.append(NAN)
        else:
            typical = [Fraction(high[i]) + Fraction(low[i]) + Fraction(close[i]) for i in range(begin, t + 1)]
            turnover = sum(price * Fraction(volume[begin + i]) for i, price in enumerate(typical))
            row.append(float(turnover / traded / 3))
    return row


def correlation(first: Row, second: Row, period: int) -> list[float]:
    one = [b / a - 1 for a, b in pairwise(first)]
    other = [b / a - 1 for a, b in pairwise(second)]
    row = [NAN][: len(first)]
    for t in range(len(one)):
        xs, ys = last(one, t, period), last(other, t, period)
        if t < period - 1 or len(set(xs)) == 1 or len(set(ys)) == 1:
            row.append(NAN)
            continue
        x_mean, y_mean = sum(map(Fraction, xs)) / period, sum(map(Fraction, ys)) / period
        together = sum((Fraction(x) - x_mean) * (Fraction(y) - y_mean) for x, y in zip(xs, ys, strict=True)) / period
        row.append(float(together) / (deviation(xs) * deviation(ys)))
    return row
