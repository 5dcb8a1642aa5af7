"""A bot refers to a strategy by name, version and every parameter, and gets exactly that or nothing."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec
import pytest

from events.bot import BotFact, DecisionMade
from events.values import Parameter
from oxbot.core.bot import BotDecider
from oxbot.core.market_view import CandleWindow
from oxbot.core.state import fold
from oxbot.core.strategies import built_in
from oxbot.core.strategies.ema_cross import EmaCross
from oxbot.core.strategy import BoundStrategy, InvalidParameter, Signal, Strategies, StrategyState, UnknownStrategy
from tests.core.scenario import BRACKET, SMALL, candle, observe, running


class Eager:
    """A strategy that wants in whenever it is flat."""

    name = "eager"
    version = 1
    window = 1
    size_fraction_max = Decimal("0.5")

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        """Whatever is given, in the order of the names."""
        return tuple(Parameter(name=name, value=value) for name, value in sorted(given.items()))

    def bind(self, parameters: tuple[Parameter, ...]) -> BoundStrategy:  # noqa: ARG002 - it has none
        """The same for any parameters."""
        return self

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:  # noqa: ARG002 - it does not look
        """Half of the equity, with a bracket."""
        if state.holding:
            return None
        return Signal(intent="enter_long", measurements=(), size_fraction=self.size_fraction_max, bracket=BRACKET)


def test_a_reference_names_version_and_every_parameter() -> None:
    reference = built_in().refer("ema_cross", SMALL)
    assert (reference.name, reference.version) == ("ema_cross", 1)
    assert [(parameter.name, parameter.value) for parameter in reference.parameters][:3] == [
        ("fast", "2"),
        ("slow", "3"),
        ("lookback", "3"),
    ]
    assert len(reference.parameters) == 6


def test_a_reference_binds_to_its_parameters() -> None:
    strategies = built_in()
    assert strategies.bind(strategies.refer("ema_cross", SMALL)).window == 4
    assert strategies.bind(strategies.refer("ema_cross", {})).window == 251


def test_equal_references_share_one_bound_strategy() -> None:
    strategies = built_in()
    first, second = (strategies.bind(strategies.refer("ema_cross", SMALL)) for _ in range(2))
    assert first is second


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownStrategy, match="strategy 'grid' is not known; there is ema_cross"):
        built_in().refer("grid", {})


def test_a_bot_of_another_version_is_not_run() -> None:
    reference = msgspec.structs.replace(built_in().refer("ema_cross", {}), version=2)
    with pytest.raises(UnknownStrategy, match="strategy ema_cross has version 1; the bot runs 2"):
        built_in().bind(reference)


def test_a_bad_parameter_is_refused_by_strategy_and_name() -> None:
    with pytest.raises(InvalidParameter, match=r"strategy ema_cross: .*speed"):
        built_in().refer("ema_cross", {"speed": "1"})


def test_a_program_without_strategies_knows_none() -> None:
    with pytest.raises(UnknownStrategy):
        Strategies().bind(Strategies(EmaCross()).refer("ema_cross", {}))


def test_a_strategy_of_ones_own_runs_and_is_not_asked_in_the_candle_that_closed_its_position() -> None:
    """It enters at candle 0, is stopped in the candle in which it bought, and may enter again one candle later."""
    decider = BotDecider(Strategies(Eager()))
    creation, *rest = running()
    facts: list[BotFact] = [msgspec.structs.replace(creation, strategy=Strategies(Eager()).refer("eager", {})), *rest]
    candles = [candle(0, "100"), candle(1, "100 101 90 100"), candle(2, "100")]
    for number in range(1, 4):
        facts += decider.decide(observe(candles[:number]), fold(facts))
    decided = [fact.at for fact in facts if isinstance(fact, DecisionMade)]
    assert decided == [candles[0].open_time, candles[2].open_time]
