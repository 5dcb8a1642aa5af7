"""How far an equity curve has fallen, kept up as the curve grows, so that nobody goes through all of it again."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from events.identifiers import Symbol
from oxbot.views.rows import HoldingRow

Floats = NDArray[np.float64]


class Fall(NamedTuple):
    """A curve up to its newest point: its equity and capital there, and its growth as ``growth_index`` has it.

    ``deepest`` is how far the growth fell below its highest at most, and ``current`` how far it is below it, as
    fractions of that.
    """

    equity: float
    capital: float
    base: float
    level: float
    growth: float = 1.0
    highest: float = 1.0
    deepest: float = 0.0
    current: float = 0.0

    @classmethod
    def begun(cls, capital: float) -> "Fall":
        """The curve of somebody with that capital, before it has moved."""
        return cls(equity=capital, capital=capital, base=capital, level=1.0)


class Closes(NamedTuple):
    """The newest closes of a market's symbols at some times; NaN where there is none yet. Shape (times, symbols)."""

    symbols: Sequence[Symbol]
    times: Sequence[datetime]
    closes: Floats


def grown(fall: Fall, holdings: Sequence[HoldingRow], closes: Closes) -> Fall:
    """The curve over these closes too. ``holdings`` are in order of time, the first not after the first of them."""
    if not closes.times:
        return fall
    since = np.array([row.since.timestamp() for row in holdings])
    times = np.array([time.timestamp() for time in closes.times])
    place = np.maximum(np.searchsorted(since, times, side="right") - 1, 0)
    cash = np.array([float(row.cash) - float(row.owed) for row in holdings])
    capital = np.array([float(row.capital) for row in holdings])[place]
    quantities = np.zeros((len(holdings), len(closes.symbols)))
    column = {symbol: number for number, symbol in enumerate(closes.symbols)}
    for number, row in enumerate(holdings):
        for symbol, quantity in row.quantities:
            quantities[number, column[symbol]] = float(quantity)
    equity = cash[place] + (quantities[place] * np.nan_to_num(closes.closes)).sum(axis=1)
    flows = np.diff(capital, prepend=fall.capital)
    return _over(fall, equity, flows, float(capital[-1]))


def _over(fall: Fall, equity: Floats, flows: Floats, capital: float) -> Fall:
    """The fall after these points, each after the flow that is part of it; between flows growth is what equity does."""
    index = np.empty_like(equity)
    base, level, reached, last = fall.base, fall.level, fall.growth, fall.equity
    starts = [0, *(int(place) for place in np.flatnonzero(flows) if place > 0), len(equity)]
    for start, end in pairwise(starts):
        if flows[start] != 0:
            base, level = last + float(flows[start]), reached
        run, done = equity[start:end], 0
        if base <= 0:
            # While there is no capital nothing is earned.
            gains = np.flatnonzero(run > 0)
            done = int(gains[0]) if len(gains) else len(run)
            level = reached
            index[start : start + done] = level
            base = float(run[done]) if done < len(run) else float(run[-1])
        if done < len(run):
            index[start + done : end] = level * (run[done:] / base)
        reached, last = float(index[end - 1]), float(run[-1])
    highest = np.maximum.accumulate(np.maximum(index, fall.highest))
    below = 1 - np.divide(index, highest, out=np.ones_like(index), where=highest > 0)
    return Fall(
        equity=last,
        capital=capital,
        base=base,
        level=level,
        growth=reached,
        highest=float(highest[-1]),
        deepest=max(fall.deepest, float(below.max())),
        current=float(below[-1]),
    )
