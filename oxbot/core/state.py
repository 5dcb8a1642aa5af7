"""The fold of a bot's stream: how each fact changes what the bot is."""

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import assert_never

from msgspec.structs import replace

from events.advice import AdviceFact, AdviceLapsed, AdviceRequested, AdviceTaken
from events.bot import (
    BotArchived,
    BotArmed,
    BotClaimed,
    BotConfigured,
    BotCreated,
    BotDisarmed,
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
    ExitOrdered,
    FundingSettled,
    HighWaterRaised,
    LifecycleFact,
    OrderDenied,
    OrderFilled,
    OrderProgress,
    OrderRequested,
    PositionLiquidated,
    TermsTaken,
    TradingState,
    TradingStateSet,
    TradingStateTripped,
)
from events.identifiers import OrderId, Symbol
from oxbot.core.advice import BrokenAdvice, with_advice
from oxbot.core.bot_state import (
    INITIAL,
    UNBORN,
    BotState,
    BotStatus,
    BrokenStream,
    Standing,
    standing_at,
    stricter,
)
from oxbot.core.ledger import Booked, Ledger
from oxbot.core.live import (
    LIVE_ORDERS_KEPT,
    SETTLEMENTS_KEPT,
    candle_of,
    of_cycle,
    owed_after,
    owed_without,
    settlement,
    traded_in,
)
from oxbot.core.memory import Outcome
from oxbot.core.money import ZERO, exact, prorate
from oxbot.core.orders import CLOSED, Order, progressed, requested
from oxbot.core.trips import ENTRY_INTENTS, Note, Refused, Trip, closed_trade, stop_distance

__all__ = [
    "INITIAL", "UNBORN", "BotState", "BotStatus", "BrokenStream", "Standing", "evolve", "fold", "standing_at", "taken",
]  # fmt: skip

TRADES_KEPT = 500
"""So many closed trades are at hand for the limits that look back; ``Memory`` counts them all."""

ORDERS_KEPT = 32
"""So many ended orders are at hand for fills that come late."""


def evolve(state: BotState, fact: BotFact) -> BotState:
    """The bot after the fact. Raises ``BrokenStream`` or ``IllegalTransition`` for a fact that cannot follow."""
    if state.created is None and not isinstance(fact, BotCreated):
        raise BrokenStream(f"a bot's first fact is its creation, not {type(fact).__name__}")
    with exact():
        return _evolve(state, fact)


def fold(facts: Iterable[BotFact], state: BotState = INITIAL) -> BotState:
    """The bot after all the facts, in order."""
    return reduce(evolve, facts, state)


def taken(state: BotState) -> BotState:
    """The bot under the terms that it was given. Raises ``BrokenStream`` if nobody gave any."""
    return replace(state, created=_under(state.configuration, state.proposed), proposed=None)


def _evolve(state: BotState, fact: BotFact) -> BotState:
    match fact:
        # What comes most often first: a type that does not match costs time.
        case DecisionMade():
            note = Note(fact.decision_id, fact.setup, fact.mark)
            fault = fact.account_fault if fact.intent in ENTRY_INTENTS else state.account_fault
            after = replace(
                state, cursor=fact.at, decisions_made=state.decisions_made + 1, decided=note, account_fault=fault
            )
            if fact.advice_id is None:
                return after
            return replace(after, advice=state.advice.decided(fact.symbol, fact.advice_id, fact.intent))
        case OrderDenied():
            setup = state.decided.setup if state.decided else ""
            earlier = [said for said in state.refused.get(fact.symbol, ()) if said.on == fact.at.date()]
            said = (*earlier, Refused(fact.rule, setup, fact.at.date(), fact.value))
            refused = {**state.refused, fact.symbol: said}
            return replace(state, cursor=fact.at, refused=refused)
        case OrderRequested():
            return _with_request(state, fact)
        case _ if isinstance(fact, OrderProgress):
            return _with_progress(state, fact)
        case FundingSettled() | PositionLiquidated() | CapitalDeposited() | CapitalWithdrawn():
            return _with_money(state, fact)
        case _ if isinstance(fact, AdviceFact):
            return _with_advice(state, fact)
        case _:
            return _with_life(state, fact)


