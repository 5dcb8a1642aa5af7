"""Levels, sizes, mirrored charts and the one reduction of a position."""

from decimal import Decimal

import numpy as np
import pytest

from events.identifiers import Symbol
from events.values import PositionSide
from oxbot.core.market_view import CandleWindow
from oxbot.core.memory import NO_MEMORY, Outcome
from oxbot.core.money import exact, fault
from oxbot.core.strategies.chart import chart, higher_chart
from oxbot.core.strategies.entries import BracketParameters, Entry, degree, influenced, level, measured
from oxbot.core.strategies.exits import first_since_entry, gain
from oxbot.core.strategy import StrategyState
from tests.core.strategies.loop import holding
from tests.core.strategies.market import HOUR, candles_of, driftless

BTC, ETH = Symbol("BTC/USDT"), Symbol("ETH/USDT")


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (42_283.58, "42283.58"),
        (0.1 + 0.2, "0.3"),
        (2.1e-5, "0.000021"),
        (1 / 3, "0.333333333333"),
        (1.23456789e-15, "0.000000000000001235"),
        (1e15 + 1, "1000000000000001"),
        (100.0, "100"),
    ],
)
def test_a_level_has_twelve_significant_digits_and_at_most_eighteen_decimals(price: float, expected: str) -> None:
    assert level(price) == Decimal(expected)
    assert price > 1e14 or fault(level(price)) is None


@pytest.mark.parametrize(("value", "expected"), [(0.62991, "0.6299"), (1.4, "1"), (-0.1, "0")])
def test_confidence_is_within_zero_and_one_to_four_places(value: float, expected: str) -> None:
    assert degree(value) == Decimal(expected)


def test_what_is_not_finite_is_not_measured() -> None:
    taken = measured(one=1, none=float("nan"), endless=float("inf"))
    assert [(each.name, each.value) for each in taken] == [("one", 1.0)]


def remembering(*, wins: int, losses: int) -> StrategyState:
    """A bot that is flat in BTC and has so many closed trades of one setup there."""
    memory = NO_MEMORY
    for net in [Decimal(1)] * wins + [Decimal(-1)] * losses:
        memory = memory.remember(Outcome(setup="pullback_long", symbol=BTC, net=net, cost=Decimal(100)))
    return StrategyState(None, memory, BTC)


@pytest.mark.parametrize(
    ("wins", "losses", "expected"),
    [(0, 0, "0.10"), (19, 0, "0.10"), (20, 0, "0.13"), (14, 6, "0.12"), (10, 10, "0.10"), (0, 20, "0.07")],
)
def test_memory_moves_the_size_within_bounds_once_there_are_twenty_trades(
    wins: int, losses: int, expected: str
) -> None:
    with exact():
        size = influenced(Decimal("0.10"), remembering(wins=wins, losses=losses), "pullback_long", most=Decimal("0.2"))
    assert size == Decimal(expected)


def test_memory_never_raises_a_size_above_the_most_and_is_per_setup() -> None:
    state = remembering(wins=30, losses=0)
    assert influenced(Decimal("0.10"), state, "pullback_long", most=Decimal("0.11")) == Decimal("0.11")
    assert influenced(Decimal("0.10"), state, "breakout_long", most=Decimal("0.11")) == Decimal("0.10")


def entry(side: PositionSide, *, stop: float = 2.0, target: float = 5.0) -> Entry:
    return Entry(side, "setup", 100.0, stop, target, Decimal("0.1"), 0.7, "because", ())


def test_an_entry_becomes_levels_on_both_sides_and_fractions_of_the_fill() -> None:
    long, short = (entry(side).signal(StrategyState(), size_fraction_max=Decimal(1)) for side in ("long", "short"))
    assert long is not None
    assert short is not None
    assert (long.intent, long.stop_loss, long.take_profit) == ("enter_long", Decimal(98), Decimal(105))
    assert (short.intent, short.stop_loss, short.take_profit) == ("enter_short", Decimal(102), Decimal(95))
    assert long.bracket is not None
    assert (long.bracket.stop_fraction, long.bracket.target_fraction) == (Decimal("0.02"), Decimal("0.05"))
    assert long.bracket.candles_max is None


