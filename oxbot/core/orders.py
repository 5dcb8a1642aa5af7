"""A bot's orders from request to end: one table says which fact may follow which status, and where it leads."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple, assert_never

import msgspec

from events.bot import (
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderInDoubt,
    OrderProgress,
    OrderReason,
    OrderRejected,
    OrderRequested,
    OrderTriggered,
)
from events.errors import OxbotError
from events.identifiers import DecisionId, OrderId, Symbol
from events.values import Bracket, InstrumentKind, OrderKind, Side, TimeInForce
from oxbot.core.ledger import initial_margin
from oxbot.core.money import ZERO

OrderStatus = Literal[
    "requested", "accepted", "triggered", "partially_filled", "pending_cancel", "in_doubt",
    "filled", "cancelled", "rejected", "expired",
]  # fmt: skip
OrderEvent = Literal[
    "accepted", "rejected", "in_doubt", "triggered", "amended", "cancel_requested", "cancel_rejected",
    "filled_in_part", "filled_in_full", "cancelled", "expired",
]  # fmt: skip
Step = OrderStatus | Literal["as_before"]
"""The status that a fact leads to; "as_before" is what the order was before a cancel was asked for or a doubt arose."""

_SMALLEST = Decimal("1e-18")

CLOSED: frozenset[OrderStatus] = frozenset({"filled", "cancelled", "rejected", "expired"})
TRIGGERED_KINDS: frozenset[OrderKind] = frozenset({"stop", "stop_limit", "take_profit", "trailing_stop"})
PROTECTIVE_KINDS: frozenset[OrderKind] = frozenset({"stop", "stop_limit", "trailing_stop"})
LIMITED_KINDS: frozenset[OrderKind] = frozenset({"limit", "stop_limit", "take_profit"})

_ENDS: Mapping[OrderEvent, Step] = {
    "rejected": "rejected",
    "filled_in_full": "filled",
    "cancelled": "cancelled",
    "expired": "expired",
}
_WORKS: Mapping[OrderEvent, Step] = {
    **_ENDS,
    "in_doubt": "in_doubt",
    "cancel_requested": "pending_cancel",
    "filled_in_part": "partially_filled",
}
LEGAL: Mapping[OrderStatus, Mapping[OrderEvent, Step]] = {
    "requested": {**_WORKS, "accepted": "accepted", "triggered": "triggered", "amended": "requested"},
    "accepted": {**_WORKS, "accepted": "accepted", "triggered": "triggered", "amended": "accepted"},
    # What the venue says of an earlier step may come late; it then says nothing new.
    "triggered": {**_WORKS, "accepted": "triggered", "amended": "triggered"},
    "partially_filled": {
        **_WORKS,
        "accepted": "partially_filled",
        "triggered": "partially_filled",
        "amended": "partially_filled",
    },
    "pending_cancel": {
        **_ENDS,
        "accepted": "pending_cancel",
        "in_doubt": "in_doubt",
        "triggered": "pending_cancel",
        "amended": "pending_cancel",
        "cancel_rejected": "as_before",
        "filled_in_part": "pending_cancel",
    },
    "in_doubt": {
        **_ENDS,
        "accepted": "as_before",
        "in_doubt": "in_doubt",
        "cancel_requested": "in_doubt",
        "filled_in_part": "as_before",
    },
    "filled": {"cancel_rejected": "filled"},
    "cancelled": {"filled_in_part": "cancelled", "filled_in_full": "cancelled"},
    "rejected": {"cancel_rejected": "rejected"},
    "expired": {"filled_in_part": "expired", "filled_in_full": "expired", "cancel_rejected": "expired"},
}
"""Every legal step; what is not here is refused, with the reason that ``refusal`` gives."""

_REFUSALS: Mapping[OrderStatus, str] = {
    "requested": "no cancel was asked for",
    "accepted": "no cancel was asked for",
    "triggered": "no cancel was asked for",
    "partially_filled": "no cancel was asked for",
    "pending_cancel": "a cancel was asked for already",
    "in_doubt": "a doubt ends only when the venue says accepted, rejected, filled, cancelled or expired",
    "filled": "it has traded in full",
    "cancelled": "after a cancel only a late fill may follow",
    "rejected": "the venue refused it",
    "expired": "after its end only a late fill may follow",
}


class IllegalTransition(OxbotError):
    """A fact that cannot follow what the log already says of the order."""


class Funds(NamedTuple):
    """What decides how much cash a new entry keeps: the taker fee, and for an order by quantity a price.

    ``mark`` is the newest price; a limit or a trigger takes its place. A perpetual keeps margin, not notional.
    """

    taker_fee: Decimal
    kind: InstrumentKind = "spot"
    mark: Decimal | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order: sized by base ``quantity`` or by quote ``notional``, never both.

    ``reserved`` is the quote currency that cash must keep free for it, fee included. ``base_fees`` is what the venue
    kept of the base currency bought. ``triggered_at`` is the candle in which its trigger was reached.
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
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = "gtc"
    post_only: bool = False
    trailing_fraction: Decimal | None = None
    activation_price: Decimal | None = None
    oco_group: str = ""
    expires_at: datetime | None = None
    leverage: Decimal = Decimal(1)
    status: OrderStatus = "requested"
    venue_order_id: str = ""
    triggered_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    fills: int = 0
    filled_quantity: Decimal = ZERO
    filled_notional: Decimal = ZERO
    fees: Decimal = ZERO
    base_fees: Decimal = ZERO
    funds: Funds = Funds(ZERO)
    reserved: Decimal = ZERO

    @property
    def limit_price_once_triggered(self) -> Decimal | None:
        """The limit at which a stop-limit, or a take-profit with a limit, rests from its trigger on."""
        return self.limit_price if self.kind in {"stop_limit", "take_profit"} else None

    @property
    def received(self) -> Decimal:
        """Base currency that its fills have moved, without what the venue kept as fees."""
        return self.filled_quantity - self.base_fees

    @property
    def quantity_open(self) -> Decimal:
        """Base quantity that has not traded; 0 for an order by notional, whose rest depends on the price."""
        return ZERO if self.quantity is None else self.quantity - self.filled_quantity


def requested(
    fact: OrderRequested, *, taker_fee: Decimal, kind: InstrumentKind = "spot", mark: Decimal | None = None
) -> Order:
    """The order as it begins. An entry reserves its notional (of a perpetual: its margin) and its taker fee.

    An entry by quantity counts at its limit, at its trigger, or at the ``mark``; without any it reserves nothing. What
    reduces a position needs no cash.
    """
    order = Order(
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
        limit_price=fact.limit_price,
        time_in_force=fact.time_in_force,
        post_only=fact.post_only,
        trailing_fraction=fact.trailing_fraction,
        oco_group=fact.oco_group,
        expires_at=fact.expires_at,
        leverage=fact.leverage or Decimal(1),
        activation_price=fact.activation_price,
        funds=Funds(taker_fee, kind, mark),
    )
    return msgspec.structs.replace(order, reserved=_reserve(order))


def progressed(order: Order, fact: OrderProgress) -> Order:
    """The order after a fact about it; raises ``IllegalTransition``, with the reason, for one that cannot follow.

    A fill may follow a cancel or an expiry: what has traded counts, and the order stays ended.
    """
    reason = refusal(order, fact)
    if reason is not None:
        name = type(fact).__name__
        raise IllegalTransition(f"order {order.order_id} is {order.status}; {name} cannot follow: {reason}")
    step = LEGAL[order.status][event_of(fact)]
    after = _recorded(order, fact)
    after = msgspec.structs.replace(after, status=_as_before(after) if step == "as_before" else step)
    return msgspec.structs.replace(after, reserved=_reserve(after))


def refusal(order: Order, fact: OrderProgress) -> str | None:
    """Why the fact cannot follow; None if it can."""
    event = event_of(fact)
    if event not in LEGAL[order.status]:
        twice = event == "triggered" and order.status == "triggered"
        return "its trigger was reached before" if twice else _REFUSALS[order.status]
    match fact:
        case OrderTriggered() if order.kind not in TRIGGERED_KINDS:
            return f"a {order.kind} order has no trigger"
        case OrderAmended():
            return _bad_amendment(order, fact)
        case OrderFilled():
            return _bad_fill(order, fact)
        case _:
            return None


def event_of(fact: OrderProgress) -> OrderEvent:
    """The fact's column in the table."""
    match fact:
        case OrderAccepted():
            return "accepted"
        case OrderRejected():
            return "rejected"
        case OrderInDoubt():
            return "in_doubt"
        case OrderTriggered():
            return "triggered"
        case OrderAmended():
            return "amended"
        case OrderCancelRequested():
            return "cancel_requested"
        case OrderCancelRejected():
            return "cancel_rejected"
        case OrderFilled():
            return "filled_in_full" if fact.complete else "filled_in_part"
        case OrderCancelled():
            return "cancelled"
        case OrderExpired():
            return "expired"
        case _:
            assert_never(fact)


