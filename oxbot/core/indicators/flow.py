"""A guess at who was the more eager, buyers or sellers, made of candles alone."""

from typing import NamedTuple

import numpy as np

from oxbot.core.indicators.series import Floats, defined_part, require_periods, rolling_sum


class OrderFlow(NamedTuple):
    """A proxy for volume bought less volume sold at market, in units of volume."""

    delta: Floats
    cumulative: Floats
    deviation: Floats


@defined_part(5)
def order_flow(
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    /,
    *,
    window: int = 20,
    deviation_window: int = 20,
) -> OrderFlow:
    """Each candle's volume times the share of its range that its body went up: delta = V * (C - O) / (H - L).

    A candle without range has delta 0. ``cumulative`` is the sum of the newest ``window`` deltas, ``deviation`` the
    population standard deviation of the newest ``deviation_window`` (a surge is a delta of more than two of them); both
    >= 1. Ours: a proxy, as candles do not say which side took. First at index 0, window - 1 and deviation_window - 1.
    Does not depend on where the window of candles begins.
    """
    require_periods(1, window, deviation_window)
    span = high - low
    delta = volume * ((close - open_) / (span + (span == 0.0)))
    mean = rolling_sum(delta, deviation_window) / deviation_window
    mean_square = rolling_sum(delta * delta, deviation_window) / deviation_window
    deviation = np.sqrt(np.maximum(mean_square - mean * mean, 0.0))
    return OrderFlow(delta=delta, cumulative=rolling_sum(delta, window), deviation=deviation)
