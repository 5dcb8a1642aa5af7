"""Candles for the tests of indicators: seeded walks with gaps, flat stretches and candles without volume."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from oxbot.core.indicators import Floats, Times

MIDNIGHT = 1_767_225_600


class Candles(NamedTuple):
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    open_times: Times

    def part(self, begin: int, end: int | None = None) -> "Candles":
        return candles_of(*(array[begin:end] for array in self))

    def then(self, other: "Candles") -> "Candles":
        return candles_of(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def spoilt(self, column: int, at: int, value: float) -> "Candles":
        arrays = [np.array(array, dtype=np.float64) for array in self]
        arrays[column][at] = value
        return candles_of(*arrays)

    def scaled(self, price: float, volume: float) -> "Candles":
        return candles_of(*(array * price for array in self[:4]), self.volume * volume, self.open_times)


def candles_of(*arrays: NDArray[np.generic]) -> Candles:
    """Read-only, so that an indicator that wrote into its input would raise."""
    floats = [np.array(array, dtype=np.float64) for array in arrays[:5]]
    times = np.array(arrays[5], dtype=np.int64)
    for array in (*floats, times):
        array.flags.writeable = False
    return Candles(floats[0], floats[1], floats[2], floats[3], floats[4], times)


def walk(seed: int, count: int, *, quiet: float = 0.0, tick: float = 0.01, every_seconds: int = 3_600) -> Candles:
    """A random walk from 10,000 ticks; ``quiet`` is the share of candles that trade nothing and do not move."""
    random = np.random.default_rng(seed)
    still = random.random(count) < quiet
    close = 10_000 + np.cumsum(np.where(still, 0, np.rint(random.standard_t(3, count) * 25))).astype(np.int64)
    close = np.maximum(close, 100 + np.arange(count) % 7)
    before = np.concatenate([[10_000], close[:-1]])
    open_ = np.where(still, close, before + random.integers(-8, 9, count))
    wick = np.where(still, 0, random.integers(0, 30, (2, count)))
    high, low = np.maximum(open_, close) + wick[0], np.maximum(np.minimum(open_, close) - wick[1], 1)
    volume = np.where(still, 0, random.integers(1, 10_000, count)) / 8
    times = MIDNIGHT + (7 + np.arange(count)) * every_seconds
    return candles_of(open_ * tick, high * tick, low * tick, close * tick, volume, times)


def flat(count: int, *, price: float = 100.0, volume: float = 5.0) -> Candles:
    prices = np.full(count, price)
    times = MIDNIGHT + 3_600 * np.arange(count)
    return candles_of(prices, prices, prices, prices, np.full(count, volume), times)


def missing(count: int, value: float = np.nan) -> Candles:
    """Candles of which nothing is known."""
    array = np.full(count, value)
    return candles_of(array, array, array, array, array, MIDNIGHT - 3_600 * np.arange(count, 0, -1))


def walks(longest: int = 160) -> st.SearchStrategy[Candles]:
    return st.builds(
        walk,
        st.integers(0, 2**32 - 1),
        st.integers(0, longest),
        quiet=st.sampled_from([0.0, 0.3, 0.9]),
        tick=st.sampled_from([1e-9, 0.01, 16.0]),
        every_seconds=st.sampled_from([300, 3_600, 86_400]),
    )
