"""What a bot is at any moment: the fold of its stream."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from typing import Literal, assert_never

import msgspec
from msgspec.structs import replace

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
    DayOpened,
    DecisionMade,
    FundingSettled,
    HighWaterRaised,
    LifecycleFact,
    OrderDenied,
    OrderFilled,
    OrderProgress,
    OrderRequested,
    PositionLiquidated,
    TradingState,
    TradingStateSet,
    TradingStateTripped,
)
from events.errors import OxbotError
from events.identifiers import BotId, OrderId, Symbol
from events.values import Instrument, PaperModel, Sizing
from oxbot.core.ledger import Booked, Ledger
from oxbot.core.memory import Memory, Outcome
from oxbot.core.money import ZERO, exact, prorate
from oxbot.core.orders import CLOSED, Order, progressed, requested
from oxbot.core.trips import ClosedTrade, Note, Refused, Trip, closed_trade, stop_distance

BotStatus = Literal["absent", "created", "running", "paused", "stopped", "halted"]


class BrokenStream(OxbotError):
    """A stream whose facts cannot be a bot's life: no creation first, an unknown order, or less than no money."""


class Standing(msgspec.Struct, frozen=True):
    """What holds from the candle that opens at ``since`` on; None: for every candle."""

    status: BotStatus
    since: datetime | None = None
    trading: TradingState = "active"


UNBORN = Standing("absent")

ONE = Decimal(1)
_TRADING_STATES: tuple[TradingState, ...] = ("active", "reducing", "halted")
DEFAULT_SIZING = Sizing()
DEFAULT_PAPER = PaperModel()

TRADES_KEPT = 500
"""So many closed trades are at hand for the limits that look back; ``Memory`` counts them all."""

ORDERS_KEPT = 32
"""So many ended orders are at hand for fills that come late."""


def standing_at(standings: Sequence[Standing], open_time: datetime) -> Standing:
    """The last of the standings that counts for the candle that opens then."""
    for standing in reversed(standings):
        if standing.since is None or standing.since <= open_time:
            return standing
    return UNBORN


class BotState(msgspec.Struct, frozen=True, kw_only=True):
    """A bot: its configuration, its place in the market, its books and its working orders.

    ``cursor`` is the open time of the newest candle that left a fact; ``epoch`` counts the incarnations. ``status`` and
    ``trading`` are the newest; ``standings`` say, in order of time, which count for which candle after the cursor.
    ``entries`` are those requested on ``entries_on`` (UTC). ``high_water`` is the highest equity on record, moved by
    what was deposited and withdrawn; None until the first. ``day_equity`` is that with which ``day`` began, likewise.
    """

    created: BotCreated | None = None
    status: BotStatus = "absent"
    trading: TradingState = "active"
    standings: tuple[Standing, ...] = ()
    epoch: int = 0
    cursor: datetime | None = None
    ledger: Ledger = Ledger()
    orders: dict[OrderId, Order] = {}
    ended: dict[OrderId, Order] = {}
    orders_requested: int = 0
    decisions_made: int = 0
    decided: Note | None = None
    notes: dict[OrderId, Note] = {}
    refused: dict[Symbol, tuple[Refused, ...]] = {}
    trips: dict[Symbol, Trip] = {}
    trades: tuple[ClosedTrade, ...] = ()
    memory: Memory = Memory()
    entries: int = 0
    entries_on: date | None = None
    high_water: Decimal | None = None
    day: date | None = None
    day_equity: Decimal = ZERO

    @property
    def configuration(self) -> BotCreated:
        """How the bot was created; raises ``BrokenStream`` for a bot that was not."""
        if self.created is None:
            raise BrokenStream("the bot does not exist")
        return self.created

    @property
    def sizing(self) -> Sizing:
        """How its entries are sized."""
        return self.configuration.sizing or DEFAULT_SIZING

    @property
    def paper(self) -> PaperModel:
        """How its paper venue trades."""
        return self.configuration.paper or DEFAULT_PAPER

    @property
    def leverage(self) -> Decimal:
        """What its perpetuals' notional is of their margin."""
        return self.configuration.leverage or ONE

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

    @property
    def free(self) -> Decimal:
        """Quote currency that neither a position's margin nor a working order needs."""
        return self.ledger.free - self.reserved

    def standing_at(self, open_time: datetime) -> Standing:
        """What counts for a candle after the cursor."""
        return standing_at(self.standings, open_time)

    def entries_at(self, moment: datetime) -> int:
        """How many entries were requested on that day (UTC)."""
        return self.entries if self.entries_on == moment.date() else 0

    def idle_at(self, open_time: datetime) -> bool:
        """Whether nothing is left to manage from that candle on: stopped, flat, and no order at work."""
        stopped = self.status == "stopped" and self.standing_at(open_time).status == "stopped"
        return stopped and not self.ledger.positions and not self.orders

    def instrument(self, symbol: Symbol) -> Instrument:
        """The instrument of one of the bot's symbols."""
        return next(known for known in self.configuration.market.instruments if known.symbol == symbol)

    def working(self, symbol: Symbol) -> list[Order]:
        """The symbol's orders that have not ended, oldest first."""
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
    match fact:
        # What comes most often first: a type that does not match costs time.
        case DecisionMade():
            note = Note(fact.decision_id, fact.setup)
            return replace(state, cursor=fact.at, decisions_made=state.decisions_made + 1, decided=note)
        case OrderDenied():
            setup = state.decided.setup if state.decided else ""
            earlier = [said for said in state.refused.get(fact.symbol, ()) if said.on == fact.at.date()]
            said = (*earlier, Refused(fact.rule, setup, fact.at.date()))
            refused = {**state.refused, fact.symbol: said}
            return replace(state, cursor=fact.at, refused=refused)
        case OrderRequested():
            return _with_request(state, fact)
        case _ if isinstance(fact, OrderProgress):
            return _with_progress(state, fact)
        case FundingSettled() | PositionLiquidated() | CapitalDeposited() | CapitalWithdrawn():
            return _with_money(state, fact)
        case _:
            return _with_life(state, fact)


