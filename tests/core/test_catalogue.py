"""What strategies say of themselves is complete, and true of what they accept."""

import msgspec
import pytest
from jsonschema import Draft202012Validator

from events.values import Parameter
from oxbot.core.catalogue import listed, shown
from oxbot.core.strategies import built_in, built_in_strategies
from oxbot.core.strategy import BoundStrategy, InvalidParameter, Strategies, UnknownStrategy

NAMES = [strategy.name for strategy in built_in_strategies()]
SCHEMAS = {name: msgspec.json.decode(shown(built_in(), name).schema) for name in NAMES}


def test_every_strategy_is_listed_by_name_with_what_it_does() -> None:
    lines = listed(built_in())
    assert [line.name for line in lines] == sorted(NAMES)
    assert all(line.summary.endswith(".") for line in lines)
    assert len({line.summary for line in lines}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_says_what_it_is_and_what_it_may_be(name: str) -> None:
    found = shown(built_in(), name)
    recorded = {parameter.name: parameter.value for parameter in built_in().refer(name, {}).parameters}
    assert {parameter.name: parameter.default for parameter in found.parameters} == recorded
    assert all(parameter.meaning and parameter.type for parameter in found.parameters)
    assert all(parameter.bounds or parameter.type == "true or false" for parameter in found.parameters)


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_one_and_covers_every_parameter(name: str) -> None:
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert list(schema["properties"]) == [parameter.name for parameter in shown(built_in(), name).parameters]
    assert Draft202012Validator(schema).is_valid({})
    assert not Draft202012Validator(schema).is_valid({"speed": 1})


@pytest.mark.parametrize("name", NAMES)
def test_a_value_beyond_what_is_told_is_refused(name: str) -> None:
    for parameter, schema in SCHEMAS[name]["properties"].items():
        for key, beyond in (("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1), ("exclusiveMaximum", 0)):
            if key in schema:
                with pytest.raises(InvalidParameter, match=parameter):
                    built_in().refer(name, {parameter: str(schema[key] + beyond)})


def test_a_strategy_that_tells_no_type_of_its_parameters_is_shown_with_their_defaults() -> None:
    class Silent:
        name = "silent"
        version = 2

        def parameters(self, given: object) -> tuple[Parameter, ...]:  # noqa: ARG002 - it takes none
            return (Parameter(name="speed", value="3"),)

        def bind(self, parameters: tuple[Parameter, ...]) -> BoundStrategy:
            raise NotImplementedError

    found = shown(Strategies(Silent()), "silent")
    [parameter] = found.parameters
    assert (parameter.name, parameter.default, parameter.type, parameter.meaning) == ("speed", "3", "", "")
    assert found.summary == ""
    assert msgspec.json.decode(found.schema) == {"title": "silent", "type": "object"}


def test_a_strategy_that_is_not_known_is_refused() -> None:
    with pytest.raises(UnknownStrategy, match="astrology"):
        shown(built_in(), "astrology")
