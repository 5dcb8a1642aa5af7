import numpy as np
import pytest

from oxbot.core.indicators import (
    DirectionalMovement,
    Floats,
    divergence,
    ichimoku,
    order_flow,
    regime,
    regime_name,
    supertrend,
    vwap,
)
from tests.core.indicators.candles import MIDNIGHT, candles_of, flat, walk


def test_supertrend_turns_at_the_close_beyond_the_band_of_the_same_candle() -> None:
    """The candle's own wide range lifts the middle less than it widens the band: the new band decides, not the last."""
    candles = walk(6, 500)
    line, direction = supertrend(*candles[1:4])
    turns = np.flatnonzero(np.diff(direction[10:])) + 11
    assert len(turns) > 3
    for t in turns:
        beyond = candles.close[t] < line[t] if direction[t] < 0 else candles.close[t] > line[t]
        assert beyond
    same = np.flatnonzero(direction[11:] == direction[10:-1]) + 11
    assert (np.sign(candles.close[same] - line[same]) == direction[same]).all()


def test_supertrends_line_never_gives_way_within_a_trend() -> None:
    line, direction = supertrend(*walk(6, 500)[1:4])
    for t in range(11, 500):
        if direction[t] == direction[t - 1]:
            assert (line[t] - line[t - 1]) * direction[t] >= 0


def test_the_cloud_that_stands_now_was_computed_26_candles_ago() -> None:
    candles = walk(2, 120)
    now = ichimoku(*candles[1:4])
    assert now.span_a[-1] == (now.tenkan[-27] + now.kijun[-27]) / 2
    assert now.span_b[-1] == (candles.high[-78:-26].max() + candles.low[-78:-26].min()) / 2


@pytest.mark.parametrize(("close", "verdict"), [(101.0, 1.0), (99.0, -1.0), (100.0, 0.0)])
def test_chikou_compares_the_close_with_that_of_26_candles_ago(close: float, verdict: float) -> None:
    closes = np.full(27, 100.0)
    closes[-1] = close
    assert ichimoku(closes + 5, closes - 5, closes).chikou[-1] == verdict


def test_vwap_begins_anew_at_midnight_utc() -> None:
    prices, volume = np.array([10.0, 20.0, 40.0, 60.0]), np.array([1.0, 3.0, 1.0, 1.0])
    times = MIDNIGHT - 3_600 * np.array([2, 1, 0, -1])
    times[:2] = MIDNIGHT - 86_400 + np.array([0, 3_600])
    np.testing.assert_allclose(vwap(prices, prices, prices, volume, times), [10.0, 17.5, 40.0, 50.0])


def test_vwap_is_undefined_for_a_day_whose_beginning_the_window_lacks() -> None:
    candles = candles_of(*flat(30)[:5], MIDNIGHT + 3_600 * np.arange(1, 31))
    values = vwap(*candles[1:])
    assert np.isnan(values[:23]).all()
    np.testing.assert_array_equal(values[23:], 100.0)


def test_vwap_begins_with_the_first_candle_of_a_day_that_lacks_its_midnight() -> None:
    candles = walk(1, 4)
    times = MIDNIGHT + np.array([-7_200, -3_600, 3_600, 7_200])
    assert vwap(*candles[1:5], times)[2] == pytest.approx((candles.high[2] + candles.low[2] + candles.close[2]) / 3)


def test_vwap_waits_for_the_days_first_volume() -> None:
    prices, times = np.array([10.0, 20.0, 30.0]), MIDNIGHT + 300 * np.arange(3)
    values = vwap(prices, prices, prices, np.array([0.0, 0.0, 2.0]), times)
    np.testing.assert_array_equal(values, [np.nan, np.nan, 30.0])


def test_order_flow_is_the_share_of_the_range_that_the_body_went_up() -> None:
    open_, close = np.array([10.0, 12.0, 11.0]), np.array([12.0, 9.0, 11.0])
    high, low = np.array([14.0, 12.0, 11.0]), np.array([10.0, 9.0, 11.0])
    flow = order_flow(open_, high, low, close, np.full(3, 8.0), window=2, deviation_window=2)
    np.testing.assert_array_equal(flow.delta, [4.0, -8.0, 0.0])
    np.testing.assert_array_equal(flow.cumulative, [np.nan, -4.0, -8.0])
    np.testing.assert_allclose(flow.deviation, [np.nan, 6.0, 4.0])


def test_order_flow_without_volume_is_zero() -> None:
    candles = walk(1, 60)
    flow = order_flow(*candles[:4], np.zeros(60))
    assert not flow.delta.any()
    assert not flow.cumulative[19:].any()
    assert not flow.deviation[19:].any()


LOWER_LOW = np.array([9.0, 8, 5, 7, 9, 8, 7, 4, 6, 8, 9])
RISING = np.arange(11.0)


def test_a_lower_low_with_a_higher_indicator_is_bullish_once_the_low_is_confirmed() -> None:
    flags = divergence(LOWER_LOW, RISING, 2)
    assert np.flatnonzero(flags.bullish).tolist() == [9]
    assert not flags.bearish.any()


def test_a_higher_high_with_a_lower_indicator_is_bearish() -> None:
    flags = divergence(-LOWER_LOW, -RISING, 2)
    assert np.flatnonzero(flags.bearish).tolist() == [9]
    assert not flags.bullish.any()


@pytest.mark.parametrize("indicator", [-RISING, np.zeros(11)])
def test_an_indicator_that_goes_along_or_stays_does_not_diverge(indicator: Floats) -> None:
    assert not divergence(LOWER_LOW, indicator, 2).bullish.any()


def test_an_equal_low_does_not_diverge() -> None:
    assert not divergence(np.where(LOWER_LOW == 4, 5.0, LOWER_LOW), RISING, 2).bullish.any()


@pytest.mark.parametrize(("distance_max", "found"), [(5, True), (4, False)])
def test_lows_too_far_apart_are_not_compared(distance_max: int, found: bool) -> None:
    assert divergence(LOWER_LOW, RISING, 2, distance_max=distance_max).bullish.any() == found


def test_of_a_flat_bottom_the_first_candle_is_the_low() -> None:
    price = np.array([9.0, 8, 5, 5, 9, 8, 7, 4, 4, 8, 9])
    assert np.flatnonzero(divergence(price, RISING, 2).bullish).tolist() == [9]


@pytest.mark.parametrize(
    ("adx", "plus", "minus", "rsi", "name"),
    [
        (31, 30, 10, 51, "strong_up"),
        (30, 30, 10, 51, "mild_up"),
        (31, 30, 10, 50, "mild_up"),
        (15, 30, 10, 20, "mild_up"),
        (14.9, 30, 10, 90, "chop"),
        (40, 20, 20, 90, "chop"),
        (15, 10, 30, 80, "mild_down"),
        (31, 10, 30, 50, "mild_down"),
        (30, 10, 30, 49, "mild_down"),
        (31, 10, 30, 49, "strong_down"),
    ],
)
def test_the_table_of_regimes(adx: float, plus: float, minus: float, rsi: float, name: str) -> None:
    movement = DirectionalMovement(*(np.array([float(value)]) for value in (adx, plus, minus)))
    assert regime_name(regime(movement, np.array([float(rsi)]))[0]) == name


def test_an_undefined_regime_has_no_name() -> None:
    assert regime_name(float("nan")) is None
