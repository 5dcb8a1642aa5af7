"""Parameters of strategies are bounded, finite, and the same again after they were recorded as text."""

from decimal import Decimal
from typing import Literal

import msgspec
import pytest

from events.values import Parameter
from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import (
    Factor,
    Gain,
    Multiple,
    Oscillator,
    Parameters,
    Parametrised,
    Period,
    Share,
    ShareOrNone,
    as_parameters,
    convert,
    restore,
)
from oxbot.core.strategies import built_in_strategies
from oxbot.core.strategy import InvalidParameter, Signal, Strategy, StrategyState


class Example(Parameters, frozen=True, kw_only=True):
    period: Period = 14
    level: Oscillator = 40.0
    multiple: Multiple = 1.5
    share: Share = Decimal("0.10")
    floor: ShareOrNone = Decimal(0)
    gain: Gain = Decimal(2)
    factor: Factor = Decimal("1.2")
    kind: Literal["one", "other"] = "one"
    short: bool = False


class BoundSample:
    """What a strategy of one's own is under its parameters."""

    size_fraction_max = Decimal("0.1")

    def __init__(self, parameters: Example) -> None:
        self.parameters = parameters
        self.window = parameters.period

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:  # noqa: ARG002 - it does not look
        """Nothing."""
        return None


class Sample(Parametrised[Example]):
    name, version, parameter_type = "sample", 1, Example

    def bound(self, parameters: Example) -> BoundSample:
        return BoundSample(parameters)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("period", "1", "period"),
        ("period", "5001", "period"),
        ("period", "2.5", "period"),
        ("level", "0", "level"),
        ("level", "100", "level"),
        ("level", "nan", "level"),
        ("multiple", "inf", "multiple"),
        ("multiple", "-inf", "multiple"),
        ("share", "0", "share must be above 0 and below 1, not 0"),
        ("share", "1", "share must be above 0 and below 1, not 1"),
        ("share", "NaN", "share must be above 0 and below 1, not NaN"),
        ("share", "Infinity", "share must be above 0 and below 1, not Infinity"),
        ("share", "0.1234567890123456789", "share .* 18 decimals"),
        ("floor", "-0.1", r"floor must be at least 0 and below 1, not -0\.1"),
        ("gain", "10", "gain must be above 0 and below 10, not 10"),
        ("factor", "10.1", r"factor must be at least 0 and at most 10, not 10\.1"),
        ("kind", "third", "third"),
        ("short", "maybe", "short"),
        ("speed", "1", "speed"),
    ],
)
def test_a_bad_value_is_refused_by_strategy_and_name(name: str, value: str, match: str) -> None:
    with pytest.raises(InvalidParameter, match=rf"strategy example: .*{match}"):
        convert(Example, {name: value}, "example")


@pytest.mark.parametrize(("name", "value"), [("floor", "0"), ("factor", "0"), ("factor", "10"), ("share", "0.999")])
def test_a_value_at_an_inclusive_bound_is_taken(name: str, value: str) -> None:
    assert getattr(convert(Example, {name: value}, "example"), name) == Decimal(value)


def test_what_was_recorded_restores_the_same_parameters() -> None:
    given = convert(Example, {"short": "true", "level": "33.3", "kind": "other", "share": "0.070"}, "example")
    recorded = as_parameters(given)
    assert Parameter(name="short", value="true") in recorded
    assert Parameter(name="share", value="0.070") in recorded
    assert len(recorded) == 9
    assert restore(Example, recorded, "example") == given


def test_a_parametrised_strategy_is_bound_to_the_parameters_that_it_recorded() -> None:
    given = {"period": "21", "share": "0.070", "short": "true"}
    recorded = Sample().parameters(given)
    assert recorded == as_parameters(convert(Example, given, "sample"))
    bound = Sample().bind(recorded)
    assert isinstance(bound, BoundSample)
    assert bound.parameters == convert(Example, given, "sample")
    assert bound.window == 21


@pytest.mark.parametrize(("name", "value"), [("period", "1"), ("share", "1"), ("speed", "1")])
def test_a_parametrised_strategy_refuses_a_bad_value_by_its_own_name_whether_given_or_recorded(
    name: str, value: str
) -> None:
    with pytest.raises(InvalidParameter, match=rf"strategy sample: .*{name}"):
        Sample().parameters({name: value})
    with pytest.raises(InvalidParameter, match=rf"strategy sample: .*{name}"):
        Sample().bind((Parameter(name=name, value=value),))


def test_a_schema_names_the_bounds() -> None:
    properties = msgspec.json.schema(Example)["$defs"]["Example"]["properties"]
    assert (properties["share"]["exclusiveMinimum"], properties["share"]["exclusiveMaximum"]) == (0, 1)
    assert properties["period"]["minimum"] == 2
    assert properties["kind"]["enum"] == ["one", "other"]


@pytest.mark.parametrize("strategy", built_in_strategies(), ids=lambda strategy: strategy.name)
def test_every_built_in_strategy_restores_its_defaults(strategy: Strategy) -> None:
    recorded = strategy.parameters({})
    assert strategy.parameters({parameter.name: parameter.value for parameter in recorded}) == recorded
    bound = strategy.bind(recorded)
    assert 1 <= bound.window <= 5000
    assert 0 < bound.size_fraction_max <= Decimal("0.25")


@pytest.mark.parametrize(
    ("name", "given", "match"),
    [
        ("trinity", {"regime_weight": "0.30"}, r"six weights must add up to 1, not 1\.05"),
        ("trinity", {"higher_candles": "27"}, "higher_candles must be at least twice adx_period"),
        ("trinity", {"adx_min": "100"}, "adx_min"),
        ("trinity", {"stops": "none"}, "stops"),
        ("trinity", {"confidence_min": "1"}, "confidence_min must be above 0 and below 1"),
        ("indicator", {"fast_period": "21"}, "fast_period must be below slow_period"),
        ("indicator", {"pullback_rsi": "nan"}, "pullback_rsi"),
        ("fvg", {"reward_risk": "0"}, "reward_risk"),
        ("fvg", {"age_max": "501"}, "age_max"),
        ("regime", {"adx_chop": "30"}, "adx_chop must be below adx_strong"),
        ("regime", {"factor_chop": "1.1"}, "factor_chop must be at most 1"),
        ("regime", {"size_fraction": "0.2"}, "size_fraction must be at most size_fraction_max"),
        ("random", {"entry_probability": "1.1"}, "entry_probability"),
        ("random", {"seed": "-1"}, "seed"),
        ("hodl", {"size_fraction": "0"}, "size_fraction must be above 0"),
    ],
)
def test_a_built_in_strategy_refuses_by_name(name: str, given: dict[str, str], match: str) -> None:
    strategy = next(strategy for strategy in built_in_strategies() if strategy.name == name)
    with pytest.raises(InvalidParameter, match=rf"strategy {name}: .*{match}"):
        strategy.parameters(given)
