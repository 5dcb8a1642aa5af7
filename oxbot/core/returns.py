"""What an equity curve earned and how far it fell, with deposits and withdrawals left out of it."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from operator import ge
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from events.errors import OxbotError
from oxbot.core.money import ZERO, exact

DAY_SECONDS = 86_400


class InvalidCurve(OxbotError):
    """An equity curve that is empty, runs backwards, has a time without a zone or an amount that is no number."""


class Point(NamedTuple):
    """What everything was worth at a moment, in quote currency."""

    at: datetime
    equity: Decimal


class Flow(NamedTuple):
    """Capital that came (above 0) or went at a moment; it is part of the equity of that moment, if there is a point."""

    at: datetime
    amount: Decimal


class Drawdown(NamedTuple):
    """How far a curve fell below its highest point so far, as a share of that high, and in money.

    ``deepest`` and ``current``, how far below its high the curve ends, are fractions: 0.25 is a quarter lost.
    ``absolute`` is the largest fall in quote currency, which need not be the deepest share. ``began_at`` is the high
    before the deepest fall and ``bottom_at`` its lowest point; None without any fall. ``longest`` is the longest time
    from a high until it was reached again, or until the end.
    """

    deepest: float
    absolute: Decimal
    began_at: datetime | None
    bottom_at: datetime | None
    longest: timedelta
    current: float


class Loss(NamedTuple):
    """A fall in money, capital flows left out of it: from the high that was last reached before it to its lowest point.

    Both are what the curve would stand at without the flows after its first point. Without any fall they are the same
    and the moments None.
    """

    high: Decimal
    low: Decimal
    began_at: datetime | None
    bottom_at: datetime | None


def check_curve(curve: Sequence[Point]) -> None:
    """Raise ``InvalidCurve`` unless there are points, each later than the one before, in UTC or another zone."""
    if not curve:
        raise InvalidCurve("an equity curve needs at least one point")
    for point in curve:
        if point.at.tzinfo is None:
            raise InvalidCurve(f"the equity curve has a time without a zone, {point.at.isoformat()}")
        if not point.equity.is_finite():
            raise InvalidCurve(f"the equity at {point.at.isoformat()} is {point.equity}, not a number")
    times = [point.at for point in curve]
    if any(map(ge, times, times[1:])):
        at = next(later for earlier, later in pairwise(times) if later <= earlier)
        raise InvalidCurve(f"the equity curve runs backwards at {at.isoformat()}")


def growth_index(curve: Sequence[Point], flows: Sequence[Flow] = ()) -> NDArray[np.float64]:
    """What one unit put in at the first point has become at each point: the chained, time-weighted growth; shape (n,).

    Between two points the growth is E2 / (E1 + flow): a flow counts from the beginning of the interval that it falls
    into (the time-weighted return of the GIPS standards, section "Fundamentals of Compliance", with the flow at the
    start of the sub-period). Flows up to the first point are part of it. While there is no capital nothing is earned,
    and what has lost everything stays at 0. Raises ``InvalidCurve``.
    """
    check_curve(curve)
    added = _flows_by_point(curve, flows)
    equity = [float(point.equity) for point in curve]
    index, base, level = [1.0], equity[0], 1.0
    for place in range(1, len(equity)):
        if place in added:
            base, level = equity[place - 1] + float(added[place]), index[-1]
        if base <= 0:
            base, level = equity[place], index[-1]
        index.append(level * (equity[place] / base) if base > 0 else level)
    return np.array(index)


def total_return(curve: Sequence[Point], flows: Sequence[Flow] = ()) -> float:
    """The time-weighted return from the first point to the last: 0.1 is a tenth more. Raises ``InvalidCurve``."""
    return float(growth_index(curve, flows)[-1]) - 1


def daily_returns(curve: Sequence[Point], flows: Sequence[Flow] = ()) -> list[float]:
    """The time-weighted return of each whole UTC day within the curve, oldest first, as simple returns.

    The value at a midnight is that of the newest point up to it; days that the curve covers only in part are left out.
    A day that begins with nothing returns 0. Raises ``InvalidCurve``.
    """
    return returns_by_day(curve, growth_index(curve, flows))


def returns_by_day(curve: Sequence[Point], index: NDArray[np.float64]) -> list[float]:
    """``daily_returns`` of a growth index that is known already."""
    times = np.array([point.at.timestamp() for point in curve])
    first, last = -(-times[0] // DAY_SECONDS), times[-1] // DAY_SECONDS
    midnights = np.arange(first, last + 1) * DAY_SECONDS
    values = index[np.searchsorted(times, midnights, side="right") - 1]
    return [float(later / earlier) - 1 if earlier > 0 else 0.0 for earlier, later in pairwise(values)]


def drawdown(curve: Sequence[Point], flows: Sequence[Flow] = ()) -> Drawdown:
    """How far the curve fell, flows left out: ``falls`` of its growth index. Raises ``InvalidCurve``."""
    return drawdown_of(curve, growth_index(curve, flows), flows)


def falls(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each value is below the highest up to it, as a fraction of that high: 0.25 is a quarter lost; shape (n,).

    0 until a value is above 0. The largest is the maximum drawdown of Magdon-Ismail and Atiya, Risk 17 (2004).
    """
    highest = np.maximum.accumulate(values)
    return 1 - np.divide(values, highest, out=np.ones_like(values), where=highest > 0)


