"""What a fill does to the orders beside it: what one exit has traded, the others may not trade again."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from events.bot import OrderAmended, OrderCancelled, OrderFilled
from events.identifiers import OrderId
from oxbot.core.money import ZERO
from oxbot.core.orders import CLOSED, PROTECTIVE_KINDS, Order

GONE = "the position is closed"


def orphans(orders: Sequence[Order], *, exit_side: str | None) -> list[Order]:
    """The orders that have lost their purpose, oldest first; ``exit_side`` is None while nothing is held.

    They are those that only reduce, with nothing to reduce; and the rest of an entry that traded in part and whose
    position is closed.
    """
    return [
        order
        for order in orders
        if (order.reduce_only and order.side != exit_side)
        or (exit_side is None and not order.reduce_only and order.filled_quantity > 0)
    ]


def after_fill(
    order: Order, fill: OrderFilled, *, orders: Sequence[Order], held: Decimal | None
) -> Iterator[OrderAmended | OrderCancelled]:
    """How the other orders shrink once an order has traded; ``held`` is what an exit leaves to reduce (None: an entry).

    The members of an ``oco_group`` lose what one of them traded. Of the exits that rest, the stops together and the
    targets together never stand for more than is held: a bracket's stop shrinks by what a scale-out took. The rest of
    an entry goes when one of its exits has traded.
    """
    others = [other for other in orders if other.order_id != order.order_id and other.status not in CLOSED]
    left = {other.order_id: other.quantity_open for other in others}
    for other in others:
        if order.oco_group and other.oco_group == order.oco_group:
            whole = fill.complete or other.quantity is None
            left[other.order_id] = ZERO if whole else max(ZERO, left[other.order_id] - fill.quantity)
    if held is not None:
        rest = ZERO if fill.complete else order.quantity_open - fill.quantity
        _cut(order, rest, others, left=left, held=held)
    grouped = {other.order_id for other in others if order.oco_group and other.oco_group == order.oco_group}
    for other in others:
        parent, quantity = other.order_id == order.parent_id, left[other.order_id]
        if parent or (quantity == 0 and (other.quantity is not None or other.order_id in grouped)):
            reason = "one of its exits has traded" if parent else f"order {order.order_id} has traded"
            yield OrderCancelled(order_id=other.order_id, at=fill.at, reason=reason)
        elif quantity < other.quantity_open:
            yield OrderAmended(
                order_id=other.order_id,
                at=fill.at,
                reason=f"order {order.order_id} has traded",
                quantity=other.filled_quantity + quantity,
            )


def _cut(order: Order, rest: Decimal, others: Sequence[Order], *, left: dict[OrderId, Decimal], held: Decimal) -> None:
    """Lower ``left`` until neither the resting stops nor the resting targets stand for more than is held."""
    resting = [other for other in others if other.reduce_only and other.kind != "market"]
    for protective in (True, False):
        side = [other for other in resting if (other.kind in PROTECTIVE_KINDS) == protective]
        own = order.kind != "market" and (order.kind in PROTECTIVE_KINDS) == protective
        excess = sum((left[other.order_id] for other in side), ZERO) - held
        if own:
            excess += rest
        # The bracket's own targets first, the farthest of them (the last placed) before the others.
        side.reverse()
        side.sort(key=lambda each: each.parent_id != order.parent_id)
        for other in side:
            if excess <= 0:
                break
            cut = min(excess, left[other.order_id])
            left[other.order_id] -= cut
            excess -= cut
