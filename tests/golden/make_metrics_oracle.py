"""Writes what independent libraries make of some trades and equity curves: ``metrics_oracle.json`` on standard output.

It runs in an environment of its own, with numpy, empyrical-reloaded 0.7.1 and backtesting 0.6.6, and imports nothing of
ours. They need pandas, and where pandas is installed TA-Lib imports it, into every process of ours.
"""

import json
import sys
from importlib.metadata import version

import backtesting  # type: ignore[import-not-found]  # see above
import empyrical  # type: ignore[import-not-found]  # see above
import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # see above
from backtesting.lib import crossover  # type: ignore[import-not-found]  # see above
from numpy.typing import NDArray
from scipy import stats as scipy_stats  # type: ignore[import-untyped]  # see above

LIBRARIES = ("empyrical-reloaded", "backtesting", "scipy", "pandas")
DAYS, HOURS = 400, 60 * 24
YEAR = 365
SEEDS = (1, 2)


class Crossings(backtesting.Strategy):  # type: ignore[misc]  # a class of an unknown type
    """Buys and sells one unit where two averages cross, so that trades differ in cost."""

    def init(self) -> None:
        close = pd.Series(self.data.Close)
        self.fast = self.I(lambda: close.rolling(5).mean())
        self.slow = self.I(lambda: close.rolling(20).mean())

    def next(self) -> None:
        if crossover(self.fast, self.slow):
            self.buy(size=1)
        elif crossover(self.slow, self.fast):
            self.position.close()


def walk(seed: int, count: int, volatility: float) -> NDArray[np.float64]:
    steps = np.random.default_rng(seed).normal(0.0002, volatility, count)
    return np.round(100 * np.exp(np.cumsum(steps)), 4)


def daily(seed: int) -> dict[str, object]:
    """A curve with a point a day, by empyrical."""
    equity = walk(seed, DAYS, 0.02)
    returns = pd.Series(equity).pct_change().dropna()
    return {
        "equity": equity.tolist(),
        "figures": {
            "sharpe": empyrical.sharpe_ratio(returns, annualization=YEAR),
            "sortino": empyrical.sortino_ratio(returns, annualization=YEAR),
            "max_drawdown": -empyrical.max_drawdown(returns),
            "cagr": empyrical.cagr(returns, annualization=YEAR),
            "calmar": empyrical.calmar_ratio(returns, annualization=YEAR),
            "volatility": empyrical.annual_volatility(returns, annualization=YEAR),
            "total_return": empyrical.cum_returns_final(returns),
        },
    }


def hourly(seed: int) -> dict[str, object]:
    """A backtest with a point an hour, by backtesting.py; the test of its mean trade by SciPy, its days by pandas."""
    close = walk(seed, HOURS, 0.004)
    opening = np.concatenate([close[:1], close[:-1]])
    wick = 1 + np.abs(np.random.default_rng(seed + 100).normal(0, 0.001, (2, len(close))))
    data = pd.DataFrame(
        {
            "Open": opening,
            "High": np.maximum(opening, close) * wick[0],
            "Low": np.minimum(opening, close) / wick[1],
            "Close": close,
            "Volume": 1.0,
        },
        index=pd.date_range("2024-01-01", periods=len(close), freq="h", tz="UTC"),
    )
    stats = backtesting.Backtest(data, Crossings, cash=1000, commission=0.001, finalize_trades=True).run()
    trades, equity = stats["_trades"], stats["_equity_curve"]["Equity"]
    shares = trades["ReturnPct"]
    return {
        "equity": equity.tolist(),
        "trades": [
            {
                "opened_at": trade.EntryTime.isoformat(),
                "closed_at": trade.ExitTime.isoformat(),
                "net": trade.PnL,
                "share": trade.ReturnPct,
            }
            for trade in trades.itertuples()
        ],
        "figures": {
            "trade_count": int(stats["# Trades"]),
            "winrate": stats["Win Rate [%]"] / 100,
            "sqn": stats["SQN"],
            "profit_mean": stats["Expectancy [%]"] / 100,
            "profit_median": shares.median(),
            "best_trade": stats["Best Trade [%]"] / 100,
            "worst_trade": stats["Worst Trade [%]"] / 100,
            "max_drawdown": -stats["Max. Drawdown [%]"] / 100,
            "total_return": stats["Return [%]"] / 100,
            "p_value": float(scipy_stats.ttest_1samp(trades["PnL"], 0).pvalue),
        },
        "profit_factor_of_shares": stats["Profit Factor"],
        "candles_held": round(stats["Exposure Time [%]"] / 100 * len(equity)),
        "drawdown_hours_max": stats["Max. Drawdown Duration"] / pd.Timedelta(hours=1),
        "trade_hours_average": (trades["ExitTime"] - trades["EntryTime"]).mean() / pd.Timedelta(hours=1),
        "daily_returns": equity[equity.index.hour == 0].pct_change().dropna().tolist(),
    }


def student() -> list[tuple[float, int, float]]:
    """Two-sided chances of t at degrees of freedom, by SciPy."""
    values = [0.0, 1e-9, -0.3, 1.0, 2.5, -7.0, 40.0]
    return [(t, n, 2 * float(scipy_stats.t.sf(abs(t), n))) for n in (1, 2, 5, 30, 500, 100_000) for t in values]


def main() -> None:
    made = {
        "libraries": {name: version(name) for name in LIBRARIES},
        "daily": [daily(seed) for seed in SEEDS],
        "hourly": [hourly(seed) for seed in SEEDS],
        "student": student(),
    }
    json.dump(made, sys.stdout, indent=None)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
