"""``indicator``: pullbacks and breakouts that are found, priced and left; the published mode never traded at all."""

from decimal import Decimal

import numpy as np
import pytest

from oxbot.core.candles import Candle
from oxbot.core.indicators import ema, rsi
from oxbot.core.strategies.chart import seen_by
from oxbot.core.strategies.indicator import BoundIndicator, IndicatorParameters, Look
from tests.core.strategies.loop import at_the_close, bound, holding, numbers, walk
from tests.core.strategies.market import candles_of, driftless, joined, line, zigzag

RISE = zigzag(100.0, up=0.004, down=0.005, count=231)
DIP = line(RISE[-1], RISE[-1] * 0.97, 5)
BACK = line(DIP[-1], RISE[-1] * 1.005, 4)
RANGE = [100.0 + (0.05 if number % 2 else -0.05) for number in range(230)]


def pulled_back(candles: int = 4) -> list[Candle]:
    return candles_of(joined(RISE, DIP, BACK[:candles]))


def test_a_pullback_that_turned_is_bought() -> None:
    """RSI fell below 40 in a rising market and comes back up through it."""
    seen = walk(bound("indicator", {"breakout_rsi": "99"}), pulled_back())
    (number, signal), *rest = seen.signals
    assert not rest
    assert (signal.intent, signal.setup) == ("enter_long", "pullback_long")
    assert numbers(signal)["rsi_dip"] < 40 <= numbers(signal)["rsi"]
    close = pulled_back()[number].close
    assert float(signal.stop_loss or 0) == pytest.approx(float(close) * 0.975)
    assert float(signal.take_profit or 0) == pytest.approx(float(close) * 1.05)


@pytest.mark.parametrize(
    ("level", "confidence"), [(39.9, 0.7), (30.1, 0.7), (30.0, 0.8), (20.1, 0.8), (20.0, 0.9), (5.0, 0.9)]
)
def test_the_deeper_the_dip_the_surer(level: float, confidence: float) -> None:
    prices = np.array([100.0, 101.0])
    look = Look(
        chart=seen_by("long", (prices, prices, prices, prices), np.ones(2)),
        trend=90.0,
        fast=95.0,
        slow=94.0,
        rsi=np.array([38.0, 45.0]),
        dip=level,
        top=1e9,
        volume_ratio=1.0,
    )
    entry = BoundIndicator(IndicatorParameters())._pullback(look)
    assert entry is not None
    assert entry.confidence == confidence


def test_a_dip_that_still_falls_is_not_bought() -> None:
    assert at_the_close(bound("indicator"), candles_of(joined(RISE, DIP))) is None


def test_a_dip_that_has_not_passed_the_last_high_has_not_turned() -> None:
    closes = joined(RISE, DIP, BACK)
    wick = [0.001] * (len(closes) - 2) + [0.02, 0.001]
    assert at_the_close(bound("indicator", {"breakout_rsi": "99"}), candles_of(closes, upper=wick)) is None
    assert at_the_close(bound("indicator", {"breakout_rsi": "99"}), candles_of(closes)) is not None


def test_a_dip_longer_ago_than_it_may_be_is_not_bought() -> None:
    seen = walk(bound("indicator", {"pullback_candles": "1", "breakout_rsi": "99"}), pulled_back())
    assert not seen.signals


def test_a_pullback_below_the_long_average_is_not_bought() -> None:
    bounce = line(RISE[-1] * 0.85, RISE[-1] * 0.87, 8)
    seen = walk(
        bound("indicator", {"breakout_rsi": "99"}), candles_of(joined(RISE, line(RISE[-1], bounce[0], 60), bounce))
    )
    assert not seen.signals


def test_a_breakout_is_bought_above_the_highs_before_it() -> None:
    """The range is of the candles before the newest one, whose own high cannot hide it."""
    market = candles_of(joined(RANGE, [101.0]))
    signal = at_the_close(bound("indicator"), market)
    assert signal is not None
    edge = max(float(candle.high) for candle in market[-21:-1])
    assert signal.setup == "breakout_long"
    assert numbers(signal)["range_edge"] == pytest.approx(edge)
    assert float(signal.stop_loss or 0) == pytest.approx(edge * 0.985)
    beyond = (101.0 - edge) / 101.0
    assert float(signal.confidence or 0) == pytest.approx(0.6 + 10 * beyond, abs=1e-4)


