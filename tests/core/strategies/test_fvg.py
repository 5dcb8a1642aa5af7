"""``fvg``: the first return into a gap is bought while the gap holds, and left when it breaks."""

from decimal import Decimal

import pytest

from oxbot.core.candles import Candle
from tests.core.strategies.loop import at_the_close, bound, holding, numbers, walk
from tests.core.strategies.market import candles_of, driftless, joined, line, mirrored

QUIET = [100.0 + (0.05 if number % 2 else -0.05) for number in range(150)]
IMPULSE = [100.1, 102.5, 103.0]
AWAY = line(103.0, 103.3, 3)
RETURN = [102.8, 102.6, 102.3]
SHORT = {"allow_short": "true"}


def market(*parts: list[float]) -> list[Candle]:
    return candles_of(joined(QUIET, IMPULSE, *parts), upper=0.0003, lower=0.0003)


def test_the_first_return_into_a_gap_is_bought_with_the_stop_beyond_it() -> None:
    """The gap lies between the high before the impulse and the low after it; the target is twice the risk away."""
    candles = market(AWAY, RETURN)
    signal = at_the_close(bound("fvg"), candles)
    assert signal is not None
    assert (signal.intent, signal.setup) == ("enter_long", "gap_long")
    zone_low, zone_high = float(candles[150].high), float(candles[152].low)
    assert (numbers(signal)["zone_low"], numbers(signal)["zone_high"]) == (zone_low, zone_high)
    stop = zone_low - 0.25 * numbers(signal)["atr"]
    assert float(signal.stop_loss or 0) == pytest.approx(stop)
    assert float(signal.take_profit or 0) == pytest.approx(102.3 + 2 * (102.3 - stop))
    assert signal.bracket is not None
    assert signal.bracket.candles_max == 48


def test_a_gap_counts_once_it_is_complete_and_only_the_first_time() -> None:
    assert at_the_close(bound("fvg"), market()) is None
    assert at_the_close(bound("fvg"), market(AWAY)) is None
    assert at_the_close(bound("fvg"), market(AWAY, RETURN, [103.0, 102.2])) is None


def test_a_return_that_closes_beyond_the_middle_is_not_bought() -> None:
    assert at_the_close(bound("fvg"), market(AWAY, [102.8, 102.6, 101.2])) is None
    assert at_the_close(bound("fvg"), market(AWAY, [102.8, 102.6, 101.4])) is not None


@pytest.mark.parametrize(("age_max", "bought"), [("5", False), ("6", True)])
def test_a_gap_is_forgotten_when_it_is_too_old(age_max: str, bought: bool) -> None:
    signal = at_the_close(bound("fvg", {"age_max": age_max}), market(AWAY, RETURN))
    assert (signal is not None) is bought
    assert signal is None or numbers(signal)["zone_age"] == 6


@pytest.mark.parametrize("given", [{"gap_fraction_min": "0.03"}, {"impulse_min": "50"}])
def test_a_gap_must_be_wide_and_its_impulse_strong(given: dict[str, str]) -> None:
    assert at_the_close(bound("fvg", given), market(AWAY, RETURN)) is None


def test_a_stop_is_never_so_near_that_costs_eat_it() -> None:
    signal = at_the_close(bound("fvg", {"stop_fraction_min": "0.05"}), market(AWAY, RETURN))
    assert signal is not None
    assert float(signal.stop_loss or 0) == pytest.approx(102.3 * 0.95)


def test_the_same_upside_down_is_sold_where_that_is_allowed() -> None:
    upside_down = mirrored(market(AWAY, RETURN), mirror=Decimal(200))
    assert at_the_close(bound("fvg"), upside_down) is None
    signal = at_the_close(bound("fvg", SHORT), upside_down)
    assert signal is not None
    assert (signal.intent, signal.setup) == ("enter_short", "gap_short")
    assert float(signal.stop_loss or 0) > numbers(signal)["zone_high"] > 97.7


def test_a_position_is_left_when_its_gap_breaks() -> None:
    """At the first close below the zone, though the zone is older than one that may be entered."""
    strategy = bound("fvg", {"age_max": "6"})
    candles = market(AWAY, RETURN, [102.6, 102.5, 100.05])
    signal = at_the_close(strategy, candles, holding(candles, candles=2))
    assert signal is not None
    assert signal.intent == "exit"
    assert signal.reason.startswith("the close 100.05 broke the gap at 100.1")
    assert at_the_close(strategy, candles[:-1], holding(candles[:-1], candles=1)) is None


def test_a_hand_made_market_is_entered_and_left() -> None:
    seen = walk(bound("fvg", {"stop_buffer_atr": "1"}), market(AWAY, RETURN, [102.6, 102.5, 100.05, 100.0]))
    assert [signal.intent for _, signal in seen.signals] == ["enter_long", "exit"]
    assert seen.reasons == {"exit"}


def test_a_gap_that_broke_before_the_entry_is_no_reason_to_leave() -> None:
    candles = market(AWAY, RETURN, [99.9, 100.0, 100.0])
    assert at_the_close(bound("fvg"), candles, holding(candles, candles=1)) is None
    assert at_the_close(bound("fvg"), candles, holding(candles, candles=2)) is not None


def test_a_position_is_left_when_an_opposite_impulse_leaves_a_gap() -> None:
    candles = market(AWAY, RETURN, [104.0, 106.0, 105.9, 103.4, 103.2])
    signal = at_the_close(bound("fvg"), candles, holding(candles, candles=4))
    assert signal is not None
    assert (signal.intent, signal.reason[:20]) == ("exit", "an opposite impulse ")
    assert at_the_close(bound("fvg"), candles[:-1], holding(candles[:-1], candles=3)) is None


def test_a_gap_is_not_bought_while_an_impulse_against_it_leaves_one_of_its_own() -> None:
    against = market(AWAY, [104.0, 103.0, 102.3])
    assert at_the_close(bound("fvg"), against) is None
    assert at_the_close(bound("fvg", {"impulse_min": "4"}), against) is not None


def test_a_stronger_impulse_is_surer_up_to_nine_tenths() -> None:
    found = [
        (numbers(signal)["impulse"], float(signal.confidence or 0))
        for seed in range(4)
        for _, signal in walk(bound("fvg", SHORT), driftless(seed, 2000), trade=False).signals
    ]
    assert len(found) > 10
    assert all(sure == pytest.approx(min(0.9, 0.6 + 0.2 * (impulse - 1.5)), abs=1e-4) for impulse, sure in found)
