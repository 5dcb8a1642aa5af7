"""A bot's money: cash, margin, what open positions cost so far, and what closed round trips earned.

Spot is bought and sold for cash. A linear perpetual moves only its result, fees and funding through cash, and locks
isolated margin inside it. All of it is computed under ``money.exact()``; the only rounded numbers are the margin that
an entry locks and the parts of cost and margin that a partial exit releases, and the last exit releases what is left.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from events.bot import FundingSettled, OrderFilled, PositionLiquidated
from events.errors import OxbotError
from events.identifiers import FillId, OrderId, Symbol
from events.values import Instrument, InstrumentKind, PositionSide, Side
from oxbot.core.money import ZERO, ceil_to_step, exact, floor_to_step, prorate, ratio, text

_ONE = Decimal(1)
_UNIT = Decimal("1e-18")


class UnknownPosition(OxbotError):
    """A liquidation of what these books do not hold."""


class ClosedTrip(msgspec.Struct, frozen=True, kw_only=True):
    """One round trip, flat to flat. ``net`` is what it added to cash, after every fee and all funding, to the unit.

    Quantities, cost and proceeds are the sums of all its fills. ``covered`` is the part of the loss that a venue bore.
    """

    symbol: Symbol
    side: PositionSide
    opened_at: datetime
    closed_at: datetime
    entry_quantity: Decimal
    entry_cost: Decimal
    exit_quantity: Decimal
    exit_proceeds: Decimal
    fees: Decimal
    funding: Decimal
    covered: Decimal
    net: Decimal


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """One round trip under way: what was traded of the symbol since it was last flat.

    Entry and exit numbers are gross sums over the fills. ``fees`` is in quote currency; of it ``fees_in_base_value``
    was kept by the venue as ``fees_in_base``, valued at the price of its fill, and never went through cash. ``funding``
    is what was received less what was paid. ``realised`` is the result of what was exited so far against its average
    cost, before fees; for a perpetual it is in cash already. ``carried`` is base of no cost, left by earlier trips.
    Fills may be booked in another order than they were traded in: ``opened_at`` and ``traded_at`` are the times of the
    earliest and of the latest one.
    """

    symbol: Symbol
    opened_at: datetime
    traded_at: datetime
    entry_quantity: Decimal
    entry_cost: Decimal
    kind: InstrumentKind = "spot"
    side: PositionSide = "long"
    leverage: Decimal = _ONE
    exit_quantity: Decimal = ZERO
    exit_proceeds: Decimal = ZERO
    fees: Decimal = ZERO
    fees_in_base: Decimal = ZERO
    fees_in_base_value: Decimal = ZERO
    funding: Decimal = ZERO
    covered: Decimal = ZERO
    realised: Decimal = ZERO
    margin: Decimal = ZERO
    carried: Decimal = ZERO

    @property
    def quantity(self) -> Decimal:
        """What is held now, or owed by a short; never negative in books that can be."""
        return self.entry_quantity + self.carried - self.fees_in_base - self.exit_quantity

    @property
    def signed_quantity(self) -> Decimal:
        """What is held now, below 0 for a short."""
        return self._signed(self.quantity)

    @property
    def cost(self) -> Decimal:
        """What was paid for what is still held (received for what is still owed), by average cost, without fees."""
        return self.entry_cost - self.fees_in_base_value - (self.exit_proceeds - self._signed(self.realised))

    @property
    def entry_price(self) -> Decimal:
        """The average price of all entries, for people to read."""
        return ratio(self.entry_cost, self.entry_quantity)

    @property
    def net_cash(self) -> Decimal:
        """What the round trip has added to cash so far, net of fees and funding; its result once it is flat."""
        settled = self.realised - self.fees + self.funding + self.covered
        return settled if self.kind == "perpetual" else settled - self.cost

    def unrealised(self, mark: Decimal) -> Decimal:
        """What closing at the mark would earn on what is held now, before fees."""
        return self._signed(self.quantity * mark - self.cost)

    def shortfall(self, price: Decimal, fee: Decimal) -> Decimal:
        """How far closing at the price would lose more than the margin, fee included; 0 if it would not."""
        return shortfall(self.side, cost=self.cost, proceeds=self.quantity * price, fee=fee, margin=self.margin)

    def liquidation_price(self, instrument: Instrument) -> Decimal | None:
        """The tick at which the venue liquidates; None for spot, and for a long that no price can bring so far.

        There the margin and the unrealised result are what maintenance and the liquidation fee take of the notional:
        (cost - margin) / (quantity * (1 - maintenance - fee)) for a long, and for a short (cost + margin) /
        (quantity * (1 + maintenance + fee)); rounded to the tick that the price meets first: up for a long.
        """
        if self.kind == "spot":
            return None
        taken = instrument.maintenance_fraction + instrument.liquidation_fee
        with exact():
            numerator = self.cost - self._signed(self.margin)
            price_of_one = self.quantity * (_ONE - self._signed(taken))
            if numerator <= 0 or price_of_one <= 0:
                return None
            step = price_of_one * instrument.tick
            at_ticks = ceil_to_step(numerator, step) if self.side == "long" else floor_to_step(numerator, step)
            return at_ticks // step * instrument.tick

    def closed(self) -> ClosedTrip:
        """The round trip as it is reported, for a position that is flat but for dust."""
        return ClosedTrip(
            symbol=self.symbol,
            side=self.side,
            opened_at=self.opened_at,
            closed_at=self.traded_at,
            entry_quantity=self.entry_quantity,
            entry_cost=self.entry_cost,
            exit_quantity=self.exit_quantity,
            exit_proceeds=self.exit_proceeds,
            fees=self.fees,
            funding=self.funding,
            covered=self.covered,
            net=self.net_cash,
        )

    def _signed(self, amount: Decimal) -> Decimal:
        return amount if self.side == "long" else -amount


class Booked(NamedTuple):
    """The books after a fact, and the round trip that it ended, if it ended one."""

    ledger: "Ledger"
    trip: ClosedTrip | None = None


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The books of one bot. At every moment cash = deposits - withdrawals + realised + sum(position.net_cash).

    ``cash`` is the settled balance, the margin that is locked in it included. ``realised`` is the sum of the closed
    trips' ``net``, and of funding that came when its position was closed already. ``dust`` is base below one lot that
    a closed trip left behind: it is owned, it counts in equity, and the symbol's next trip takes it over at no cost.
    """

    deposits: Decimal = ZERO
    withdrawals: Decimal = ZERO
    cash: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    positions: dict[Symbol, Position] = {}
    dust: dict[Symbol, Decimal] = {}

    @property
    def locked(self) -> Decimal:
        """The isolated margin of all positions: in cash, but not free."""
        return sum((position.margin for position in self.positions.values()), ZERO)

    @property
    def free(self) -> Decimal:
        """Cash that is not margin; what working orders keep of it is not subtracted."""
        return self.cash - self.locked

    def deposit(self, amount: Decimal) -> "Ledger":
        """The books after quote currency came in."""
        return msgspec.structs.replace(self, deposits=self.deposits + amount, cash=self.cash + amount)

    def withdraw(self, amount: Decimal) -> "Ledger":
        """The books after quote currency went out."""
        return msgspec.structs.replace(self, withdrawals=self.withdrawals + amount, cash=self.cash - amount)

    def book(self, instrument: Instrument, order_side: Side, fill: OrderFilled, *, leverage: Decimal) -> Booked:
        """The books after a fill. An exit that leaves nothing, or of spot less than one lot, ends the round trip.

        ``leverage`` counts for a perpetual's entry alone. A fill never turns a position over: more than is held leaves
        less than nothing, which ``overdrawn`` reports.
        """
        held = self.positions.get(instrument.symbol) or _opened(self, instrument, order_side, fill.at)
        held = _traded(held, fill.at)
        entering = order_side == ("buy" if held.side == "long" else "sell")
        after = _entered(held, fill, leverage) if entering else _exited(held, fill, instrument.lot)
        if held.kind == "perpetual":
            change = after.realised - held.realised - fee_value(fill)
        else:
            notional = fill.quantity * fill.price
            change = (-notional if order_side == "buy" else notional) - (fill.fee if fill.fee_in == "quote" else ZERO)
        booked = msgspec.structs.replace(self, cash=self.cash + change, fees=self.fees + fee_value(fill))
        if not entering and _over(after.kind, after.quantity, instrument.lot):
            return _ended(booked, after)
        return Booked(_holding(booked, after))

    def fund(self, fact: FundingSettled) -> "Ledger":
        """The books after a perpetual's funding, which changes cash and the position's margin by the same amount.

        What a venue reports after the position was closed goes to ``realised`` at once: it is nobody's margin any more.
        """
        amount, position = fact.amount, self.positions.get(fact.symbol)
        booked = msgspec.structs.replace(self, cash=self.cash + amount, funding=self.funding + amount)
        if position is None:
            return msgspec.structs.replace(booked, realised=self.realised + amount)
        funding, margin = position.funding + amount, position.margin + amount
        return _holding(booked, msgspec.structs.replace(position, funding=funding, margin=margin))

    def liquidate(self, fact: PositionLiquidated) -> Booked:
        """The books after the venue closed a perpetual's whole position: cash changes by result - fee + covered.

        Of one closed in part, cost and margin are released in proportion, as by any exit. ``shortfall`` says what must
        be covered. Raises ``UnknownPosition`` for any other than what is held.
        """
        held = self.positions.get(fact.symbol)
        like = held is not None and (held.kind, held.side) == ("perpetual", fact.side)
        if held is not None and like and fact.part and fact.quantity < held.quantity:
            return self._liquidated_in_part(held, fact)
        if held is None or (held.kind, held.side, held.quantity) != ("perpetual", fact.side, fact.quantity):
            found = "nothing" if held is None else f"a {held.kind} {held.side} of {held.quantity}"
            raise UnknownPosition(
                f"{fact.symbol}: a {fact.side} of {fact.quantity} was liquidated, but {found} is held"
            )
        gain = held.unrealised(fact.price)
        after = msgspec.structs.replace(
            _traded(held, fact.at),
            exit_quantity=held.exit_quantity + fact.quantity,
            exit_proceeds=held.exit_proceeds + fact.quantity * fact.price,
            fees=held.fees + fact.fee,
            covered=held.covered + fact.covered,
            realised=held.realised + gain,
        )
        cash = self.cash + gain - fact.fee + fact.covered
        return _ended(msgspec.structs.replace(self, cash=cash, fees=self.fees + fact.fee), after)

    def _liquidated_in_part(self, held: Position, fact: PositionLiquidated) -> Booked:
        trade = OrderFilled(
            order_id=OrderId(""),
            fill_id=FillId(fact.fill_id),
            at=fact.at,
            quantity=fact.quantity,
            price=fact.price,
            fee=fact.fee,
            liquidity="taker",
            complete=False,
        )
        after = _exited(_traded(held, fact.at), trade, ZERO)
        after = msgspec.structs.replace(after, covered=held.covered + fact.covered)
        cash = self.cash + after.realised - held.realised - fact.fee + fact.covered
        return Booked(_holding(msgspec.structs.replace(self, cash=cash, fees=self.fees + fact.fee), after))

    def equity(self, marks: Mapping[Symbol, Decimal]) -> Decimal:
        """Cash, what spot holdings and dust are worth, and perpetuals' unrealised results; all held needs a mark."""
        worth = self.cash
        for symbol, position in self.positions.items():
            mark = marks[symbol]
            worth += position.unrealised(mark) if position.kind == "perpetual" else position.quantity * mark
        return worth + sum((quantity * marks[symbol] for symbol, quantity in self.dust.items()), ZERO)

    def overdrawn(self, quote: str) -> str | None:
        """What there is less than nothing of, and by how much; None while the books can be."""
        if self.cash < 0:
            return f"{text(-self.cash)} {quote} more were spent than there were"
        for symbol, position in self.positions.items():
            if position.quantity < 0:
                traded = "sold than were held" if position.side == "long" else "bought back than were owed"
                return f"{text(-position.quantity)} {symbol} more were {traded}"
            if position.margin < 0:
                return f"{text(-position.margin)} {quote} more funding was paid for {symbol} than its margin held"
        if self.free < 0:
            return f"{text(-self.free)} {quote} more are locked as margin than there are"
        return None

    def imbalance(self) -> Decimal:
        """Cash that came from nowhere (or went there): zero, or the books are wrong."""
        explained = self.deposits - self.withdrawals + self.realised
        return self.cash - explained - sum((held.net_cash for held in self.positions.values()), ZERO)