def _with_money(
    state: BotState, fact: FundingSettled | PositionLiquidated | CapitalDeposited | CapitalWithdrawn
) -> BotState:
    match fact:
        case FundingSettled():
            return replace(state, cursor=fact.at, ledger=_sound(state, state.ledger.fund(fact)))
        case PositionLiquidated():
            after = _with_booked(state, state.ledger.liquidate(fact), reason="liquidation")
            return replace(after, cursor=fact.at)
        case CapitalDeposited():
            return _with_flow(state, state.ledger.deposit(fact.amount), fact.amount)
        case CapitalWithdrawn():
            return _with_flow(state, _sound(state, state.ledger.withdraw(fact.amount)), -fact.amount)
        case _:
            assert_never(fact)


def _with_life(state: BotState, fact: LifecycleFact) -> BotState:
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
        case TradingStateSet():
            return _with_trading(state, fact)
        case TradingStateTripped():
            return replace(_tightened(state, fact.state), cursor=fact.at)
        case HighWaterRaised():
            return replace(state, cursor=fact.at, high_water=fact.equity)
        case DayOpened():
            return replace(state, cursor=fact.at, day=fact.at.date(), day_equity=fact.equity)
        case _:
            assert_never(fact)


def _with_status(
    state: BotState, status: BotStatus, since: datetime | None = None, *, trading: TradingState | None = None
) -> BotState:
    """The state under one more standing, without those that can count for no candle after the cursor any more."""
    trading = trading or state.trading
    kept = [] if since is None else [known for known in state.standings if known.since is None or known.since < since]
    if state.cursor is not None:
        begun = sum(known.since is None or known.since <= state.cursor for known in kept)
        kept = kept[max(0, begun - 1) :]
    if not kept or (kept[-1].status, kept[-1].trading) != (status, trading):
        kept.append(Standing(status, since, trading))
    return replace(state, status=status, trading=trading, standings=tuple(kept))


def _with_trading(state: BotState, fact: TradingStateSet) -> BotState:
    """Whoever lets a bot trade again accepts its loss: its drawdown is measured anew from there."""
    after = _with_status(state, state.status, fact.effective_at, trading=fact.state)
    return replace(after, high_water=None) if fact.state == "active" else after


def _tightened(state: BotState, trading: TradingState) -> BotState:
    """The state in which no standing, of now or of a candle to come, lets more through than that; all else stays."""
    standings = tuple(replace(known, trading=_stricter(known.trading, trading)) for known in state.standings)
    return replace(state, trading=_stricter(state.trading, trading), standings=standings)


def _stricter(one: TradingState, other: TradingState) -> TradingState:
    return max(one, other, key=_TRADING_STATES.index)


