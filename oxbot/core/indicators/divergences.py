"""Prices that go on while an indicator does not: regular divergences between confirmed pivots."""

from typing import NamedTuple

import numpy as np

from oxbot.core.indicators.channels import lowest
from oxbot.core.indicators.series import Flags, Floats, defined_part, require_periods


class Divergence(NamedTuple):
    """True at the candle that confirmed a divergence, and only there."""

    bullish: Flags
    bearish: Flags


@defined_part(2)
def divergence(price: Floats, indicator: Floats, /, pivot: int = 5, *, distance_max: int = 60) -> Divergence:
    """Where the price's last two lows fell and the indicator's at the same candles rose (bearish: highs, mirrored).

    A low is a price below each of the ``pivot`` prices before it and not above any of the ``pivot`` after it (of equal
    neighbours the first), so it is known, and the flag set, ``pivot`` candles later. The newest low is compared with
    the one before it if that is at most ``distance_max`` candles earlier. Both >= 1. The first flag can stand at index
    3 * pivot + 1; a value depends on the last 2 * pivot + distance_max + 1 candles at most, not on where the window
    begins before them.
    """
    require_periods(1, pivot, distance_max)
    return Divergence(
        bullish=_diverging_lows(price, indicator, pivot, distance_max),
        bearish=_diverging_lows(-price, -indicator, pivot, distance_max),
    )


def _diverging_lows(price: Floats, indicator: Floats, pivot: int, distance_max: int) -> Flags:
    flags = np.zeros(len(price), dtype=np.bool_)
    if len(price) < 2 * pivot + 1:
        return flags
    least = lowest(price, pivot)
    middle = price[pivot:-pivot]
    lows = np.flatnonzero((middle < least[pivot - 1 : -pivot - 1]) & (middle <= least[2 * pivot :])) + pivot
    before, newest = lows[:-1], lows[1:]
    found = (price[newest] < price[before]) & (indicator[newest] > indicator[before])
    found &= newest - before <= distance_max
    flags[newest[found] + pivot] = True
    return flags
