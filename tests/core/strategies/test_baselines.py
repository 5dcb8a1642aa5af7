"""``hodl`` and ``random``: what every strategy is compared with."""

from collections import Counter
from decimal import Decimal

import pytest

from events.identifiers import Symbol
from oxbot.core.candles import Candle
from oxbot.core.memory import NO_MEMORY, Outcome
from oxbot.core.strategies import built_in
from tests.core.strategies.loop import at_the_close, bound, holding, walk
from tests.core.strategies.market import driftless

MARKET = driftless(1, 2500)


def test_hodl_buys_at_the_first_close_and_never_sells() -> None:
    seen = walk(bound("hodl", {"size_fraction": "0.2"}), MARKET)
    assert [(number, signal.intent) for number, signal in seen.signals] == [(0, "enter_long")]
    _, signal = seen.signals[0]
    assert (signal.size_fraction, signal.bracket, signal.stop_loss) == (Decimal("0.2"), None, None)


def test_hodl_does_not_buy_again_once_a_position_of_its_own_was_closed() -> None:
    sold = NO_MEMORY.remember(Outcome(setup="hodl", symbol=Symbol(""), net=Decimal(-1), cost=Decimal(10)))
    assert at_the_close(bound("hodl"), MARKET[:5], memory=sold) is None
    assert at_the_close(bound("hodl"), MARKET[:5]) is not None


def test_hodl_asks_for_what_default_limits_allow_in_one_position() -> None:
    assert bound("hodl").size_fraction_max == Decimal("0.25")


def test_random_enters_and_leaves_as_often_as_it_was_told() -> None:
    """Two standard deviations around 2 % of the looks, and around one exit in 10 candles."""
    strategy = bound("random", {"entry_probability": "0.02", "holding_candles": "10"})
    flat = walk(strategy, MARKET, trade=False)
    assert flat.entries_wanted == pytest.approx(0.02 * flat.flat_looks, abs=2 * (0.02 * flat.flat_looks) ** 0.5)
    leaves = sum(
        at_the_close(strategy, MARKET[: 200 + number], holding(MARKET[: 200 + number], candles=3)) is not None
        for number in range(600)
    )
    assert leaves == pytest.approx(60, abs=2 * 60**0.5)


def test_random_draws_by_seed_and_by_every_digit_of_the_candle() -> None:
    def entries(seed: str, market: list[Candle]) -> list[int]:
        strategy = bound("random", {"seed": seed, "entry_probability": "0.1"})
        return [number for number, _ in walk(strategy, market, trade=False).signals]

    other_volumes = [
        Candle(each.open_time, each.open, each.high, each.low, each.close, each.volume + 1) for each in MARKET
    ]
    assert entries("1", MARKET) == entries("1", MARKET)
    assert entries("1", MARKET) != entries("2", MARKET)
    assert entries("1", MARKET) != entries("1", other_volumes)


def test_random_takes_both_sides_alike_when_it_may_sell_short() -> None:
    strategy = bound("random", {"entry_probability": "0.2", "allow_short": "true"})
    counted = Counter(signal.intent for _, signal in walk(strategy, MARKET, trade=False).signals)
    assert counted["enter_long"] == pytest.approx(counted["enter_short"], rel=0.25)


def test_random_always_or_never_enters_at_the_bounds_and_leaves_after_each_candle() -> None:
    assert not walk(bound("random", {"entry_probability": "0"}), MARKET[:300]).signals
    eager = bound("random", {"entry_probability": "1", "holding_candles": "1"})
    assert at_the_close(eager, MARKET[:300]) is not None
    leave = at_the_close(eager, MARKET[:300], holding(MARKET[:300], candles=0))
    assert leave is not None
    assert leave.intent == "exit"


def test_random_has_the_bracket_of_trinity_by_default() -> None:
    def recorded(name: str) -> dict[str, str]:
        return {parameter.name: parameter.value for parameter in built_in().refer(name, {}).parameters}

    random, trinity = recorded("random"), recorded("trinity")
    shared = ("stops", "stop_atr", "target_atr", "stop_fraction_min", "stop_fraction", "target_fraction", "atr_period")
    assert {name: random[name] for name in shared} == {name: trinity[name] for name in shared}
