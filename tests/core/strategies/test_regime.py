"""``regime``: in when it has turned, half out when it goes nowhere, out when it has turned back."""

from decimal import Decimal

import numpy as np
import pytest

from oxbot.core.candles import Candle
from oxbot.core.indicators import Floats, adx, regime, rsi
from oxbot.core.strategies.regime import BoundRegime, Look, RegimeParameters
from oxbot.core.strategy import Signal
from tests.core.strategies.loop import at_the_close, bound, holding, numbers, walk
from tests.core.strategies.market import candles_of, driftless, joined, line

SHORT = {"allow_short": "true"}
MARKET = candles_of([100.0] * 300)


def turning() -> list[Candle]:
    """Nowhere, then up, then down."""
    quiet = [100.0 + 0.1 * ((number * 7) % 5 - 2) for number in range(240)]
    return candles_of(joined(quiet, line(100.0, 115.0, 40), line(115.0, 95.0, 40)))


def codes(market: list[Candle], until: int) -> Floats:
    seen = market[until + 1 - BoundRegime(RegimeParameters()).window : until + 1]
    highs, lows, closes = (np.array([float(getattr(each, name)) for each in seen]) for name in ("high", "low", "close"))
    return regime(adx(highs, lows, closes), rsi(closes))


def given(*newest: float, close: float = 100.0, top: float = 105.0, bottom: float = 95.0) -> Look:
    """A look at whose newest closes the regimes were these, and chop before them."""
    return Look(np.array([0.0] * 30 + list(newest)), close, 28.0, 30.0, 10.0, 60.0, 1.0, top, bottom)


def wanted(look: Look, side: str = "long") -> Signal | None:
    """What it wants of such a look while it holds a position of eight candles."""
    strategy = BoundRegime(RegimeParameters())
    return strategy._exit(look, holding(MARKET, candles=8, side="short" if side == "short" else "long"))


def test_a_rising_market_is_entered_and_left_when_it_falls() -> None:
    market = turning()
    seen = walk(bound("regime", {"target_atr": "90"}), market)
    entries = [(number, signal) for number, signal in seen.signals if signal.intent == "enter_long"]
    assert [240 < number < 260 for number, _ in entries[-1:]] == [True]
    leaves = [number for number, signal in seen.signals if signal.intent == "exit"]
    assert 280 < leaves[-1] < 300


def test_a_falling_market_is_sold_short_only_where_that_is_allowed() -> None:
    intents = [{signal.intent for _, signal in walk(bound("regime", each), turning()).signals} for each in ({}, SHORT)]
    assert "enter_short" not in intents[0]
    assert "enter_short" in intents[1]


def test_a_regime_is_entered_at_its_second_close_and_at_no_other() -> None:
    market = driftless(3, 1500)
    seen = walk(bound("regime"), market, trade=False)
    entered = {number for number, _ in seen.signals}
    assert len(entered) > 20
    for number in range(500, 1500):
        newest = codes(market, number)[-3:]
        assert (number in entered) == bool(newest[0] < 1 <= min(newest[1], newest[2]))


@pytest.mark.parametrize(
    ("name", "size"),
    [("strong_up", "0.120"), ("mild_up", "0.100"), ("mild_down", "0.070"), ("strong_down", "0.030")],
)
def test_the_size_is_that_of_the_regime(name: str, size: str) -> None:
    sizes = {
        (signal.setup, signal.size_fraction)
        for seed in range(4)
        for _, signal in walk(bound("regime", SHORT), driftless(seed, 2500), trade=False).signals
    }
    assert (name, Decimal(size)) in sizes
    assert len(sizes) == 4


def test_memory_and_regime_together_stay_below_the_most() -> None:
    strategy = bound("regime", {"size_fraction": "0.14"})
    signals = [signal for _, signal in walk(strategy, driftless(1, 2500), trade=False).signals]
    assert max(signal.size_fraction for signal in signals) == strategy.size_fraction_max == Decimal("0.15")


@pytest.mark.parametrize(
    ("newest", "side", "intent"),
    [
        ((1.0, 1.0, 1.0), "long", None),
        ((1.0, 1.0, -1.0), "long", None),
        ((1.0, -1.0, -1.0), "long", "exit"),
        ((1.0, 0.0, -2.0), "long", "exit"),
        ((1.0, -1.0, 0.0), "long", "exit"),
        ((1.0, 1.0, 0.0), "long", None),
        ((2.0, 1.0, 0.0, 0.0), "long", "reduce"),
        ((-1.0, 1.0, 1.0), "short", "exit"),
        ((-1.0, -2.0, -1.0), "short", None),
        ((-1.0, -1.0, 0.0, 0.0), "short", "reduce"),
    ],
)
def test_two_closes_of_another_regime_end_or_halve_a_position(
    newest: tuple[float, ...], side: str, intent: str | None
) -> None:
    """Chop came before, so that the position was in the side's regime for all its eight candles."""
    in_favour = [1.0 if side == "long" else -1.0] * 10
    signal = wanted(given(*in_favour, *newest), side)
    assert (signal.intent if signal else None) == intent
    assert intent != "reduce" or (signal is not None and signal.reduce_fraction == Decimal("0.5"))


def test_a_position_is_halved_once() -> None:
    assert wanted(given(*[1.0] * 10, 0.0, 0.0, 1.0, 0.0, 0.0)) is None


def test_a_position_is_left_when_the_range_before_it_breaks() -> None:
    up = [1.0] * 12
    below, within = wanted(given(*up, close=94.9)), wanted(given(*up, close=95.0))
    assert below is not None
    assert (below.intent, within) == ("exit", None)
    down = [-1.0] * 12
    above = wanted(given(*down, close=105.1), "short")
    assert above is not None
    assert above.intent == "exit"


def test_the_measurements_are_those_of_the_indicators() -> None:
    market = driftless(3, 1500)
    number, signal = walk(bound("regime"), market, trade=False).signals[0]
    assert numbers(signal)["regime"] == codes(market, number)[-1]
    assert signal.setup in {"mild_up", "strong_up"}
    assert at_the_close(bound("regime"), market[: number + 1]) == signal
