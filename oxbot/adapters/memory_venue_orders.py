"""An order as the in-memory venue keeps it, and when the price reaches it."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from events.identifiers import Symbol
from events.values import Side
from oxbot.app.venue import VenueOrder, VenueOrderKind, VenueOrderStatus, VenueRequest

AT_TRIGGER = ("stop", "stop_limit", "take_profit", "trailing_stop", "oco")
"""The kinds that wait for a trigger and then become an order of their own."""

LIVE = ("open", "triggered")
Leg = Literal["stop", "target"]


class BookedOrder(msgspec.Struct, kw_only=True):
    """One order in the books; what is at a trigger names the child that it became."""

    client_id: str
    venue_order_id: str
    symbol: Symbol
    side: Side
    kind: VenueOrderKind
    quantity: Decimal
    at: datetime
    status: VenueOrderStatus = "open"
    filled: Decimal = Decimal(0)
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    target_price: Decimal | None = None
    trailing_fraction: Decimal | None = None
    activation_price: Decimal | None = None
    best_price: Decimal | None = None
    reduce_only: bool = False
    owner: str = ""
    leg: Literal["stop", "target", ""] = ""
    child_id: str = ""
    parent: "BookedOrder | None" = None
    reason: str = ""

    @property
    def at_trigger(self) -> bool:
        """Whether it is kept in the book of those that wait for a trigger."""
        return self.kind in AT_TRIGGER

    @property
    def live(self) -> bool:
        """Whether anything can still come of it."""
        return self.status in LIVE

    @property
    def remaining(self) -> Decimal:
        """What has not traded."""
        return self.quantity - self.filled

    @property
    def named(self) -> str:
        """The client id under which its trades are asked for: its parent's, where it is what a trigger became."""
        return self.parent.client_id if self.parent is not None else self.client_id

    def shown(self) -> VenueOrder:
        """What the venue says of it."""
        return VenueOrder(
            client_id=self.named,
            venue_order_id=self.venue_order_id,
            symbol=self.symbol,
            side=self.side,
            status=self.status,
            quantity=self.quantity,
            filled=self.filled,
            at_trigger=self.at_trigger,
            updated_at=self.at,
            limit_price=self.limit_price,
            trigger_price=self.trigger_price,
            target_price=self.target_price,
            trailing_fraction=self.trailing_fraction,
            reduce_only=self.reduce_only,
            leg=self.leg,
            child_id=self.child_id,
            reason=self.reason,
        )


def booked(request: VenueRequest, *, venue_order_id: str, quantity: Decimal, at: datetime) -> BookedOrder:
    """The request as an order in the books."""
    return BookedOrder(
        client_id=request.client_id,
        venue_order_id=venue_order_id,
        symbol=request.symbol,
        side=request.side,
        kind=request.kind,
        quantity=quantity,
        at=at,
        limit_price=request.limit_price,
        trigger_price=request.trigger_price,
        target_price=request.target_price,
        trailing_fraction=request.trailing_fraction,
        activation_price=request.activation_price,
        reduce_only=request.reduce_only,
    )


def child_of(order: BookedOrder, *, venue_order_id: str, quantity: Decimal, at: datetime) -> BookedOrder:
    """What an order becomes when its trigger is reached: a limit order if it has a limit, else a market order."""
    return BookedOrder(
        client_id="",
        venue_order_id=venue_order_id,
        symbol=order.symbol,
        side=order.side,
        kind="market" if order.limit_price is None else "limit",
        quantity=quantity,
        at=at,
        limit_price=order.limit_price,
        reduce_only=order.reduce_only,
        owner=order.owner,
        parent=order,
    )


def crosses(order: BookedOrder, price: Decimal) -> bool:
    """Whether a limit order trades at this price."""
    if order.limit_price is None:
        return True
    return price <= order.limit_price if order.side == "buy" else price >= order.limit_price


def reached(order: BookedOrder, price: Decimal) -> Leg | None:
    """The leg whose trigger this price reaches; the stop's, where it is both. Moves a trailing trigger on first."""
    against = _not_above if order.side == "sell" else _not_below
    in_favour = _not_below if order.side == "sell" else _not_above
    match order.kind:
        case "trailing_stop":
            _trail(order, price, in_favour)
            return "stop" if order.trigger_price is not None and against(price, order.trigger_price) else None
        case "take_profit":
            return "target" if order.trigger_price is not None and in_favour(price, order.trigger_price) else None
    if order.trigger_price is not None and against(price, order.trigger_price):
        return "stop"
    if order.target_price is not None and in_favour(price, order.target_price):
        return "target"
    return None


def _trail(order: BookedOrder, price: Decimal, in_favour: Callable[[Decimal, Decimal], bool]) -> None:
    if order.trailing_fraction is None:
        return
    active = order.best_price is not None or order.activation_price is None or in_favour(price, order.activation_price)
    if active and (order.best_price is None or in_favour(price, order.best_price)):
        order.best_price = price
        away = -order.trailing_fraction if order.side == "sell" else order.trailing_fraction
        order.trigger_price = price * (1 + away)


def _not_above(price: Decimal, level: Decimal) -> bool:
    return price <= level


def _not_below(price: Decimal, level: Decimal) -> bool:
    return price >= level
