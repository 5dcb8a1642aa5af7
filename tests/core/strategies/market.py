"""Candles for the tests of strategies: recorded ones where there are any, walks without drift, and hand-made shapes."""

import csv
import gzip
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from oxbot.core.candles import Candle

MARKET = Path(os.environ.get("OXBOT_MARKET_DATA", Path(__file__).parents[4] / "shared" / "market"))
START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
Numbers = Sequence[float] | NDArray[np.float64]


def recorded(coin: str, timeframe: str, *, begin: int = 0, count: int) -> list[Candle]:
    """Recorded candles of a coin in USDT; skips the test where there are none."""
    path = MARKET / f"{coin}-USDT_{timeframe}.csv.gz"
    if not path.exists():
        pytest.skip(f"no recorded market at {path}")
    with gzip.open(path, "rt", newline="") as lines:
        rows = list(csv.DictReader(lines))[begin : begin + count]
    fields = ("open", "high", "low", "close", "volume")
    return [Candle(datetime.fromisoformat(row["open_time"]), *(Decimal(row[name]) for name in fields)) for row in rows]


def driftless(seed: int, count: int, *, volatility: float = 0.006, step: timedelta = HOUR) -> list[Candle]:
    """A walk of which no candle knows where the next one goes: normal steps, wicks and lognormal volumes."""
    chance = np.random.default_rng(seed)
    steps = chance.normal(-(volatility**2) / 2, volatility, count)
    closes = 40_000.0 * np.exp(np.cumsum(steps))
    wicks = np.abs(chance.normal(0, volatility / 2, (2, count)))
    volumes = chance.lognormal(3.0, 0.5, count)
    return candles_of(closes, upper=wicks[0], lower=wicks[1], volumes=volumes, step=step)


def candles_of(
    closes: Numbers,
    *,
    upper: Numbers | float = 0.001,
    lower: Numbers | float = 0.001,
    volumes: Numbers | float = 10.0,
    step: timedelta = HOUR,
) -> list[Candle]:
    """Candles that open at the close before, with wicks as fractions of the price."""
    count = len(closes)
    ups, downs, sizes = (
        np.broadcast_to(np.asarray(given, dtype=np.float64), count) for given in (upper, lower, volumes)
    )
    made, opened = [], float(closes[0])
    for number, closed in enumerate(map(float, closes)):
        high, low = max(opened, closed) * (1 + ups[number]), min(opened, closed) * (1 - downs[number])
        opens, highs, lows, closed_at = (Decimal(f"{price:.4f}") for price in (opened, high, low, closed))
        made.append(Candle(START + number * step, opens, highs, lows, closed_at, Decimal(f"{sizes[number]:.3f}")))
        opened = closed
    return made


def joined(*parts: Sequence[float]) -> list[float]:
    """Closes one part after another."""
    return [close for part in parts for close in part]


def line(begin: float, end: float, count: int) -> list[float]:
    """Closes that go evenly from just after ``begin`` to ``end``."""
    return [begin + (end - begin) * (number + 1) / count for number in range(count)]


def zigzag(begin: float, *, up: float, down: float, count: int) -> list[float]:
    """Closes that rise twice by ``up`` and fall once by ``down``, as fractions, again and again."""
    closes, close = [], begin
    for number in range(count):
        close *= 1 - down if number % 3 == 2 else 1 + up
        closes.append(close)
    return closes


def mirrored(market: Sequence[Candle], *, mirror: Decimal) -> list[Candle]:
    """The candles upside down: each price is ``mirror`` less what it was."""
    return [
        Candle(
            each.open_time, mirror - each.open, mirror - each.low, mirror - each.high, mirror - each.close, each.volume
        )
        for each in market
    ]
