"""The balance of a bot or of several: their capital and what closed trades added to it, and what that curve says."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypedDict

from oxbot.core.metrics import RoundTrip, curve_metrics
from oxbot.core.money import ZERO, exact, ratio, text
from oxbot.core.returns import Point, daily_returns, losses
from oxbot.views.amounts import Amount

_INSTANT = timedelta(microseconds=1)


class OfBalance(TypedDict):
    """The fields of a profit that are of the balance."""

    sharpe: float | None
    sortino: float | None
    calmar: float | None
    cagr: float | None
    days: int
    max_drawdown: Amount | None
    max_drawdown_abs: Amount
    max_drawdown_start: datetime | None
    max_drawdown_start_timestamp: int | None
    max_drawdown_end: datetime | None
    max_drawdown_end_timestamp: int | None
    max_relative_drawdown: Amount | None
    current_drawdown: Amount | None
    current_drawdown_abs: Amount


def balances(capital: Decimal, trades: Sequence[RoundTrip], *, begins_at: datetime, until: datetime) -> list[Point]:
    """The capital, and what there was as each trade closed, from where the market began up to where it is.

    In order of time, one point for all trades of a moment. Trades may be in any order, and outside of the two times.
    """
    closed: dict[datetime, list[Decimal]] = defaultdict(list)
    for trade in trades:
        closed[trade.closed_at].append(trade.net)
    begin = min([begins_at, *(trade.opened_at for trade in trades)])
    if begin in closed:
        # What a trade added in the first moment is earned too, so the capital must have been there before.
        begin -= _INSTANT
    found, balance = [Point(begin, capital)], capital
    with exact():
        for moment in sorted(closed):
            balance += sum(closed[moment], ZERO)
            found.append(Point(moment, balance))
    if until > found[-1].at:
        found.append(Point(until, balance))
    return found


def of_balance(curve: Sequence[Point]) -> OfBalance:
    """The figures of ``curve_metrics``, where their formulas and sources are, and the largest fall in money.

    Of a curve that does not begin above 0 nothing can be said as a share.
    """
    figures = curve_metrics(curve) if curve[0].equity > 0 else None
    deepest, current = losses(curve)
    with exact():
        fallen, below = deepest.high - deepest.low, current.high - current.low
    return OfBalance(
        sharpe=figures.sharpe if figures else None,
        sortino=figures.sortino if figures else None,
        calmar=figures.calmar if figures else None,
        cagr=figures.cagr if figures else None,
        days=len(daily_returns(curve)),
        max_drawdown=text(ratio(fallen, deepest.high)) if deepest.high > 0 else None,
        max_drawdown_abs=text(fallen),
        max_drawdown_start=deepest.began_at,
        max_drawdown_start_timestamp=timestamp(deepest.began_at),
        max_drawdown_end=deepest.bottom_at,
        max_drawdown_end_timestamp=timestamp(deepest.bottom_at),
        max_relative_drawdown=text(ratio(Decimal(figures.max_drawdown), Decimal(1))) if figures else None,
        current_drawdown=text(ratio(below, current.high)) if current.high > 0 else None,
        current_drawdown_abs=text(below),
    )


def timestamp(moment: datetime | None) -> int | None:
    """Milliseconds since the epoch, where there is a moment."""
    return None if moment is None else milliseconds(moment)


def milliseconds(moment: datetime) -> int:
    """Milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)