def test_a_far_breakout_is_no_surer_than_four_in_five() -> None:
    signal = at_the_close(bound("indicator"), candles_of(joined(RANGE, [110.0])))
    assert signal is not None
    assert signal.confidence == Decimal("0.8")


def test_a_wick_beyond_the_range_is_no_breakout() -> None:
    market = candles_of(joined(RANGE, [100.2]), upper=[0.001] * 230 + [0.05])
    assert at_the_close(bound("indicator"), market) is None


@pytest.mark.parametrize(("volume", "bought"), [(7.9, False), (8.0, True)])
def test_an_entry_needs_four_fifths_of_the_volume_before_it(volume: float, bought: bool) -> None:
    """Of the mean of the 24 closed candles before the newest, which is not part of its own measure."""
    market = candles_of(joined(RANGE, [101.0]), volumes=[10.0] * 230 + [volume])
    assert (at_the_close(bound("indicator"), market) is not None) is bought


def test_a_breakdown_is_sold_short_where_that_is_allowed() -> None:
    market = candles_of(joined(RANGE, [99.0]))
    assert at_the_close(bound("indicator"), market) is None
    signal = at_the_close(bound("indicator", {"allow_short": "true"}), market)
    assert signal is not None
    assert (signal.intent, signal.setup) == ("enter_short", "breakout_short")
    assert numbers(signal)["rsi"] < 40
    assert float(signal.stop_loss or 0) == pytest.approx(numbers(signal)["range_edge"] * 1.015)


def test_a_position_is_left_when_the_trend_breaks() -> None:
    market = candles_of(joined(RISE, line(RISE[-1], RISE[-1] * 0.94, 3)))
    signal = at_the_close(bound("indicator"), market, holding(market, candles=4))
    assert signal is not None
    assert signal.intent == "exit"
    assert "broke the trend" in signal.reason
    assert at_the_close(bound("indicator"), market[:-3], holding(market[:-3], candles=4)) is None


def test_a_short_position_is_left_when_the_trend_breaks_upwards() -> None:
    fall = [200.0 - close for close in zigzag(60.0, up=0.004, down=0.003, count=230)]
    market = candles_of(joined(fall, line(fall[-1], fall[-1] * 1.1, 3)))
    strategy = bound("indicator", {"allow_short": "true"})
    held = holding(market, candles=4, side="short")
    signal = at_the_close(strategy, market, held)
    assert signal is not None
    assert signal.intent == "exit"
    assert at_the_close(strategy, market[:-3], held) is None


def test_half_of_an_overheated_position_is_taken_off_once() -> None:
    """RSI above 80 with at least 2 % gained; while it stays there nothing more is taken off."""
    market = candles_of(joined(RANGE, line(100.0, 110.0, 20)))
    seen = walk(bound("indicator", {"target_fraction": "1"}), market)
    assert [(signal.intent, signal.reduce_fraction) for _, signal in seen.signals] == [
        ("enter_long", Decimal(1)),
        ("reduce", Decimal("0.5")),
    ]
    number, reduction = seen.signals[1]
    assert numbers(reduction)["rsi"] > 80
    assert seen.holding is not None
    assert numbers(reduction)["close"] >= float(seen.holding.price) * 1.02
    earlier = rsi(np.array([float(candle.close) for candle in market[:number]]))[-1]
    assert earlier <= 80 or float(market[number - 1].close) < float(seen.holding.price) * 1.02


def test_entries_are_what_plain_indicators_say_they_are() -> None:
    """On a walk: every pullback above its averages, with RSI back above 40 from below it within ten candles."""
    market = driftless(11, 2500)
    seen = walk(bound("indicator"), market, trade=False)
    pullbacks = [(number, signal) for number, signal in seen.signals if signal.setup == "pullback_long"]
    assert len(pullbacks) > 10
    closes = np.array([float(candle.close) for candle in market])
    strength, slow, fast, trend = rsi(closes), ema(closes, 21), ema(closes, 9), ema(closes, 50)
    for number, _ in pullbacks:
        assert strength[number] >= 40 - 1e-6
        assert strength[number - 10 : number].min() < 40 + 1e-6
        assert fast[number] > slow[number]
        assert closes[number] > trend[number]
