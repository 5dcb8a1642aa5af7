"""One side of a parity report: a bot's decisions by candle, what its orders traded, and what pairs them with others."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec

from events.bot import (
    BotFact,
    DecisionMade,
    FundingSettled,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRequested,
    PositionLiquidated,
)
from events.identifiers import DecisionId, OrderId, Symbol
from events.values import Side
from oxbot.core.bot_state import BotState
from oxbot.core.candles import timeframe_duration
from oxbot.core.ledger import fee_value
from oxbot.core.money import ZERO, ratio

_MILLISECOND = timedelta(milliseconds=1)


class Traded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one side's orders: ``price`` is their average and ``fee`` in quote currency; base quantity.

    ``latency_ms`` is from the close of the candle at which they were asked for to the first fill; None for what was
    not asked for at one, such as a stop, and without a fill. On paper it is as coarse as its candles.
    """

    orders: tuple[OrderId, ...]
    reasons: tuple[str, ...]
    quantity: Decimal
    price: Decimal
    fee: Decimal
    latency_ms: int | None
    ends: tuple[str, ...]


class OrderKey(NamedTuple):
    """What pairs orders: the candle of the entry that opened the position, why, and their own; None for a bracket's."""

    symbol: Symbol
    side: Side
    entry_at: datetime | None
    reason: str
    at: datetime | None


class Leg:
    """What one side traded under a key; ``quantity`` is without what the venue kept of it as its fee."""

    def __init__(self, at: datetime, side: Side) -> None:
        self.at = at
        self.side: Side = side
        self.orders: list[OrderId] = []
        self.reasons: list[str] = []
        self.asked_until: datetime | None = None
        self.quantity = ZERO
        self.value = ZERO
        self.fee = ZERO
        self.first: datetime | None = None
        self.ends: list[str] = []

    def fill(self, at: datetime, *, quantity: Decimal, value: Decimal, fee: Decimal) -> None:
        """One trade more."""
        self.quantity += quantity
        self.value += value
        self.fee += fee
        self.first = at if self.first is None else min(self.first, at)

    def worth(self, mark: Decimal) -> Decimal:
        """What it adds to the result at the mark, before fees."""
        gain = self.quantity * mark - self.value
        return gain if self.side == "buy" else -gain

    def told(self) -> Traded:
        """For the report."""
        latency = None if self.first is None or self.asked_until is None else self.first - self.asked_until
        return Traded(
            orders=tuple(self.orders),
            reasons=tuple(dict.fromkeys(self.reasons)),
            quantity=self.quantity,
            price=ratio(self.value, self.quantity),
            fee=self.fee,
            latency_ms=None if latency is None else latency // _MILLISECOND,
            ends=tuple(self.ends),
        )


