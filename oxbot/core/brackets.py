"""The exits that a filled entry brings with it: stop or trailing stop, scale-outs, target, and a limit of time."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from events.bot import OrderAmended, OrderFilled, OrderReason, OrderRequested
from events.identifiers import OrderId
from events.values import Bracket, Instrument, OrderKind, PositionSide
from oxbot.core.money import ZERO, ceil_to_step, floor_to_step
from oxbot.core.orders import PROTECTIVE_KINDS, Order

OrderNumbers = Callable[[int], OrderId]
"""The id of the n-th order from here on, counted from 1."""


class _Leg(NamedTuple):
    """One exit of a bracket."""

    kind: OrderKind
    reason: OrderReason
    trigger: Decimal | None
    quantity: Decimal
    trailing_fraction: Decimal | None = None
    activation: Decimal | None = None


def bracket_facts(
    entry: Order,
    fill: OrderFilled,
    *,
    working: Sequence[Order],
    held: Decimal,
    instrument: Instrument,
    numbers: OrderNumbers,
) -> Sequence[OrderRequested | OrderAmended]:
    """What a fill of an entry with a bracket causes: its first fill the exits, a later one more quantity for them.

    ``held`` is the position after the fill, in base currency, and ``working`` are the symbol's orders: what the exits
    of other entries cover is theirs. The exits' levels stay where the first fill put them.
    """
    if entry.bracket is None:
        return []
    held -= _covered(entry, working)
    placed = [order for order in working if order.parent_id == entry.order_id and order.reduce_only]
    if placed:
        return list(
            _extended(entry.bracket, placed, fill, held=floor_to_step(held, instrument.lot), instrument=instrument)
        )
    return children(entry, fill, held=held, instrument=instrument, numbers=numbers)


def children(
    entry: Order, fill: OrderFilled, *, held: Decimal, instrument: Instrument, numbers: OrderNumbers
) -> list[OrderRequested]:
    """The exits of an entry's first fill, in order: stop or trailing stop, scale-outs, target.

    Stops cover all that is held, to the lot; scale-outs their share of it, rounded down; the target what they leave.
    Levels are rounded to the tick towards the fill price.
    """
    if entry.bracket is None:
        return []
    legs = _legs(
        entry.bracket, fill.price, "long" if entry.side == "buy" else "short", held=held, instrument=instrument
    )
    return [
        OrderRequested(
            order_id=numbers(number),
            at=fill.at,
            symbol=entry.symbol,
            side="sell" if entry.side == "buy" else "buy",
            kind=leg.kind,
            reason=leg.reason,
            quantity=leg.quantity,
            trigger_price=leg.trigger,
            reduce_only=True,
            parent_id=entry.order_id,
            activation_price=leg.activation,
            trailing_fraction=leg.trailing_fraction,
            leverage=entry.leverage if instrument.kind == "perpetual" else None,
        )
        for number, leg in enumerate(legs, start=1)
    ]


def time_is_up(bracket: Bracket | None, *, opened_at: datetime, candle_open: datetime, duration: timedelta) -> bool:
    """Whether a position must be closed at the open after this candle, which is its ``candles_max``-th or a later one.

    The candle in which it was opened is the first.
    """
    if bracket is None or bracket.candles_max is None:
        return False
    return (candle_open - opened_at) // duration + 1 >= bracket.candles_max


def protective_level(price: Decimal, distance: Decimal, side: PositionSide, tick: Decimal) -> Decimal:
    """The price that is this fraction against the position, rounded to the tick towards ``price``."""
    return ceil_to_step(price * (1 - distance), tick) if side == "long" else floor_to_step(price * (1 + distance), tick)


def profit_level(price: Decimal, distance: Decimal, side: PositionSide, tick: Decimal) -> Decimal:
    """The price that is this fraction in the position's favour, rounded to the tick towards ``price``; 0 for none."""
    if side == "long":
        return floor_to_step(price * (1 + distance), tick)
    return ceil_to_step(max(ZERO, price * (1 - distance)), tick)


