"""The parameters of strategies: structs of bounded numbers, made from text, recorded as text, bound by strategies."""

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Generic, TypeVar

import msgspec

from events.values import Parameter
from oxbot.core import money
from oxbot.core.strategy import BoundStrategy, InvalidParameter

ParametersT = TypeVar("ParametersT", bound="Parameters")


def _between(**bounds: int) -> msgspec.Meta:
    """Bounds of a Decimal, which msgspec publishes in a schema but does not check; ``Parameters`` does."""
    return msgspec.Meta(extra_json_schema=dict(bounds))


def meaning(text: str) -> msgspec.Meta:
    """What a parameter is, in words for people."""
    return msgspec.Meta(description=text)


Period = Annotated[int, msgspec.Meta(ge=2, le=5000)]
"""A count of candles over which something is averaged or searched."""
Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""A small count of candles."""
CandlesMax = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
"""How long a position may last; 0 is no bound."""
Oscillator = Annotated[float, msgspec.Meta(gt=0, lt=100)]
"""A level of something that moves between 0 and 100."""
Multiple = Annotated[float, msgspec.Meta(gt=0, le=100)]
"""So many times something."""
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A chance, or a degree of being sure."""
Share = Annotated[Decimal, _between(exclusiveMinimum=0, exclusiveMaximum=1)]
"""A part of equity or of a price that is neither nothing nor all of it."""
ShareOrNone = Annotated[Decimal, _between(minimum=0, exclusiveMaximum=1)]
"""Likewise, or 0 for none."""
Gain = Annotated[Decimal, _between(exclusiveMinimum=0, exclusiveMaximum=10)]
"""A distance in profit, as a fraction of the fill price."""
Factor = Annotated[Decimal, _between(minimum=0, maximum=10)]
"""By what an amount is multiplied."""
NAME_PATTERN = r"^[a-z0-9._-]+$(?!\n)"
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=NAME_PATTERN)]
"""What something is called outside the bot."""

_RULES: dict[str, tuple[str, Callable[[Decimal, int], bool]]] = {
    "minimum": ("at least", operator.ge),
    "exclusiveMinimum": ("above", operator.gt),
    "maximum": ("at most", operator.le),
    "exclusiveMaximum": ("below", operator.lt),
}


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, cache_hash=True):
    """Numbers within bounds. A value that breaks one raises ``ValueError`` naming the field."""

    def __post_init__(self) -> None:
        for name, bounds in _decimal_bounds(type(self)):
            _check_decimal(name, getattr(self, name), bounds)
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, not {value}")


def convert(kind: type[ParametersT], given: Mapping[str, str], strategy: str) -> ParametersT:
    """The parameters with these values and defaults for the rest. Raises ``InvalidParameter`` naming what is wrong."""
    try:
        return msgspec.convert(dict(given), kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"strategy {strategy}: {error}") from error


def restore(kind: type[ParametersT], recorded: tuple[Parameter, ...], strategy: str) -> ParametersT:
    """The parameters that were recorded. Raises ``InvalidParameter`` if they are none of this strategy."""
    return convert(kind, {parameter.name: parameter.value for parameter in recorded}, strategy)


def as_parameters(parameters: Parameters) -> tuple[Parameter, ...]:
    """Every parameter as it is recorded; the text of a default is its plain number."""
    return tuple(Parameter(name=name, value=_text(getattr(parameters, name))) for name in parameters.__struct_fields__)


class Parametrised(ABC, Generic[ParametersT]):
    """A strategy whose parameters are a struct: it names itself, its version and the struct, and is bound to one."""

    name: str
    version: int
    parameter_type: type[ParametersT]

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        """Every parameter with its given or default value, checked. Raises ``InvalidParameter``."""
        return as_parameters(convert(self.parameter_type, given, self.name))

    def bind(self, parameters: tuple[Parameter, ...]) -> BoundStrategy:
        """The strategy under the parameters that were recorded. Raises ``InvalidParameter``."""
        return self.bound(restore(self.parameter_type, parameters, self.name))

    @abstractmethod
    def bound(self, parameters: ParametersT) -> BoundStrategy:
        """The strategy under these parameters."""


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def _decimal_bounds(kind: type[Parameters]) -> tuple[tuple[str, tuple[tuple[str, int], ...]], ...]:
    info = msgspec.inspect.type_info(kind)
    fields = info.fields if isinstance(info, msgspec.inspect.StructType) else ()
    return tuple(
        (
            field.name,
            tuple((key, bound) for key, bound in (field.type.extra_json_schema or {}).items() if key in _RULES),
        )
        for field in fields
        if isinstance(field.type, msgspec.inspect.Metadata) and isinstance(field.type.type, msgspec.inspect.DecimalType)
    )


def _check_decimal(name: str, value: Decimal, bounds: tuple[tuple[str, int], ...]) -> None:
    kept = value.is_finite() and all(_RULES[rule][1](value, bound) for rule, bound in bounds)
    if not kept:
        wanted = " and ".join(f"{_RULES[rule][0]} {bound}" for rule, bound in bounds)
        raise ValueError(f"{name} must be {wanted}, not {value}")
    if (fault := money.fault(value)) is not None:
        raise ValueError(f"{name} {fault}")
