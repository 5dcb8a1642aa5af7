"""The naive ledger that the real one is compared with: a list of moves, all of it recomputed in fractions every time.

It knows no cost, no rounding and no side: a position is a signed size at an average price, a round trip is the sum of
what its symbol did to cash since it was last flat.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from events.bot import FundingSettled, OrderFilled, PositionLiquidated
from events.identifiers import Symbol
from events.values import Instrument, Side


@dataclass
class Trade:
    instrument: Instrument
    side: Side
    fill: OrderFilled
    leverage: Decimal


Move = Decimal | Trade | FundingSettled | PositionLiquidated
"""A number is money from outside, below 0 if it left."""


@dataclass
class Account:
    """One symbol: what is held (below 0 for a short) and what its trip did to cash; ``rounded`` counts its fills."""

    size: Fraction = Fraction(0)
    average: Fraction = Fraction(0)
    margin: Fraction = Fraction(0)
    net: Fraction = Fraction(0)
    at_risk: Fraction = Fraction(0)
    rounded: int = 0
    open: bool = False

    @property
    def cost(self) -> Fraction:
        return self.average * abs(self.size)

    def enter(self, size: Fraction, price: Fraction) -> None:
        cost = self.cost + price * abs(size)
        self.size += size
        self.average = cost / abs(self.size) if self.size else Fraction(0)
        self.open = True

    def leave(self, size: Fraction) -> None:
        self.margin = self.margin * (self.size - size) / self.size
        self.size -= size


@dataclass
class Trip:
    symbol: Symbol
    net: Fraction
    at_risk: Fraction
    """All the margin that it ever locked, and its entry fees."""
    rounded: int


@dataclass
class Books:
    deposits: Fraction = Fraction(0)
    withdrawals: Fraction = Fraction(0)
    cash: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    funding: Fraction = Fraction(0)
    late_funding: Fraction = Fraction(0)
    accounts: dict[Symbol, Account] = field(default_factory=dict)
    trips: list[Trip] = field(default_factory=list)

    def add(self, move: Move) -> None:
        match move:
            case Decimal():
                self.cash += Fraction(move)
                self.deposits += Fraction(max(move, Decimal(0)))
                self.withdrawals -= Fraction(min(move, Decimal(0)))
            case Trade():
                self._trade(move)
            case FundingSettled():
                self._fund(move)
            case PositionLiquidated():
                self._liquidate(move)

    def _trade(self, trade: Trade) -> None:
        fill, spot = trade.fill, trade.instrument.kind == "spot"
        account = self.accounts.setdefault(trade.instrument.symbol, Account())
        price, fee = Fraction(fill.price), Fraction(fill.fee)
        size = Fraction(fill.quantity) if trade.side == "buy" else -Fraction(fill.quantity)
        entering = account.size * size > 0 or not account.open
        entering = trade.side == "buy" if spot else entering
        value = fee * price if fill.fee_in == "base" else fee
        if spot:
            change = -size * price - (0 if fill.fee_in == "base" else fee)
            size -= fee if fill.fee_in == "base" else 0
        else:
            change = -value if entering else (account.average - price) * size - value
        if entering:
            locked = Fraction(0) if spot else abs(size) * price / Fraction(trade.leverage)
            account.enter(size, price)
            account.margin += locked
            account.at_risk += locked + value
        else:
            account.leave(-size)
        self.fees += value
        self._move(account, change)
        left = account.size < Fraction(trade.instrument.lot) if spot else account.size == 0
        if left and not entering:
            self._end(trade.instrument.symbol, account)

    def _fund(self, fact: FundingSettled) -> None:
        account, amount = self.accounts.get(fact.symbol), Fraction(fact.amount)
        self.funding += amount
        if account is None or not account.open:
            self.late_funding += amount
            self.cash += amount
        else:
            account.margin += amount
            self._move(account, amount)

    def _liquidate(self, fact: PositionLiquidated) -> None:
        account, fee = self.accounts[fact.symbol], Fraction(fact.fee)
        self.fees += fee
        self._move(account, (Fraction(fact.price) - account.average) * account.size - fee + Fraction(fact.covered))
        account.size = Fraction(0)
        self._end(fact.symbol, account)

    def _move(self, account: Account, change: Fraction) -> None:
        account.rounded += 1
        account.net += change
        self.cash += change

    def _end(self, symbol: Symbol, account: Account) -> None:
        self.trips.append(Trip(symbol, account.net, account.at_risk, account.rounded))
        self.accounts[symbol] = Account(size=account.size)


def books(moves: list[Move]) -> Books:
    """What the moves come to, from the first of them on."""
    result = Books()
    for move in moves:
        result.add(move)
    return result
