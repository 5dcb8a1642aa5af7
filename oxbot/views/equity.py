"""The equity curve of a bot: what it held, marked at each candle's close."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from events.identifiers import Symbol
from oxbot.core.candles import Frame
from oxbot.core.money import ZERO, exact, ratio
from oxbot.views.rows import HoldingRow


class EquityPoint(NamedTuple):
    """Cash, and cash plus positions at the close of the candle that opened at ``at``; quote currency."""

    at: datetime
    cash: Decimal
    equity: Decimal


def equity_curve(holdings: Sequence[HoldingRow], frames: Iterable[Frame]) -> list[EquityPoint]:
    """One point per frame. ``holdings`` and ``frames`` are in order of time, the first holding not after any frame.

    A position is marked at its symbol's newest close; no bot can hold a symbol that has not closed a candle yet.
    """
    marks: dict[Symbol, Decimal] = {}
    points: list[EquityPoint] = []
    index, cash, quantities = -1, ZERO, tuple[tuple[Symbol, Decimal], ...]()
    with exact():
        for frame in frames:
            marks.update((symbol, candle.close) for symbol, candle in frame.candles)
            while index + 1 < len(holdings) and holdings[index + 1].since <= frame.open_time:
                index += 1
                cash = Decimal(holdings[index].cash)
                quantities = tuple((symbol, Decimal(amount)) for symbol, amount in holdings[index].quantities)
            held = sum((quantity * marks.get(symbol, ZERO) for symbol, quantity in quantities), ZERO)
            points.append(EquityPoint(frame.open_time, cash, cash + held))
    return points


def max_drawdown(equity: Iterable[Decimal]) -> Decimal:
    """The deepest fall below the highest equity so far, as a fraction of that high: 0.25 is a quarter lost."""
    high, deepest = ZERO, ZERO
    for value in equity:
        high = max(high, value)
        deepest = max(deepest, ratio(high - value, high))
    return deepest