def _with_advice(state: BotState, fact: AdviceFact) -> BotState:
    """What others have answered moves the bot no candle on; what its own cycle says does."""
    try:
        after = replace(state, advice=with_advice(state.advice, fact))
    except BrokenAdvice as error:
        raise BrokenStream(str(error)) from error
    return replace(after, cursor=fact.at) if isinstance(fact, AdviceRequested | AdviceTaken | AdviceLapsed) else after


def _with_money(
    state: BotState, fact: FundingSettled | PositionLiquidated | CapitalDeposited | CapitalWithdrawn
) -> BotState:
    match fact:
        case FundingSettled():
            after = replace(state, ledger=_sound(state, state.ledger.fund(fact)))
            return _with_settlement(after, fact)
        case PositionLiquidated():
            candle = candle_of(fact.at, state.candle) if state.live else fact.at
            after = _with_booked(state, state.ledger.liquidate(fact), reason="liquidation", candle=candle)
            return _with_settlement(after, fact)
        case CapitalDeposited():
            return _with_flow(state, state.ledger.deposit(fact.amount), fact.amount)
        case CapitalWithdrawn():
            return _with_flow(state, _sound(state, state.ledger.withdraw(fact.amount)), -fact.amount)
        case _:
            assert_never(fact)


def _with_settlement(state: BotState, fact: FundingSettled | PositionLiquidated) -> BotState:
    if not state.live:
        return replace(state, cursor=fact.at)
    return replace(state, settlements=(*state.settlements, settlement(fact))[-SETTLEMENTS_KEPT:])


def _with_life(state: BotState, fact: LifecycleFact) -> BotState:
    match fact:
        case BotCreated():
            return replace(state, created=fact, status="created", standings=(Standing("created"),))
        case BotClaimed():
            return replace(state, epoch=fact.epoch)
        case BotNoticed():
            return replace(state, cursor=fact.at)
        case BotStarted():
            return _with_status(state, "running", fact.effective_at)
        case BotPaused():
            return _with_status(state, "paused", fact.effective_at)
        case BotStopped():
            return _with_status(state, "stopped", fact.effective_at, keeps=fact.policy == "keep")
        case BotArchived() | BotConfigured() | TermsTaken() | ExitOrdered():
            return _with_wish(state, fact)
        case BotHalted():
            halted = _with_status(state, "halted", because=f"{fact.rule}: {fact.reason}")
            return halted if fact.at is None else replace(halted, cursor=fact.at)
        case BotArmed() | BotDisarmed():
            return replace(
                state,
                armed_until=fact.until if isinstance(fact, BotArmed) else None,
                clock_apart=fact.apart if isinstance(fact, BotArmed) else state.clock_apart,
            )
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


def _with_wish(state: BotState, fact: BotArchived | BotConfigured | TermsTaken | ExitOrdered) -> BotState:
    match fact:
        case BotArchived():
            return replace(state, archived=True)
        case BotConfigured():
            return _configured(state, fact)
        case TermsTaken():
            return replace(taken(state), cursor=fact.at)
        case ExitOrdered():
            news = (symbol for symbol in fact.symbols if symbol not in state.leaving)
            return replace(state, leaving=(*state.leaving, *news))
        case _:
            assert_never(fact)


def _configured(state: BotState, fact: BotConfigured) -> BotState:
    """A name, by which nothing is decided, is the bot's at once; all else waits until a cycle takes it."""
    named = state if fact.name is None else replace(state, created=replace(state.configuration, name=fact.name))
    terms = replace(fact, name=None)
    return named if terms == BotConfigured() else replace(named, proposed=_proposed(state.proposed, terms))


def _proposed(known: BotConfigured | None, news: BotConfigured) -> BotConfigured:
    """All that was proposed since terms were taken last; of each, what was said last."""
    if known is None:
        return news
    return BotConfigured(
        strategy=known.strategy if news.strategy is None else news.strategy,
        limits=known.limits if news.limits is None else news.limits,
        sizing=known.sizing if news.sizing is None else news.sizing,
    )


def _under(created: BotCreated, terms: BotConfigured | None) -> BotCreated:
    """How the bot would have been created under those terms."""
    if terms is None:
        raise BrokenStream("terms were taken that nobody gave")
    return replace(
        created,
        strategy=created.strategy if terms.strategy is None else terms.strategy,
        limits=created.limits if terms.limits is None else terms.limits,
        sizing=created.sizing if terms.sizing is None else terms.sizing,
    )


