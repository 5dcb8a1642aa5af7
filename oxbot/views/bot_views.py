"""The fold of a bot's stream into its rows: pure, so that the same log gives the same bytes."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import assert_never

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
from events.envelope import RecordedEvent
from events.identifiers import BOT_STREAM_PREFIX, OrderId, StreamId, Symbol
from oxbot.core.ledger import Ledger, Position
from oxbot.core.money import exact, ratio, text
from oxbot.core.orders import Order, OrderProgress, progressed
from oxbot.core.state import INITIAL, BotState, evolve
from oxbot.views.fold import Draft, Projection
from oxbot.views.rows import (
    BOT_VIEWS,
    BotRow,
    DecisionRow,
    HoldingRow,
    OrderRow,
    PortfolioRow,
    PositionRow,
    RowOfBot,
    TradeRow,
    moment_key,
    numbered,
)


class BotBooks(msgspec.Struct, frozen=True, kw_only=True):
    """All that the fold must remember of a bot between two events."""

    state: BotState = INITIAL
    created_at: datetime | None = None
    trades: int = 0
    decision: DecisionRow | None = None


def project(books: BotBooks, event: RecordedEvent) -> tuple[BotBooks, list[Draft]]:
    """The books after the event, and the rows that it changes."""
    fact: BotFact = event.fact  # type: ignore[assignment]  # a bot's stream holds a bot's facts
    after = msgspec.structs.replace(books, state=evolve(books.state, fact))
    with exact():
        return _project(books, after, fact, event.occurred_at)


def _project(before: BotBooks, after: BotBooks, fact: BotFact, occurred_at: datetime) -> tuple[BotBooks, list[Draft]]:
    match fact:
        # What comes most often first: a type that does not match costs time.
        case OrderRequested():
            return _requested(after, fact)
        case OrderFilled() | OrderCancelled() | OrderAccepted() | OrderRejected() | OrderExpired():
            return _progress(before, after, fact)
        case DecisionMade():
            row = _decision_row(after.state, fact)
            return msgspec.structs.replace(after, decision=row), [_drafted(row)]
        case OrderDenied():
            return _denied(after, fact)
        case BotCreated():
            after = msgspec.structs.replace(after, created_at=occurred_at)
            return after, [_bot(after), *_money(after.state, fact.market.begins_at)]
        case BotStarted() | BotPaused() | BotStopped() | BotHalted():
            return after, [_bot(after)]
        case BotClaimed() | BotNoticed():
            return after, []
        case CapitalDeposited() | CapitalWithdrawn():
            since = after.state.cursor or after.state.configuration.market.begins_at
            return after, list(_money(after.state, since))
        case _:
            assert_never(fact)


def _requested(after: BotBooks, fact: OrderRequested) -> tuple[BotBooks, list[Draft]]:
    order = after.state.orders[fact.order_id]
    rows = [_order(after.state, order, fact.at), _portfolio(after.state)]
    if fact.symbol in after.state.ledger.positions:
        rows.append(_position(after.state, fact.symbol))
    if after.decision is not None and after.decision.decision_id == fact.decision_id:
        row = msgspec.structs.replace(after.decision, verdict="allowed", order_id=fact.order_id)
        rows.append(_drafted(row))
        after = msgspec.structs.replace(after, decision=row)
    return after, rows


def _denied(after: BotBooks, fact: OrderDenied) -> tuple[BotBooks, list[Draft]]:
    if after.decision is None or after.decision.decision_id != fact.decision_id:
        return after, []
    row = msgspec.structs.replace(
        after.decision, verdict="denied", rule=fact.rule, limit=text(fact.limit), value=text(fact.value)
    )
    return msgspec.structs.replace(after, decision=row), [_drafted(row)]


def _progress(before: BotBooks, after: BotBooks, fact: OrderProgress) -> tuple[BotBooks, list[Draft]]:
    order = progressed(before.state.orders[fact.order_id], fact)
    note = getattr(fact, "reason", "")
    changes = [_order(after.state, order, fact.at, note=note), *_money(after.state, fact.at)]
    if order.symbol in after.state.ledger.positions:
        changes.append(_position(after.state, order.symbol))
    elif isinstance(fact, OrderFilled):
        changes.append(Draft("positions", after.state.bot_id, order.symbol, None))
        held = before.state.ledger.positions[order.symbol]
        trade = _trade_row(before, held, order, fact)
        changes.append(_drafted(trade))
        after = msgspec.structs.replace(after, trades=trade.number)
    return after, changes


def _drafted(row: RowOfBot) -> Draft:
    """A row that is written out already."""
    return Draft(row.view, row.bot_id, row.key, lambda: row)


def _bot(books: BotBooks) -> Draft:
    return Draft("bots", books.state.bot_id, "", partial(_bot_row, books))


def _money(state: BotState, since: datetime) -> Iterator[Draft]:
    yield _portfolio(state)
    yield Draft("holdings", state.bot_id, moment_key(since), partial(_holding_row, state, since))


def _portfolio(state: BotState) -> Draft:
    return Draft("portfolios", state.bot_id, "", partial(_portfolio_row, state))


def _position(state: BotState, symbol: Symbol) -> Draft:
    return Draft("positions", state.bot_id, symbol, partial(_position_row, state, symbol))


def _order(state: BotState, order: Order, at: datetime, *, note: str = "") -> Draft:
    key = numbered(_order_number(order.order_id))
    return Draft("orders", state.bot_id, key, partial(_order_row, state, order, at, note=note))


def _bot_row(books: BotBooks) -> BotRow:
    bot = books.state.configuration
    return BotRow(
        bot_id=bot.bot_id,
        fleet=bot.fleet,
        name=bot.name,
        status=books.state.status,
        strategy=bot.strategy.name,
        strategy_version=bot.strategy.version,
        parameters=bot.strategy.parameters,
        venue=bot.market.venue,
        timeframe=bot.market.timeframe,
        symbols=tuple(instrument.symbol for instrument in bot.market.instruments),
        begins_at=bot.market.begins_at,
        quote=bot.quote,
        created_at=books.created_at or bot.market.begins_at,
    )


def _holding_row(state: BotState, since: datetime) -> HoldingRow:
    positions = sorted(state.ledger.positions.items())
    return HoldingRow(
        bot_id=state.bot_id,
        since=since,
        cash=text(state.ledger.cash),
        quantities=tuple((symbol, text(held.quantity)) for symbol, held in positions),
    )


def _portfolio_row(state: BotState) -> PortfolioRow:
    ledger: Ledger = state.ledger
    return PortfolioRow(
        bot_id=state.bot_id,
        quote=state.configuration.quote,
        cash=text(ledger.cash),
        reserved=text(state.reserved),
        free=text(ledger.cash - state.reserved),
        deposits=text(ledger.deposits),
        withdrawals=text(ledger.withdrawals),
        realised=text(ledger.realised),
        fees=text(ledger.fees),
        as_of=state.cursor,
    )


def _position_row(state: BotState, symbol: Symbol) -> PositionRow:
    held = state.ledger.positions[symbol]
    triggers = {order.kind: order.trigger_price for order in state.working(symbol)}
    return PositionRow(
        bot_id=state.bot_id,
        symbol=symbol,
        side="long",
        quantity=text(held.quantity),
        entry_time=held.opened_at,
        entry_price=_price(held.entry_cost, held.entry_quantity),
        entry_cost=text(held.entry_cost),
        fees=text(held.fees),
        stop_price=_optional(triggers.get("stop")),
        target_price=_optional(triggers.get("take_profit")),
    )


def _order_row(state: BotState, order: Order, at: datetime, *, note: str = "") -> OrderRow:
    return OrderRow(
        bot_id=state.bot_id,
        order_id=order.order_id,
        number=_order_number(order.order_id),
        symbol=order.symbol,
        side=order.side,
        kind=order.kind,
        reason=order.reason,
        status=order.status,
        quantity=_optional(order.quantity),
        notional=_optional(order.notional),
        trigger_price=_optional(order.trigger_price),
        reduce_only=order.reduce_only,
        filled_quantity=text(order.filled_quantity),
        average_price=_price(order.filled_notional, order.filled_quantity) if order.filled_quantity else None,
        fees=text(order.fees),
        requested_at=order.requested_at,
        updated_at=at,
        decision_id=order.decision_id,
        parent_id=order.parent_id,
        note=note,
    )


def _trade_row(before: BotBooks, held: Position, order: Order, fill: OrderFilled) -> TradeRow:
    closing = fill.quantity * fill.price
    fees = held.fees + fill.fee
    return TradeRow(
        bot_id=before.state.bot_id,
        number=before.trades + 1,
        symbol=held.symbol,
        side="long",
        quantity=text(held.entry_quantity),
        entry_time=held.opened_at,
        entry_price=_price(held.entry_cost, held.entry_quantity),
        exit_time=fill.at,
        exit_price=_price(held.exit_proceeds + closing, held.exit_quantity + fill.quantity),
        fees=text(fees),
        net=text(held.exit_proceeds + closing - held.entry_cost - fees),
        reason=order.reason,
    )


def _decision_row(state: BotState, fact: DecisionMade) -> DecisionRow:
    return DecisionRow(
        bot_id=state.bot_id,
        decision_id=fact.decision_id,
        number=state.decisions_made,
        at=fact.at,
        symbol=fact.symbol,
        intent=fact.intent,
        strategy=fact.strategy,
        strategy_version=fact.strategy_version,
        parameters=fact.parameters,
        measurements=fact.measurements,
        mark=text(fact.mark),
        equity=text(fact.equity),
        window=fact.window,
        window_digest=fact.window_digest,
    )


def _price(notional: Decimal, quantity: Decimal) -> str:
    return text(ratio(notional, quantity))


def _optional(amount: Decimal | None) -> str | None:
    return None if amount is None else text(amount)


def _order_number(order_id: OrderId) -> int:
    return int(order_id.rsplit("-", 1)[1])


def _owner(stream: StreamId) -> str | None:
    return stream[len(BOT_STREAM_PREFIX) :] if stream.startswith(BOT_STREAM_PREFIX) else None


BOTS = Projection("bots", 2, BOT_VIEWS, _owner, BotBooks, project)
"""What bots are, own and did. Version 2: the books keep which status counts for which candle."""