def drawdown_of(curve: Sequence[Point], index: NDArray[np.float64], flows: Sequence[Flow]) -> Drawdown:
    """``drawdown`` of a growth index that is known already."""
    below, (largest, _) = falls(index), losses(curve, flows)
    bottom = int(np.argmax(below))
    deepest = float(below[bottom])
    high = int(np.argmax(index[: bottom + 1]))
    return Drawdown(
        deepest=deepest,
        absolute=largest.high - largest.low,
        began_at=curve[high].at if deepest > 0 else None,
        bottom_at=curve[bottom].at if deepest > 0 else None,
        longest=_longest(curve, np.flatnonzero(below == 0)),
        current=float(below[-1]),
    )


def losses(curve: Sequence[Point], flows: Sequence[Flow] = ()) -> tuple[Loss, Loss]:
    """The largest fall in money, the first of several alike, and how far below its high the curve ends.

    As the absolute drawdown of freqtrade's ``calculate_max_drawdown``, over equity less what was put in since the first
    point. Raises ``InvalidCurve``.
    """
    check_curve(curve)
    added = _flows_by_point(curve, flows)
    high, high_at, put_in = curve[0].equity, curve[0].at, ZERO
    largest = current = Loss(high, high, None, None)
    with exact():
        for place, point in enumerate(curve):
            put_in += added.get(place, ZERO)
            earned = point.equity - put_in
            if earned >= high:
                high, high_at = earned, point.at
                current = Loss(high, high, None, None)
                continue
            current = Loss(high, earned, high_at, point.at)
            if high - earned > largest.high - largest.low:
                largest = current
    return largest, current


def _flows_by_point(curve: Sequence[Point], flows: Sequence[Flow]) -> dict[int, Decimal]:
    """Each flow at the first point whose equity it is part of; none after the last."""
    times = [point.at for point in curve]
    added: dict[int, Decimal] = {}
    for flow in flows:
        place = bisect_left(times, flow.at)
        if place < len(times):
            with exact():
                added[place] = added.get(place, ZERO) + flow.amount
    return added


def _longest(curve: Sequence[Point], highs: NDArray[np.intp]) -> timedelta:
    """The longest time between two neighbours among the highs that are no neighbours in the curve, or to its end."""
    end = len(curve) - 1
    spans = [curve[later].at - curve[earlier].at for earlier, later in pairwise(highs) if later > earlier + 1]
    if highs[-1] < end:
        spans.append(curve[end].at - curve[highs[-1]].at)
    return max(spans, default=timedelta(0))