def test_no_level_lies_at_or_below_zero() -> None:
    long = entry("long", stop=150.0).signal(StrategyState(), size_fraction_max=Decimal(1))
    short = entry("short", target=150.0).signal(StrategyState(), size_fraction_max=Decimal(1), candles_max=7)
    assert long is not None
    assert short is not None
    assert (long.stop_loss, short.take_profit) == (Decimal(10), Decimal(10))
    assert short.bracket is not None
    assert short.bracket.candles_max == 7


@pytest.mark.parametrize("distance", [0.0, float("nan"), float("inf")])
def test_without_a_distance_there_is_no_entry(distance: float) -> None:
    assert entry("long", stop=distance).signal(StrategyState(), size_fraction_max=Decimal(1)) is None
    assert entry("long", target=distance).signal(StrategyState(), size_fraction_max=Decimal(1)) is None


def test_a_bracket_is_of_average_ranges_but_never_so_near_that_costs_eat_it() -> None:
    parameters = BracketParameters()
    assert parameters.distances(100.0, 2.0) == (3.0, 6.0)
    assert parameters.distances(100.0, 0.1) == (1.0, 2.0)
    fixed = BracketParameters(stops="fixed")
    assert fixed.distances(100.0, 2.0) == pytest.approx((3.5, 8.0))


def test_a_seller_sees_the_candles_upside_down_within_their_range() -> None:
    market = driftless(1, 40)
    window = CandleWindow(40, timeframe=HOUR)
    for candle in market:
        window.push(candle)
    bought, sold = chart(window, 30, "long"), chart(window, 30, "short")
    assert sold.mirror == bought.highs.max() + bought.lows.min()
    assert np.array_equal(sold.closes, sold.mirror - bought.closes)
    assert np.array_equal(sold.highs, sold.mirror - bought.lows)
    assert (sold.highs >= sold.closes).all()
    assert (sold.lows > 0).all()
    assert sold.price(sold.closes[3]) == pytest.approx(bought.price(bought.closes[3]))
    assert (bought.oscillator(30.0), sold.oscillator(30.0)) == (30.0, 70.0)


@pytest.mark.parametrize(
    ("volumes", "expected"), [([8.0, 2.0, 4.0, 6.0], 2.0), ([8.0, 0.0, 0.0, 6.0], 0.0), ([8.0, 2.0, 4.0, 0.0], 0.0)]
)
def test_a_volume_is_compared_with_those_before_it_if_anything_was_traded(
    volumes: list[float], expected: float
) -> None:
    window = CandleWindow(4, timeframe=HOUR)
    for candle in candles_of([100.0] * 4, volumes=volumes):
        window.push(candle)
    assert chart(window, 4, "long").volume_ratio(2) == expected


def test_a_higher_chart_is_whole_or_not_there() -> None:
    window = CandleWindow(40, timeframe=HOUR)
    for candle in candles_of([100.0 + number for number in range(24)]):
        window.push(candle)
    higher = higher_chart(window, 6, 4, "long")
    assert higher is not None
    assert higher.closes.tolist() == [103.0, 107.0, 111.0, 115.0, 119.0, 123.0]
    assert higher_chart(window, 7, 4, "long") is None


@pytest.mark.parametrize(
    ("flags", "candles", "first"),
    [
        ([0, 0, 0, 1], 2, True),
        ([0, 1, 0, 1], 2, False),
        ([1, 0, 0, 1], 2, True),
        ([1, 0, 0, 1], 3, False),
        ([0, 0, 1, 0], 3, False),
        ([1, 1, 1, 1], 0, True),
        ([0, 0, 0, 1], 99, True),
        ([1, 0, 0, 1], 99, False),
    ],
)
def test_a_flag_counts_once_since_the_entry(flags: list[int], candles: int, first: bool) -> None:
    market = candles_of([100.0] * 100)
    assert first_since_entry(np.array(flags, dtype=np.bool_), holding(market, candles=candles)) is first


def test_a_gain_is_in_favour_of_the_side() -> None:
    market = candles_of([100.0] * 3)
    assert gain(holding(market, candles=1), 103.0) == pytest.approx(0.03)
    assert gain(holding(market, candles=1, side="short"), 103.0) == pytest.approx(-0.03)
