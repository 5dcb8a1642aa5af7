"""Where an order stands in the paper venue's candle: whether the candle reaches it, and on which side of the open."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from events.bot import OrderAmended
from oxbot.core.candles import Candle
from oxbot.core.money import ZERO, ceil_to_step, floor_to_step
from oxbot.core.orders import PROTECTIVE_KINDS, Order
from oxbot.core.paper_prices import Terms

TRAIL_STEP_MIN = Decimal("0.001")
"""A trailing stop is moved by this fraction of its trigger at least, and by a tick: it bounds the facts it leaves."""


class Place(NamedTuple):
    """A price that the candle reaches: below or above where its way begins, at this distance from there (0: there)."""

    price: Decimal
    below: bool
    distance: Decimal


def at_market(order: Order, candle: Candle) -> bool:
    """Whether the order trades at the open at any price: a market order, or what an earlier candle left of a stop."""
    return order.kind == "market" or (order.limit_price_once_triggered is None and _triggered_before(order, candle))


def reached(level: Decimal, candle: Candle, *, below: bool, opened_beyond: bool = True) -> Place | None:
    """The place of a level that trades when the price falls (``below``) or rises to it; None if it does not.

    A candle that opens beyond the level trades it at the open, unless ``opened_beyond`` says that this does not count:
    then the way from the open came first.
    """
    if (candle.low > level) if below else (candle.high < level):
        return None
    gap = candle.open <= level if below else candle.open >= level
    if gap and opened_beyond:
        return Place(candle.open, below, ZERO)
    return Place(level, below, abs(level - candle.open))


def place(order: Order, candle: Candle, *, opened_beyond: bool = True) -> Place | None:
    """Where the candle reaches a resting order: its limit, or its trigger while it is not triggered."""
    if _rests_at_limit(order, candle):
        level, below = order.limit_price, order.side == "buy"
    else:
        level, below = order.trigger_price, (order.side == "sell") == (order.kind in PROTECTIVE_KINDS)
    return None if level is None else reached(level, candle, below=below, opened_beyond=opened_beyond)


def marketable(order: Order, price: Decimal) -> bool:
    """Whether an order with a limit would trade at this price; one without a limit always would."""
    limit = order.limit_price_once_triggered if order.kind != "limit" else order.limit_price
    if limit is None:
        return True
    return price <= limit if order.side == "buy" else price >= limit


def rested(order: Order, candle: Candle, terms: Terms) -> bool:
    """Whether the order stood in the book before this candle opened, so that it trades as maker."""
    if order.triggered_at is not None:
        return order.triggered_at < candle.open_time
    if order.parent_id is not None:
        return order.requested_at < candle.open_time
    return candle.open_time >= order.requested_at + (2 + terms.latency) * terms.duration


def ratcheted(order: Order, candle: Candle, terms: Terms, *, entered_on_the_way: bool) -> OrderAmended | None:
    """A trailing stop's new trigger after the candle: the given fraction from its best price, if that moves it enough.

    Short of its activation price it does not move; what the trigger has gained beyond it, a lesser price cannot add to.
    ``entered_on_the_way``: the best price may have come before the position, so only the close counts.
    """
    fraction, activation = order.trailing_fraction, order.activation_price
    if fraction is None or order.kind != "trailing_stop" or order.triggered_at is not None:
        return None
    tick, old = terms.instrument.tick, order.trigger_price
    if order.side == "sell":
        best = candle.close if entered_on_the_way else candle.high
        new = ceil_to_step(best * (1 - fraction), tick)
        moved = None if old is None else new - old
        active = activation is None or best >= activation
    else:
        best = candle.close if entered_on_the_way else candle.low
        new = floor_to_step(best * (1 + fraction), tick)
        moved = None if old is None else old - new
        active = activation is None or best <= activation
    least = max(tick, TRAIL_STEP_MIN * (old or ZERO))
    if not active or (moved is not None and moved < least):
        return None
    return OrderAmended(order_id=order.order_id, at=candle.open_time, reason="it trails the price", trigger_price=new)


def crossed(orders: Sequence[Order], candle: Candle) -> list[tuple[Order, Place]]:
    """The trailing stops that the candle crosses on its way from the best price to its close, in the order of the way.

    The close comes after the extreme to which they were moved, so what lies between the two has been crossed for
    certain. The extreme itself stands for a trigger that the tick has put beyond it.
    """
    found = []
    for order in orders:
        trigger, below = order.trigger_price, order.side == "sell"
        if order.kind != "trailing_stop" or trigger is None:
            continue
        if candle.close <= trigger if below else candle.close >= trigger:
            best = candle.high if below else candle.low
            price = min(trigger, best) if below else max(trigger, best)
            found.append((order, Place(price, below, abs(price - best))))
    found.sort(key=lambda each: each[1].distance)
    return found


def _rests_at_limit(order: Order, candle: Candle) -> bool:
    return order.kind == "limit" or (order.limit_price_once_triggered is not None and _triggered_before(order, candle))


def _triggered_before(order: Order, candle: Candle) -> bool:
    return order.triggered_at is not None and order.triggered_at < candle.open_time
