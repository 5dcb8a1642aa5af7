"""From what a strategy wants to what the risk gate is asked: sizes, levels, and the bot's place in the market."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, get_args

import msgspec
import numpy as np

from events.identifiers import AdviceId, Symbol
from events.values import Bracket, Instrument, OrderKind, PositionSide, TimeInForce
from oxbot.core import indicators
from oxbot.core.candles import Candle
from oxbot.core.ledger import Position, initial_margin
from oxbot.core.live import entry_lot
from oxbot.core.market_view import CandleWindow, MarketView
from oxbot.core.money import AMOUNT_MAX, ZERO, ceil_to_step, floor_to_step, quantity_for_notional, ratio, text
from oxbot.core.risk import EntryContext
from oxbot.core.sizing import size
from oxbot.core.state import BotState
from oxbot.core.strategy import Signal

ATR_PERIOD = 14
CORRELATION_CANDLES = 30

_NUMBERS: Mapping[str, Decimal | None] = {
    "size_fraction": ZERO,
    "entry_price": None,
    "stop_loss": None,
    "take_profit": None,
    "confidence": None,
    "reduce_fraction": ZERO,
    "trigger_price": None,
}
"""A signal's numbers, and what stands for each where it is none."""


class Fleet(NamedTuple):
    """What the other bots of the fleet have at stake, as the log says up to a position.

    Notional of all their positions and of longs less shorts, and their equity; quote currency, at cost.
    """

    exposure: Decimal
    net_exposure: Decimal
    equity: Decimal
    position: int | None = None


class Entry(NamedTuple):
    """An entry as it would be requested; ``price`` is the worst it would trade at now, and all is measured from it."""

    price: Decimal
    side: PositionSide
    notional: Decimal
    size_fraction: Decimal
    leverage: Decimal
    limit_price: Decimal | None
    bracket: Bracket | None
    stop: Decimal | None
    target: Decimal | None
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce = "gtc"
    post_only: bool = False

    @property
    def kind(self) -> OrderKind:
        """The kind of its order."""
        if self.trigger_price is not None:
            return "stop" if self.limit_price is None else "stop_limit"
        return "market" if self.limit_price is None else "limit"


class Market(NamedTuple):
    """Where an entry is decided: the instrument, its newest candle, what the bot sees, its equity there.

    ``data_fault`` says what is wrong with the symbol's data, ``advice_id`` whose opinion was before it,
    ``account_fault`` why the account lets nothing enter.
    """

    instrument: Instrument
    candle: Candle
    view: MarketView
    timeframe: timedelta
    equity: Decimal
    fleet: Fleet | None
    data_fault: str = ""
    advice_id: AdviceId | None = None
    account_fault: str = ""


def fit(signal: Signal) -> tuple[Signal, str | None]:
    """The signal without the numbers that no order can be made of, and what is wrong with the first of them."""
    faults = {name: fault for name in _NUMBERS if (fault := _fault(getattr(signal, name))) is not None}
    if signal.confidence is not None and "confidence" not in faults and not 0 <= signal.confidence <= 1:
        faults["confidence"] = f"is {signal.confidence}, but must be from 0 to 1"
    part = signal.reduce_fraction
    if signal.intent == "reduce" and "reduce_fraction" not in faults and not 0 < part <= 1:
        faults["reduce_fraction"] = f"is {part}, but must be above 0 and at most 1"
    sound = msgspec.structs.replace(signal, **{name: _NUMBERS[name] for name in faults}) if faults else signal
    if signal.time_in_force not in get_args(TimeInForce):
        faults["time_in_force"] = f"is {signal.time_in_force}, but must be one of {', '.join(get_args(TimeInForce))}"
    return sound, next((f"{name} {fault}" for name, fault in faults.items()), None)


def planned(state: BotState, signal: Signal, market: Market) -> Entry:
    """The entry that the signal asks for, sized by the bot's method; prices to the tick.

    A limit is put away from the market, so that it never trades at a worse price than was asked for, and so is a
    trigger, which is reached no sooner.
    """
    bot, instrument, window = state.configuration, market.instrument, market.view[market.instrument.symbol]
    side: PositionSide = "short" if signal.intent == "enter_short" else "long"
    limit, trigger = signal.entry_price, signal.trigger_price
    if limit is not None:
        limit = floor_to_step(limit, instrument.tick) if side == "long" else ceil_to_step(limit, instrument.tick)
    if trigger is not None:
        trigger = ceil_to_step(trigger, instrument.tick) if side == "long" else floor_to_step(trigger, instrument.tick)
    price = _worst_price(market.candle.close, limit, trigger, side)
    bracket = _bracket(signal, price)
    stop, target = _levels(bracket, price, side)
    fraction = size(
        state.sizing,
        signal.size_fraction,
        price=price,
        stop=stop,
        atr_fraction=_atr_fraction(window, price) if state.sizing.method == "volatility" else None,
        trades=state.trades,
        fraction_max=bot.limits.position_fraction_max,
    )
    leverage = state.leverage if instrument.kind == "perpetual" else Decimal(1)
    return Entry(
        price=price,
        side=side,
        notional=market.equity * fraction,
        size_fraction=fraction,
        leverage=leverage,
        limit_price=limit,
        bracket=bracket,
        stop=stop,
        target=target,
        trigger_price=trigger,
        time_in_force=signal.time_in_force,
        post_only=bool(signal.post_only),
    )


