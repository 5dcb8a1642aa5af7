"""At what price, for how much and at what fee the paper venue trades an order."""

import hashlib
from datetime import timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from events.bot import OrderFilled
from events.identifiers import FillId, OrderId
from events.values import FeeSchedule, Instrument, PaperModel, Side
from oxbot.core.candles import Candle
from oxbot.core.money import ZERO, ceil_to_step, floor_to_step, prorate, quantity_for_notional
from oxbot.core.orders import Order

Liquidity = Literal["maker", "taker"]

_CHANCES = 1_000_000


class Terms(NamedTuple):
    """What the paper venue must know of a market: the instrument, the fees, the model, how long a candle lasts."""

    instrument: Instrument
    fees: FeeSchedule
    model: PaperModel
    duration: timedelta

    @property
    def latency(self) -> int:
        """In candles: those of the model, and its milliseconds rounded up to whole candles."""
        milliseconds = timedelta(milliseconds=self.model.latency_milliseconds)
        return self.model.latency_candles + -(-milliseconds // self.duration)


class Offer(NamedTuple):
    """A chance to trade: the price before costs, as maker or taker, and the worst price that the order allows."""

    price: Decimal
    liquidity: Liquidity
    limit: Decimal | None = None


def trade_price(order: Order, offer: Offer, candle: Candle, terms: Terms, *, quantity: Decimal) -> Decimal:
    """What the order pays or gets: a maker the offer's price; a taker half the spread and the slippage more or less.

    A price with costs is rounded to the tick against the order, and is never worse than the order's limit. Without
    costs it is the offer's price as it is.
    """
    if offer.liquidity == "maker":
        return offer.price
    cost = terms.model.half_spread + slippage(order.order_id, candle, terms.model, quantity)
    if cost == 0:
        return offer.price
    tick = terms.instrument.tick
    if order.side == "buy":
        price = ceil_to_step(offer.price * (1 + cost), tick)
        return price if offer.limit is None else min(price, offer.limit)
    price = max(tick, floor_to_step(offer.price * max(ZERO, 1 - cost), tick))
    return price if offer.limit is None else max(price, offer.limit)


def slippage(order_id: OrderId, candle: Candle, model: PaperModel, quantity: Decimal) -> Decimal:
    """A fraction of price: ``slippage_factor`` times the share of the candle's volume, jittered, at most the maximum.

    In a candle without volume it is the maximum.
    """
    if model.slippage_max == 0 or model.slippage_factor == 0:
        return ZERO
    if candle.volume == 0:
        return model.slippage_max
    mean = prorate(model.slippage_factor, quantity, candle.volume)
    jittered = mean * (1 + model.slippage_jitter * _chance(model.seed, order_id, candle))
    return min(model.slippage_max, max(ZERO, jittered))


def tradable(order: Order, price: Decimal, lot: Decimal, *, held: Decimal | None) -> Decimal:
    """The whole lots that the order still wants at the price; ``held`` bounds an order that reduces a position."""
    if order.quantity is not None:
        quantity = order.quantity_open
    else:
        quantity = quantity_for_notional((order.notional or ZERO) - order.filled_notional, price, lot)
    return floor_to_step(quantity if held is None else min(quantity, held), lot)


def traded(
    order: Order,
    candle: Candle,
    terms: Terms,
    *,
    quantity: Decimal,
    price: Decimal,
    liquidity: Liquidity,
    complete: bool,
) -> OrderFilled:
    """The fact of a trade, with its fee: of what is bought on a spot venue that charges so, else quote currency."""
    rate = terms.fees.maker if liquidity == "maker" else terms.fees.taker
    in_base = pays_in_base(order.side, terms)
    return OrderFilled(
        order_id=order.order_id,
        fill_id=FillId(f"{order.order_id}-{order.fills + 1}"),
        at=candle.open_time,
        quantity=quantity,
        price=price,
        fee=quantity * rate if in_base else quantity * price * rate,
        liquidity=liquidity,
        complete=complete,
        fee_in="base" if in_base else "quote",
    )


def pays_in_base(side: Side, terms: Terms) -> bool:
    """Whether the venue takes its fee from what such a fill buys."""
    return side == "buy" and terms.instrument.kind == "spot" and terms.fees.buys_pay_in == "base"


def _chance(seed: int, order_id: OrderId, candle: Candle) -> Decimal:
    """A number from -1 to 1 that depends on nothing but the seed, the order and the candle."""
    text = f"{seed} {order_id} {int(candle.open_time.timestamp())}"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return Decimal(number % (2 * _CHANCES + 1) - _CHANCES).scaleb(-6)
