"""The rules of the risk gate about an entry's size: what it adds to what the bot, and its fleet, hold and can pay."""

import math
from decimal import Decimal

from events.identifiers import Symbol
from oxbot.core.ledger import initial_margin
from oxbot.core.money import ZERO
from oxbot.core.risk_context import EntryContext, Finding, at_least, at_most

_STATES = {"active": 0, "reducing": 1, "halted": 2}


def trading_state(entry: EntryContext) -> Finding:
    """0 is active, 1 reducing, 2 halted; only an active bot enters."""
    return at_most(0, _STATES[entry.trading_state])


def live_arming(entry: EntryContext) -> Finding:
    """1 if the bot trades with real money and is not armed until after the candle's close, or its account is shut."""
    return at_most(0, int(not entry.armed))


def data_quality(entry: EntryContext) -> Finding:
    """1 if something is wrong with the symbol's data."""
    return at_most(0, int(not entry.data_ok))


def order_validity(entry: EntryContext) -> Finding:
    """Whether a venue could take the order and its exits as they are asked for."""
    return at_most(0, int(entry.order_fault is not None))


def short_selling(entry: EntryContext) -> Finding:
    """Whether what is sold short is owed at a venue that lends it, which no spot market here does."""
    return at_most(0, int(entry.side == "short" and entry.instrument.kind == "spot"))


def one_position_per_symbol(entry: EntryContext) -> Finding:
    """How many positions the symbol would have."""
    return at_most(1, 1 + (entry.symbol in entry.exposures))


def positions_max(entry: EntryContext) -> Finding:
    """How many symbols would be committed."""
    return at_most(entry.limits.positions_max, len({*entry.exposures, entry.symbol}))


def position_fraction_max(entry: EntryContext) -> Finding:
    """The entry's notional."""
    return at_most(entry.limits.position_fraction_max * entry.equity, entry.notional)


def exposure_fraction_max(entry: EntryContext) -> Finding:
    """The notional of all positions, long and short alike."""
    return at_most(entry.limits.exposure_fraction_max * entry.equity, _gross(entry))


def net_exposure_fraction_max(entry: EntryContext) -> Finding | None:
    """The notional of longs less that of shorts, whichever is more."""
    limit = entry.limits.net_exposure_fraction_max
    return None if limit is None else at_most(limit * entry.equity, abs(_net(entry)))


def correlated_exposure_fraction_max(entry: EntryContext) -> Finding | None:
    """The notional of the entry and of what gains and loses with it.

    That is what is held in the same direction in a symbol of enough correlation, and in the other direction in one of
    as much negative correlation. What moves against the entry does not make room for it.
    """
    limit = entry.limits.correlated_exposure_fraction_max
    if limit is None:
        return None
    moving = sum((abs(held) for symbol, held in entry.exposures.items() if _moves_with(entry, symbol, held)), ZERO)
    return at_most(limit * entry.equity, moving + entry.notional)


def leverage_max(entry: EntryContext) -> Finding:
    """The leverage, against the bot's limit and the venue's."""
    return at_most(min(entry.limits.leverage_max, entry.instrument.leverage_max), entry.leverage)


def free_cash(entry: EntryContext) -> Finding:
    """What the entry takes: its notional, or the margin of a perpetual, and the taker fee."""
    fee = entry.notional * entry.fees.taker
    if entry.instrument.kind == "perpetual":
        return at_most(entry.free_cash, initial_margin(entry.notional, entry.leverage) + fee)
    return at_most(entry.free_cash, entry.notional + fee)


def sizing(entry: EntryContext) -> Finding:
    """The notional, which is 0 where sizing had no stop or no range to size by."""
    return Finding(ZERO, entry.notional, entry.notional > 0)


def minimum_notional(entry: EntryContext) -> Finding:
    """The notional, against the venue's smallest."""
    return at_least(entry.instrument.minimum_notional, entry.notional)


def notional_min(entry: EntryContext) -> Finding | None:
    """The notional, against the bot's own smallest."""
    limit = entry.limits.notional_min
    return None if limit is None else at_least(limit, entry.notional)


def fleet_exposure_max(entry: EntryContext) -> Finding | None:
    """The notional of all the fleet's positions; a fleet that is not known is allowed nothing."""
    limit, others, equity = entry.limits.fleet_exposure_max, entry.fleet_exposure, entry.fleet_equity
    if limit is None:
        return None
    if others is None or equity is None:
        return Finding(ZERO, entry.notional, kept=False)
    return at_most(limit * (equity + entry.equity), others + _gross(entry))


def fleet_net_exposure_max(entry: EntryContext) -> Finding | None:
    """The notional of the fleet's longs less that of its shorts; a fleet that is not known is allowed nothing."""
    limit, others, equity = entry.limits.fleet_net_exposure_max, entry.fleet_net_exposure, entry.fleet_equity
    if limit is None:
        return None
    if others is None or equity is None:
        return Finding(ZERO, entry.notional, kept=False)
    return at_most(limit * (equity + entry.equity), abs(others + _net(entry)))


def _gross(entry: EntryContext) -> Decimal:
    return sum((abs(held) for held in entry.exposures.values()), ZERO) + entry.notional


def _net(entry: EntryContext) -> Decimal:
    return sum(entry.exposures.values(), ZERO) + entry.directed(entry.notional)


def _moves_with(entry: EntryContext, symbol: Symbol, held: Decimal) -> bool:
    """Whether a position gains and loses with the entry; a correlation counts as the number it is written as."""
    correlation = Decimal(str(float(entry.correlations.get(symbol, math.nan))))
    if not correlation.is_finite():
        return True
    return correlation * (1 if entry.directed(held) > 0 else -1) >= entry.limits.correlation_min
