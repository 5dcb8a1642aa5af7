import numpy as np
import pytest

from oxbot.core.indicators import atr, divergence, ema, ema_last, highest, obv, regime, rsi, sma, vwap
from oxbot.core.indicators.series import rolling_sum
from tests.core.indicators.candles import walk
from tests.core.indicators.cases import regime_of


@pytest.mark.parametrize("period", [1, 2, 3, 7, 8, 20, 31])
def test_a_rolling_sum_adds_exactly_the_last_values(period: int) -> None:
    values = np.arange(40, dtype=np.float64) ** 2
    expected = [values[t - period + 1 : t + 1].sum() for t in range(period - 1, 40)]
    sums = rolling_sum(values, period)
    assert np.isnan(sums[: period - 1]).all()
    np.testing.assert_array_equal(sums[period - 1 :], expected)


def test_a_rolling_sum_keeps_nothing_of_what_has_left() -> None:
    values = np.concatenate([[1e16, 0.3, 0.7], np.zeros(5)])
    np.testing.assert_array_equal(rolling_sum(values, 3)[-3:], 0.0)


def test_a_rolling_sum_of_too_few_values_is_undefined() -> None:
    assert np.isnan(rolling_sum(np.ones(4), 5)).all()


def test_arrays_of_unequal_length_are_refused() -> None:
    candles = walk(1, 20)
    with pytest.raises(ValueError, match=r"one length are needed, not of \[20, 19, 20\]"):
        atr(candles.high, candles.low[1:], candles.close)
    with pytest.raises(ValueError, match=r"one length are needed, not of \[20, 20, 20, 20, 19\]"):
        vwap(*candles[1:5], candles.open_times[1:])


def test_an_indicator_can_be_fed_to_another() -> None:
    candles = walk(1, 120)
    strength = rsi(candles.close)
    np.testing.assert_array_equal(sma(strength, 5)[18:], sma(strength[14:], 5)[4:])
    assert np.isnan(sma(strength, 5)[:18]).all()


def test_flags_are_false_where_what_they_are_made_of_is_undefined() -> None:
    candles = walk(1, 400)
    flags = divergence(candles.close, rsi(candles.close), 2)
    assert flags.bullish.dtype == flags.bearish.dtype == np.bool_
    late = divergence(candles.close[14:], rsi(candles.close)[14:], 2)
    assert not flags.bullish[:14].any()
    np.testing.assert_array_equal(flags.bullish[14:], late.bullish)
    assert flags.bullish.any()


def test_less_than_a_thousandth_of_the_seed_is_left_after_3_5_periods_or_wilders_7() -> None:
    exponential = ema(np.concatenate([np.ones(50), np.zeros(175)]), 50)
    assert 0 < exponential[-1] < 1e-3
    close = np.full(50 + 1 + 350, 100.0)
    reach = np.concatenate([np.ones(51), np.zeros(350)])
    assert 0 < atr(close + reach, close, close, 50)[-1] < 1e-3


def test_ema_last_is_the_last_ema() -> None:
    close = walk(1, 60).close
    assert ema_last(close, 20) == ema(close, 20)[-1]


def test_obv_differs_by_a_constant_where_the_window_begins_elsewhere() -> None:
    candles = walk(5, 300)
    whole, late = obv(candles.close, candles.volume), obv(candles.close[99:], candles.volume[99:])
    np.testing.assert_array_equal(np.diff(late), np.diff(whole[99:]))
    assert late[0] == candles.volume[99]


def test_a_breakout_is_above_the_candles_before_it() -> None:
    high = np.array([3.0, 5.0, 4.0, 6.0])
    assert high[-1] > highest(high, 3)[-2] == 5.0


def test_a_regime_needs_arrays_of_one_length() -> None:
    movement, strength = regime_of(walk(1, 50))
    with pytest.raises(ValueError, match="one length"):
        regime(movement, strength[1:])