def _left(state: BotState, symbol: Symbol) -> tuple[Symbol, ...]:
    """The symbols that are still to be left without that one."""
    return tuple(name for name in state.leaving if name != symbol) if state.leaving else ()


def _with_status(
    state: BotState, status: BotStatus, since: datetime | None = None, *, because: str = "", keeps: bool = False
) -> BotState:
    standings = _told(state, since, lambda known: replace(known, status=status, keeps=keeps))
    return replace(state, status=status, halted=because, standings=standings)


def _with_trading(state: BotState, fact: TradingStateSet) -> BotState:
    """Whoever lets the bot itself trade again accepts its loss: its drawdown is measured anew from there."""
    said = fact.state
    if fact.scope == "fleet":
        standings = _told(state, fact.effective_at, lambda known: replace(known, fleet=said))
        return replace(state, fleet_trading=said, standings=standings)
    standings = _told(state, fact.effective_at, lambda known: replace(known, own=said))
    high_water = None if said == "active" else state.high_water
    return replace(state, own_trading=said, standings=standings, high_water=high_water)


def _tightened(state: BotState, trading: TradingState) -> BotState:
    """The state in which the bot's own word, of now or of a candle to come, lets through no more than that."""
    standings = _told(state, None, lambda known: replace(known, own=stricter(known.own, trading)))
    return replace(state, own_trading=stricter(state.own_trading, trading), standings=standings)


def _told(state: BotState, since: datetime | None, change: Callable[[Standing], Standing]) -> tuple[Standing, ...]:
    """The standings once a word that counts from then on has changed them, whatever was said of later candles.

    A word changes its own part of each. Those that can count for no candle after the cursor any more are gone.
    """
    before = [known for known in state.standings if since is not None and (known.since is None or known.since < since)]
    later = list(state.standings[len(before) :])
    if since is not None and before and not (later and later[0].since == since):
        later.insert(0, replace(before[-1], since=since))
    elif since is None and later:
        later[0] = replace(later[0], since=None)
    kept = [*before, *map(change, later)]
    if state.cursor is not None:
        begun = sum(known.since is None or known.since <= state.cursor for known in kept)
        kept = kept[max(0, begun - 1) :]
    return tuple(known for number, known in enumerate(kept) if number == 0 or not _alike(known, kept[number - 1]))


def _alike(one: Standing, other: Standing) -> bool:
    return replace(one, since=other.since) == other


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
    decided = state.decided if state.decided and state.decided.decision_id == fact.decision_id else None
    mark = decided.mark if state.live and decided else None
    order = requested(fact, taker_fee=state.configuration.fees.taker, kind=kind, mark=mark, live=state.live)
    after = replace(
        state,
        cursor=_cursor(state, fact),
        orders={**state.orders, fact.order_id: order},
        orders_requested=state.orders_requested + 1,
    )
    if fact.reason == "force_exit":
        after = replace(after, leaving=_left(state, fact.symbol))
    if fact.reduce_only or fact.reason != "entry":
        return replace(after, owed=owed_without(state.owed, fact)) if state.owed else after
    notes = state.notes if decided is None else {**state.notes, fact.order_id: decided}
    entries, today = state.entries_at(fact.at) + 1, fact.at.date()
    refused = {symbol: known for symbol, known in state.refused.items() if symbol != fact.symbol}
    return replace(after, notes=notes, entries=entries, entries_on=today, refused=refused)


def _with_progress(state: BotState, fact: OrderProgress) -> BotState:
    order = state.orders.get(fact.order_id) or state.ended.get(fact.order_id)
    if order is None:
        raise BrokenStream(f"{type(fact).__name__} names order {fact.order_id}, which is not at work")
    order = progressed(order, fact)
    after = replace(_with_order(state, order), cursor=_cursor(state, fact))
    if not isinstance(fact, OrderFilled):
        return after
    instrument = state.instrument(order.symbol)
    booked = state.ledger.book(instrument, order.side, fact, leverage=order.leverage)
    candle = traded_in(order, fact.at, state.candle) if state.live else fact.at
    after = _with_trip(after, order, price=fact.price, candle=candle)
    return _with_booked(after, booked, reason=order.reason, candle=candle)


