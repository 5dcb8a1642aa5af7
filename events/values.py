"""The values that facts are made of: instruments, limits, brackets, parameters."""

import math
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Literal, NewType

import msgspec

from events.identifiers import Symbol, VenueName

Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment in UTC; a time without a zone is refused when a fact is decoded."""

SubjectId = NewType("SubjectId", str)
"""A person whom personal fields are about: the name of the person's own stream."""

Side = Literal["buy", "sell"]
OrderKind = Literal["market", "limit", "stop", "take_profit"]


@cache
def _decimal_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    fields = msgspec.structs.fields(kind)
    return tuple(field.name for field in fields if Decimal in (field.type, *getattr(field.type, "__args__", ())))


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An immutable record whose Decimals are finite: msgspec itself decodes "NaN" and "Infinity".

    Values hold values and nothing that holds them, so the collector of cycles need not look at them.
    """

    def __post_init__(self) -> None:
        for name in _decimal_fields(type(self)):
            number = getattr(self, name)
            if number is not None and not number.is_finite():
                raise ValueError(f"{type(self).__name__}.{name} must be a finite number, not {number}")


class EncryptedText(Value, frozen=True, kw_only=True):
    """Personal text under its subject's own key (AES-256-GCM); once the key is destroyed nobody can read it again.

    The log, its hashes and its copies hold nothing else of it, so erasing a person changes no byte of the log.
    """

    subject: SubjectId
    key_id: str
    nonce: bytes
    ciphertext: bytes


class Parameter(Value, frozen=True, kw_only=True):
    """One named setting of a strategy, in the text form in which it was given."""

    name: str
    value: str


class Measurement(Value, frozen=True, kw_only=True):
    """One number that a strategy computed and decided on."""

    name: str
    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"measurement {self.name} must be a finite number, not {self.value}")


class Instrument(Value, frozen=True, kw_only=True):
    """What a venue says of a symbol: price step, quantity step (both in quote/base units), smallest notional."""

    symbol: Symbol
    tick: Decimal
    lot: Decimal
    minimum_notional: Decimal = Decimal(0)


class MarketReference(Value, frozen=True, kw_only=True):
    """Which candles a bot sees: a venue's series of one timeframe, from one candle's open time on."""

    venue: VenueName
    timeframe: str
    begins_at: Timestamp
    instruments: tuple[Instrument, ...]


class StrategyReference(Value, frozen=True, kw_only=True):
    """A strategy by name and version, with every parameter that it runs under."""

    name: str
    version: int
    parameters: tuple[Parameter, ...]


class RiskLimits(Value, frozen=True, kw_only=True):
    """What the risk gate allows one bot; fractions are of equity."""

    position_fraction_max: Decimal = Decimal("0.25")
    positions_max: int = 5
    exposure_fraction_max: Decimal = Decimal("0.95")


class FeeSchedule(Value, frozen=True, kw_only=True):
    """Fees as a fraction of notional, charged in quote currency on each fill."""

    maker: Decimal
    taker: Decimal


class Bracket(Value, frozen=True, kw_only=True):
    """Protective exits as fractions of the fill price, placed when the entry fills."""

    stop_fraction: Decimal
    target_fraction: Decimal