def initial_margin(notional: Decimal, leverage: Decimal) -> Decimal:
    """``notional / leverage``, rounded up to 18 decimals; both at least 0, leverage above it."""
    step = leverage * _UNIT
    return ceil_to_step(notional, step) // step * _UNIT


def shortfall(side: PositionSide, *, cost: Decimal, proceeds: Decimal, fee: Decimal, margin: Decimal) -> Decimal:
    """How far a close loses more than the margin, fee included; 0 if it does not. All in quote currency.

    ``cost`` is what was paid for the position, for a short received, and ``proceeds`` is its quantity at the price.
    """
    loss = cost - proceeds if side == "long" else proceeds - cost
    return max(ZERO, loss + fee - margin)


def fee_value(fill: OrderFilled) -> Decimal:
    """The fill's fee in quote currency; one in base counts at the fill's price."""
    return fill.fee if fill.fee_in == "quote" else fill.fee * fill.price


def _opened(ledger: Ledger, instrument: Instrument, order_side: Side, at: datetime) -> Position:
    """The symbol's next trip, before its first fill. Spot cannot be short."""
    return Position(
        symbol=instrument.symbol,
        opened_at=at,
        traded_at=at,
        entry_quantity=ZERO,
        entry_cost=ZERO,
        kind=instrument.kind,
        side="short" if instrument.kind == "perpetual" and order_side == "sell" else "long",
        carried=ledger.dust.get(instrument.symbol, ZERO),
    )


