"""The metrics equal those of independent libraries on the same trades and the same equity curves.

What the libraries found is recorded in ``golden/metrics_oracle.json``, with their versions, by the script beside it.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from oxbot.core.metrics import Metrics, curve_metrics, measure, profit_factor
from oxbot.core.returns import daily_returns
from oxbot.core.student_t import two_sided_p
from tests.core.metrics_cases import HOUR, Closed, curve_of

PLACES = Decimal("1e-18")


class Daily(msgspec.Struct):
    equity: list[float]
    figures: dict[str, float]


class Trade(msgspec.Struct):
    opened_at: datetime
    closed_at: datetime
    net: float
    share: float


class Hourly(msgspec.Struct):
    equity: list[float]
    trades: list[Trade]
    figures: dict[str, float]
    profit_factor_of_shares: float
    candles_held: int
    drawdown_hours_max: float
    trade_hours_average: float
    daily_returns: list[float]

    def measured(self) -> Metrics:
        trades = [
            Closed(
                trade.opened_at,
                trade.closed_at,
                Decimal(trade.net / trade.share),
                Decimal(trade.net).quantize(PLACES),
            )
            for trade in self.trades
        ]
        return measure(trades, curve_of(self.equity, step=HOUR), candle=HOUR)


class Oracle(msgspec.Struct):
    libraries: dict[str, str]
    daily: list[Daily]
    hourly: list[Hourly]
    student: list[tuple[float, int, float]]


ORACLE = msgspec.json.decode((Path(__file__).parents[1] / "golden" / "metrics_oracle.json").read_bytes(), type=Oracle)


@pytest.mark.parametrize("days", ORACLE.daily)
@pytest.mark.parametrize("name", ["sharpe", "sortino", "max_drawdown", "cagr", "calmar", "volatility", "total_return"])
def test_a_figure_of_daily_equity_equals_empyricals(days: Daily, name: str) -> None:
    assert getattr(curve_metrics(curve_of(days.equity)), name) == pytest.approx(days.figures[name], rel=1e-9)


@pytest.mark.parametrize("hours", ORACLE.hourly)
@pytest.mark.parametrize(
    "name", ["trade_count", "winrate", "sqn", "profit_mean", "profit_median", "best_trade", "worst_trade", "p_value"]
)
def test_a_figure_of_trades_equals_that_of_backtesting_py(hours: Hourly, name: str) -> None:
    found = hours.measured().trades
    assert found.trade_count > 25
    assert getattr(found, name) == pytest.approx(hours.figures[name], rel=1e-9)


@pytest.mark.parametrize("hours", ORACLE.hourly)
@pytest.mark.parametrize("name", ["max_drawdown", "total_return"])
def test_a_figure_of_hourly_equity_equals_that_of_backtesting_py(hours: Hourly, name: str) -> None:
    assert getattr(hours.measured().equity, name) == pytest.approx(hours.figures[name], rel=1e-9)


@pytest.mark.parametrize("hours", ORACLE.hourly)
def test_the_profit_factor_equals_that_of_backtesting_py(hours: Hourly) -> None:
    """Theirs is of profits as shares, so each trade is given a cost of one."""
    trades = [
        Closed(trade.opened_at, trade.closed_at, Decimal(1), Decimal(trade.share).quantize(PLACES))
        for trade in hours.trades
    ]
    assert profit_factor(trades) == pytest.approx(hours.profit_factor_of_shares, rel=1e-9)


@pytest.mark.parametrize("hours", ORACLE.hourly)
def test_times_equal_those_of_backtesting_py(hours: Hourly) -> None:
    found = hours.measured()
    assert found.equity.max_drawdown_duration == timedelta(hours=hours.drawdown_hours_max)
    assert found.trades.holding_avg is not None
    assert found.trades.holding_avg / HOUR == pytest.approx(hours.trade_hours_average, rel=1e-9)


@pytest.mark.parametrize("hours", ORACLE.hourly)
def test_exposure_equals_that_of_backtesting_py(hours: Hourly) -> None:
    """Theirs counts one candle more than there are hours from the first to the last, and it may be a held one."""
    exposure = hours.measured().exposure
    assert exposure is not None
    longer = hours.candles_held - exposure * (len(hours.equity) - 1)
    assert min(abs(longer), abs(longer - 1)) < 1e-6


@pytest.mark.parametrize("hours", ORACLE.hourly)
def test_days_of_hourly_equity_are_those_that_pandas_samples_at_midnight(hours: Hourly) -> None:
    assert daily_returns(curve_of(hours.equity, step=HOUR)) == pytest.approx(hours.daily_returns, abs=1e-14)


@pytest.mark.parametrize(("t", "degrees", "chance"), ORACLE.student)
def test_the_t_distribution_equals_scipys(t: float, degrees: int, chance: float) -> None:
    assert two_sided_p(t, degrees) == pytest.approx(chance, rel=1e-8, abs=1e-300)
