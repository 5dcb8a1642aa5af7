"""What each row about a bot says, rendered from the bot's state."""

from datetime import datetime
from decimal import Decimal

from events.bot import DecisionMade
from events.identifiers import BotId, OrderId, Symbol
from oxbot.core.ledger import ClosedTrip, Position
from oxbot.core.money import ZERO, ratio, text
from oxbot.core.orders import PROTECTIVE_KINDS, Order
from oxbot.core.state import BotState
from oxbot.core.trips import ClosedTrade
from oxbot.views.advice_rows import ArenaRow
from oxbot.views.advice_views import AdviceBooks
from oxbot.views.rows import (
    BotRow,
    DecisionAdvice,
    DecisionRow,
    HoldingRow,
    OrderRow,
    PortfolioRow,
    PositionRow,
    TradeReason,
    TradeRow,
)
from oxbot.views.setup import FeesInForce, InstrumentInForce, LimitsInForce, PaperInForce, SizingInForce, in_force


def bot_row(state: BotState, created_at: datetime | None) -> BotRow:
    """The bot and all that it was created with."""
    bot = state.configuration
    return BotRow(
        bot_id=bot.bot_id,
        fleet=bot.fleet,
        name=bot.name,
        status=state.status,
        strategy=bot.strategy.name,
        strategy_version=bot.strategy.version,
        parameters=bot.strategy.parameters,
        venue=bot.market.venue,
        timeframe=bot.market.timeframe,
        symbols=tuple(instrument.symbol for instrument in bot.market.instruments),
        begins_at=bot.market.begins_at,
        quote=bot.quote,
        created_at=created_at or bot.market.begins_at,
        trading=state.trading,
        leverage=text(state.leverage),
        account=bot.account,
        armed_until=state.armed_until,
        fleet_trading=state.fleet_trading,
        halted=state.halted,
        owner_id=bot.owner,
        keeps=state.status == "stopped" and state.standings[-1].keeps,
        archived=state.archived,
        limits=in_force(bot.limits, LimitsInForce),
        sizing=in_force(state.sizing, SizingInForce),
        paper=in_force(state.paper, PaperInForce),
        fees=in_force(bot.fees, FeesInForce),
        instruments={
            instrument.symbol: in_force(instrument, InstrumentInForce) for instrument in bot.market.instruments
        },
    )


def holding_row(state: BotState, since: datetime) -> HoldingRow:
    """What the bot holds from that candle on: open positions, and what was too little to sell."""
    return HoldingRow(
        bot_id=state.bot_id,
        since=since,
        cash=text(state.ledger.cash),
        quantities=_quantities(state),
        owed=_owed_in_all(state),
        capital=text(state.ledger.deposits - state.ledger.withdrawals),
    )


def arena_row(state: BotState, since: datetime, first_capital: Decimal, trades: int, advice: AdviceBooks) -> ArenaRow:
    """What the bot is compared with others by; it holds since that candle what it holds now."""
    ledger = state.ledger
    return ArenaRow(
        bot_id=state.bot_id,
        initial_capital=text(first_capital),
        capital=text(ledger.deposits - ledger.withdrawals),
        since=since,
        cash=text(ledger.cash),
        owed=_owed_in_all(state),
        quantities=_quantities(state),
        fees=text(ledger.fees),
        funding=text(ledger.funding),
        trades=trades,
        positions=len(ledger.positions),
        advice=advice.shown,
    )


def portfolio_row(state: BotState) -> PortfolioRow:
    """The bot's money."""
    ledger = state.ledger
    return PortfolioRow(
        bot_id=state.bot_id,
        quote=state.configuration.quote,
        cash=text(ledger.cash),
        reserved=text(state.reserved),
        free=text(state.free),
        deposits=text(ledger.deposits),
        withdrawals=text(ledger.withdrawals),
        realised=text(ledger.realised),
        fees=text(ledger.fees),
        as_of=state.cursor,
        locked=text(ledger.locked),
        funding=text(ledger.funding),
        trading=state.trading,
        high_water=_optional(state.high_water),
    )


