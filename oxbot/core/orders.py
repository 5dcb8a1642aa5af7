"""A bot's orders from request to end, and which steps between are legal."""

from datetime import datetime
from decimal import Decimal
from typing import Literal, assert_never

import msgspec

from events.bot import (
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderReason,
    OrderRejected,
    OrderRequested,
)
from events.errors import OxbotError
from events.identifiers import DecisionId, OrderId, Symbol
from events.values import Bracket, OrderKind, Side
from oxbot.core.money import ZERO

OrderStatus = Literal["requested", "accepted", "partially_filled", "filled", "cancelled", "rejected", "expired"]
OrderProgress = OrderAccepted | OrderRejected | OrderFilled | OrderCancelled | OrderExpired

CLOSED: frozenset[OrderStatus] = frozenset({"filled", "cancelled", "rejected", "expired"})


class IllegalTransition(OxbotError):
    """A fact that cannot follow what the log already says of the order."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order: sized by base ``quantity`` or by quote ``notional``, never both.

    ``reserved`` is the quote currency that cash must keep free for it, fee included.
    """

    order_id: OrderId
    symbol: Symbol
    side: Side
    kind: OrderKind
    reason: OrderReason
    quantity: Decimal | None
    notional: Decimal | None
    trigger_price: Decimal | None
    bracket: Bracket | None
    reduce_only: bool
    parent_id: OrderId | None
    decision_id: DecisionId | None
    requested_at: datetime
    status: OrderStatus = "requested"
    filled_quantity: Decimal = ZERO
    filled_notional: Decimal = ZERO
    fees: Decimal = ZERO
    reserved: Decimal = ZERO


def requested(fact: OrderRequested, *, taker_fee: Decimal) -> Order:
    """The order as it begins. A buy by notional reserves that and its taker fee; nothing else needs cash."""
    return Order(
        order_id=fact.order_id,
        symbol=fact.symbol,
        side=fact.side,
        kind=fact.kind,
        reason=fact.reason,
        quantity=fact.quantity,
        notional=fact.notional,
        trigger_price=fact.trigger_price,
        bracket=fact.bracket,
        reduce_only=fact.reduce_only,
        parent_id=fact.parent_id,
        decision_id=fact.decision_id,
        requested_at=fact.at,
        reserved=fact.notional * (1 + taker_fee) if fact.side == "buy" and fact.notional is not None else ZERO,
    )


def progressed(order: Order, fact: OrderProgress) -> Order:
    """The order after a fact about it; raises ``IllegalTransition`` for one that cannot follow."""
    if order.status in CLOSED:
        raise IllegalTransition(f"order {order.order_id} is {order.status}; {type(fact).__name__} cannot follow")
    match fact:
        case OrderAccepted():
            # An acceptance may come after the first fills; it then says nothing new.
            return msgspec.structs.replace(order, status="accepted") if order.status == "requested" else order
        case OrderRejected():
            return msgspec.structs.replace(order, status="rejected", reserved=ZERO)
        case OrderCancelled():
            return msgspec.structs.replace(order, status="cancelled", reserved=ZERO)
        case OrderExpired():
            return msgspec.structs.replace(order, status="expired", reserved=ZERO)
        case OrderFilled():
            return _filled(order, fact)
        case _:
            assert_never(fact)


def _filled(order: Order, fill: OrderFilled) -> Order:
    quantity = order.filled_quantity + fill.quantity
    notional = order.filled_notional + fill.quantity * fill.price
    if order.quantity is not None and quantity > order.quantity:
        raise IllegalTransition(f"order {order.order_id} asked for {order.quantity}, but {quantity} would be filled")
    if order.notional is not None and notional > order.notional:
        raise IllegalTransition(f"order {order.order_id} asked for {order.notional} in all, but {notional} would trade")
    return msgspec.structs.replace(
        order,
        status="filled" if fill.complete else "partially_filled",
        filled_quantity=quantity,
        filled_notional=notional,
        fees=order.fees + fill.fee,
        reserved=ZERO if fill.complete else max(ZERO, order.reserved - fill.quantity * fill.price - fill.fee),
    )