def _with_flow(state: BotState, ledger: Ledger, change: Decimal) -> BotState:
    """Capital that comes or goes is no gain and no loss: what equity is measured against grows or shrinks with it.

    In proportion to the books, open positions at cost: what a flat bot is down in percent it stays, however much comes
    or goes.
    """
    spot = (held.cost for held in state.ledger.positions.values() if held.kind == "spot")
    book = state.ledger.cash + sum(spot, ZERO)

    def scaled(amount: Decimal) -> Decimal:
        return prorate(amount, book + change, book) if book > 0 else amount + change

    high_water = None if state.high_water is None else scaled(state.high_water)
    return replace(state, ledger=ledger, high_water=high_water, day_equity=scaled(state.day_equity))


def _with_request(state: BotState, fact: OrderRequested) -> BotState:
    kind = state.instrument(fact.symbol).kind
    order = requested(fact, taker_fee=state.configuration.fees.taker, kind=kind)
    after = replace(
        state,
        cursor=fact.at,
        orders={**state.orders, fact.order_id: order},
        orders_requested=state.orders_requested + 1,
    )
    if fact.reduce_only or fact.reason != "entry":
        return after
    decided = state.decided if state.decided and state.decided.decision_id == fact.decision_id else None
    notes = state.notes if decided is None else {**state.notes, fact.order_id: decided}
    entries, today = state.entries_at(fact.at) + 1, fact.at.date()
    refused = {symbol: known for symbol, known in state.refused.items() if symbol != fact.symbol}
    return replace(after, notes=notes, entries=entries, entries_on=today, refused=refused)


def _with_progress(state: BotState, fact: OrderProgress) -> BotState:
    order = state.orders.get(fact.order_id) or state.ended.get(fact.order_id)
    if order is None:
        raise BrokenStream(f"{type(fact).__name__} names order {fact.order_id}, which is not at work")
    order = progressed(order, fact)
    after = replace(_with_order(state, order), cursor=fact.at)
    if not isinstance(fact, OrderFilled):
        return after
    instrument = state.instrument(order.symbol)
    booked = state.ledger.book(instrument, order.side, fact, leverage=order.leverage)
    return _with_booked(_with_trip(after, order, fact), booked, reason=order.reason)


def _with_order(state: BotState, order: Order) -> BotState:
    """The state with the order at work, or among the ended ones."""
    if order.status not in CLOSED:
        return replace(state, orders=state.orders | {order.order_id: order})
    orders = {name: known for name, known in state.orders.items() if name != order.order_id}
    ended = {name: known for name, known in state.ended.items() if name != order.order_id}
    newest = dict([*ended.items(), (order.order_id, order)][-ORDERS_KEPT:])
    notes = state.notes
    if order.order_id in notes and order.filled_quantity == 0:
        notes = {name: note for name, note in notes.items() if name != order.order_id}
    return replace(state, orders=orders, ended=newest, notes=notes)


def _with_trip(state: BotState, order: Order, fill: OrderFilled) -> BotState:
    """The state after a fill of the order, before it is booked: the first fill of an entry opens the trip."""
    if order.reduce_only or order.symbol in state.trips or order.symbol in state.ledger.positions:
        return state
    note = state.notes.get(order.order_id)
    opened = Trip(
        entry_id=order.order_id,
        decision_id=order.decision_id,
        setup=note.setup if note else "",
        bracket=order.bracket,
        opened_at=fill.at,
        stop_distance=stop_distance(order.bracket, fill.price),
    )
    notes = {name: known for name, known in state.notes.items() if name != order.order_id}
    return replace(state, trips={**state.trips, order.symbol: opened}, notes=notes)


def _with_booked(state: BotState, booked: Booked, *, reason: str) -> BotState:
    """The state with sound books; a round trip that has ended is remembered."""
    ledger = _sound(state, booked.ledger)
    if booked.trip is None:
        return replace(state, ledger=ledger)
    closed = booked.trip
    trip = state.trips.get(closed.symbol)
    setup = trip.setup if trip else ""
    outcome = Outcome(setup=setup, symbol=closed.symbol, net=closed.net, cost=closed.entry_cost)
    return replace(
        state,
        ledger=ledger,
        trips={symbol: open_trip for symbol, open_trip in state.trips.items() if symbol != closed.symbol},
        trades=(*state.trades, closed_trade(closed, trip, reason))[-TRADES_KEPT:],
        memory=state.memory.remember(outcome),
    )


def _sound(state: BotState, ledger: Ledger) -> Ledger:
    """The books, unless no series of true facts could have led to them."""
    overdrawn = ledger.overdrawn(state.configuration.quote)
    if overdrawn is not None:
        raise BrokenStream(f"the books cannot be right: {overdrawn}")
    return ledger
