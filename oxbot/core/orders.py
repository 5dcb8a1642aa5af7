"""A bot's orders from request to end, each a fold of its facts; which may follow which is in ``order_states``."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, assert_never

import msgspec

from events.bot import (
    OrderAccepted,
    OrderAmended,
    OrderAmendRequested,
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
    OrderSubmitted,
    OrderTriggered,
)
from events.errors import OxbotError
from events.identifiers import DecisionId, FillId, OrderId, Symbol
from events.values import Bracket, InstrumentKind, OrderKind, Side, TimeInForce
from oxbot.core.ledger import initial_margin
from oxbot.core.money import ZERO, prorate
from oxbot.core.order_states import CLOSED, LEGAL, OrderEvent, OrderStatus, Step, event_of, refused_step

__all__ = [
    "CLOSED", "LEGAL", "LIMITED_KINDS", "PROTECTIVE_KINDS", "TRIGGERED_KINDS", "Amendment", "Funds",
    "IllegalTransition", "Order", "OrderEvent", "OrderProgress", "OrderStatus", "Step", "event_of", "progressed",
    "refusal", "requested",
]  # fmt: skip

TRIGGERED_KINDS: frozenset[OrderKind] = frozenset({"stop", "stop_limit", "take_profit", "trailing_stop"})
PROTECTIVE_KINDS: frozenset[OrderKind] = frozenset({"stop", "stop_limit", "trailing_stop"})
LIMITED_KINDS: frozenset[OrderKind] = frozenset({"limit", "stop_limit", "take_profit"})


class IllegalTransition(OxbotError):
    """A fact that cannot follow what the log already says of the order."""


class Funds(NamedTuple):
    """What decides how much cash a new entry keeps: the taker fee, and for an order by quantity a price.

    ``mark`` is the newest price; a limit or a trigger takes its place. A perpetual keeps margin, not notional.
    """

    taker_fee: Decimal
    kind: InstrumentKind = "spot"
    mark: Decimal | None = None


class Amendment(NamedTuple):
    """How an order is to stand; what is None is as it was."""

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order: sized by base ``quantity`` or by quote ``notional``, never both.

    ``reserved`` is the quote currency that cash must keep free for it, fee included. ``base_fees`` is what the venue
    kept of the base currency bought. ``triggered_at`` is the candle in which its trigger was reached.

    A ``live`` order keeps its ``fill_ids`` and what else the venue took (``other_fees``: amounts by currency); from its
    submission on it has a quantity. ``attempts`` counts the submissions; the venue refuses the newest from
    ``submission_expires_at`` on. ``amending`` is what was asked for and the venue has not confirmed.
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
    live: bool = False
    at_close: bool = False
    client_id: str = ""
    attempts: int = 0
    submitted_at: datetime | None = None
    submission_expires_at: datetime | None = None
    accepted_at: datetime | None = None
    amending: Amendment | None = None
    fill_ids: tuple[FillId, ...] = ()
    other_fees: dict[str, Decimal] = {}

    @property
    def limit_price_once_triggered(self) -> Decimal | None:
        """The limit at which a stop-limit, or a take-profit with a limit, rests from its trigger on."""
        return self.limit_price if self.kind in {"stop_limit", "take_profit"} else None

    @property
    def received(self) -> Decimal:
        """Base currency that its fills have moved, without what the venue kept as fees."""
        return self.filled_quantity - self.base_fees

    @property
    def quantity_wanted(self) -> Decimal | None:
        """The base quantity that it is to have in all, whether or not the venue has confirmed it."""
        asked = self.amending.quantity if self.amending else None
        return self.quantity if asked is None else asked

    @property
    def quantity_open(self) -> Decimal:
        """Base quantity that has not traded; 0 for an order by notional, whose rest depends on the price."""
        return ZERO if self.quantity is None else self.quantity - self.filled_quantity


def requested(
    fact: OrderRequested,
    *,
    taker_fee: Decimal,
    kind: InstrumentKind = "spot",
    mark: Decimal | None = None,
    live: bool = False,
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
        live=live,
        at_close=fact.at_close,
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
    refused = refused_step(order.status, event_of(fact), live=order.live)
    if refused is not None:
        return refused
    match fact:
        case OrderSubmitted():
            return _bad_submission(order, fact)
        case OrderTriggered() if order.kind not in TRIGGERED_KINDS:
            return f"a {order.kind} order has no trigger"
        case OrderAmended() | OrderAmendRequested():
            return _bad_amendment(order, fact)
        case OrderFilled():
            return _bad_fill(order, fact)
        case _:
            return None


def _bad_submission(order: Order, fact: OrderSubmitted) -> str | None:
    if order.cancel_requested_at is not None:
        return "a cancel was asked for already"
    if fact.attempt != order.attempts + 1:
        return f"it was submitted {order.attempts} times, so the next is not attempt {fact.attempt}"
    replaces = order.amending is not None and fact.client_id != order.client_id
    if order.status in {"accepted", "partially_filled"} and not replaces:
        return f"the venue has it already as {order.client_id}"
    if order.attempts > 0 and fact.client_id != order.client_id and not replaces:
        return f"it was submitted as {order.client_id}, and nothing of it is to be amended"
    most = order.quantity if order.quantity is None else max(order.quantity, order.quantity_wanted or ZERO)
    if fact.quantity <= order.filled_quantity or (most is not None and fact.quantity > most):
        return f"{fact.quantity} is not what was asked for and has not traded"
    return None


def _bad_fill(order: Order, fill: OrderFilled) -> str | None:
    if fill.quantity <= 0 or fill.price <= 0:
        return f"a fill of {fill.quantity} at {fill.price} is none"
    quantity = order.filled_quantity + fill.quantity
    # A real venue may have made an exit larger, and traded it, before it was heard to have done so.
    bound = None if order.live and order.reduce_only else order.quantity
    if bound is not None and quantity > bound:
        return f"order {order.order_id} asked for {order.quantity}, but {quantity} would be filled"
    notional = order.filled_notional + fill.quantity * fill.price
    if order.notional is not None and notional > order.notional:
        return f"order {order.order_id} asked for {order.notional} in all, but {notional} would trade"
    return None


def _bad_amendment(order: Order, fact: OrderAmended | OrderAmendRequested) -> str | None:
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
        case OrderSubmitted():
            return _submitted(order, fact)
        case OrderAccepted():
            known = fact.venue_order_id or order.venue_order_id
            return replace(order, venue_order_id=known, accepted_at=fact.at)
        case OrderTriggered():
            return replace(order, triggered_at=order.triggered_at or fact.at)
        case OrderAmended():
            return _settled(
                replace(
                    order,
                    quantity=order.quantity if fact.quantity is None else fact.quantity,
                    limit_price=order.limit_price if fact.limit_price is None else fact.limit_price,
                    trigger_price=order.trigger_price if fact.trigger_price is None else fact.trigger_price,
                )
            )
        case OrderAmendRequested():
            asked, before = (fact.quantity, fact.limit_price, fact.trigger_price), order.amending or Amendment()
            wanted = (old if new is None else new for new, old in zip(asked, before, strict=True))
            return replace(order, amending=Amendment(*wanted))
        case OrderCancelRequested():
            return replace(order, cancel_requested_at=fact.at)
        case OrderCancelRejected():
            return replace(order, cancel_requested_at=None)
        case OrderFilled():
            filled = order.filled_quantity + fact.quantity
            return replace(
                order,
                fills=order.fills + 1,
                quantity=_traded_of(order, filled),
                filled_quantity=filled,
                filled_notional=order.filled_notional + fact.quantity * fact.price,
                fees=order.fees + (fact.fee if fact.fee_in == "quote" else fact.fee * fact.price),
                base_fees=order.base_fees + (fact.fee if fact.fee_in == "base" else ZERO),
                fill_ids=(*order.fill_ids, fact.fill_id) if order.live else (),
                other_fees=_other_fees(order, fact),
            )
        case OrderRejected() | OrderInDoubt() | OrderCancelled() | OrderExpired():
            return order
        case _:
            assert_never(fact)


def _submitted(order: Order, fact: OrderSubmitted) -> Order:
    """The order in the terms in which it is sent; what was asked for by notional now counts at that price."""
    mark = order.funds.mark
    if order.notional is not None:
        mark = prorate(order.notional, Decimal(1), fact.quantity)
    replaced = fact.client_id != order.client_id
    sent = msgspec.structs.replace(
        order,
        quantity=fact.quantity,
        notional=None,
        limit_price=order.limit_price if fact.limit_price is None else fact.limit_price,
        trigger_price=order.trigger_price if fact.trigger_price is None else fact.trigger_price,
        funds=order.funds._replace(mark=mark),
        client_id=fact.client_id,
        attempts=fact.attempt,
        submitted_at=fact.at,
        submission_expires_at=fact.expires_at,
        accepted_at=None if replaced else order.accepted_at,
        venue_order_id="" if replaced else order.venue_order_id,
    )
    return _settled(sent)


def _traded_of(order: Order, filled: Decimal) -> Decimal | None:
    """The quantity of an order of which so much has traded; if that is more, it was amended before we heard of it."""
    if order.quantity is None or filled <= order.quantity:
        return order.quantity
    return max(filled, order.quantity_wanted or ZERO)


def _settled(order: Order) -> Order:
    """The order without what it was to become and now is."""
    if order.amending is None:
        return order
    now = (order.quantity, order.limit_price, order.trigger_price)
    left = Amendment(*(None if asked == known else asked for asked, known in zip(order.amending, now, strict=True)))
    return msgspec.structs.replace(order, amending=None if left == Amendment() else left)


def _other_fees(order: Order, fill: OrderFilled) -> dict[str, Decimal]:
    if fill.other_fee is None:
        return order.other_fees
    paid = order.other_fees.get(fill.other_fee_currency, ZERO) + fill.other_fee
    return {**order.other_fees, fill.other_fee_currency: paid}


def _as_before(order: Order) -> OrderStatus:
    if order.cancel_requested_at is not None:
        return "pending_cancel"
    if order.filled_quantity > 0:
        return "partially_filled"
    if order.triggered_at is not None:
        return "triggered"
    return "submitted" if order.attempts > 0 and order.accepted_at is None else "accepted"


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
