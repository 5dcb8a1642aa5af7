"""A bot's money: cash, what open positions cost so far, and what closed ones earned. Spot, long, quote currency."""

from datetime import datetime
from decimal import Decimal

import msgspec

from events.bot import OrderFilled
from events.identifiers import Symbol
from events.values import Side
from oxbot.core.money import ZERO


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """One round trip under way: what was bought and sold of the symbol since it was last flat.

    Quantities in base currency; cost, proceeds and fees in quote currency.
    """

    symbol: Symbol
    opened_at: datetime
    entry_quantity: Decimal
    entry_cost: Decimal
    exit_quantity: Decimal = ZERO
    exit_proceeds: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def quantity(self) -> Decimal:
        """What is held now."""
        return self.entry_quantity - self.exit_quantity

    @property
    def net_cash(self) -> Decimal:
        """What the round trip has added to cash so far, net of fees; its result once it is flat."""
        return self.exit_proceeds - self.entry_cost - self.fees


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The books of one bot. At every moment cash = deposits - withdrawals + realised + sum(position.net_cash)."""

    deposits: Decimal = ZERO
    withdrawals: Decimal = ZERO
    cash: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    positions: dict[Symbol, Position] = {}

    def deposit(self, amount: Decimal) -> "Ledger":
        """The books after quote currency came in."""
        return msgspec.structs.replace(self, deposits=self.deposits + amount, cash=self.cash + amount)

    def withdraw(self, amount: Decimal) -> "Ledger":
        """The books after quote currency went out."""
        return msgspec.structs.replace(self, withdrawals=self.withdrawals + amount, cash=self.cash - amount)

    def book(self, symbol: Symbol, side: Side, fill: OrderFilled) -> "Ledger":
        """The books after a fill; a position that it brings to zero is realised and gone."""
        notional = fill.quantity * fill.price
        position = _after_fill(self.positions.get(symbol), symbol, side, fill, notional)
        positions = {name: held for name, held in self.positions.items() if name != symbol}
        realised = self.realised
        if position.quantity == 0:
            realised += position.net_cash
        else:
            positions[symbol] = position
        change = -notional if side == "buy" else notional
        return msgspec.structs.replace(
            self,
            cash=self.cash + change - fill.fee,
            realised=realised,
            fees=self.fees + fill.fee,
            positions=positions,
        )

    def overdrawn(self, quote: str) -> str | None:
        """What there is less than nothing of, and by how much; None while the books can be."""
        if self.cash < 0:
            return f"{-self.cash:f} {quote} more were spent than there were"
        for position in self.positions.values():
            if position.quantity < 0:
                return f"{-position.quantity:f} {position.symbol} more were sold than were held"
        return None

    def imbalance(self) -> Decimal:
        """Cash that came from nowhere (or went there): zero, or the books are wrong."""
        explained = self.deposits - self.withdrawals + self.realised
        return self.cash - explained - sum((held.net_cash for held in self.positions.values()), ZERO)


def _after_fill(
    position: Position | None, symbol: Symbol, side: Side, fill: OrderFilled, notional: Decimal
) -> Position:
    held = position or Position(symbol=symbol, opened_at=fill.at, entry_quantity=ZERO, entry_cost=ZERO)
    if side == "buy":
        return msgspec.structs.replace(
            held,
            entry_quantity=held.entry_quantity + fill.quantity,
            entry_cost=held.entry_cost + notional,
            fees=held.fees + fill.fee,
        )
    return msgspec.structs.replace(
        held,
        exit_quantity=held.exit_quantity + fill.quantity,
        exit_proceeds=held.exit_proceeds + notional,
        fees=held.fees + fill.fee,
    )
