"""What a venue reports of a live bot's orders, taken over once each, and what follows from it in the same moment."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import assert_never

import msgspec

from events.bot import (
    BotFact,
    FundingSettled,
    OrderAccepted,
    OrderAmended,
    OrderAmendRequested,
    OrderCancelled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderInDoubt,
    OrderProgress,
    OrderRejected,
    OrderRequested,
    OrderSubmitted,
    OrderTriggered,
    PositionLiquidated,
)
from events.identifiers import OrderId, Symbol
from oxbot.core import money
from oxbot.core.bot_state import BotState
from oxbot.core.brackets import bracket_facts
from oxbot.core.ledger import Position
from oxbot.core.live import SETTLEMENTS_KEPT, settlement
from oxbot.core.live_brackets import spot_bracket_facts
from oxbot.core.live_cycle import asked_at_once
from oxbot.core.money import ZERO, floor_to_step, text
from oxbot.core.orders import CLOSED, PROTECTIVE_KINDS, TRIGGERED_KINDS, Amendment, Order, refusal
from oxbot.core.paper_oco import GONE, after_fill, orphans
from oxbot.core.refused import CommandRefused
from oxbot.core.state import evolve

VenueReport = OrderProgress | FundingSettled | PositionLiquidated


class RecordProgress(msgspec.Struct, frozen=True):
    """The venue said this of a live bot's orders and positions; what is on record already is dropped.

    What cannot follow is refused with all that came with it. An exit's fill may come before the entry's: within one
    command their order does not matter.
    """

    progress: tuple[VenueReport, ...]


class ForceExit(msgspec.Struct, frozen=True):
    """Let a live bot cancel its entries and leave its positions, at that moment of its market's clock.

    All of them, or with ``symbols`` those in these alone.
    """

    at: datetime
    reason: str = ""
    symbols: tuple[Symbol, ...] = ()


def recorded(command: RecordProgress, state: BotState) -> list[BotFact]:
    """The facts that are new, each followed by what it causes. Raises ``CommandRefused``."""
    if not state.live:
        raise CommandRefused(f"bot {state.bot_id} trades on paper; no venue reports of it")
    return _Record(state).take(command.progress)


def force_exits(command: ForceExit, state: BotState) -> list[BotFact]:
    """Cancels of all entries, and an exit at the market of whatever no such exit is under way for."""
    if not state.live:
        raise CommandRefused(f"bot {state.bot_id} trades on paper; stop it instead")
    record = _Record(state)
    record.leave(command)
    return record.facts


class _Record:
    """Collects facts, each judged by the state that the earlier ones left."""

    def __init__(self, state: BotState) -> None:
        self.facts: list[BotFact] = []
        self._state = state

    def take(self, reports: Sequence[VenueReport]) -> list[BotFact]:
        """All the facts that the reports lead to."""
        waiting = list(reports)
        while waiting:
            too_early = [report for report in waiting if not self._took(report)]
            if len(too_early) == len(waiting):
                raise CommandRefused(self._too_early(too_early[0]))
            waiting = too_early
        return self.facts

    def leave(self, command: ForceExit) -> None:
        """Ask for the end of every entry and position."""
        for order in list(self._state.orders.values()):
            if not order.reduce_only and (not command.symbols or order.symbol in command.symbols):
                self._cancel(order.order_id, command.at, command.reason or "everything is to be left")
        for position in list(self._state.ledger.positions.values()):
            if not command.symbols or position.symbol in command.symbols:
                self._leave(position, command.at)

    def _leave(self, position: Position, at: datetime) -> None:
        instrument = self._state.instrument(position.symbol)
        leaving = [order for order in self._state.working(position.symbol) if order.reduce_only]
        under_way = sum((order.quantity_open for order in leaving if order.kind == "market"), ZERO)
        quantity = floor_to_step(position.quantity, instrument.lot) - under_way
        if quantity <= 0:
            return
        self._emit(
            OrderRequested(
                order_id=self._order_id(1),
                at=at,
                symbol=position.symbol,
                side="sell" if position.side == "long" else "buy",
                kind="market",
                reason="force_exit",
                quantity=quantity,
                reduce_only=True,
                leverage=position.leverage if instrument.kind == "perpetual" else None,
            )
        )

    def _emit(self, fact: BotFact) -> None:
        self.facts.append(fact)
        self._state = evolve(self._state, fact)

    # One report.

    def _took(self, report: VenueReport) -> bool:
        """Record the report with its consequences, or drop it; False if something else must be recorded before it."""
        _check_amounts(report)
        if isinstance(report, FundingSettled | PositionLiquidated):
            self._settle(report)
            return True
        order = self._order(report)
        if order is None:
            return False
        if not _is_news(order, report):
            return True
        reason = refusal(order, report)
        if isinstance(report, OrderCancelRequested) and report.at_close:
            reason = "only the bot itself asks at a candle's close"
        if reason is not None:
            raise CommandRefused(
                f"order {order.order_id} is {order.status}; {type(report).__name__} cannot follow: {reason}"
            )
        if isinstance(report, OrderFilled):
            if report.quantity > self._tradable(order):
                return False
            self._fill(order, report)
            self._take_rest(order.order_id, report.at)
            return True
        self._emit(report)
        if isinstance(report, OrderAmended):
            self._end_if_traded(report)
        self._take_rest(order.order_id, report.at)
        return True

    def _order(self, report: OrderProgress) -> Order | None:
        return self._state.orders.get(report.order_id) or self._state.ended.get(report.order_id)

    def _tradable(self, order: Order) -> Decimal:
        """How much of the order's side the books can take: what is held against it, or anything for an entry."""
        position = self._state.ledger.positions.get(order.symbol)
        if position is None:
            return ZERO if order.reduce_only else money.AMOUNT_MAX
        return position.quantity if order.side == _exit_side(position) else money.AMOUNT_MAX

    def _too_early(self, report: VenueReport) -> str:
        order = None if isinstance(report, FundingSettled | PositionLiquidated) else self._order(report)
        if order is not None and isinstance(report, OrderFilled):
            return (
                f"order {order.order_id} traded {text(report.quantity)} {order.symbol}, but "
                f"{text(self._tradable(order))} is held: the fill of an entry is missing"
            )
        return (
            f"{type(report).__name__} names an order that the bot does not have, or that ended too long ago to tell "
            f"whether it is on record: {getattr(report, 'order_id', '')}"
        )

    def _settle(self, report: FundingSettled | PositionLiquidated) -> None:
        known, named = self._state.settlements, settlement(report)
        if named in known:
            return
        alike = [each.at for each in known if (each.kind, each.symbol) == (named.kind, named.symbol)]
        if len(known) == SETTLEMENTS_KEPT and alike and report.at < min(alike):
            raise CommandRefused(
                f"{named.kind} of {named.symbol} at {named.at} is too old to tell whether it is on record"
            )
        if isinstance(report, FundingSettled):
            self._emit(report)
            return
        position = self._state.ledger.positions.get(report.symbol)
        held = ZERO if position is None or position.side != report.side else position.quantity
        if held < report.quantity or (held > report.quantity and not report.part):
            raise CommandRefused(
                f"{report.symbol}: a {report.side} of {text(report.quantity)} was liquidated, which is not what is held"
            )
        self._emit(report)
        left = self._state.ledger.positions.get(report.symbol)
        if left is None:
            self._tidy(report.symbol, report.at)
            return
        for order in self._asked_to_stay(report.symbol):
            # The venue reduces no more than there is; what rests must not stand for more than that either.
            if order.reduce_only and order.kind != "market" and order.quantity_open > left.quantity:
                quantity = order.filled_quantity + left.quantity
                reason = "the venue closed a part of the position"
                self._emit(OrderAmendRequested(order_id=order.order_id, at=report.at, reason=reason, quantity=quantity))

    # What follows from a fill.

    def _fill(self, order: Order, fill: OrderFilled) -> None:
        if order.quantity is not None and order.status not in CLOSED and not fill.complete:
            whole = max(order.quantity, order.quantity_wanted or ZERO)
            fill = msgspec.structs.replace(fill, complete=order.filled_quantity + fill.quantity >= whole)
        beside = self._asked_to_stay(order.symbol)
        self._emit(fill)
        position, instrument = self._state.ledger.positions.get(order.symbol), self._state.instrument(order.symbol)
        if position is None:
            self._tidy(order.symbol, fill.at)
            return
        exits = _exits(order, position)
        held = floor_to_step(position.quantity, instrument.lot)
        ended = order.order_id not in self._state.orders
        as_wanted = msgspec.structs.replace(order, quantity=order.quantity_wanted)
        nothing_left = msgspec.structs.replace(fill, complete=True) if ended else fill
        caused: list[OrderRequested | OrderAmended | OrderCancelled | OrderRejected] = list(
            after_fill(as_wanted, nothing_left, orders=beside, held=held if exits else None)
        )
        if not exits:
            working = self._asked_to_stay(order.symbol)
            facts_of = spot_bracket_facts if instrument.kind == "spot" else bracket_facts
            caused += facts_of(
                order, fill, working=working, held=position.quantity, instrument=instrument, numbers=self._order_id
            )
        for fact in caused:
            self._cause(fact)

    def _take_rest(self, order_id: OrderId, at: datetime) -> None:
        """An exit that was reached has ended before it took all that it was to take: the rest goes at the market now.

        Nothing else may stand for that rest any more, and the next candle may be far; so protection that was not
        reached and is gone is asked for once more. An exit at the market that fails in its turn is asked for again at
        the candles' closes.
        """
        order = self._state.owed.get(order_id)
        position = None if order is None else self._state.ledger.positions.get(order.symbol)
        if order is None or position is None:
            return
        if not self._guarded(order):
            again = asked_at_once(self._state, order, at, order_id=self._order_id(1))
            if again is not None:
                self._emit(again)
            return
        instrument = self._state.instrument(order.symbol)
        others = [
            other
            for other in self._asked_to_stay(order.symbol)
            if other.reduce_only and (other.kind == "market" or other.kind in PROTECTIVE_KINDS)
        ]
        covered = sum((other.quantity_open for other in others), ZERO)
        quantity = min(order.quantity_open, floor_to_step(position.quantity, instrument.lot) - covered)
        if quantity <= 0:
            return
        self._emit(
            OrderRequested(
                order_id=self._order_id(1),
                at=at,
                symbol=order.symbol,
                side=order.side,
                kind="market",
                reason=order.reason,
                quantity=quantity,
                reduce_only=True,
                decision_id=order.decision_id,
                parent_id=order.parent_id,
                leverage=order.leverage if instrument.kind == "perpetual" else None,
            )
        )

    def _guarded(self, order: Order) -> bool:
        """Whether the order was reached, and it, or what was one order at the venue with it, was the protection."""
        reached = order.kind in TRIGGERED_KINDS and (order.triggered_at is not None or order.filled_quantity > 0)
        known = [*self._state.ended.values(), *self._state.orders.values()]
        line = [
            other for other in known if other.order_id == order.order_id or other.client_id == order.client_id != ""
        ]
        return reached and any(other.kind in PROTECTIVE_KINDS for other in line)

    def _cause(self, fact: OrderRequested | OrderAmended | OrderCancelled | OrderRejected) -> None:
        """What would simply be so on paper is asked of the venue."""
        match fact:
            case OrderRequested() | OrderRejected():
                self._emit(fact)
            case OrderCancelled():
                self._cancel(fact.order_id, fact.at, fact.reason)
            case OrderAmended():
                asked = OrderAmendRequested(
                    order_id=fact.order_id,
                    at=fact.at,
                    reason=fact.reason,
                    quantity=fact.quantity,
                    limit_price=fact.limit_price,
                    trigger_price=fact.trigger_price,
                )
                self._emit(asked)
            case _:
                assert_never(fact)

    def _tidy(self, symbol: Symbol, at: datetime) -> None:
        """Nothing is held: the exits have lost their purpose, and so has what is left of an entry that traded."""
        for order in orphans(self._state.working(symbol), exit_side=None):
            self._cancel(order.order_id, at, GONE)

    def _cancel(self, order_id: OrderId, at: datetime, reason: str) -> None:
        order = self._state.orders.get(order_id)
        if order is not None and order.cancel_requested_at is None:
            self._emit(OrderCancelRequested(order_id=order_id, at=at, reason=reason))

    def _end_if_traded(self, fact: OrderAmended) -> None:
        """An order that was made as small as what it had traded has nothing left that could end it."""
        order = self._state.orders.get(fact.order_id)
        if order is not None and order.quantity is not None and order.quantity_open == 0:
            reason = "all of what it was amended to has traded"
            self._emit(OrderCancelled(order_id=fact.order_id, at=fact.at, reason=reason))

    def _asked_to_stay(self, symbol: Symbol) -> list[Order]:
        """The symbol's orders that are to go on, each with the quantity that it is to have."""
        return [
            msgspec.structs.replace(order, quantity=order.quantity_wanted)
            for order in self._state.working(symbol)
            if order.cancel_requested_at is None
        ]

    def _order_id(self, number: int) -> OrderId:
        return OrderId(f"{self._state.bot_id}-{self._state.orders_requested + number}")


