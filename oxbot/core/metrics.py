"""How well a bot did: its closed round trips and its equity curve as the figures that traders compare.

Sums of money are exact Decimals in quote currency, net of fees and funding; every ratio is a float, and a share is a
fraction (0.1 is 10 %). What cannot be said is None: never 0, infinity or a number that stands for something else. Names
are freqtrade's where it has them; its ratios are of trades, ours (Sharpe, Sortino, Calmar, drawdown) of equity.
"""

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from statistics import fmean, median, stdev
from typing import Protocol

import msgspec

from oxbot.core.money import ZERO, exact
from oxbot.core.returns import Flow, Point, drawdown_of, growth_index, returns_by_day
from oxbot.core.student_t import two_sided_p

DAYS_PER_YEAR = 365
"""Crypto trades every day of the year."""
NOISE = 1e-12
"""Daily returns that deviate by less than this do so because floats round."""


class RoundTrip(Protocol):
    """A closed trade, from flat to flat, in quote currency; ``net`` is after fees and funding."""

    @property
    def opened_at(self) -> datetime:
        """When its first fill was."""
        ...

    @property
    def closed_at(self) -> datetime:
        """When its last fill was."""
        ...

    @property
    def entry_cost(self) -> Decimal:
        """The sum of all entry fills; 0 where nobody knows it, so that nothing is said of the trade as a share."""
        ...

    @property
    def net(self) -> Decimal:
        """What it added to cash."""
        ...


class TradeMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What closed round trips say by themselves. A profit as a share is ``net / entry_cost``.

    The mean, median, best and worst of these are of the trades whose cost is known; None where there are none.
    A trade of exactly 0 is a draw, counts in ``trade_count`` and ends a series of wins or losses.
    """

    trade_count: int
    winning_trades: int
    losing_trades: int
    draw_trades: int
    profit_total_abs: Decimal
    winrate: float | None
    profit_mean: float | None
    profit_median: float | None
    best_trade: float | None
    worst_trade: float | None
    profit_factor: float | None
    expectancy: float | None
    expectancy_ratio: float | None
    sqn: float | None
    p_value: float | None
    holding_avg: timedelta | None
    max_consecutive_wins: int
    max_consecutive_losses: int


class CurveMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What an equity curve says by itself; see ``oxbot.core.returns`` for flows, days and drawdowns."""

    total_return: float
    max_drawdown: float
    max_drawdown_abs: Decimal
    drawdown_start: datetime | None
    drawdown_end: datetime | None
    max_drawdown_duration: timedelta
    current_drawdown: float
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """All of them; ``profit_total`` is that of closed trades as a share of the first equity."""

    trades: TradeMetrics
    equity: CurveMetrics
    profit_total: float | None
    exposure: float | None
    fees: Decimal
    funding: Decimal


def measure(
    trades: Sequence[RoundTrip],
    curve: Sequence[Point],
    *,
    flows: Sequence[Flow] = (),
    fees: Decimal = ZERO,
    funding: Decimal = ZERO,
    open_since: Sequence[datetime] = (),
    candle: timedelta = timedelta(0),
) -> Metrics:
    """Everything at once. ``fees`` and ``funding`` are totals of the books, those of open positions included.

    ``open_since`` and ``candle`` are for ``exposure``, which see. Raises ``InvalidCurve``.
    """
    of_trades, of_equity = trade_metrics(trades), curve_metrics(curve, flows)
    start = float(curve[0].equity)
    return Metrics(
        trades=of_trades,
        equity=of_equity,
        profit_total=float(of_trades.profit_total_abs) / start if start > 0 else None,
        exposure=exposure(trades, open_since, begins_at=curve[0].at, ends_at=curve[-1].at, candle=candle),
        fees=fees,
        funding=funding,
    )


def trade_metrics(trades: Sequence[RoundTrip]) -> TradeMetrics:
    """The figures of closed trades, in any order."""
    nets = [float(trade.net) for trade in trades]
    shares = [float(trade.net) / float(trade.entry_cost) for trade in trades if trade.entry_cost > 0]
    wins, losses = sum(net > 0 for net in nets), sum(net < 0 for net in nets)
    with exact():
        total = sum((trade.net for trade in trades), ZERO)
    held = sum((trade.closed_at - trade.opened_at for trade in trades), timedelta(0))
    return TradeMetrics(
        trade_count=len(trades),
        winning_trades=wins,
        losing_trades=losses,
        draw_trades=len(trades) - wins - losses,
        profit_total_abs=total,
        winrate=wins / len(trades) if trades else None,
        profit_mean=fmean(shares) if shares else None,
        profit_median=median(shares) if shares else None,
        best_trade=max(shares, default=None),
        worst_trade=min(shares, default=None),
        profit_factor=profit_factor(trades),
        expectancy=fmean(nets) if nets else None,
        expectancy_ratio=expectancy_ratio(nets),
        sqn=sqn(nets),
        p_value=p_value(nets),
        holding_avg=held / len(trades) if trades else None,
        max_consecutive_wins=_longest_series(trades, lambda net: net > 0),
        max_consecutive_losses=_longest_series(trades, lambda net: net < 0),
    )


def curve_metrics(curve: Sequence[Point], flows: Sequence[Flow] = ()) -> CurveMetrics:
    """The figures of an equity curve. Raises ``InvalidCurve``."""
    index = growth_index(curve, flows)
    days = returns_by_day(curve, index)
    fall = drawdown_of(curve, index, flows)
    growth = cagr(float(index[-1]), curve[-1].at - curve[0].at)
    return CurveMetrics(
        total_return=float(index[-1]) - 1,
        max_drawdown=fall.deepest,
        max_drawdown_abs=fall.absolute,
        drawdown_start=fall.began_at,
        drawdown_end=fall.bottom_at,
        max_drawdown_duration=fall.longest,
        current_drawdown=fall.current,
        cagr=growth,
        volatility=volatility(days),
        sharpe=sharpe(days),
        sortino=sortino(days),
        calmar=calmar(growth, fall.deepest),
    )