def too_small(entry: Entry, market: Market) -> str | None:
    """Why no venue would take it, once its quantity is on the step: in contracts, of a perpetual. None if one would."""
    instrument = market.instrument
    price = entry.limit_price or entry.trigger_price or market.candle.close
    lot = entry_lot(instrument)
    quantity = quantity_for_notional(entry.notional, price, lot)
    if entry.notional > 0 and quantity <= 0:
        return f"{text(entry.notional)} buys less than the smallest quantity, {text(lot)}, at {text(price)}"
    if entry.notional > 0 and quantity * price < instrument.minimum_notional:
        least = text(instrument.minimum_notional)
        return f"{text(quantity)} is worth {text(quantity * price)}, below the smallest order of {least}"
    return None


def candles_needed(state: BotState) -> int:
    """How many candles sizing and the gate look at, whatever the strategy does: two show a gap between them."""
    by_range = 8 * ATR_PERIOD if state.sizing.method == "volatility" else 0
    limited = state.configuration.limits.correlated_exposure_fraction_max is not None
    return max(2, by_range, CORRELATION_CANDLES + 1 if limited else 0)


def context(
    state: BotState,
    signal: Signal,
    entry: Entry,
    market: Market,
    *,
    entries_this_cycle: int,
    order_fault: str | None = None,
) -> EntryContext:
    """All that the gate may look at."""
    bot, symbol, at = state.configuration, market.instrument.symbol, market.candle.open_time
    fleet = market.fleet
    return EntryContext(
        symbol=symbol,
        side=entry.side,
        instrument=market.instrument,
        notional=entry.notional,
        mark=market.candle.close,
        at=at,
        timeframe=market.timeframe,
        equity=market.equity,
        free_cash=state.free,
        fees=bot.fees,
        limits=bot.limits,
        exposures=exposures(state, market.view),
        day_start_equity=state.day_equity if state.day == at.date() else market.equity,
        leverage=entry.leverage,
        entry_price=None if entry.kind == "market" else entry.price,
        stop=entry.stop,
        target=entry.target,
        confidence=signal.confidence,
        trading_state=state.standing_at(at).trading,
        armed=_armed(state, at + market.timeframe) and not market.account_fault,
        data_ok=_follows(market) and not market.data_fault,
        order_fault=order_fault,
        correlations=_correlations(state, market) if bot.limits.correlated_exposure_fraction_max is not None else {},
        high_water=state.high_water,
        trades=state.trades,
        entries_today=state.entries_at(at),
        entries_this_cycle=entries_this_cycle,
        liquidation_price=_liquidation_price(entry, market),
        fleet_exposure=fleet.exposure if fleet else None,
        fleet_net_exposure=fleet.net_exposure if fleet else None,
        fleet_equity=fleet.equity if fleet else None,
    )


def exposures(state: BotState, view: MarketView) -> dict[Symbol, Decimal]:
    """Notional by symbol at the newest closes, entries at work included; below 0 for shorts."""
    return exposures_at(state, view.mark)


def exposures_at(state: BotState, mark: Callable[[Symbol], Decimal]) -> dict[Symbol, Decimal]:
    """The same at these marks."""
    found: dict[Symbol, Decimal] = {}
    for symbol, held in state.ledger.positions.items():
        found[symbol] = held.signed_quantity * mark(symbol)
    for order in state.orders.values():
        if order.reduce_only:
            continue
        if order.notional is not None:
            rest = order.notional - order.filled_notional
        else:
            rest = order.quantity_open * (order.limit_price or order.trigger_price or mark(order.symbol))
        found[order.symbol] = found.get(order.symbol, ZERO) + (rest if order.side == "buy" else -rest)
    return found


def _fault(number: Decimal | None) -> str | None:
    if number is None or (number.is_finite() and abs(number) < AMOUNT_MAX):
        return None
    return f"is {number}, but must be a number below {AMOUNT_MAX:f}"