def _traded(held: Position, at: datetime) -> Position:
    """The position with the time of one more trade."""
    if held.opened_at <= at <= held.traded_at:
        return held
    return msgspec.structs.replace(held, opened_at=min(held.opened_at, at), traded_at=max(held.traded_at, at))


def _entered(held: Position, fill: OrderFilled, leverage: Decimal) -> Position:
    """The position after more of it. Margin grows with the summed cost, so splitting a fill never locks more."""
    cost = held.entry_cost + fill.quantity * fill.price
    held = _with_fee(held, fill)
    if held.kind == "perpetual":
        locked = initial_margin(cost, leverage) - initial_margin(held.entry_cost, leverage)
        held = msgspec.structs.replace(held, margin=held.margin + locked, leverage=leverage)
    return msgspec.structs.replace(held, entry_quantity=held.entry_quantity + fill.quantity, entry_cost=cost)


def _exited(held: Position, fill: OrderFilled, lot: Decimal) -> Position:
    """The position after less of it. If it is over, all its cost and margin are released, else in proportion."""
    after = _with_fee(held, fill)
    after = msgspec.structs.replace(
        after,
        exit_quantity=held.exit_quantity + fill.quantity,
        exit_proceeds=held.exit_proceeds + fill.quantity * fill.price,
    )
    gone, proceeds = held.quantity - after.quantity, fill.quantity * fill.price
    if held.kind == "spot" and fill.fee_in == "base":
        proceeds += fee_value(fill)
    if after.quantity < 0 or _over(held.kind, after.quantity, lot):
        cost, margin = held.cost, held.margin
    else:
        cost, margin = (prorate(amount, gone, held.quantity) for amount in (held.cost, held.margin))
    gain = proceeds - cost if held.side == "long" else cost - proceeds
    return msgspec.structs.replace(after, realised=held.realised + gain, margin=held.margin - margin)


