"""What strategies say of themselves: what each does, and what each of its parameters is and may be."""

import inspect
from typing import cast

import msgspec

from oxbot.core.parameters import NAME_PATTERN, Parameters
from oxbot.core.strategy import Strategies, Strategy

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
_NOT_PARAMETERS = ("title", "description")
_TYPES = {"integer": "whole number", "number": "number", "string": "decimal", "boolean": "true or false"}
_NAMES = "a-z, 0-9, ., _ and -"


class StrategyLine(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy in one line: the first of its class's docstring."""

    name: str
    version: int
    summary: str


class ParameterShown(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter, its default as it is recorded: text. A type, bounds and meaning that are not told are empty."""

    name: str
    type: str
    default: str
    bounds: str
    meaning: str


class StrategyShown(StrategyLine, frozen=True, kw_only=True):
    """A strategy with its parameters, also as a JSON schema of one object that holds them all."""

    parameters: list[ParameterShown]
    schema: msgspec.Raw


def listed(strategies: Strategies) -> list[StrategyLine]:
    """Every strategy, in order of name."""
    lines = [StrategyLine(name=one.name, version=one.version, summary=_summary(one)) for one in strategies.all]
    return sorted(lines, key=lambda line: line.name)


def shown(strategies: Strategies, name: str) -> StrategyShown:
    """The strategy of that name. Raises ``UnknownStrategy``."""
    strategy = strategies.named(name)
    schema = _schema(strategy)
    properties = cast("dict[str, dict[str, object]]", schema.get("properties", {}))
    defaults = {parameter.name: parameter.value for parameter in strategy.parameters({})}
    return StrategyShown(
        name=strategy.name,
        version=strategy.version,
        summary=_summary(strategy),
        parameters=[_parameter(name, default, properties.get(name, {})) for name, default in defaults.items()],
        schema=msgspec.Raw(msgspec.json.encode(schema)),
    )


def _summary(strategy: Strategy) -> str:
    lines = (inspect.getdoc(strategy) or "").splitlines()
    return lines[0] if lines else ""


def _schema(strategy: Strategy) -> dict[str, object]:
    """The schema of the struct that a strategy names as its ``parameter_type``; of any object, if it names none."""
    kind = getattr(strategy, "parameter_type", None)
    if not (isinstance(kind, type) and issubclass(kind, Parameters)):
        return {"title": strategy.name, "type": "object"}
    (schema,), components = msgspec.json.schema_components([kind])
    own = components[schema["$ref"].rpartition("/")[2]]
    said = {key: value for key, value in own.items() if key not in _NOT_PARAMETERS}
    return {"title": strategy.name, "description": _summary(strategy), **said}


def _parameter(name: str, default: str, schema: dict[str, object]) -> ParameterShown:
    choices = cast("list[str]", schema.get("enum", []))
    bounds = " and ".join(f"{words} {schema[key]}" for key, words in _BOUNDS.items() if key in schema)
    named = schema.get("pattern") == NAME_PATTERN
    if named:
        bounds = f"{schema['minLength']} to {schema['maxLength']} {_NAMES}"
    kind = "name" if named else _TYPES.get(str(schema.get("type", "")), "")
    return ParameterShown(
        name=name,
        type="one of" if choices else kind,
        default=default,
        bounds=", ".join(choices) or bounds,
        meaning=str(schema.get("description", "")),
    )
