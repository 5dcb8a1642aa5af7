"""What a venue says of an order, as the facts about it that the log does not hold yet."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from events.bot import (
    FundingSettled,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderProgress,
    OrderRejected,
    OrderTriggered,
    PositionLiquidated,
)
from events.identifiers import FillId, OrderId
from oxbot.app.execution_plan import Line, client_ids, lines
from oxbot.app.venue import VenueFill, VenueFunding, VenueOrder
from oxbot.core.bot_state import BotState
from oxbot.core.money import ZERO
from oxbot.core.orders import CLOSED, TRIGGERED_KINDS, Order
from oxbot.core.reports import VenueReport

ENDED = frozenset({"filled", "cancelled", "rejected", "expired"})
"""The statuses in which a venue's order does nothing more."""

Said = Callable[[BotState], Sequence[VenueReport]]
"""What is to be recorded, told anew from whatever the log says at the moment of recording it."""


class Look(NamedTuple):
    """What the venue said of a line at a moment: the order, None if it has none, and all the trades under its ids."""

    client_id: str
    at: datetime
    order: VenueOrder | None
    fills: Sequence[VenueFill]

    @property
    def complete(self) -> bool:
        """Whether the trades add up to what the order says that it has traded."""
        if self.order is None:
            return True
        traded = sum((fill.quantity for fill in self.fills if fill.client_id == self.client_id), ZERO)
        return traded == self.order.filled

    @property
    def over(self) -> bool:
        """Whether nothing more can come of the order, and all that came of it is here."""
        return self.order is not None and self.order.status in ENDED and self.complete


def order_in(state: BotState, order_id: OrderId) -> Order | None:
    """The bot's order, at work or ended; None if it ended too long ago."""
    return state.orders.get(order_id) or state.ended.get(order_id)


def line_in(state: BotState, line: Line) -> Line | None:
    """The same line as the log has it now; None if it is not at the venue under this client id any more."""
    orders = [found for order in line.orders if (found := order_in(state, order.order_id)) is not None]
    if len(orders) < len(line.orders) or any(order.client_id != line.lead.client_id for order in orders):
        return None
    return next(iter(lines(orders)), None) if line.lead.attempts else None


def unchanged(state: BotState, line: Line) -> bool:
    """Whether nobody has sent the line's orders, or sent them again, since."""
    now = [order_in(state, order.order_id) for order in line.orders]
    return all(
        found is not None and (found.attempts, found.client_id) == (order.attempts, order.client_id)
        for found, order in zip(now, line.orders, strict=True)
    )


def seen(line: Line, look: Look) -> Said:
    """All that a look at the venue adds to the log."""

    def said(state: BotState) -> Sequence[VenueReport]:
        now = line_in(state, line)
        return _of_line(now, look, quote=state.configuration.quote) if now is not None else ()

    return said


def funded(payment: VenueFunding) -> Said:
    """A funding payment, with as much as the venue tells of it."""

    def said(state: BotState) -> Sequence[VenueReport]:
        return [
            FundingSettled(
                symbol=payment.symbol,
                at=payment.at,
                rate=payment.rate,
                mark=payment.mark,
                quantity=_position_then(payment, state),
                amount=payment.amount,
            )
        ]

    return said


def _position_then(payment: VenueFunding, state: BotState) -> Decimal:
    """The signed quantity that the payment was for, of a position that may be closed by now."""
    held = state.ledger.positions.get(payment.symbol)
    if held is not None and held.opened_at <= payment.at:
        side, quantity = held.side, held.quantity if payment.quantity is None else payment.quantity
    else:
        closed = [trade for trade in state.trades if trade.symbol == payment.symbol and trade.opened_at <= payment.at]
        side, quantity = closed[-1].side if closed else "long", payment.quantity or ZERO
    return -quantity if side == "short" else quantity


def liquidated(trade: VenueFill) -> Said:
    """That the venue closed the position that is held, or a part of it, by this trade."""

    def said(state: BotState) -> Sequence[VenueReport]:
        held = state.ledger.positions.get(trade.symbol)
        if held is None or (held.side == "long") != (trade.side == "sell"):
            return ()
        return [
            PositionLiquidated(
                symbol=trade.symbol,
                at=trade.at,
                side=held.side,
                quantity=trade.quantity,
                price=trade.price,
                fee=trade.fee,
                part=trade.quantity < held.quantity,
                fill_id=trade.fill_id,
            )
        ]

    return said


def replaceable(line: Line) -> bool:
    """Whether an order that the venue has cancelled is to be placed again as it was asked to be amended."""
    asked_for = all(order.reduce_only and order.amending is not None for order in line.orders)
    wanted = all(order.cancel_requested_at is None and order.status not in CLOSED for order in line.orders)
    left = all((order.quantity_wanted or ZERO) > order.filled_quantity for order in line.orders)
    return asked_for and wanted and left and not line.triggered


def earlier(order: Order, fills: Sequence[VenueFill]) -> Decimal:
    """What an order traded under other client ids than its present one."""
    known = set(order.fill_ids)
    own = sum((fill.quantity for fill in fills if fill.client_id == order.client_id and fill.fill_id in known), ZERO)
    return order.filled_quantity - own