def _bad_fill(order: Order, fill: OrderFilled) -> str | None:
    if fill.quantity <= 0 or fill.price <= 0:
        return f"a fill of {fill.quantity} at {fill.price} is none"
    quantity = order.filled_quantity + fill.quantity
    if order.quantity is not None and quantity > order.quantity:
        return f"order {order.order_id} asked for {order.quantity}, but {quantity} would be filled"
    notional = order.filled_notional + fill.quantity * fill.price
    if order.notional is not None and notional > order.notional:
        return f"order {order.order_id} asked for {order.notional} in all, but {notional} would trade"
    return None


def _bad_amendment(order: Order, fact: OrderAmended) -> str | None:
    prices = (fact.limit_price, fact.trigger_price)
    if any(value is not None and value <= 0 for value in (fact.quantity, *prices)):
        return "what it is amended to must be above 0"
    if fact.quantity is not None:
        if order.quantity is None:
            return "it has no quantity, but a notional"
        if fact.quantity < order.filled_quantity:
            return f"{order.filled_quantity} of it has traded, which is more than {fact.quantity}"
    if fact.limit_price is not None and order.limit_price is None:
        return "it has no limit"
    if fact.trigger_price is not None and order.kind not in TRIGGERED_KINDS:
        return f"a {order.kind} order has no trigger"
    return None


