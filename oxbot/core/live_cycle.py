"""What a live bot asks of its venue beside what a strategy wants: what ends, and what is owed."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from events.bot import OrderRequested
from events.identifiers import OrderId, Symbol
from events.values import Instrument
from oxbot.core.bot_state import BotState
from oxbot.core.candles import Candle
from oxbot.core.ledger import Position
from oxbot.core.live_brackets import held_back
from oxbot.core.money import ZERO, floor_to_step
from oxbot.core.orders import PROTECTIVE_KINDS, Order
from oxbot.core.paper_oco import GONE, orphans

TIME_RAN_OUT = "its time ran out"
STOOD_LEAST = timedelta(seconds=3)
"""So long an exit must have stood at its venue to be asked for again as soon as it has ended there."""


def outlived(state: BotState, symbol: Symbol, closed_at: datetime) -> Iterator[tuple[Order, str]]:
    """The symbol's orders that have lost their purpose by then, and why: entries past their time, exits of nothing."""
    position = state.ledger.positions.get(symbol)
    exit_side = None if position is None else "sell" if position.side == "long" else "buy"
    orders = state.working(symbol)
    for order in orders:
        if not order.reduce_only and order.expires_at is not None and order.expires_at <= closed_at:
            yield order, TIME_RAN_OUT
    for order in orphans(orders, exit_side=exit_side):
        yield order, GONE


def closed_since(state: BotState, symbol: Symbol, open_time: datetime) -> bool:
    """Whether a position in the symbol was closed in the candle that opened then, or later."""
    return any(trade.symbol == symbol and trade.closed_at >= open_time for trade in state.trades)


def asked_again(
    order: Order, position: Position, instrument: Instrument, candle: Candle, *, order_id: OrderId
) -> OrderRequested | None:
    """The exit once more at a candle's close, for what it has not traded of what is still held; None below a lot.

    One whose trigger the price has reached in the meantime goes at the market; one that its venue could not hold is not
    asked for before that, and the last of a bracket's targets then takes all that is held.
    """
    held = floor_to_step(position.quantity, instrument.lot)
    if held_back(order) and not _reached(order, candle):
        return None
    quantity = held if held_back(order) and order.reason == "take_profit" else min(order.quantity_open, held)
    if quantity <= 0:
        return None
    at_market = order.kind == "market" or _reached(order, candle)
    leverage = order.leverage if instrument.kind == "perpetual" else None
    request = _once_more(order, quantity, leverage, at=candle.open_time, order_id=order_id, at_market=at_market)
    return replace(request, at_close=True)


def asked_at_once(state: BotState, order: Order, at: datetime, *, order_id: OrderId) -> OrderRequested | None:
    """The exit once more, now, where it was the protection, or a part of it, and its venue ended it unasked.

    One that the venue ends as soon as it has it waits for the candle's close, and so does one that it refused.
    """
    position = state.ledger.positions.get(order.symbol)
    ended = order.status in {"cancelled", "expired"} and order.accepted_at is not None
    if position is None or not ended or order.triggered_at is not None or not _protects(state, order):
        return None
    if order.accepted_at is None or at - order.accepted_at < STOOD_LEAST:
        return None
    instrument = state.instrument(order.symbol)
    leaving = [each for each in state.working(order.symbol) if each.reduce_only and each.kind == "market"]
    left = floor_to_step(position.quantity, instrument.lot) - sum((each.quantity_open for each in leaving), ZERO)
    quantity = min(order.quantity_open, left)
    leverage = order.leverage if instrument.kind == "perpetual" else None
    return _once_more(order, quantity, leverage, at=at, order_id=order_id) if quantity > 0 else None


def _protects(state: BotState, order: Order) -> bool:
    """Whether it, or what was one order at the venue with it, is a stop."""
    known = [*state.ended.values(), *state.orders.values()]
    beside = [other for other in known if other.client_id == order.client_id != ""]
    return any(other.kind in PROTECTIVE_KINDS for other in [order, *beside])


def _once_more(
    order: Order,
    quantity: Decimal,
    leverage: Decimal | None,
    *,
    at: datetime,
    order_id: OrderId,
    at_market: bool = False,
) -> OrderRequested:
    return OrderRequested(
        order_id=order_id,
        at=at,
        symbol=order.symbol,
        side=order.side,
        kind="market" if at_market else order.kind,
        reason=order.reason,
        quantity=quantity,
        reduce_only=True,
        decision_id=order.decision_id,
        parent_id=order.parent_id,
        leverage=leverage,
        limit_price=None if at_market else order.limit_price,
        trigger_price=None if at_market else order.trigger_price,
        trailing_fraction=None if at_market else order.trailing_fraction,
        activation_price=None if at_market else order.activation_price,
        oco_group="" if at_market else order.oco_group,
    )


def _reached(order: Order, candle: Candle) -> bool:
    if order.trigger_price is None:
        return False
    falling = (order.side == "sell") == (order.kind in PROTECTIVE_KINDS)
    return candle.close <= order.trigger_price if falling else candle.close >= order.trigger_price