class Life:
    """One side: its decisions by candle and symbol, its orders by what pairs them, and what it came to."""

    def __init__(self, facts: Sequence[BotFact], state: BotState) -> None:
        self.state = state
        self.decisions: dict[tuple[datetime, Symbol], DecisionMade] = {}
        self.verdicts: dict[DecisionId, str] = {}
        self.legs: dict[OrderKey, Leg] = {}
        self.funding = ZERO
        self.prices: dict[Symbol, Decimal] = {}
        self._step = timeframe_duration(state.configuration.market.timeframe)
        self._keys: dict[OrderId, OrderKey] = {}
        self._decided: dict[DecisionId, datetime] = {}
        self._entered: dict[Symbol, datetime] = {}
        for fact in facts:
            self._see(fact)
        for order in state.orders.values():
            self.legs[self._keys[order.order_id]].ends.append("working")

    def result(self, marks: Mapping[Symbol, Decimal]) -> Decimal:
        """What the bot has earned, by its own books."""
        ledger = self.state.ledger
        return ledger.equity(marks) - ledger.deposits + ledger.withdrawals

    def _see(self, fact: BotFact) -> None:
        match fact:
            case DecisionMade():
                self.decisions[fact.at, fact.symbol] = fact
                self._decided[fact.decision_id] = fact.at
            case OrderDenied():
                self.verdicts[fact.decision_id] = fact.rule
            case OrderRequested():
                self._request(fact)
            case OrderFilled():
                self._fill(fact)
            case OrderRejected() | OrderExpired() | OrderCancelled():
                word = str(fact.__struct_config__.tag).partition(".")[2]
                self.legs[self._keys[fact.order_id]].ends.append(f"{word}: {fact.reason}")
            case FundingSettled():
                self.funding += fact.amount
            case PositionLiquidated():
                self._liquidate(fact)
            case _:
                pass

    def _request(self, order: OrderRequested) -> None:
        key = self._key(order)
        self._keys[order.order_id] = key
        leg = self.legs.setdefault(key, Leg(order.at, order.side))
        leg.orders.append(order.order_id)
        leg.reasons.append(order.reason)
        at_close = order.at_close or not self.state.live
        if at_close and order.parent_id is None and leg.asked_until is None:
            leg.asked_until = order.at + self._step

    def _key(self, order: OrderRequested) -> OrderKey:
        parent = None if order.parent_id is None else self._keys.get(order.parent_id)
        if parent is not None:
            return OrderKey(order.symbol, order.side, parent.at, order.reason, None)
        at = order.at if order.decision_id is None else self._decided.get(order.decision_id, order.at)
        entry_at = self._entered.get(order.symbol) if order.reduce_only else at
        return OrderKey(order.symbol, order.side, entry_at, order.reason, at)

    def _fill(self, fill: OrderFilled) -> None:
        key = self._keys[fill.order_id]
        leg = self.legs[key]
        in_base = fill.fee_in == "base" and self.state.instrument(key.symbol).kind == "spot"
        kept = fill.fee if in_base else ZERO
        quantity = fill.quantity - kept if leg.side == "buy" else fill.quantity + kept
        leg.fill(fill.at, quantity=quantity, value=quantity * fill.price, fee=fee_value(fill))
        self.prices[key.symbol] = fill.price
        if key.reason == "entry" and key.at is not None:
            self._entered[key.symbol] = key.at

    def _liquidate(self, fact: PositionLiquidated) -> None:
        side: Side = "sell" if fact.side == "long" else "buy"
        key = OrderKey(fact.symbol, side, self._entered.get(fact.symbol), "liquidation", None)
        leg = self.legs.setdefault(key, Leg(fact.at, side))
        leg.reasons.append("liquidation")
        leg.fill(fact.at, quantity=fact.quantity, value=fact.quantity * fact.price, fee=fact.fee - fact.covered)
        self.prices[fact.symbol] = fact.price


def paired(
    live: Mapping[OrderKey, Leg], paper: Mapping[OrderKey, Leg]
) -> list[tuple[OrderKey, Leg | None, Leg | None]]:
    """Each key with both sides' orders, in order of time; what was never traded and never ended is left out.

    Where an entry's exits did not trade under the same keys on both sides, such as a stop here and a target there, all
    of them are one pair.
    """
    by_entry: dict[tuple[object, ...], list[OrderKey]] = {}
    for key in dict.fromkeys([*live, *paper]):
        by_entry.setdefault((key.symbol, key.side, key.entry_at, key.reason == "entry"), []).append(key)
    found: list[tuple[OrderKey, Leg | None, Leg | None]] = []
    for keys in by_entry.values():
        if all(traded(live.get(key)) == traded(paper.get(key)) for key in keys):
            found += [(key, live.get(key), paper.get(key)) for key in keys]
        else:
            mine, theirs = ([side[key] for key in keys if key in side] for side in (live, paper))
            found.append((keys[0], _joined(mine), _joined(theirs)))
    told = [(key, one, other) for key, one, other in found if any(_is_told(leg) for leg in (one, other))]
    return sorted(told, key=lambda pair: (min(leg.at for leg in pair[1:] if leg is not None), pair[0].symbol))


def traded(leg: Leg | None) -> bool:
    """Whether anything came of it."""
    return leg is not None and leg.first is not None


def _is_told(leg: Leg | None) -> bool:
    """Whether it traded, or failed to; an exit that waits, or went with the position that it protected, did neither."""
    if leg is None:
        return False
    failed = any(not end.startswith(("cancelled", "working")) for end in leg.ends)
    return traded(leg) or failed or "entry" in leg.reasons


def _joined(legs: Sequence[Leg]) -> Leg | None:
    """Several as one: those that traded, or if none has, all of them."""
    counted = [leg for leg in legs if traded(leg)] or legs
    if len(counted) < 2:  # noqa: PLR2004 - several
        return counted[0] if counted else None
    whole = Leg(min(leg.at for leg in counted), counted[0].side)
    for leg in counted:
        whole.orders += leg.orders
        whole.reasons += leg.reasons
        whole.ends += leg.ends
        whole.asked_until = whole.asked_until or leg.asked_until
        if leg.first is not None:
            whole.fill(leg.first, quantity=leg.quantity, value=leg.value, fee=leg.fee)
    return whole