def _exits(order: Order, position: Position) -> bool:
    """Whether the order makes the position smaller."""
    return order.side == _exit_side(position)


def _exit_side(position: Position) -> str:
    return "sell" if position.side == "long" else "buy"


def _is_news(order: Order, report: OrderProgress) -> bool:
    """Whether the report says of the order what the log does not say yet."""
    if isinstance(report, OrderFilled):
        return report.fill_id not in order.fill_ids
    if isinstance(report, OrderSubmitted):
        # Whoever submits goes on to send: two that ask for the same must not both be told that it is so.
        return True
    if order.status in CLOSED:
        return False
    match report:
        case OrderAccepted():
            other = bool(report.venue_order_id) and report.venue_order_id != order.venue_order_id
            return order.accepted_at is None or order.status == "in_doubt" or other
        case OrderInDoubt():
            return order.status != "in_doubt"
        case OrderTriggered():
            return order.triggered_at is None
        case OrderAmended():
            now = Amendment(order.quantity, order.limit_price, order.trigger_price)
            return _amends(report, now) or _confirms(report, order.amending)
        case OrderAmendRequested():
            return _amends(report, order.amending or Amendment())
        case OrderCancelRequested():
            return order.cancel_requested_at is None
        case OrderCancelRejected():
            return order.status == "pending_cancel"
        case OrderRejected() | OrderCancelled() | OrderExpired():
            return True
        case _:
            assert_never(report)


def _amends(report: OrderAmended | OrderAmendRequested, known: Amendment) -> bool:
    asked = (report.quantity, report.limit_price, report.trigger_price)
    return any(new is not None and new != old for new, old in zip(asked, known, strict=True))


def _confirms(report: OrderAmended, asked: Amendment | None) -> bool:
    """Whether it says that something is as it was asked to be, though it was on record so all the time."""
    told = (report.quantity, report.limit_price, report.trigger_price)
    return asked is not None and any(new is not None and new == wanted for new, wanted in zip(told, asked, strict=True))


def _check_amounts(report: VenueReport) -> None:
    """Raise ``CommandRefused`` for a number that could not be booked."""
    for name in report.__struct_fields__:
        amount = getattr(report, name)
        if isinstance(amount, Decimal) and (fault := money.fault(amount)) is not None:
            raise CommandRefused(f"{type(report).__name__} {name} {fault}")