def _with_fee(held: Position, fill: OrderFilled) -> Position:
    """The position after the fill's fee; a perpetual holds no base, so that a fee in base is paid at its value."""
    value = fee_value(fill)
    held = msgspec.structs.replace(held, fees=held.fees + value)
    if held.kind == "perpetual" or fill.fee_in == "quote":
        return held
    return msgspec.structs.replace(
        held,
        fees_in_base=held.fees_in_base + fill.fee,
        fees_in_base_value=held.fees_in_base_value + value,
    )


def _over(kind: InstrumentKind, quantity: Decimal, lot: Decimal) -> bool:
    """Whether what is left ends a round trip: nothing, or of spot less than can be sold."""
    return quantity == 0 or (kind == "spot" and 0 < quantity < lot)


def _holding(ledger: Ledger, position: Position) -> Ledger:
    """The books with the position, which has taken over the symbol's dust."""
    return msgspec.structs.replace(
        ledger,
        positions={**ledger.positions, position.symbol: position},
        dust={name: left for name, left in ledger.dust.items() if name != position.symbol},
    )


def _ended(ledger: Ledger, position: Position) -> Booked:
    """The books without the position, whose remainder becomes dust, and its round trip."""
    symbol, trip = position.symbol, position.closed()
    left = {} if position.quantity == 0 else {symbol: position.quantity}
    after = msgspec.structs.replace(
        ledger,
        realised=ledger.realised + trip.net,
        positions={name: held for name, held in ledger.positions.items() if name != symbol},
        dust={name: kept for name, kept in ledger.dust.items() if name != symbol} | left,
    )
    return Booked(after, trip)