def _legs(
    bracket: Bracket, price: Decimal, side: PositionSide, *, held: Decimal, instrument: Instrument
) -> Iterator[_Leg]:
    left = floor_to_step(held, instrument.lot)
    if left <= 0:
        return
    stop = _stop(bracket, price, side, instrument.tick)
    if stop is not None:
        yield stop._replace(quantity=left)
    shares = _shares(bracket, left, instrument.lot)
    for step, quantity in zip(bracket.scale_out, shares, strict=True):
        level = profit_level(price, step.target_fraction, side, instrument.tick)
        if quantity > 0 and level > 0:
            left -= quantity
            yield _Leg("take_profit", "scale_out", level, quantity)
    target = bracket.target_price
    if target is None and bracket.target_fraction > 0:
        target = profit_level(price, bracket.target_fraction, side, instrument.tick)
    elif target is not None:
        target = floor_to_step(target, instrument.tick) if side == "long" else ceil_to_step(target, instrument.tick)
    if target and left > 0:
        yield _Leg("take_profit", "take_profit", target, left)


def _stop(bracket: Bracket, price: Decimal, side: PositionSide, tick: Decimal) -> _Leg | None:
    fixed = bracket.stop_price
    if fixed is not None:
        fixed = ceil_to_step(fixed, tick) if side == "long" else floor_to_step(fixed, tick)
    elif bracket.stop_fraction > 0:
        fixed = protective_level(price, bracket.stop_fraction, side, tick)
    if bracket.trailing_fraction is None:
        return None if fixed is None else _Leg("stop", "stop_loss", fixed, ZERO)
    if bracket.trailing_activation > 0:
        # It begins to trail at this price or a better one: the tick away from the fill.
        reached = price * (1 + bracket.trailing_activation if side == "long" else 1 - bracket.trailing_activation)
        activation = ceil_to_step(reached, tick) if side == "long" else floor_to_step(max(ZERO, reached), tick)
        if activation == 0:
            return None if fixed is None else _Leg("stop", "stop_loss", fixed, ZERO)
        return _Leg("trailing_stop", "trailing_stop", fixed, ZERO, bracket.trailing_fraction, activation)
    trail = protective_level(price, bracket.trailing_fraction, side, tick)
    tighter = max if side == "long" else min
    trigger = trail if fixed is None else tighter(trail, fixed)
    return _Leg("trailing_stop", "trailing_stop", trigger, ZERO, bracket.trailing_fraction)


def _covered(entry: Order, working: Sequence[Order]) -> Decimal:
    """What the exits of other entries stand for: their stops together, or their targets if those are more."""
    others = [order for order in working if order.reduce_only and order.parent_id not in {None, entry.order_id}]
    stops = sum((order.quantity_open for order in others if order.kind in PROTECTIVE_KINDS), ZERO)
    return max(stops, sum((order.quantity_open for order in others), ZERO) - stops)


def _shares(bracket: Bracket, quantity: Decimal, lot: Decimal) -> list[Decimal]:
    return [floor_to_step(step.share * quantity, lot) for step in bracket.scale_out]


def _extended(
    bracket: Bracket, placed: Sequence[Order], fill: OrderFilled, *, held: Decimal, instrument: Instrument
) -> Iterator[OrderAmended]:
    steps = [order for order in placed if order.reason == "scale_out"]
    shares = _shares(bracket, held, instrument.lot)
    # A share too small for a lot at the first fill has no order of its own; then the target takes all that is new.
    wanted = shares if len(shares) == len(steps) else [order.quantity or ZERO for order in steps]
    quantities = {order.order_id: quantity for order, quantity in zip(steps, wanted, strict=True)}
    for order in placed:
        if order.kind in PROTECTIVE_KINDS:
            quantities[order.order_id] = held
        elif order.reason == "take_profit":
            quantities[order.order_id] = held - sum(wanted, ZERO)
    for order in placed:
        # What an exit has traded is no longer held.
        quantity = quantities.get(order.order_id, ZERO) + order.filled_quantity
        if order.quantity is not None and quantity > order.quantity:
            yield OrderAmended(order_id=order.order_id, at=fill.at, reason="the entry traded more", quantity=quantity)
