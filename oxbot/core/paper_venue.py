"""The paper venue: which fact one candle causes next, given a symbol's orders and position as they are by then."""

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from events.bot import (
    FundingSettled,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderTriggered,
    PositionLiquidated,
)
from events.identifiers import OrderId
from oxbot.core.candles import Candle
from oxbot.core.money import floor_to_step
from oxbot.core.orders import TRIGGERED_KINDS, Order
from oxbot.core.paper_margin import Held, funding, liquidation
from oxbot.core.paper_oco import GONE, after_fill, orphans
from oxbot.core.paper_prices import Offer, Terms, pays_in_base, tradable, trade_price, traded
from oxbot.core.paper_resting import Place, at_market, crossed, marketable, place, ratcheted, reached, rested

OrderOutcome = OrderFilled | OrderTriggered | OrderAmended | OrderCancelled | OrderExpired | OrderRejected
PaperFact = OrderOutcome | FundingSettled | PositionLiquidated


class _Lots(NamedTuple):
    """What an order can trade at a price now, in base currency, and what it still wants."""

    price: Decimal
    quantity: Decimal
    wanted: Decimal


class CandleMatch:
    """One candle's dealings with one symbol of one bot: ask ``next_fact`` until it answers None.

    The order of events in a candle: funding; what ends at the open; liquidation by a gap; what trades at the open at
    any price; limits that must trade at once; then the candle's way, first against the position and then in its favour
    (a candle does not say which extreme came first), each order at its price as the way reaches it; last, trailing
    stops follow the best price, and those that the close lies beyond by then trade. What was entered on the way takes
    no profit in the same candle.
    """

    def __init__(self, candle: Candle, terms: Terms, *, before: datetime | None = None) -> None:
        """``before`` is when the symbol's last candle opened (None: one candle ago): funding counts from it."""
        self._before = before
        self._candle = candle
        self._terms = terms
        self._lot = terms.instrument.lot
        self._begun = False
        self._entered_on_the_way = False
        self._closed = False
        self._had_turn: set[OrderId] = set()
        self._orders: Sequence[Order] = ()
        self._aftermath: deque[OrderAmended | OrderCancelled] = deque()
        share = terms.model.participation_max
        self._volume_left = None if share is None else floor_to_step(candle.volume * share, self._lot)

    def next_fact(self, orders: Sequence[Order], held: Held | None) -> PaperFact | None:
        """The next fact, or None when the candle causes no more.

        ``orders`` are the symbol's open orders, oldest first, and ``held`` its position (None: flat), both as they are
        after every fact answered before and after what the caller added (the exits of an entry that filled).
        """
        self._orders = orders
        for orphan in orphans(orders, exit_side=held.exit_side if held else None):
            return OrderCancelled(order_id=orphan.order_id, at=self._candle.open_time, reason=GONE)
        working = {order.order_id for order in orders}
        while self._aftermath:
            fact = self._aftermath.popleft()
            if fact.order_id in working:
                return fact
        return next(self._causes([order for order in orders if self._at_venue(order)], held), None)

    def _causes(self, orders: Sequence[Order], held: Held | None) -> Iterator[PaperFact]:
        """What is possible now, the next fact first; only that one is taken, since it changes all the others."""
        if not self._begun:
            self._begun = True
            settled = funding(held, self._candle, self._terms, since=self._before) if held else None
            if settled is not None:
                yield settled
        if not self._closed:
            yield from self._until_close(orders, held)
        # From the first stop that is moved on, only the way from the best price to the close is left of the candle.
        self._closed = True
        yield from self._to_the_close(orders, held)

    def _until_close(self, orders: Sequence[Order], held: Held | None) -> Iterator[PaperFact]:
        yield from self._endings(orders)
        if held and not self._entered_on_the_way and held.beyond(self._candle.open):
            yield liquidation(held, self._candle, self._candle.open, self._terms)
        yield from self._at_open(orders, held)
        yield from self._on_the_way(orders, held)

    # The open.

    def _endings(self, orders: Sequence[Order]) -> Iterator[PaperFact]:
        opened = self._candle.open_time
        for order in orders:
            if order.expires_at is not None and order.expires_at <= opened:
                yield OrderExpired(order_id=order.order_id, at=opened, reason="its time ran out")
            if order.cancel_requested_at is not None and self._arrived(order.cancel_requested_at):
                yield OrderCancelled(order_id=order.order_id, at=opened, reason="its cancel was asked for")

    def _at_open(self, orders: Sequence[Order], held: Held | None) -> Iterator[PaperFact]:
        opened = self._candle.open
        for order in orders:
            if at_market(order, self._candle) and self._takes_turn(order):
                yield from self._trade(order, Offer(opened, "taker"), held, at_open=True)
        for order in orders:
            crosses = order.kind == "limit" and marketable(order, opened)
            if order.post_only and crosses and not rested(order, self._candle, self._terms):
                reason = "post-only, but it would trade at once"
                yield OrderRejected(order_id=order.order_id, at=self._candle.open_time, reason=reason)
            if order.kind == "limit" and order.time_in_force != "gtc" and self._takes_turn(order):
                if crosses:
                    yield from self._trade(order, Offer(opened, "taker", order.limit_price), held, at_open=True)
                else:
                    yield self._killed(order)

    def _at_venue(self, order: Order) -> bool:
        """Whether the venue has the order by this candle: the exits that come with an entry are there at once."""
        return order.status != "in_doubt" and (order.parent_id is not None or self._arrived(order.requested_at))

    def _arrived(self, sent: datetime) -> bool:
        latency = self._terms.latency
        return latency == 0 or self._candle.open_time >= sent + (1 + latency) * self._terms.duration

    # The way through the candle.

    def _on_the_way(self, orders: Sequence[Order], held: Held | None) -> Iterator[PaperFact]:
        for order, there in self._chances(orders, held):
            if order is None:
                if held is not None:
                    yield liquidation(held, self._candle, there.price, self._terms)
            elif self._takes_turn(order):
                yield from self._touched(order, there, held)

    def _chances(self, orders: Sequence[Order], held: Held | None) -> list[tuple[Order | None, Place]]:
        """The orders that the candle reaches, and the liquidation (no order), in the order of the way."""
        gaps = not self._entered_on_the_way
        ranked: list[tuple[tuple[bool, Decimal, int], Order | None, Place]] = []
        if held and held.liquidation_price is not None:
            below = held.side == "long"
            there = reached(held.liquidation_price, self._candle, below=below, opened_beyond=gaps)
            if there is not None:
                ranked.append(((False, there.distance, 0), None, there))
        for order in orders:
            if order.order_id in self._had_turn:
                continue
            there = place(order, self._candle, opened_beyond=gaps)
            if there is None:
                continue
            in_favour = held is not None and there.below == (held.side == "short")
            exits = held is not None and order.side == held.exit_side
            if not (exits and in_favour and self._entered_on_the_way):
                ranked.append(((in_favour, there.distance, 2 if exits else 1), order, there))
        ranked.sort(key=lambda chance: chance[0])
        return [(order, there) for _, order, there in ranked]

    def _touched(self, order: Order, there: Place, held: Held | None) -> Iterator[PaperFact]:
        at_open = there.distance == 0
        if order.kind == "limit" or (order.triggered_at is not None and order.triggered_at < self._candle.open_time):
            maker = not at_open or rested(order, self._candle, self._terms)
            offer = Offer(there.price, "maker" if maker else "taker", order.limit_price)
        elif order.limit_price_once_triggered is None:
            offer = Offer(there.price, "taker")
        elif order.triggered_at is None:
            yield self._triggered(order)
            return
        elif marketable(order, there.price):
            own_price = order.kind == "take_profit" and there.price == order.limit_price
            offer = Offer(there.price, "maker" if own_price else "taker", order.limit_price)
        else:
            return
        yield from self._trade(order, offer, held, at_open=at_open)

    # The way from the best price to the close.

    def _to_the_close(self, orders: Sequence[Order], held: Held | None) -> Iterator[PaperFact]:
        for order in orders:
            amended = ratcheted(order, self._candle, self._terms, entered_on_the_way=self._entered_on_the_way)
            if amended is not None:
                yield amended
        if self._entered_on_the_way:
            return
        for order, there in crossed(orders, self._candle):
            yield from self._trade(order, Offer(there.price, "taker"), held, at_open=False)

    # A trade.

    def _trade(self, order: Order, offer: Offer, held: Held | None, *, at_open: bool) -> Iterator[PaperFact]:
        """The fill that the offer gives the order, or what comes instead; nothing if it has to wait for volume."""
        exits = held is not None and order.side == held.exit_side
        lots = self._lots(order, offer, held if exits else None)
        reason = self._impossible(order, lots, exits=exits)
        if reason is not None:
            yield OrderExpired(order_id=order.order_id, at=self._candle.open_time, reason=reason)
        elif lots.quantity < lots.wanted and order.time_in_force == "fok":
            yield self._killed(order)
        elif lots.quantity < lots.wanted and order.kind in TRIGGERED_KINDS and order.triggered_at is None:
            yield self._triggered(order)
        elif lots.quantity <= 0 or not self._leaves_a_lot(order, lots.quantity):
            if order.time_in_force == "ioc":
                yield self._killed(order)
        elif exits and held is not None and held.liquidation_price is not None and held.beyond(lots.price):
            yield liquidation(held, self._candle, held.liquidation_price, self._terms)
        else:
            yield self._filled(order, offer, lots, held if exits else None, at_open=at_open)

    def _lots(self, order: Order, offer: Offer, exits: Held | None) -> _Lots:
        held = exits.quantity if exits else None
        estimate = self._bounded(tradable(order, offer.price, self._lot, held=held))
        price = trade_price(order, offer, self._candle, self._terms, quantity=estimate)
        wanted = tradable(order, price, self._lot, held=held)
        return _Lots(price, self._bounded(wanted), wanted)

    def _impossible(self, order: Order, lots: _Lots, *, exits: bool) -> str | None:
        terms = self._terms.instrument
        if terms.kind == "spot" and order.side == "sell" and not exits:
            return "there is nothing to sell"
        below_minimum = not exits and order.fills == 0 and lots.wanted * lots.price < terms.minimum_notional
        if lots.wanted <= 0 or below_minimum or not self._leaves_a_lot(order, lots.wanted):
            return f"{lots.wanted} is too little to trade"
        return None

    def _filled(self, order: Order, offer: Offer, lots: _Lots, exits: Held | None, *, at_open: bool) -> OrderFilled:
        if self._volume_left is not None:
            self._volume_left -= lots.quantity
        if exits is None and not at_open:
            self._entered_on_the_way = True
        fill = traded(
            order,
            self._candle,
            self._terms,
            quantity=lots.quantity,
            price=lots.price,
            liquidity=offer.liquidity,
            complete=lots.quantity == lots.wanted,
        )
        left = floor_to_step(exits.quantity - lots.quantity, self._lot) if exits else None
        self._aftermath.extend(after_fill(order, fill, orders=self._orders, held=left))
        if order.time_in_force == "ioc" and not fill.complete:
            self._aftermath.append(self._killed(order))
        return fill

    def _bounded(self, quantity: Decimal) -> Decimal:
        return quantity if self._volume_left is None else min(quantity, self._volume_left)

    def _leaves_a_lot(self, order: Order, quantity: Decimal) -> bool:
        """Whether an entry whose fee is taken from what it buys would leave a lot that can be sold again."""
        if not pays_in_base(order.side, self._terms):
            return True
        fees = self._terms.fees
        return order.received + quantity * (1 - max(fees.maker, fees.taker)) >= self._lot

    def _takes_turn(self, order: Order) -> bool:
        """Whether it is the order's turn in this candle, which it has once."""
        fresh = order.order_id not in self._had_turn
        self._had_turn.add(order.order_id)
        return fresh

    def _triggered(self, order: Order) -> OrderTriggered:
        self._had_turn.discard(order.order_id)
        return OrderTriggered(order_id=order.order_id, at=self._candle.open_time)

    def _killed(self, order: Order) -> OrderCancelled:
        words = "fill or kill" if order.time_in_force == "fok" else "immediate or cancel"
        reason = f"{words}: the candle does not give it its price or its volume"
        return OrderCancelled(order_id=order.order_id, at=self._candle.open_time, reason=reason)
