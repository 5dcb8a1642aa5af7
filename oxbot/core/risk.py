"""The one gate that every entry passes: each limit is a rule in one table, each refusal names rule, limit and value."""

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import msgspec

from events.errors import OxbotError
from events.identifiers import Symbol
from events.values import Bracket, RiskLimits
from oxbot.core import money
from oxbot.core.money import ZERO
from oxbot.core.state import BotState


class InvalidLimits(OxbotError):
    """Risk limits that make no sense; the text names the field and its bounds."""


class EntryRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that a strategy wants: quote notional and protective exits, with equity, exposure and the price now."""

    symbol: Symbol
    notional: Decimal
    equity: Decimal
    exposure: Decimal
    mark: Decimal
    bracket: Bracket | None


class Denial(NamedTuple):
    """Why an entry was refused: the rule, what it allows, and what was asked."""

    rule: str
    limit: Decimal
    value: Decimal


Rule = Callable[[BotState, EntryRequest], tuple[Decimal, Decimal]]
"""A rule answers (limit, value); it is kept if value <= limit."""


def _position_fraction(state: BotState, entry: EntryRequest) -> tuple[Decimal, Decimal]:
    return state.configuration.limits.position_fraction_max * entry.equity, entry.notional


def _positions(state: BotState, entry: EntryRequest) -> tuple[Decimal, Decimal]:
    return Decimal(state.configuration.limits.positions_max), Decimal(len(_committed_symbols(state) | {entry.symbol}))


def _one_per_symbol(state: BotState, entry: EntryRequest) -> tuple[Decimal, Decimal]:
    return Decimal(1), Decimal(1 + (entry.symbol in _committed_symbols(state)))


def _exposure(state: BotState, entry: EntryRequest) -> tuple[Decimal, Decimal]:
    limit = state.configuration.limits.exposure_fraction_max * entry.equity
    pending = sum((order.notional or ZERO for order in state.orders.values() if order.side == "buy"), ZERO)
    return limit, entry.exposure + pending + entry.notional


def _cash(state: BotState, entry: EntryRequest) -> tuple[Decimal, Decimal]:
    return state.ledger.cash - state.reserved, entry.notional * (1 + state.configuration.fees.taker)


def _minimum_notional(state: BotState, entry: EntryRequest) -> tuple[Decimal, Decimal]:
    return -state.instrument(entry.symbol).minimum_notional, -entry.notional


def _tick_fits_bracket(state: BotState, entry: EntryRequest) -> tuple[Decimal, Decimal]:
    """A tick wider than the way to the stop or the target would put them on the wrong side of the price."""
    tick = state.instrument(entry.symbol).tick
    if entry.bracket is None:
        return tick, tick
    return entry.mark * min(entry.bracket.stop_fraction, entry.bracket.target_fraction), tick


RULES: dict[str, Rule] = {
    "one_position_per_symbol": _one_per_symbol,
    "positions_max": _positions,
    "position_fraction_max": _position_fraction,
    "exposure_fraction_max": _exposure,
    "free_cash": _cash,
    "minimum_notional": _minimum_notional,
    "tick_fits_bracket": _tick_fits_bracket,
}
"""Every rule by name, in the order in which they are asked."""


def assess(state: BotState, entry: EntryRequest) -> Denial | None:
    """The first rule that refuses the entry, or None if all allow it. A value exactly at its limit passes."""
    for name, rule in RULES.items():
        limit, value = rule(state, entry)
        if value > limit:
            return Denial(name, abs(limit), abs(value))
    return None


def check_limits(limits: RiskLimits) -> None:
    """Raise ``InvalidLimits`` for limits outside what any bot may have."""
    for name in ("position_fraction_max", "exposure_fraction_max"):
        value: Decimal = getattr(limits, name)
        if not 0 < value <= 1:
            raise InvalidLimits(f"limit {name} must be above 0 and at most 1, not {value}")
        if (fault := money.fault(value)) is not None:
            raise InvalidLimits(f"limit {name} {fault}")
    if limits.positions_max < 1:
        raise InvalidLimits(f"limit positions_max must be at least 1, not {limits.positions_max}")


def _committed_symbols(state: BotState) -> set[Symbol]:
    return set(state.ledger.positions) | {order.symbol for order in state.orders.values() if order.side == "buy"}
