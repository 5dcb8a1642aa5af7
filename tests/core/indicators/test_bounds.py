import re
from collections.abc import Callable

import numpy as np
import pytest

from oxbot.core import indicators as ours
from tests.core.indicators.candles import walk

CANDLES = walk(1, 120)
HLC = CANDLES[1:4]
CLOSE = CANDLES.close

REFUSED: list[tuple[str, Callable[[], object]]] = [
    ("a period must be at least 1, not 0", lambda: ours.sma(CLOSE, 0)),
    ("a period must be at least 1, not -3", lambda: ours.ema(CLOSE, -3)),
    ("a period must be at least 1, not 0", lambda: ours.highest(CLOSE, 0)),
    ("a period must be at least 1, not 0", lambda: ours.lowest(CLOSE, 0)),
    ("a period must be at least 2, not 1", lambda: ours.rsi(CLOSE, 1)),
    ("a period must be at least 2, not 1", lambda: ours.macd(CLOSE, fast=1)),
    ("a period must be at least 1, not 0", lambda: ours.macd(CLOSE, signal=0)),
    ("fast must be below slow, not 26 and 26", lambda: ours.macd(CLOSE, fast=26)),
    ("a period must be at least 1, not 0", lambda: ours.stochastic(*HLC, smoothing=0)),
    ("a period must be at least 2, not 1", lambda: ours.adx(*HLC, 1)),
    ("a period must be at least 1, not 0", lambda: ours.atr(*HLC, 0)),
    ("a period must be at least 2, not 1", lambda: ours.bollinger(CLOSE, 1)),
    ("a period must be at least 2, not 1", lambda: ours.correlation(CLOSE, CLOSE, 1)),
    ("a period must be at least 2, not 1", lambda: ours.supertrend(*HLC, 1)),
    ("a period must be at least 2, not 1", lambda: ours.ichimoku(*HLC, base=1)),
    ("a period must be at least 1, not 0", lambda: ours.ichimoku(*HLC, displacement=0)),
    ("a period must be at least 1, not 0", lambda: ours.order_flow(*CANDLES[:5], window=0)),
    ("a period must be at least 1, not 0", lambda: ours.divergence(CLOSE, CLOSE, 0)),
    ("a period must be at least 1, not 0", lambda: ours.fair_value_gaps(*CANDLES[:4], range_period=0)),
    ("a period must be at least 0, not -1", lambda: ours.fair_value_gaps(*CANDLES[:4], age_max=-1)),
]


@pytest.mark.parametrize(("text", "call"), REFUSED)
def test_a_period_without_meaning_is_refused(text: str, call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        call()


@pytest.mark.parametrize("seed", range(5))
def test_oscillators_stay_within_their_bounds(seed: int) -> None:
    candles = walk(seed, 400, quiet=seed / 5)
    high, low, close = candles[1:4]
    shares = [ours.rsi(close, 2), *ours.stochastic(high, low, close), *ours.adx(high, low, close, 2)]
    for values in shares:
        assert np.nanmin(values) >= 0.0
        assert np.nanmax(values) <= 100.0 + 1e-9
    alike = ours.correlation(close, close * 3)
    assert np.nanmax(np.abs(alike)) <= 1.0
    np.testing.assert_allclose(alike[~np.isnan(alike)], 1.0)


def test_prices_without_a_rise_read_0_and_without_a_fall_100() -> None:
    falling = np.linspace(200.0, 100.0, 40)
    np.testing.assert_allclose(ours.rsi(falling)[14:], 0.0)
    np.testing.assert_allclose(ours.rsi(falling[::-1].copy())[14:], 100.0)


def test_rsi_is_neutral_until_prices_move_and_keeps_its_reading_when_they_stop() -> None:
    close = np.concatenate([np.full(30, 100.0), [101.0, 100.5], np.full(300, 100.5)])
    strength = ours.rsi(close)
    np.testing.assert_array_equal(strength[14:30], 50.0)
    assert strength[30] == 100.0
    np.testing.assert_allclose(strength[31:], strength[31])
    assert 50 < strength[31] < 100


def test_a_range_of_zero_puts_the_stochastic_in_the_middle() -> None:
    flat = np.full(40, 7.0)
    np.testing.assert_array_equal(ours.stochastic(flat, flat, flat).k[17:], 50.0)


def test_returns_that_do_not_vary_have_no_correlation() -> None:
    moving, still = walk(1, 100).close, np.concatenate([walk(2, 60).close, np.full(40, 9.0)])
    values = ours.correlation(moving, still, 10)
    assert np.isnan(values[70:]).all()
    assert np.isfinite(values[10:60]).all()


def test_opposite_returns_correlate_at_minus_1() -> None:
    rises = np.array([1.01, 1.03, 0.98, 1.02, 0.97] * 12)
    values = ours.correlation(rises.cumprod(), (2.0 - rises).cumprod())
    np.testing.assert_allclose(values[30:], -1.0)
