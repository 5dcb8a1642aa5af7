"""The paper venue's matching model: what one candle does to one order. Pessimistic where a candle cannot tell."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from events.bot import OrderExpired, OrderFilled
from events.identifiers import FillId
from events.values import FeeSchedule, Instrument
from oxbot.core.candles import Candle
from oxbot.core.money import quantity_for_notional
from oxbot.core.orders import Order

Liquidity = Literal["maker", "taker"]


def fill_at_open(
    order: Order, candle: Candle, *, instrument: Instrument, fees: FeeSchedule
) -> OrderFilled | OrderExpired:
    """What happens to a market order at the candle's open: all of it trades at that price, as taker.

    An order by notional buys as many lots as the notional pays for; if that is not one lot, or less than the venue's
    smallest notional, it expires. What reduces a position trades however small it has become.
    """
    quantity = order.quantity
    if quantity is None:
        quantity = quantity_for_notional(order.notional or Decimal(0), candle.open, instrument.lot)
    too_small = not order.reduce_only and quantity * candle.open < instrument.minimum_notional
    if quantity <= 0 or too_small:
        return OrderExpired(order_id=order.order_id, at=candle.open_time, reason=f"{quantity} is too little to trade")
    return _fill(order, candle, quantity=quantity, price=candle.open, fees=fees)


def first_to_trade(orders: Iterable[Order], candle: Candle) -> tuple[Order, Decimal] | None:
    """Which resting sell trades first within the candle, and at what price; None if the candle reaches none.

    A stop trades at its trigger, or at the open if the candle opened below; a take-profit at its trigger, or at the
    open if it opened above. If both are reached, the stop: the candle does not say which came first.
    """
    reached = [(order, price) for order in orders if (price := _resting_price(order, candle)) is not None]
    return min(reached, key=lambda match: match[0].kind != "stop", default=None)


def fill_resting(order: Order, candle: Candle, *, quantity: Decimal, price: Decimal, fees: FeeSchedule) -> OrderFilled:
    """The whole quantity trades at the price, as taker (a triggered stop or target crosses the spread)."""
    return _fill(order, candle, quantity=quantity, price=price, fees=fees)


def _resting_price(order: Order, candle: Candle) -> Decimal | None:
    trigger = order.trigger_price
    if trigger is None:
        return None
    if order.kind == "stop" and candle.low <= trigger:
        return min(trigger, candle.open)
    if order.kind == "take_profit" and candle.high >= trigger:
        return max(trigger, candle.open)
    return None


def _fill(order: Order, candle: Candle, *, quantity: Decimal, price: Decimal, fees: FeeSchedule) -> OrderFilled:
    return OrderFilled(
        order_id=order.order_id,
        fill_id=FillId(f"{order.order_id}-1"),
        at=candle.open_time,
        quantity=quantity,
        price=price,
        fee=quantity * price * fees.taker,
        liquidity="taker",
        complete=True,
    )
