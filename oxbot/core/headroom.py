"""What is used of each of a bot's risk limits at some marks, asked of the gate's own rules without an entry."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from events.identifiers import Symbol
from events.values import Instrument
from oxbot.core.bot_state import BotState
from oxbot.core.entry import exposures_at
from oxbot.core.money import ZERO, exact
from oxbot.core.risk import RULES
from oxbot.core.risk_context import EntryContext, Finding

WHOLE = ("trading_state", "leverage_max", "exposure_fraction_max", "net_exposure_fraction_max", "drawdown_max",
         "daily_loss_max")  # fmt: skip
"""Rules that say the same of the bot whatever it would enter next, so that an entry of nothing shows what is used."""

OF_SYMBOLS = ("cooldown_candles", "stop_guard", "profit_guard")
"""Rules that may hold one symbol back and not another."""

AT_LEAST = frozenset(OF_SYMBOLS)
"""Rules that ask for no less than the limit, where the others ask for no more."""


class Used(NamedTuple):
    """What a rule allows, what is used of it, and how much is left: below 0 where it is passed.

    ``symbol`` is that of which this is said, None for the bot as a whole. Where no less than the limit is asked for, as
    of candles since a trade, what is left is negative for as long as the rule holds entries back.
    """

    rule: str
    symbol: Symbol | None
    limit: Decimal
    used: Decimal
    left: Decimal
    kept: bool


def headroom(state: BotState, marks: Mapping[Symbol, Decimal], at: datetime) -> list[Used]:
    """What is used of each rule that can be asked without an entry, in the order of the rules.

    ``at`` is the open time of the newest closed candle. A symbol without a mark counts at what it was entered at.
    """
    with exact():
        return sorted(_used(state, marks, at), key=lambda used: (list(RULES).index(used.rule), used.symbol or ""))


def _used(state: BotState, marks: Mapping[Symbol, Decimal], at: datetime) -> Iterator[Used]:
    entered = {symbol: held.entry_price for symbol, held in state.ledger.positions.items()}
    known = dict.fromkeys(state.ledger.dust, ZERO) | entered | dict(marks)
    exposed = exposures_at(state, lambda symbol: known.get(symbol, ZERO))
    instruments = state.configuration.market.instruments
    limits = state.configuration.limits
    asked = _context(state, instruments[0], known, exposed, at)
    for rule in WHOLE:
        yield from _asked(rule, None, asked)
    yield _at_most("positions_max", None, Decimal(limits.positions_max), Decimal(len(exposed)))
    allowed = limits.position_fraction_max * asked.equity
    for symbol, notional in exposed.items():
        yield _at_most("position_fraction_max", symbol, allowed, abs(notional))
    if limits.trades_per_day_max is not None:
        yield _at_most("trades_per_day_max", None, Decimal(limits.trades_per_day_max), Decimal(state.entries_at(at)))
    for instrument in instruments:
        of_symbol = _context(state, instrument, known, exposed, at)
        for rule in OF_SYMBOLS:
            yield from _asked(rule, instrument.symbol, of_symbol)


def _context(
    state: BotState,
    instrument: Instrument,
    marks: Mapping[Symbol, Decimal],
    exposed: Mapping[Symbol, Decimal],
    at: datetime,
) -> EntryContext:
    """An entry of nothing."""
    bot = state.configuration
    equity = state.ledger.equity(marks)
    return EntryContext(
        symbol=instrument.symbol,
        side="long",
        instrument=instrument,
        notional=ZERO,
        mark=marks.get(instrument.symbol, ZERO),
        at=at,
        timeframe=state.candle,
        equity=equity,
        free_cash=state.free,
        fees=bot.fees,
        limits=bot.limits,
        exposures=exposed,
        day_start_equity=state.day_equity if state.day == at.date() else equity,
        leverage=state.leverage if instrument.kind == "perpetual" else Decimal(1),
        trading_state=state.trading,
        high_water=state.high_water,
        trades=state.trades,
        entries_today=state.entries_at(at),
    )


def _asked(rule: str, symbol: Symbol | None, context: EntryContext) -> Iterator[Used]:
    found = RULES[rule].compute(context)
    if found is not None:
        yield _shown(rule, symbol, found)


def _shown(rule: str, symbol: Symbol | None, found: Finding) -> Used:
    left = found.value - found.limit if rule in AT_LEAST else found.limit - found.value
    return Used(rule, symbol, found.limit, found.value, left, found.kept)


def _at_most(rule: str, symbol: Symbol | None, limit: Decimal, used: Decimal) -> Used:
    return Used(rule, symbol, limit, used, limit - used, used <= limit)
