"""Round trips as a bot looks at them: why it is in one, and how those that are over went."""

from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from events.bot import Intent
from events.identifiers import DecisionId, OrderId, Symbol
from events.values import Bracket, PositionSide
from oxbot.core.ledger import ClosedTrip

ENTRY_INTENTS: frozenset[Intent] = frozenset({"enter_long", "enter_short"})


class Trip(msgspec.Struct, frozen=True, kw_only=True):
    """Why an open position was entered, and how it is to be left; the stop's distance from the first fill's price."""

    entry_id: OrderId
    decision_id: DecisionId | None
    setup: str
    bracket: Bracket | None
    opened_at: datetime
    stop_distance: Decimal | None = None


class ClosedTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A round trip that is over, as limits, sizing and strategies look back on it; quote currency.

    ``reason`` is that of the order that closed it, or "liquidation". ``risked`` is what its first stop would have cost
    before fees; None without a stop.
    """

    symbol: Symbol
    side: PositionSide
    setup: str
    opened_at: datetime
    closed_at: datetime
    entry_cost: Decimal
    net: Decimal
    reason: str
    decision_id: DecisionId | None = None
    risked: Decimal | None = None


class Note(NamedTuple):
    """What an entry's decision said that its trade is remembered by, and the newest price at that time."""

    decision_id: DecisionId
    setup: str
    mark: Decimal | None = None


class Refused(NamedTuple):
    """One refusal of an entry, of those that a symbol had today: by which rule, of which setup, on which day (UTC).

    ``value`` is what the rule found.
    """

    rule: str
    setup: str
    on: date
    value: Decimal = Decimal(0)

    def covers(self, other: "Refused") -> bool:
        """Whether the other says nothing new: it is the same, at a value within a tenth of this one's."""
        return other._replace(value=self.value) == self and abs(other.value - self.value) <= abs(self.value) / 10


def stop_distance(bracket: Bracket | None, price: Decimal) -> Decimal | None:
    """How far the bracket's stop is from the price; None without one."""
    if bracket is None:
        return None
    if bracket.stop_price is not None:
        return abs(price - bracket.stop_price)
    return price * bracket.stop_fraction or None


def closed_trade(closed: ClosedTrip, trip: Trip | None, reason: str) -> ClosedTrade:
    """The round trip as it is looked back on."""
    distance = trip.stop_distance if trip else None
    return ClosedTrade(
        symbol=closed.symbol,
        side=closed.side,
        setup=trip.setup if trip else "",
        opened_at=closed.opened_at,
        closed_at=closed.closed_at,
        entry_cost=closed.entry_cost,
        net=closed.net,
        reason=reason,
        decision_id=trip.decision_id if trip else None,
        risked=None if distance is None else closed.entry_quantity * distance,
    )