def _of_line(line: Line, look: Look, *, quote: str) -> list[OrderProgress]:
    facts: list[OrderProgress] = []
    for order in line.orders:
        facts += _taken(order, look, traded=_trades(line, order, look))
        facts += _fills(order, _trades(line, order, look), quote=quote)
    if look.over:
        for order in line.open:
            facts += _end(line, order, look)
    return facts


def _trades(line: Line, order: Order, look: Look) -> list[VenueFill]:
    """The trades of the one order: of an "oco" they are those of the leg that was reached."""
    own = [fill for fill in look.fills if fill.client_id in client_ids(order)]
    if line.target is None:
        return own
    return [fill for fill in own if fill.fill_id in order.fill_ids or _is(_reached(line, look), order)]


def _is(one: Order | None, other: Order) -> bool:
    return one is not None and one.order_id == other.order_id


def _reached(line: Line, look: Look) -> Order | None:
    """The leg of an "oco" that the price has reached."""
    leg = look.order.leg if look.order is not None else ""
    if leg:
        return line.target if leg == "target" else line.lead
    return next((order for order in line.orders if order.triggered_at is not None), None)


def _taken(order: Order, look: Look, *, traded: Sequence[VenueFill]) -> list[OrderProgress]:
    """That the venue has the order, as it has it, before what it has done with it."""
    found = look.order
    if found is None or order.status in CLOSED:
        return []
    facts: list[OrderProgress] = []
    if order.accepted_at is None or order.status in {"submitted", "in_doubt"}:
        if found.status == "rejected" and not traded:
            return []
        taken = OrderAccepted(order_id=order.order_id, at=found.updated_at, venue_order_id=found.venue_order_id)
        facts.append(taken)
    facts += _amended(order, found, quantity=found.quantity + earlier(order, look.fills))
    if order.kind in TRIGGERED_KINDS and order.triggered_at is None and _became(order, look):
        facts.append(OrderTriggered(order_id=order.order_id, at=found.updated_at))
    return facts


def _amended(order: Order, found: VenueOrder, *, quantity: Decimal) -> list[OrderProgress]:
    """What of an amendment that was asked for the venue's order shows."""
    asked = order.amending
    if asked is None:
        return []
    paired = order.kind == "take_profit" and found.target_price is not None
    trigger = found.target_price if paired else found.trigger_price
    shown = (quantity, found.limit_price, trigger)
    there = [value if value == there else None for value, there in zip(asked, shown, strict=True)]
    if all(value is None for value in there):
        return []
    return [
        OrderAmended(
            order_id=order.order_id,
            at=found.updated_at,
            reason="the venue has it so",
            quantity=there[0],
            limit_price=there[1],
            trigger_price=there[2],
        )
    ]


def _became(order: Order, look: Look) -> bool:
    found = look.order
    if found is None or not (found.leg or found.child_id):
        return False
    return not found.leg or (found.leg == "target") == (order.kind == "take_profit")


def _fills(order: Order, trades: Sequence[VenueFill], *, quote: str) -> list[OrderProgress]:
    total, facts = order.filled_quantity, list[OrderProgress]()
    for trade in sorted(trades, key=lambda fill: fill.at):
        if trade.fill_id in order.fill_ids:
            continue
        total += trade.quantity
        facts.append(_filled(order, trade, quote=quote, complete=total == order.quantity_wanted))
    return facts


def _filled(order: Order, trade: VenueFill, *, quote: str, complete: bool) -> OrderFilled:
    ours = trade.fee_currency == quote
    in_base = trade.fee_currency == order.symbol.partition("/")[0] and order.funds.kind == "spot"
    other = not (ours or in_base) and trade.fee != 0
    return OrderFilled(
        order_id=order.order_id,
        fill_id=FillId(trade.fill_id),
        at=trade.at,
        quantity=trade.quantity,
        price=trade.price,
        fee=ZERO if other else trade.fee,
        liquidity=trade.liquidity,
        complete=complete,
        fee_in="base" if in_base else "quote",
        other_fee=trade.fee if other else None,
        other_fee_currency=trade.fee_currency if other else "",
    )


def _end(line: Line, order: Order, look: Look) -> list[OrderProgress]:
    """The end of an order that has not traded in full, unless it is to be placed anew."""
    found = look.order
    trades = _trades(line, order, look)
    known = set(order.fill_ids)
    total = order.filled_quantity + sum((trade.quantity for trade in trades if trade.fill_id not in known), ZERO)
    if found is None or total == order.quantity_wanted or replaceable(line):
        return []
    at, reason = found.updated_at, found.reason
    reached = _reached(line, look) if line.target is not None else None
    if reached is not None and not _is(reached, order):
        other = "the stop" if order is line.target else "the target"
        return [OrderCancelled(order_id=order.order_id, at=at, reason=f"{other} was reached")]
    match found.status:
        case "rejected":
            return [OrderRejected(order_id=order.order_id, at=at, reason=reason or "the venue rejected it")]
        case "expired":
            return [OrderExpired(order_id=order.order_id, at=at, reason=reason or "the venue let it expire")]
        case _:
            words = "the venue's order was smaller" if found.status == "filled" else "the venue cancelled it"
            return [OrderCancelled(order_id=order.order_id, at=at, reason=reason or words)]
