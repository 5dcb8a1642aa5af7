"""The money and the positions of the in-memory venue's account, exact to the last unit."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from events.identifiers import Symbol
from events.values import Instrument, Side
from oxbot.app.venue import VenueBalance, VenuePosition
from oxbot.core.money import ZERO, prorate


class Fee(NamedTuple):
    """What a trade cost, above 0 when paid, and in which currency."""

    amount: Decimal
    currency: str


class Holding(msgspec.Struct):
    """A perpetual position: quantity and what it was entered for, both below 0 for a short."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO


class Wallet:
    """Cash by currency and positions by symbol; a spot buy pays its fee in base, everything else in quote."""

    def __init__(self, instruments: Mapping[Symbol, Instrument], balances: Mapping[str, Decimal]) -> None:
        self._instruments = instruments
        self.cash: dict[str, Decimal] = dict(balances)
        self.holdings: dict[Symbol, Holding] = {}
        self.leverages: dict[Symbol, Decimal] = {}

    def reducible(self, symbol: Symbol, side: Side) -> Decimal:
        """How much of a position an order on this side can take off."""
        quantity = self.holdings.get(symbol, Holding()).quantity
        return max(ZERO, -quantity if side == "buy" else quantity)

    def trade(self, symbol: Symbol, side: Side, quantity: Decimal, price: Decimal, *, rate: Decimal) -> Fee:
        """Book a trade and answer its fee."""
        base, quote = currencies(symbol)
        if self._instruments[symbol].kind == "perpetual":
            fee = Fee(quantity * price * rate, quote)
            self._add(quote, self._moved(symbol, quantity if side == "buy" else -quantity, price))
        elif side == "buy":
            fee = Fee(quantity * rate, base)
            self._add(quote, -quantity * price)
            self._add(base, quantity)
        else:
            fee = Fee(quantity * price * rate, quote)
            self._add(base, -quantity)
            self._add(quote, quantity * price)
        self._add(fee.currency, -fee.amount)
        return fee

    def pay(self, symbol: Symbol, amount: Decimal) -> None:
        """Book a payment in quote currency, above 0 if received."""
        self._add(currencies(symbol)[1], amount)

    def needed(self, symbol: Symbol, side: Side, quantity: Decimal, price: Decimal) -> tuple[str, Decimal]:
        """The currency and the amount of it that an order holds until it has traded or ended."""
        base, quote = currencies(symbol)
        if self._instruments[symbol].kind == "perpetual":
            return quote, quantity * price / self.leverage(symbol)
        return (quote, quantity * price) if side == "buy" else (base, quantity)

    def leverage(self, symbol: Symbol) -> Decimal:
        """The leverage that was set, 1 at first."""
        return self.leverages.get(symbol, Decimal(1))

    def balances(self, held: Mapping[str, Decimal]) -> list[VenueBalance]:
        """The currencies of which there is any; ``held`` is what orders hold."""
        margins: dict[str, Decimal] = {}
        for symbol, holding in self.holdings.items():
            quote = currencies(symbol)[1]
            margins[quote] = margins.get(quote, ZERO) + abs(holding.cost) / self.leverage(symbol)
        return [
            VenueBalance(currency=name, total=total, free=total - held.get(name, ZERO) - margins.get(name, ZERO))
            for name, total in sorted(self.cash.items())
            if total != 0
        ]

    def positions(self) -> list[VenuePosition]:
        """The positions that are not flat."""
        return [
            VenuePosition(
                symbol=symbol,
                side="long" if holding.quantity > 0 else "short",
                quantity=abs(holding.quantity),
                entry_price=holding.cost / holding.quantity,
                leverage=self.leverage(symbol),
            )
            for symbol, holding in sorted(self.holdings.items())
            if holding.quantity != 0
        ]

    def _moved(self, symbol: Symbol, change: Decimal, price: Decimal) -> Decimal:
        """Move a position by a signed quantity and answer what that realised."""
        holding = self.holdings.setdefault(symbol, Holding())
        closing = min(abs(change), abs(holding.quantity)) if holding.quantity * change < 0 else ZERO
        sign = 1 if holding.quantity > 0 else -1
        realised = ZERO
        if closing:
            cost = prorate(holding.cost, closing, abs(holding.quantity))
            realised = sign * closing * price - cost
            holding.quantity -= sign * closing
            holding.cost -= cost
            change += sign * closing
        holding.quantity += change
        holding.cost += change * price
        return realised

    def _add(self, currency: str, amount: Decimal) -> None:
        self.cash[currency] = self.cash.get(currency, ZERO) + amount


def currencies(symbol: Symbol) -> tuple[str, str]:
    """Base and quote currency: of "BTC/USDT:USDT" they are BTC and USDT."""
    base, _, quote = symbol.partition(":")[0].partition("/")
    return base, quote