def profit_factor(trades: Sequence[RoundTrip]) -> float | None:
    """What the winning trades won over what the losing ones lost; None without a loss.

    As freqtrade's; Schwager, "Market Wizards" (1989), calls it the gain to loss ratio.
    """
    with exact():
        won = sum((trade.net for trade in trades if trade.net > 0), ZERO)
        lost = -sum((trade.net for trade in trades if trade.net < 0), ZERO)
    return float(won) / float(lost) if lost > 0 else None


def expectancy_ratio(nets: Sequence[float]) -> float | None:
    """What a trade earns per unit of the average loss: (1 + average win / average loss) * winrate - 1.

    Tharp, "Trade Your Way to Financial Freedom" (1998); as freqtrade's, but None without a loss.
    """
    won, lost = [net for net in nets if net > 0], [-net for net in nets if net < 0]
    if not lost:
        return None
    payoff = fmean(won) / fmean(lost) if won else 0.0
    return (1 + payoff) * len(won) / len(nets) - 1


def sqn(nets: Sequence[float]) -> float | None:
    """The system quality number, sqrt(n) * mean / sample deviation of the trades' results; None if they are all equal.

    Tharp, "The Definitive Guide to Position Sizing" (2008); as freqtrade's and backtesting.py's, without a cap on n.
    """
    deviation = stdev(nets) if len(nets) > 1 else 0.0
    return math.sqrt(len(nets)) * fmean(nets) / deviation if deviation > 0 else None


def p_value(nets: Sequence[float]) -> float | None:
    """The chance of a mean result at least this far from 0 if trades earn nothing: the two-sided one-sample t-test.

    Student, "The Probable Error of a Mean", Biometrika 6 (1908); its t is the ``sqn``. None where that is.
    """
    t = sqn(nets)
    return None if t is None else two_sided_p(t, len(nets) - 1)


def cagr(growth: float, lasted: timedelta) -> float | None:
    """The yearly return that compounds to the growth (1.1 is a tenth more), in years of 365 days.

    As freqtrade's. None for less than two days, and where it is too large for a float.
    """
    if lasted < timedelta(days=2):
        return None
    try:
        return float(max(0.0, growth) ** (timedelta(days=DAYS_PER_YEAR) / lasted)) - 1
    except OverflowError:
        return None


def volatility(days: Sequence[float]) -> float | None:
    """The sample deviation of daily returns (n - 1), times sqrt(365). None for less than two days."""
    return stdev(days) * math.sqrt(DAYS_PER_YEAR) if len(days) > 1 else None


def sharpe(days: Sequence[float]) -> float | None:
    """Mean over sample deviation (n - 1) of daily returns, times sqrt(365), above a riskless rate of 0.

    Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21 (1994); as empyrical's. None without deviation.
    """
    deviation = stdev(days) if len(days) > 1 else 0.0
    return fmean(days) / deviation * math.sqrt(DAYS_PER_YEAR) if deviation > NOISE else None


def sortino(days: Sequence[float]) -> float | None:
    """Mean over downside deviation of daily returns, times sqrt(365), with a target of 0.

    The downside deviation is the root of the mean over all days of min(return, 0)^2: Sortino and Price, "Performance
    Measurement in a Downside Risk Framework", Journal of Investing 3 (1994); as empyrical's. None for less than two
    days or without a losing one.
    """
    downside = math.sqrt(fmean(min(day, 0.0) ** 2 for day in days)) if len(days) > 1 else 0.0
    return fmean(days) / downside * math.sqrt(DAYS_PER_YEAR) if downside > NOISE else None


def calmar(growth: float | None, fall: float) -> float | None:
    """``cagr`` over the deepest drawdown; None where one is None or 0.

    Young, "Calmar Ratio: A Smoother Tool", Futures 20 (1991), over the whole curve instead of its last 36 months.
    """
    return growth / fall if growth is not None and fall > NOISE else None


def exposure(
    trades: Sequence[RoundTrip],
    open_since: Sequence[datetime],
    *,
    begins_at: datetime,
    ends_at: datetime,
    candle: timedelta = timedelta(0),
) -> float | None:
    """The share of the time in which at least one position was open; None if there is no time between the two.

    ``open_since`` are the positions that still are. ``candle`` is how exactly fills are timed: a position counts up to
    the end of the candle in which it was closed, as in backtesting.py's exposure time.
    """
    if ends_at <= begins_at:
        return None
    spans = [(trade.opened_at, trade.closed_at + candle) for trade in trades]
    spans += [(opened, ends_at) for opened in open_since]
    held, reached = timedelta(0), begins_at
    for opened, closed in sorted(spans):
        until = min(closed, ends_at)
        held += max(timedelta(0), until - max(opened, reached))
        reached = max(reached, until)
    return held / (ends_at - begins_at)


def _longest_series(trades: Sequence[RoundTrip], kind: Callable[[Decimal], bool]) -> int:
    """So many trades of the kind in a row, in the order in which they were closed."""
    ordered = sorted(trades, key=attrgetter("closed_at", "opened_at"))
    series = groupby(kind(trade.net) for trade in ordered)
    return max((len(list(group)) for right, group in series if right), default=0)
