"""What a bot remembers of its own closed trades: per setup and symbol, how many there were and how they went.

A fold of the bot's stream, so at any moment it holds what had closed by then and nothing later. Its sums are made under
``money.exact()``, as those of the books are.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Protocol

import msgspec

from events.identifiers import Symbol
from oxbot.core.money import ZERO, prorate

SAMPLE_MIN = 20
INFLUENCE_MIN = Decimal("0.7")
INFLUENCE_MAX = Decimal("1.3")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One closed trade as it is remembered: net result and entry cost in quote currency."""

    setup: str
    symbol: Symbol
    net: Decimal
    cost: Decimal


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The trades of one setup in one symbol: how many, how many won, what they earned net, what they cost to enter."""

    trades: int = 0
    wins: int = 0
    net: Decimal = ZERO
    won: Decimal = ZERO
    cost: Decimal = ZERO

    def with_outcome(self, net: Decimal, cost: Decimal) -> "Record":
        """The record after one more trade."""
        return Record(
            trades=self.trades + 1,
            wins=self.wins + (net > 0),
            net=self.net + net,
            won=self.won + max(net, ZERO),
            cost=self.cost + cost,
        )

    def with_record(self, other: "Record") -> "Record":
        """Both records as one."""
        return Record(
            trades=self.trades + other.trades,
            wins=self.wins + other.wins,
            net=self.net + other.net,
            won=self.won + other.won,
            cost=self.cost + other.cost,
        )

    @property
    def win_rate(self) -> Decimal | None:
        """The share of trades that earned something; None without trades."""
        return prorate(Decimal(1), Decimal(self.wins), Decimal(self.trades)) if self.trades else None

    @property
    def expectancy(self) -> Decimal | None:
        """Mean net result per unit of entry cost; None where nothing was paid to enter."""
        return prorate(Decimal(1), self.net, self.cost) if self.cost else None


class MemoryPort(Protocol):
    """What any memory offers: keep an outcome, recall a record, search the records, forget one."""

    def remember(self, outcome: Outcome) -> "MemoryPort":
        """The memory with one more closed trade in it."""
        ...

    def recall(self, setup: str, symbol: Symbol | None = None) -> Record:
        """The record of a setup in one symbol, or in all."""
        ...

    def search(self, *, symbol: Symbol | None = None, trades_min: int = 1) -> tuple[tuple[str, Symbol, Record], ...]:
        """The records that have so many trades, the best expectancy first."""
        ...

    def forget(self, setup: str, symbol: Symbol | None = None) -> "MemoryPort":
        """The memory without a setup's record in one symbol, or in all."""
        ...


class Memory(msgspec.Struct, frozen=True):
    """Records by setup and symbol. Nothing in it can be written but by closed trades."""

    records: Mapping[str, Mapping[Symbol, Record]] = {}

    def unwritable(self) -> "Memory":
        """The same memory for code of others: what writes into it raises ``TypeError``."""
        shown = {setup: MappingProxyType(of_setup) for setup, of_setup in self.records.items()}
        return Memory(MappingProxyType(shown))

    def remember(self, outcome: Outcome) -> "Memory":
        """The memory with one more closed trade in it."""
        of_setup = self.records.get(outcome.setup, {})
        record = of_setup.get(outcome.symbol, Record()).with_outcome(outcome.net, outcome.cost)
        return Memory({**self.records, outcome.setup: {**of_setup, outcome.symbol: record}})

    def recall(self, setup: str, symbol: Symbol | None = None) -> Record:
        """The record of a setup in one symbol, or in all; an empty one if there is none."""
        total = Record()
        for name, record in self.records.get(setup, {}).items():
            if symbol in (None, name):
                total = total.with_record(record)
        return total

    def search(self, *, symbol: Symbol | None = None, trades_min: int = 1) -> tuple[tuple[str, Symbol, Record], ...]:
        """The records that have so many trades, the best expectancy first, then by name."""
        found = [
            (setup, name, record)
            for setup, of_setup in self.records.items()
            for name, record in of_setup.items()
            if symbol in (None, name) and record.trades >= trades_min
        ]
        return tuple(sorted(found, key=lambda entry: (-(entry[2].expectancy or ZERO), entry[0], entry[1])))

    def forget(self, setup: str, symbol: Symbol | None = None) -> "Memory":
        """The memory without a setup's record in one symbol, or in all."""
        of_setup = {name: record for name, record in self.records.get(setup, {}).items() if symbol not in (None, name)}
        rest = {name: records for name, records in self.records.items() if name != setup}
        return Memory({**rest, setup: of_setup} if of_setup else rest)

    def influence(self, setup: str, symbol: Symbol) -> Decimal:
        """By what the size of the next such entry is multiplied: 1 until enough trades have closed, never far from it.

        With ``SAMPLE_MIN`` trades or more it is 1 + the win rate's distance from one half, within 0.7 and 1.3.
        """
        record = self.recall(setup, symbol)
        if record.trades < SAMPLE_MIN or record.win_rate is None:
            return Decimal(1)
        return min(INFLUENCE_MAX, max(INFLUENCE_MIN, record.win_rate + Decimal("0.5")))


NO_MEMORY = Memory()