def _recorded(order: Order, fact: OrderProgress) -> Order:
    replace = msgspec.structs.replace
    match fact:
        case OrderAccepted():
            return replace(order, venue_order_id=fact.venue_order_id or order.venue_order_id)
        case OrderTriggered():
            return replace(order, triggered_at=order.triggered_at or fact.at)
        case OrderAmended():
            return replace(
                order,
                quantity=order.quantity if fact.quantity is None else fact.quantity,
                limit_price=order.limit_price if fact.limit_price is None else fact.limit_price,
                trigger_price=order.trigger_price if fact.trigger_price is None else fact.trigger_price,
            )
        case OrderCancelRequested():
            return replace(order, cancel_requested_at=fact.at)
        case OrderCancelRejected():
            return replace(order, cancel_requested_at=None)
        case OrderFilled():
            return replace(
                order,
                fills=order.fills + 1,
                filled_quantity=order.filled_quantity + fact.quantity,
                filled_notional=order.filled_notional + fact.quantity * fact.price,
                fees=order.fees + (fact.fee if fact.fee_in == "quote" else fact.fee * fact.price),
                base_fees=order.base_fees + (fact.fee if fact.fee_in == "base" else ZERO),
            )
        case OrderRejected() | OrderInDoubt() | OrderCancelled() | OrderExpired():
            return order
        case _:
            assert_never(fact)


def _as_before(order: Order) -> OrderStatus:
    if order.cancel_requested_at is not None:
        return "pending_cancel"
    if order.filled_quantity > 0:
        return "partially_filled"
    if order.triggered_at is not None:
        return "triggered"
    return "accepted"


def _reserve(order: Order) -> Decimal:
    """What the open rest of an entry will take from cash at most: its notional or margin, and its taker fee."""
    spot = order.funds.kind == "spot"
    if order.reduce_only or order.status in CLOSED or (spot and order.side == "sell"):
        return ZERO
    if order.notional is not None:
        notional = order.notional - order.filled_notional
    else:
        limit = order.limit_price if order.kind in LIMITED_KINDS else None
        notional = order.quantity_open * (limit or order.trigger_price or order.funds.mark or ZERO)
    filled, leverage = order.filled_notional, order.leverage
    # What the whole entry locks, less what its fills have locked: each is rounded up once.
    cost = notional if spot else initial_margin(filled + notional, leverage) - initial_margin(filled, leverage)
    return cost + notional * order.funds.taker_fee