def _cursor(state: BotState, fact: OrderRequested | OrderProgress) -> datetime | None:
    """Up to which candle the bot has come: its venue's clock moves no live bot on."""
    return fact.at if not state.live or of_cycle(fact) else state.cursor


def _with_order(state: BotState, order: Order) -> BotState:
    """The state with the order at work, or among the ended ones."""
    if order.status not in CLOSED:
        return replace(state, orders=state.orders | {order.order_id: order})
    orders = {name: known for name, known in state.orders.items() if name != order.order_id}
    ended = {name: known for name, known in state.ended.items() if name != order.order_id}
    kept = LIVE_ORDERS_KEPT if order.live else ORDERS_KEPT
    newest = dict([*ended.items(), (order.order_id, order)][-kept:])
    notes = state.notes
    if order.live:
        owed = _owed(state, order)
        notes = {name: note for name, note in notes.items() if name in orders or name in newest}
        return replace(state, orders=orders, ended=newest, notes=notes, owed=owed)
    if order.order_id in notes and order.filled_quantity == 0:
        notes = {name: note for name, note in notes.items() if name != order.order_id}
    return replace(state, orders=orders, ended=newest, notes=notes)


def _owed(state: BotState, order: Order) -> dict[OrderId, Order]:
    """The exits owed once the order has ended, or has traded after its end."""
    if order.symbol not in state.ledger.positions:
        return {name: known for name, known in state.owed.items() if name != order.order_id}
    ends_now = order.order_id in state.orders
    return owed_after(state.owed, order) if ends_now or order.order_id in state.owed else state.owed


def _with_trip(state: BotState, order: Order, *, price: Decimal, candle: datetime) -> BotState:
    """The state after a fill of the order, before it is booked: the earliest fill of an entry opens the trip."""
    known = state.trips.get(order.symbol)
    if known is not None and not order.reduce_only and candle < known.opened_at:
        return replace(state, trips={**state.trips, order.symbol: replace(known, opened_at=candle)})
    if order.reduce_only or known is not None or order.symbol in state.ledger.positions:
        return state
    note = state.notes.get(order.order_id)
    opened = Trip(
        entry_id=order.order_id,
        decision_id=order.decision_id,
        setup=note.setup if note else "",
        bracket=order.bracket,
        opened_at=candle,
        stop_distance=stop_distance(order.bracket, price),
    )
    notes = {name: known for name, known in state.notes.items() if name != order.order_id}
    return replace(state, trips={**state.trips, order.symbol: opened}, notes=notes)


def _with_booked(state: BotState, booked: Booked, *, reason: str, candle: datetime) -> BotState:
    """The state with sound books; a round trip that has ended is remembered by the candles in which it was."""
    ledger = _sound(state, booked.ledger)
    if booked.trip is None:
        return replace(state, ledger=ledger)
    closed = booked.trip
    trip = state.trips.get(closed.symbol)
    setup = trip.setup if trip else ""
    outcome = Outcome(setup=setup, symbol=closed.symbol, net=closed.net, cost=closed.entry_cost)
    trade = closed_trade(closed, trip, reason)
    if state.live:
        opened_at = trip.opened_at if trip else candle_of(closed.opened_at, state.candle)
        closed_at = max(candle, candle_of(closed.closed_at, state.candle), opened_at)
        trade = replace(trade, opened_at=opened_at, closed_at=closed_at)
    return replace(
        state,
        ledger=ledger,
        owed={name: order for name, order in state.owed.items() if order.symbol != closed.symbol},
        trips={symbol: open_trip for symbol, open_trip in state.trips.items() if symbol != closed.symbol},
        trades=(*state.trades, trade)[-TRADES_KEPT:],
        memory=state.memory.remember(outcome),
        advice=state.advice.closed(closed.symbol, reason),
        leaving=_left(state, closed.symbol),
    )


def _sound(state: BotState, ledger: Ledger) -> Ledger:
    """The books, unless no series of true facts could have led to them.

    A live bot's venue may take more than was set aside for it, at a worse price or by a fee; what it says is true.
    """
    if state.live:
        return ledger
    overdrawn = ledger.overdrawn(state.configuration.quote)
    if overdrawn is not None:
        raise BrokenStream(f"the books cannot be right: {overdrawn}")
    return ledger