def position_row(state: BotState, symbol: Symbol) -> PositionRow:
    """An open position between its exits: of several targets the last, which takes what the others leave."""
    held = state.ledger.positions[symbol]
    exits = [order for order in state.working(symbol) if order.reduce_only]
    stop = next((order for order in reversed(exits) if order.kind in PROTECTIVE_KINDS), None)
    target = next((order for order in reversed(exits) if order.kind == "take_profit"), None)
    trip = state.trips.get(symbol)
    return PositionRow(
        bot_id=state.bot_id,
        symbol=symbol,
        side=held.side,
        quantity=text(held.quantity),
        entry_time=held.opened_at,
        entry_price=text(held.entry_price),
        entry_cost=text(held.entry_cost),
        fees=text(held.fees),
        stop_price=_optional(stop.trigger_price) if stop else None,
        target_price=_optional(target.trigger_price) if target else None,
        kind=held.kind,
        leverage=text(held.leverage),
        margin=text(held.margin),
        funding=text(held.funding),
        liquidation_price=_optional(held.liquidation_price(state.instrument(symbol))),
        trailing_fraction=_optional(stop.trailing_fraction) if stop else None,
        exit_proceeds=text(held.exit_proceeds),
        base_fees=text(held.fees_in_base_value),
        setup=trip.setup if trip else "",
    )


def order_row(bot_id: BotId, order: Order, at: datetime, *, note: str = "") -> OrderRow:
    """An order as it is since then."""
    return OrderRow(
        bot_id=bot_id,
        order_id=order.order_id,
        number=order_number(order.order_id),
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
        limit_price=_optional(order.limit_price),
        time_in_force=order.time_in_force,
        post_only=order.post_only,
        expires_at=order.expires_at,
        leverage=text(order.leverage),
        trailing_fraction=_optional(order.trailing_fraction),
        activation_price=_optional(order.activation_price),
        client_id=order.client_id,
        venue_order_id=order.venue_order_id,
        submitted_at=order.submitted_at,
        attempts=order.attempts,
        other_fees=tuple((currency, text(paid)) for currency, paid in sorted(order.other_fees.items())),
    )


def trade_row(bot_id: BotId, number: int, trip: ClosedTrip, remembered: ClosedTrade) -> TradeRow:
    """A round trip that has closed, in the ledger's own numbers, as the bot remembers why."""
    reason: TradeReason = remembered.reason  # type: ignore[assignment]  # an order's reason, or "liquidation"
    return TradeRow(
        bot_id=bot_id,
        number=number,
        symbol=trip.symbol,
        side=trip.side,
        quantity=text(trip.entry_quantity),
        entry_time=trip.opened_at,
        entry_price=_price(trip.entry_cost, trip.entry_quantity),
        exit_time=trip.closed_at,
        exit_price=_price(trip.exit_proceeds, trip.exit_quantity),
        fees=text(trip.fees),
        net=text(trip.net),
        reason=reason,
        funding=text(trip.funding),
        setup=remembered.setup,
        entry_cost=text(trip.entry_cost),
        covered=text(trip.covered),
    )


def decision_row(state: BotState, fact: DecisionMade, advice: DecisionAdvice | None) -> DecisionRow:
    """A decision before its verdict."""
    return DecisionRow(
        bot_id=state.bot_id,
        decision_id=fact.decision_id,
        number=state.decisions_made,
        at=fact.at,
        symbol=fact.symbol,
        intent=fact.intent,
        strategy=fact.strategy,
        strategy_version=fact.strategy_version,
        parameters=fact.parameters or state.configuration.strategy.parameters,
        measurements=fact.measurements,
        mark=text(fact.mark),
        equity=text(fact.equity),
        window=fact.window,
        window_digest=fact.window_digest,
        setup=fact.setup,
        reason=fact.reason,
        confidence=_optional(fact.confidence),
        size_fraction=_optional(fact.size_fraction),
        entry_price=_optional(fact.entry_price),
        stop_loss=_optional(fact.stop_loss),
        take_profit=_optional(fact.take_profit),
        advice=advice,
    )


def order_number(order_id: OrderId) -> int:
    """The order's place among its bot's orders, counted from 1."""
    return int(order_id.rsplit("-", 1)[1])


def _quantities(state: BotState) -> tuple[tuple[Symbol, str], ...]:
    """Open positions, and what was too little to sell."""
    positions = state.ledger.positions
    held = dict(state.ledger.dust) | {symbol: position.signed_quantity for symbol, position in positions.items()}
    return tuple((symbol, text(quantity)) for symbol, quantity in sorted(held.items()))


def _owed_in_all(state: BotState) -> str:
    return text(sum((_owed(position) for position in state.ledger.positions.values()), ZERO))


def _owed(position: Position) -> Decimal:
    if position.kind == "spot":
        return ZERO
    return position.cost if position.side == "long" else -position.cost


def _price(notional: Decimal, quantity: Decimal) -> str:
    return text(ratio(notional, quantity))


def _optional(amount: Decimal | None) -> str | None:
    return None if amount is None else text(amount)
