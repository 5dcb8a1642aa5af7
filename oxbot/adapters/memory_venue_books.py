"""What an in-memory venue keeps of one account: orders, trades, positions and money, at prices that its caller sets."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from events.identifiers import Symbol
from events.values import Instrument
from oxbot.adapters.memory_venue_orders import BookedOrder, booked, child_of, crosses, reached
from oxbot.adapters.memory_venue_wallet import Wallet
from oxbot.app.clock import Clock
from oxbot.app.venue import (
    Refused,
    Sent,
    Taken,
    Unknown,
    VenueAmendment,
    VenueBalance,
    VenueFill,
    VenueFunding,
    VenueHint,
    VenueOrder,
    VenueOrderRef,
    VenueOrderStatus,
    VenueRequest,
    VenueUnfit,
)
from oxbot.core.money import ZERO, exact

REFUSED_LATE = "50036"
REFUSED_FUNDS = "51008"
REFUSED_STEP = "51121"
REFUSED_SYMBOL = "51001"
REFUSED_NOTHING_TO_REDUCE = "51169"
REFUSED_ENDED = "51400"
REFUSED_AMENDMENT = "51000"

REMEMBERED_MAX = timedelta(days=1)
"""How long after an order's end its client id is still refused to another order, unless the caller says otherwise."""


