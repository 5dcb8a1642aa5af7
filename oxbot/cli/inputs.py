"""Turns what people type into values: moments, speeds, lists, parameters."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, get_args

from actors.victims import Victim
from events.errors import OxbotError
from events.identifiers import Symbol

MOMENT = "%Y-%m-%dT%H:%M:%SZ"
"""How a moment is shown, and may be given."""

_LENGTHS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class InvalidInput(OxbotError):
    """An argument that cannot be understood; the text names it and says what would be."""


class Kill(NamedTuple):
    """Kill a process once this fraction of the market has passed."""

    victim: Victim
    fraction: float


def parse_moment(text: str | None, option: str) -> datetime | None:
    """A date or an RFC 3339 time, in UTC unless it says otherwise."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"{option} {text!r} is not a date such as 2024-01-31 or a time such as 2024-01-31T12:00:00Z"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_until(until: str | None, lasting: str | None, now: datetime) -> datetime:
    """The moment of ``--until``, or ``now`` and what ``--for`` says, such as 8h."""
    if (until is None) == (lasting is None):
        raise InvalidInput("say --until a moment, or --for how long, such as --for 8h")
    moment = parse_moment(until, "--until")
    if moment is not None:
        return moment
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", lasting or "")
    if match is None:
        raise InvalidInput(f"--for {lasting!r} is not a number of minutes, hours or days such as 30m, 8h or 2d")
    return now + int(match[1]) * _LENGTHS[match[2]]


def parse_speed(text: str) -> float | None:
    """60 for "60x", sixty times as fast as the clock; None for "max"."""
    if text == "max":
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)x?", text)
    if match is None or float(match[1]) == 0:
        raise InvalidInput(f"--speed {text!r} is neither max nor a factor such as 60x")
    return float(match[1])


def parse_symbols(text: str) -> tuple[Symbol, ...]:
    """Symbols separated by commas, each once, in the order given."""
    symbols = tuple(Symbol(part.strip()) for part in text.split(","))
    for symbol in symbols:
        if re.fullmatch(r"[A-Z0-9]+/[A-Z0-9]+(:[A-Z0-9]+)?", symbol) is None:
            raise InvalidInput(f"--symbols: {symbol!r} is not a symbol such as BTC/USDT")
    if len(set(symbols)) != len(symbols):
        raise InvalidInput(f"--symbols {text!r} names a symbol twice")
    return symbols


def parse_amount(text: str, option: str) -> Decimal:
    """A finite decimal number."""
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise InvalidInput(f"{option} {text!r} is not a number") from error
    if not amount.is_finite():
        raise InvalidInput(f"{option} {text!r} is not a finite number")
    return amount


def parse_parameters(given: Sequence[str]) -> dict[str, str]:
    """``name=value`` pairs."""
    parameters: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidInput(f"--param {pair!r} is not of the form name=value")
        if name in parameters:
            raise InvalidInput(f"--param names {name} twice")
        parameters[name] = value
    return parameters


def parse_kills(given: Sequence[str]) -> list[Kill]:
    """``bot@30%``: which process to kill, and after how much of the market; in order of time."""
    kills: list[Kill] = []
    for text in given:
        match = re.fullmatch(r"([a-z]+)@([0-9]{1,2}(?:\.[0-9]+)?)%", text)
        if match is None or match[1] not in get_args(Victim):
            raise InvalidInput(f"--kill {text!r} is not one of {', '.join(get_args(Victim))} with a share, as bot@30%")
        kills.append(Kill(match[1], float(match[2]) / 100))  # type: ignore[arg-type]  # checked in the line above
    return sorted(kills, key=lambda kill: kill.fraction)
