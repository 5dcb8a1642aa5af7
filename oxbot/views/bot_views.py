"""The fold of a bot's stream into its rows: pure, so that the same log gives the same bytes."""

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import assert_never

import msgspec

from events.advice import AdviceAbstained, AdviceLapsed, AdviceReceived, AdviceRequested, AdviceTaken
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
    OrderDenied,
    OrderFilled,
    OrderProgress,
    OrderRequested,
    PositionLiquidated,
    TermsTaken,
    TradingStateSet,
    TradingStateTripped,
)
from events.envelope import RecordedEvent
from events.identifiers import BOT_STREAM_PREFIX, StreamId, Symbol
from oxbot.core.ledger import ClosedTrip
from oxbot.core.live import candle_of
from oxbot.core.money import ZERO, exact, text
from oxbot.core.orders import Order
from oxbot.core.state import INITIAL, BotState, evolve
from oxbot.views.advice_views import AdviceBooks, advice_of, advised, decided
from oxbot.views.bot_rows import (
    arena_row,
    bot_row,
    decision_row,
    holding_row,
    order_number,
    order_row,
    portfolio_row,
    position_row,
    trade_row,
)
from oxbot.views.fold import Draft, Projection
from oxbot.views.rows import BOT_VIEWS, DecisionRow, OwnedRow, RowOfBot, moment_key, numbered

LATE_FILL = "it traded after its end"
MOVES_ARENA = frozenset({"holdings", "advice"})
"""What changes together with what a bot is compared by."""


class BotBooks(msgspec.Struct, frozen=True, kw_only=True):
    """All that the fold must remember of a bot between two events.

    ``money_since`` is the candle from which on the newest holdings count: what comes late cannot change an older one.
    ``money_at`` is that of the newest holdings, ``first_capital`` what the bot was given to begin with.
    """

    state: BotState = INITIAL
    created_at: datetime | None = None
    trades: int = 0
    decision: DecisionRow | None = None
    money_since: datetime | None = None
    money_at: datetime | None = None
    first_capital: Decimal = ZERO
    advice: AdviceBooks = AdviceBooks()


Step = tuple[BotBooks, list[Draft]]
"""The books after an event, and the rows that it changes."""


def project(books: BotBooks, event: RecordedEvent) -> Step:
    """The books after the event, and the rows that it changes."""
    fact: BotFact = event.fact  # type: ignore[assignment]  # a bot's stream holds a bot's facts
    after = msgspec.structs.replace(books, state=evolve(books.state, fact))
    with exact():
        after, drafts = _project(books, after, fact, event.occurred_at)
        if any(draft.view in MOVES_ARENA for draft in drafts):
            drafts.append(_arena(after))
    return after, drafts


def _project(before: BotBooks, after: BotBooks, fact: BotFact, occurred_at: datetime) -> Step:
    match fact:
        # What comes most often first: a type that does not match costs time.
        case OrderRequested():
            return _requested(after, fact)
        case OrderFilled():
            return _filled(before, after, fact)
        case _ if isinstance(fact, OrderProgress):
            return after, _progressed(after, fact)
        case DecisionMade():
            row = decision_row(after.state, fact, advice_of(after.advice, fact))
            advice, told = decided(after.advice, fact)
            return msgspec.structs.replace(after, decision=row, advice=advice), [_drafted(row), *told]
        case OrderDenied():
            return _denied(after, fact)
        case FundingSettled():
            after, money = _money(after, fact.at)
            return after, [*money, *_position(after.state, fact.symbol)]
        case PositionLiquidated():
            trip = before.state.ledger.liquidate(fact).trip
            after, money = _money(after, fact.at)
            return _traded(after, [*money, *_position(after.state, fact.symbol)], trip)
        case BotCreated() | CapitalDeposited() | CapitalWithdrawn():
            return _funded(after, fact, occurred_at)
        case (
            BotStarted()
            | BotPaused()
            | BotStopped()
            | BotArchived()
            | BotArmed()
            | BotDisarmed()
            | BotConfigured()
            | TermsTaken()
        ):
            return after, [_bot(after)]
        case TradingStateSet() | TradingStateTripped() | BotHalted():
            return after, [_bot(after), _portfolio(after.state)]
        case HighWaterRaised() | DayOpened():
            return after, [_portfolio(after.state)]
        case AdviceRequested() | AdviceReceived() | AdviceAbstained() | AdviceTaken() | AdviceLapsed():
            advice, told = advised(after.advice, after.state.bot_id, fact, after.state.advice)
            return msgspec.structs.replace(after, advice=advice), told
        case BotClaimed() | BotNoticed() | ExitOrdered():
            return after, []
        case _:
            assert_never(fact)


def _funded(after: BotBooks, fact: BotCreated | CapitalDeposited | CapitalWithdrawn, occurred_at: datetime) -> Step:
    if not isinstance(fact, BotCreated):
        return _money(after, after.state.cursor or after.state.configuration.market.begins_at)
    after, money = _money(msgspec.structs.replace(after, created_at=occurred_at), fact.market.begins_at)
    return after, [_bot(after), _owned(after.state), *money]