def _worst_price(close: Decimal, limit: Decimal | None, trigger: Decimal | None, side: PositionSide) -> Decimal:
    """The worst at which it would trade, as far as that is known now.

    A limit beyond the market trades at the market, unless it waits for its trigger; a trigger that the market is beyond
    is reached at once.
    """
    if trigger is not None:
        beyond = max(trigger, close) if side == "long" else min(trigger, close)
        return beyond if limit is None else limit
    if limit is None:
        return close
    return min(limit, close) if side == "long" else max(limit, close)


def _armed(state: BotState, closed_at: datetime) -> bool:
    """Whether the bot may enter with real money; one on paper has none.

    Whether the time has run out on a clock that is not the candles' is for those to say who look at it.
    """
    if not state.live:
        return True
    return state.armed_until is not None and (state.clock_apart or state.armed_until > closed_at)


def _follows(market: Market) -> bool:
    """Whether the newest candle comes right after the one before it: after a gap nobody knows what it missed."""
    window = market.view[market.instrument.symbol]
    if len(window) < 2:  # noqa: PLR2004 - a candle and the one before it
        return True
    before, newest = window.candles(2)
    return newest.open_time - before.open_time == market.timeframe


def _bracket(signal: Signal, price: Decimal) -> Bracket | None:
    """The signal's bracket; levels that it names take the place of the fractions, which then say how far they are."""
    bracket, stop, target = signal.bracket, signal.stop_loss, signal.take_profit
    if stop is None and target is None:
        return bracket
    given = bracket or Bracket(stop_fraction=ZERO, target_fraction=ZERO)
    return Bracket(
        stop_fraction=given.stop_fraction if stop is None else abs(ratio(price - stop, price)),
        target_fraction=given.target_fraction if target is None else abs(ratio(target - price, price)),
        stop_price=given.stop_price if stop is None else stop,
        target_price=given.target_price if target is None else target,
        trailing_fraction=given.trailing_fraction,
        trailing_activation=given.trailing_activation,
        candles_max=given.candles_max,
        scale_out=given.scale_out,
    )


def _levels(bracket: Bracket | None, price: Decimal, side: PositionSide) -> tuple[Decimal | None, Decimal | None]:
    """Where the exits would stand if the entry traded at the price; exact, before they are put on the tick."""
    if bracket is None:
        return None, None
    sign = 1 if side == "long" else -1
    stop, target = bracket.stop_price, bracket.target_price
    distance = bracket.stop_fraction or (bracket.trailing_fraction if not bracket.trailing_activation else None)
    if stop is None and distance:
        stop = price * (1 - sign * distance)
    if target is None and bracket.target_fraction:
        target = price * (1 + sign * bracket.target_fraction)
    return stop, target


def _atr_fraction(window: CandleWindow, price: Decimal) -> float | None:
    """The average true range over the price, from the whole window."""
    count = len(window)
    if count <= ATR_PERIOD or price <= 0:
        return None

    def compute() -> float:
        return float(indicators.atr(window.highs(count), window.lows(count), window.closes(count), ATR_PERIOD)[-1])

    return window.memo(("atr", ATR_PERIOD, count), compute) / float(price)


def _correlations(state: BotState, market: Market) -> Mapping[Symbol, float]:
    """Correlation of the last simple returns with each other symbol that is committed; left out where too short."""
    own = market.view[market.instrument.symbol]
    found: dict[Symbol, float] = {}
    for symbol in exposures(state, market.view):
        other = market.view[symbol]
        count = min(len(own), len(other), CORRELATION_CANDLES + 1)
        if symbol == market.instrument.symbol or count <= CORRELATION_CANDLES:
            continue
        if np.array_equal(own.open_times(count), other.open_times(count)):
            newest = float(indicators.correlation(own.closes(count), other.closes(count), CORRELATION_CANDLES)[-1])
            if np.isfinite(newest):
                found[symbol] = newest
    return found


def _liquidation_price(entry: Entry, market: Market) -> Decimal | None:
    if market.instrument.kind == "spot":
        return None
    price = entry.price
    quantity = quantity_for_notional(entry.notional, price, market.instrument.lot) if price > 0 else ZERO
    if quantity <= 0:
        return None
    position = Position(
        symbol=market.instrument.symbol,
        opened_at=market.candle.open_time,
        traded_at=market.candle.open_time,
        entry_quantity=quantity,
        entry_cost=quantity * price,
        kind="perpetual",
        side=entry.side,
        leverage=entry.leverage,
        margin=initial_margin(quantity * price, entry.leverage),
    )
    return position.liquidation_price(market.instrument)
