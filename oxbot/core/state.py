"""What a bot is at any moment: the fold of its stream."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Literal, assert_never

import msgspec

from events.bot import (
    BotClaimed,
    BotCreated,
    BotFact,
    BotHalted,
    BotNoticed,
    BotPaused,
    BotStarted,
    BotStopped,
    CapitalDeposited,
    CapitalWithdrawn,
    DecisionMade,
    OrderAccepted,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRequested,
)
from events.errors import OxbotError
from events.identifiers import BotId, OrderId, Symbol
from events.values import Instrument
from oxbot.core.ledger import Ledger
from oxbot.core.money import ZERO, exact
from oxbot.core.orders import CLOSED, Order, OrderProgress, progressed, requested

BotStatus = Literal["absent", "created", "running", "paused", "stopped", "halted"]


class BrokenStream(OxbotError):
    """A stream whose facts cannot be a bot's life: no creation first, an unknown order, or less than no money."""


class Standing(msgspec.Struct, frozen=True):
    """A status and the open time of the first candle for which it counts; None: it counts for every candle."""

    status: BotStatus
    since: datetime | None = None


def status_at(standings: Sequence[Standing], open_time: datetime) -> BotStatus:
    """The last of the statuses that counts for the candle that opens then; "absent" if none does."""
    for standing in reversed(standings):
        if standing.since is None or standing.since <= open_time:
            return standing.status
    return "absent"


class BotState(msgspec.Struct, frozen=True, kw_only=True):
    """A bot: its configuration, its place in the market, its books and its working orders.

    ``cursor`` is the open time of the newest candle that left a fact; ``epoch`` counts the incarnations. ``status`` is
    the newest one; ``standings`` say, in order of time, which status counts for which candle after the cursor.
    """

    created: BotCreated | None = None
    status: BotStatus = "absent"
    standings: tuple[Standing, ...] = ()
    epoch: int = 0
    cursor: datetime | None = None
    ledger: Ledger = Ledger()
    orders: dict[OrderId, Order] = {}
    orders_requested: int = 0
    decisions_made: int = 0

    @property
    def configuration(self) -> BotCreated:
        """How the bot was created; raises ``BrokenStream`` for a bot that was not."""
        if self.created is None:
            raise BrokenStream("the bot does not exist")
        return self.created

    @property
    def bot_id(self) -> BotId:
        """The bot's identifier."""
        return self.configuration.bot_id

    @property
    def exists(self) -> bool:
        """Whether the bot was created."""
        return self.created is not None

    @property
    def reserved(self) -> Decimal:
        """Quote currency that working orders keep from being spent twice."""
        return sum((order.reserved for order in self.orders.values()), ZERO)

    def status_at(self, open_time: datetime) -> BotStatus:
        """The status that counts for a candle after the cursor."""
        return status_at(self.standings, open_time)

    def idle_at(self, open_time: datetime) -> bool:
        """Whether nothing is left to manage from that candle on: stopped, flat, and no order at work."""
        stopped = self.status == "stopped" and self.status_at(open_time) == "stopped"
        return stopped and not self.ledger.positions and not self.orders

    def instrument(self, symbol: Symbol) -> Instrument:
        """The instrument of one of the bot's symbols."""
        return next(known for known in self.configuration.market.instruments if known.symbol == symbol)

    def working(self, symbol: Symbol) -> list[Order]:
        """The symbol's open orders, oldest first."""
        return [order for order in self.orders.values() if order.symbol == symbol]


INITIAL = BotState()


def evolve(state: BotState, fact: BotFact) -> BotState:
    """The bot after the fact. Raises ``BrokenStream`` or ``IllegalTransition`` for a fact that cannot follow."""
    if state.created is None and not isinstance(fact, BotCreated):
        raise BrokenStream(f"a bot's first fact is its creation, not {type(fact).__name__}")
    with exact():
        return _evolve(state, fact)


def fold(facts: Iterable[BotFact], state: BotState = INITIAL) -> BotState:
    """The bot after all the facts, in order."""
    return reduce(evolve, facts, state)


def _evolve(state: BotState, fact: BotFact) -> BotState:
    replace = msgspec.structs.replace
    match fact:
        case BotCreated():
            return _with_status(replace(state, created=fact), "created")
        case BotClaimed():
            return replace(state, epoch=fact.epoch)
        case BotNoticed():
            return replace(state, cursor=fact.at)
        case BotStarted():
            return _with_status(state, "running", fact.effective_at)
        case BotPaused():
            return _with_status(state, "paused", fact.effective_at)
        case BotStopped():
            return _with_status(state, "stopped", fact.effective_at)
        case BotHalted():
            return _with_status(state, "halted")
        case CapitalDeposited():
            return replace(state, ledger=state.ledger.deposit(fact.amount))
        case CapitalWithdrawn():
            return replace(state, ledger=_sound(state, state.ledger.withdraw(fact.amount)))
        case DecisionMade():
            return replace(state, cursor=fact.at, decisions_made=state.decisions_made + 1)
        case OrderDenied():
            return replace(state, cursor=fact.at)
        case OrderRequested():
            return _with_request(state, fact)
        case OrderAccepted() | OrderRejected() | OrderFilled() | OrderCancelled() | OrderExpired():
            return _with_progress(state, fact)
        case _:
            assert_never(fact)


def _with_status(state: BotState, status: BotStatus, since: datetime | None = None) -> BotState:
    """The state under one more status, without those that can count for no candle after the cursor any more."""
    kept = [] if since is None else [known for known in state.standings if known.since is None or known.since < since]
    if state.cursor is not None:
        begun = sum(known.since is None or known.since <= state.cursor for known in kept)
        kept = kept[max(0, begun - 1) :]
    if not kept or kept[-1].status != status:
        kept.append(Standing(status, since))
    return msgspec.structs.replace(state, status=status, standings=tuple(kept))


def _with_request(state: BotState, fact: OrderRequested) -> BotState:
    order = requested(fact, taker_fee=state.configuration.fees.taker)
    return msgspec.structs.replace(
        state,
        cursor=fact.at,
        orders={**state.orders, fact.order_id: order},
        orders_requested=state.orders_requested + 1,
    )


def _with_progress(state: BotState, fact: OrderProgress) -> BotState:
    order = state.orders.get(fact.order_id)
    if order is None:
        raise BrokenStream(f"{type(fact).__name__} names order {fact.order_id}, which is not at work")
    after = progressed(order, fact)
    orders = state.orders | {fact.order_id: after}
    if after.status in CLOSED:
        del orders[fact.order_id]
    ledger = state.ledger
    if isinstance(fact, OrderFilled):
        ledger = _sound(state, ledger.book(order.symbol, order.side, fact))
    return msgspec.structs.replace(state, cursor=fact.at, orders=orders, ledger=ledger)


def _sound(state: BotState, ledger: Ledger) -> Ledger:
    """The books, unless no series of true facts could have led to them."""
    overdrawn = ledger.overdrawn(state.configuration.quote)
    if overdrawn is not None:
        raise BrokenStream(f"the books cannot be right: {overdrawn}")
    return ledger