class MemoryBooks:
    """The venue's side of ``MemoryVenue``; it outlives every connection, as a venue outlives our processes.

    Every order trades at the price that was set last, in full unless a volume was set with it. Client ids are known
    while their order works and for ``ids_remembered`` after its end; orders and orders at a trigger have ids of their
    own. What a trigger becomes has no client id; its trades are shown under that of the order that waited.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        instruments: Sequence[Instrument],
        balances: Mapping[str, Decimal],
        maker: Decimal = Decimal("0.0008"),
        taker: Decimal = Decimal("0.001"),
        ids_remembered: timedelta = REMEMBERED_MAX,
    ) -> None:
        self._clock = clock
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._wallet = Wallet(self._instruments, balances)
        self._rates = {"maker": maker, "taker": taker}
        self._ids_remembered = ids_remembered
        self._orders: list[BookedOrder] = []
        self._prices: dict[Symbol, Decimal] = {}
        self._volumes: dict[Symbol, Decimal | None] = {}
        self._fills: list[VenueFill] = []
        self._funding: list[VenueFunding] = []
        self._late: deque[Callable[[], object]] = deque()
        self._cancel_at: dict[str, datetime] = {}
        self._numbers = 0
        self.listeners: list[Callable[[VenueHint], None]] = []
        self.name, self.skew = "memory", timedelta(0)
        self.fills_shown_max: int | None = None

    def now(self) -> datetime:
        """The venue's clock: the caller's, ``skew`` ahead."""
        return self._clock.now() + self.skew

    def set_price(self, symbol: Symbol, price: Decimal, *, volume: Decimal | None = None) -> None:
        """The market moves there at once; until it moves again at most ``volume`` trades, None for any amount."""
        self.tick()
        self._prices[symbol], self._volumes[symbol] = price, volume
        for order in [order for order in self._orders if order.live and order.symbol == symbol]:
            if order.at_trigger:
                self._try_trigger(order)
            elif order.live:
                self._match(order, "maker")

    def tick(self) -> None:
        """Do what is due by the clock: the dead man's switch."""
        for owner in [owner for owner, at in self._cancel_at.items() if self.now() >= at]:
            del self._cancel_at[owner]
            for order in self._orders:
                if order.live and not order.at_trigger and not order.reduce_only and order.owner == owner:
                    self._end(order, "cancelled", "cancelled by cancel-all-after")

    def place(self, request: VenueRequest, *, owner: str = "") -> Sent:
        """Take the order, or say why not."""
        self.tick()
        refused = self._fault(request)
        if refused is not None:
            return refused
        if self._known(request):
            return Unknown(f"51016: {request.client_id} is the client id of an order already")
        order = booked(request, venue_order_id=self._next(), quantity=request.quantity, at=self.now())
        order.owner = owner
        if not order.at_trigger and not self._affordable(order):
            return Refused(REFUSED_FUNDS, "insufficient funds")
        self._orders.append(order)
        self._tell(order)
        if order.at_trigger:
            self._try_trigger(order)
        else:
            self._begin(order, request)
        return Taken(order.venue_order_id, self.now())

    def amend(self, ref: VenueOrderRef, amendment: VenueAmendment, expires_at: datetime) -> Sent:
        """Change a working order, or say why not."""
        self.tick()
        order = self.find(ref)
        if self.now() > expires_at:
            return Refused(REFUSED_LATE, "the request came after its expTime", passing=True)
        if order is None or not order.live or order.status == "triggered":
            return Refused(REFUSED_ENDED, "the order does not exist or has ended")
        if order.kind == "trailing_stop":
            return Refused(REFUSED_AMENDMENT, "a trailing stop cannot be amended")
        if amendment.quantity is not None and amendment.quantity <= order.filled:
            return Refused(REFUSED_AMENDMENT, "more than that has traded already")
        order.quantity = amendment.quantity or order.quantity
        order.limit_price = amendment.limit_price or order.limit_price
        order.trigger_price = amendment.trigger_price or order.trigger_price
        order.target_price = amendment.target_price or order.target_price
        self._changed(order)
        if order.at_trigger:
            self._try_trigger(order)
        else:
            self._match(order, "taker")
        return Taken(order.venue_order_id, self.now())

    def cancel(self, ref: VenueOrderRef) -> Sent:
        """End a working order, or say that there is none."""
        self.tick()
        order = self.find(ref)
        if order is None or not order.live or order.status == "triggered":
            return Refused(REFUSED_ENDED, "the order does not exist or has ended")
        self._end(order, "cancelled", "cancelled by the user")
        return Taken(order.venue_order_id, self.now())

    def find(self, ref: VenueOrderRef) -> BookedOrder | None:
        """The newest order that is meant."""
        self.tick()
        for order in reversed(self._orders):
            if order.at_trigger == ref.at_trigger and order.symbol == ref.symbol and _meant(order, ref):
                return order
        return None

    def open_orders(self) -> list[VenueOrder]:
        """What works, oldest first; a trigger that was reached is seen as what it became."""
        self.tick()
        return [order.shown() for order in self._orders if order.status == "open"]

    def orders(self) -> list[VenueOrder]:
        """Every order there ever was, for tests to compare with."""
        return [order.shown() for order in self._orders]

    def fills(self, since: datetime) -> list[VenueFill]:
        """The trades since then; only the first ``fills_shown_max`` there ever were, if that is set."""
        return [fill for fill in self._fills[: self.fills_shown_max] if fill.at >= since]

    def funding(self, since: datetime) -> list[VenueFunding]:
        """The funding payments since then."""
        return [payment for payment in self._funding if payment.at >= since]

    def balances(self) -> list[VenueBalance]:
        """The currencies of which there is any."""
        held: dict[str, Decimal] = {}
        for order in self._orders:
            if order.status == "open" and not order.at_trigger and not self._only_reduces(order):
                currency, amount = self._held(order)
                held[currency] = held.get(currency, ZERO) + amount
        return self._wallet.balances(held)

    @property
    def wallet(self) -> Wallet:
        """Money and positions."""
        return self._wallet

    def pay_funding(self, symbol: Symbol, rate: Decimal) -> None:
        """A perpetual's funding at the price of now: longs pay ``rate`` of notional to shorts."""
        with exact():
            quantity = self._wallet.reducible(symbol, "sell") - self._wallet.reducible(symbol, "buy")
            amount = -quantity * self._prices[symbol] * rate
            if amount:
                self._wallet.pay(symbol, amount)
                self._funding.append(
                    VenueFunding(
                        funding_id=self._next(),
                        symbol=symbol,
                        amount=amount,
                        at=self.now(),
                        rate=rate,
                        mark=self._prices[symbol],
                        quantity=abs(quantity),
                    )
                )

    def liquidate(self, symbol: Symbol, *, quantity: Decimal | None = None) -> None:
        """The venue closes a perpetual's position at the price of now, all of it or so much, by an order of its own."""
        held = self._wallet.reducible(symbol, "sell") - self._wallet.reducible(symbol, "buy")
        order = BookedOrder(
            client_id="",
            venue_order_id=self._next(),
            symbol=symbol,
            side="sell" if held > 0 else "buy",
            kind="market",
            quantity=quantity or abs(held),
            at=self.now(),
            reduce_only=True,
        )
        self._trade(order, order.quantity, self._prices[symbol], "taker", liquidation=True)

    def check_leverage(self, symbol: Symbol, leverage: Decimal) -> None:
        """Raise ``VenueUnfit`` for more than the perpetual allows."""
        most = self._instruments[symbol].leverage_max
        if most is not None and leverage > most:
            raise VenueUnfit(f"59102: the leverage of {symbol} is {most} at most")

    def cancel_all_after(self, seconds: int, *, owner: str = "") -> None:
        """Set or end an owner's dead man's switch; it ends resting entries, not those at a trigger."""
        self.tick()
        self._cancel_at.pop(owner, None)
        if seconds:
            self._cancel_at[owner] = self.now() + timedelta(seconds=seconds)

    def hold(self, request: Callable[[], object]) -> None:
        """Keep a request on its way until ``deliver``."""
        self._late.append(request)

    def deliver(self) -> int:
        """Let every request that is still on its way arrive now; answer how many there were."""
        count = len(self._late)
        while self._late:
            self._late.popleft()()
        return count

    def _fault(self, request: VenueRequest) -> Refused | None:
        instrument = self._instruments.get(request.symbol)
        if self.now() > request.expires_at:
            return Refused(REFUSED_LATE, "the request came after its expTime", passing=True)
        if instrument is None or request.symbol not in self._prices:
            return Refused(REFUSED_SYMBOL, f"there is no {request.symbol}")
        prices = (request.limit_price, request.trigger_price, request.target_price)
        if request.quantity <= 0 or request.quantity % instrument.lot:
            return Refused(REFUSED_STEP, "the quantity is not a multiple of the lot")
        if any(price is not None and price % instrument.tick for price in prices):
            return Refused(REFUSED_STEP, "a price is not a multiple of the tick")
        bound = request.reduce_only and instrument.kind == "perpetual" and request.kind in ("market", "limit")
        if bound and not self._wallet.reducible(request.symbol, request.side):
            return Refused(REFUSED_NOTHING_TO_REDUCE, "there is no position to reduce")
        return None

    def _known(self, request: VenueRequest) -> bool:
        known_since = self.now() - self._ids_remembered
        at_trigger = request.kind not in ("market", "limit")
        return any(
            order.client_id == request.client_id
            and order.at_trigger == at_trigger
            and (order.live or order.at > known_since)
            for order in self._orders
            if order.client_id
        )

    def _begin(self, order: BookedOrder, request: VenueRequest) -> None:
        """What a new order does at once."""
        crossing = crosses(order, self._prices[order.symbol])
        volume = self._volumes[order.symbol]
        if request.post_only and crossing:
            self._end(order, "cancelled", "a post-only order would have taken")
        elif request.time_in_force == "fok" and not (crossing and (volume is None or volume >= order.quantity)):
            self._end(order, "cancelled", "it could not be filled at once")
        else:
            self._match(order, "taker")
            if order.live and (order.kind == "market" or request.time_in_force == "ioc"):
                self._end(order, "cancelled", "nothing was left to trade with")

    def _try_trigger(self, order: BookedOrder) -> None:
        price = self._prices[order.symbol]
        leg = reached(order, price) if order.status == "open" else None
        if leg is None:
            return
        order.leg = leg
        quantity = order.quantity
        if self._only_reduces(order):
            quantity = min(quantity, self._wallet.reducible(order.symbol, order.side))
        child = child_of(order, venue_order_id=self._next(), quantity=quantity, at=self.now())
        if not quantity or not self._affordable(child):
            self._end(order, "rejected", "insufficient funds or no position to reduce at the trigger")
            return
        order.status, order.child_id = "triggered", child.venue_order_id
        self._changed(order)
        self._orders.append(child)
        self._match(child, "taker")
        if child.live and child.kind == "market":
            self._end(child, "cancelled", "nothing was left to trade with")

    def _match(self, order: BookedOrder, liquidity: Literal["maker", "taker"]) -> None:
        """Trade what the price and its volume allow; a resting order at its limit, a new one at the price."""
        price = self._prices[order.symbol]
        if not crosses(order, price):
            return
        volume = self._volumes[order.symbol]
        quantity = order.remaining if volume is None else min(order.remaining, volume)
        if self._only_reduces(order):
            quantity = min(quantity, self._wallet.reducible(order.symbol, order.side))
            if not quantity and volume != 0:
                self._end(order, "cancelled", "there is no position left to reduce")
                return
        if quantity:
            self._trade(order, quantity, order.limit_price or price if liquidity == "maker" else price, liquidity)

    def _trade(
        self,
        order: BookedOrder,
        quantity: Decimal,
        price: Decimal,
        liquidity: Literal["maker", "taker"],
        *,
        liquidation: bool = False,
    ) -> None:
        with exact():
            rate = self._rates[liquidity]
            fee = self._wallet.trade(order.symbol, order.side, quantity, price, rate=rate)
            volume = self._volumes[order.symbol]
            self._volumes[order.symbol] = None if volume is None else volume - quantity
            order.filled += quantity
        self._fills.append(
            VenueFill(
                fill_id=self._next(),
                venue_order_id=order.venue_order_id,
                client_id=order.named,
                symbol=order.symbol,
                side=order.side,
                quantity=quantity,
                price=price,
                fee=fee.amount,
                fee_currency=fee.currency,
                liquidity=liquidity,
                at=self.now(),
                liquidation=liquidation,
            )
        )
        self._changed(order, status="filled" if order.remaining == 0 else "open")

    def _end(self, order: BookedOrder, status: VenueOrderStatus, reason: str) -> None:
        order.reason = reason
        self._changed(order, status=status)

    def _changed(self, order: BookedOrder, *, status: VenueOrderStatus | None = None) -> None:
        order.status, order.at = status or order.status, self.now()
        parent = order.parent
        if parent is not None:
            parent.filled, parent.at = order.filled, order.at
            if not order.live:
                parent.status, parent.reason = order.status, order.reason
        self._tell(parent or order)

    def _tell(self, order: BookedOrder) -> None:
        for listener in self.listeners:
            listener(VenueHint(client_id=order.client_id, symbol=order.symbol))

    def _only_reduces(self, order: BookedOrder) -> bool:
        """In spot there is nothing to reduce, and so the flag means nothing."""
        return order.reduce_only and self._instruments[order.symbol].kind == "perpetual"

    def _affordable(self, order: BookedOrder) -> bool:
        if self._only_reduces(order):
            return True
        currency, amount = self._held(order)
        return any(balance.free >= amount for balance in self.balances() if balance.currency == currency)

    def _held(self, order: BookedOrder) -> tuple[str, Decimal]:
        price = order.limit_price or self._prices[order.symbol]
        return self._wallet.needed(order.symbol, order.side, order.remaining, price)

    def _next(self) -> str:
        self._numbers += 1
        return str(self._numbers)


def _meant(order: BookedOrder, ref: VenueOrderRef) -> bool:
    if ref.venue_order_id:
        return order.venue_order_id == ref.venue_order_id
    return order.client_id == ref.client_id != ""