def _requested(after: BotBooks, fact: OrderRequested) -> Step:
    order = after.state.orders[fact.order_id]
    rows = [_order(after.state, order, fact.at), _portfolio(after.state)]
    if fact.symbol in after.state.ledger.positions:
        rows += _position(after.state, fact.symbol)
    if after.decision is not None and after.decision.decision_id == fact.decision_id:
        row = msgspec.structs.replace(after.decision, verdict="allowed", order_id=fact.order_id)
        rows.append(_drafted(row))
        after = msgspec.structs.replace(after, decision=row)
    return after, rows


def _denied(after: BotBooks, fact: OrderDenied) -> Step:
    if after.decision is None or after.decision.decision_id != fact.decision_id:
        return after, []
    row = msgspec.structs.replace(
        after.decision,
        verdict="denied",
        rule=fact.rule,
        limit=text(fact.limit),
        value=text(fact.value),
        denial=fact.reason,
    )
    return msgspec.structs.replace(after, decision=row), [_drafted(row)]


def _filled(before: BotBooks, after: BotBooks, fact: OrderFilled) -> Step:
    order = _known(after.state, fact)
    note = "" if fact.order_id in before.state.orders else LATE_FILL
    after, money = _money(after, fact.at)
    rows = [_order(after.state, order, fact.at, note=note), *money, *_position(after.state, order.symbol)]
    if order.symbol in after.state.ledger.positions:
        return after, rows
    instrument = before.state.instrument(order.symbol)
    return _traded(after, rows, before.state.ledger.book(instrument, order.side, fact, leverage=order.leverage).trip)


def _progressed(after: BotBooks, fact: OrderProgress) -> list[Draft]:
    order = _known(after.state, fact)
    rows = [_order(after.state, order, fact.at, note=getattr(fact, "reason", "")), _portfolio(after.state)]
    if order.symbol in after.state.ledger.positions:
        rows += _position(after.state, order.symbol)
    return rows


def _known(state: BotState, fact: OrderProgress) -> Order:
    """The order after the fact, at work or ended."""
    return state.orders.get(fact.order_id) or state.ended[fact.order_id]


def _traded(after: BotBooks, rows: list[Draft], trip: ClosedTrip | None) -> Step:
    """The step with the trade that closed in it, if one did."""
    if trip is None:
        return after, rows
    row = trade_row(after.state.bot_id, after.trades + 1, trip, after.state.trades[-1])
    return msgspec.structs.replace(after, trades=row.number), [*rows, _drafted(row)]


def _drafted(row: RowOfBot) -> Draft:
    """A row that is written out already."""
    return Draft(row.view, row.bot_id, row.key, lambda: row)


def _bot(books: BotBooks) -> Draft:
    return Draft("bots", books.state.bot_id, "", partial(bot_row, books.state, books.created_at))


def _owned(state: BotState) -> Draft:
    bot = state.configuration
    return Draft("owned", bot.owner, bot.bot_id, lambda: OwnedRow(owner_id=bot.owner, bot_id=bot.bot_id))


def _money(books: BotBooks, at: datetime) -> Step:
    """The bot's money, and what it holds from that candle on: a venue's moment counts from the candle it lies in."""
    state, since = books.state, at
    if state.live:
        since = max(candle_of(at, state.candle), books.money_since or at)
        books = msgspec.structs.replace(books, money_since=since)
    capital = state.ledger.deposits - state.ledger.withdrawals
    first = capital if since <= state.configuration.market.begins_at else books.first_capital
    books = msgspec.structs.replace(books, money_at=since, first_capital=first)
    holdings = Draft("holdings", state.bot_id, moment_key(since), partial(holding_row, state, since))
    return books, [_portfolio(state), holdings]


def _arena(books: BotBooks) -> Draft:
    since = books.money_at or books.state.configuration.market.begins_at
    compared = partial(arena_row, books.state, since, books.first_capital, books.trades, books.advice)
    return Draft("arena", books.state.bot_id, "", compared)


def _portfolio(state: BotState) -> Draft:
    return Draft("portfolios", state.bot_id, "", partial(portfolio_row, state))


def _position(state: BotState, symbol: Symbol) -> list[Draft]:
    """The symbol's position; where it is flat, its row goes."""
    held = symbol in state.ledger.positions
    return [Draft("positions", state.bot_id, symbol, partial(position_row, state, symbol) if held else None)]


def _order(state: BotState, order: Order, at: datetime, *, note: str = "") -> Draft:
    key = numbered(order_number(order.order_id))
    return Draft("orders", state.bot_id, key, partial(order_row, state.bot_id, order, at, note=note))


def _owner(stream: StreamId) -> str | None:
    return stream[len(BOT_STREAM_PREFIX) :] if stream.startswith(BOT_STREAM_PREFIX) else None


BOTS = Projection("bots", 7, BOT_VIEWS, _owner, BotBooks, project)
"""What bots are, own and did. Version 7: and whose they are."""
