"""Closed candles, the series they belong to, and the digest that proves which of them a decision saw."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from events.errors import OxbotError
from events.identifiers import Symbol, VenueName
from events.values import Timestamp
from oxbot.core import money

_ENCODER = msgspec.msgpack.Encoder()
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class InvalidCandle(OxbotError):
    """A candle that cannot be: a price that is not positive, a high below a low, a negative volume."""


class UnknownTimeframe(OxbotError):
    """A timeframe that is not a count and one of s, m, h, d, w."""


class Candle(msgspec.Struct, frozen=True, array_like=True):
    """One closed candle: its open time (UTC), prices in quote currency, volume in base currency."""

    open_time: Timestamp
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Series(msgspec.Struct, frozen=True):
    """One venue's candles of one symbol and timeframe."""

    venue: VenueName
    symbol: Symbol
    timeframe: str


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """All candles of a market that opened at one moment, in alphabetical order of symbol; sent as one."""

    open_time: Timestamp
    candles: tuple[tuple[Symbol, Candle], ...]


def timeframe_duration(timeframe: str) -> timedelta:
    """How long a candle of the timeframe lasts: "5m" is five minutes. Raises ``UnknownTimeframe``."""
    match = re.fullmatch(r"([1-9][0-9]{0,3})([smhdw])", timeframe)
    if match is None:
        raise UnknownTimeframe(f"timeframe {timeframe!r} is not a number followed by s, m, h, d or w, such as 5m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def aligned(moment: datetime, timeframe: str) -> bool:
    """Whether a candle of the timeframe can open at this moment (multiples of its length since the epoch)."""
    return moment.timestamp() % timeframe_duration(timeframe).total_seconds() == 0


def check_candle(candle: Candle) -> None:
    """Raise ``InvalidCandle`` naming the field that makes the candle impossible."""
    for name in ("open", "high", "low", "close", "volume"):
        value: Decimal = getattr(candle, name)
        if (fault := money.fault(value)) is not None:
            raise InvalidCandle(f"{name} {fault}")
        if value < 0 or (value == 0 and name != "volume"):
            raise InvalidCandle(f"{name} is {value}, but must be {'at least' if name == 'volume' else 'above'} 0")
    if candle.low > min(candle.open, candle.close):
        raise InvalidCandle(f"low {candle.low} is above the open or the close")
    if candle.high < max(candle.open, candle.close):
        raise InvalidCandle(f"high {candle.high} is below the open or the close")


def window_digest(candles: Sequence[Candle]) -> str:
    """SHA-256, in hex, over every field of every candle in order, as the store gives them (msgpack of the candles)."""
    return hashlib.sha256(_ENCODER.encode(candles)).hexdigest()
