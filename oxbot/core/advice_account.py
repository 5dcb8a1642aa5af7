"""What a prompt says of the bot itself: its books, what it holds and how that is to be left, and its closed trades."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from events.bot import TradingState
from events.identifiers import Symbol
from events.values import OrderKind, PositionSide, Side
from oxbot.core.advice_figures import basis_points, change, price
from oxbot.core.bot_state import BotState
from oxbot.core.ledger import Position
from oxbot.core.market_view import MarketView
from oxbot.core.money import ZERO, text
from oxbot.core.orders import PROTECTIVE_KINDS, Order
from oxbot.core.trips import ClosedTrade

TRADES_MAX = 8
RECORDS_MAX = 16
_SETUP = re.compile(r"[a-z0-9_.-]{1,40}")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The standing orders by which a position will be left, as they are at work; None for what is not there.

    ``candles_left`` is after how many more candles it is closed in any case; ``leaving``: it is being closed now.
    """

    stop: str | None = None
    target: str | None = None
    trailing_bps: int | None = None
    scale_outs: int = 0
    candles_left: int | None = None
    leaving: Literal["yes", "no"] = "no"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An open position: amounts in quote currency, shares in basis points, times in candles.

    ``result`` is what it would have earned if it were closed at the mark, after every fee, that of the exit included,
    and after funding; ``result_bps`` is that of what was paid to enter.
    """

    symbol: Symbol
    side: PositionSide
    weight_bps: int | None
    entry_price: str | None
    price_change_bps: int | None
    result: str | None
    result_bps: int | None
    fees_paid: str | None
    candles: int
    setup: str
    plan: Plan


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that waits for its price, or for the next open."""

    symbol: Symbol
    side: Side
    kind: OrderKind
    limit: str | None
    trigger: str | None


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A closed round trip: its result after fees and funding, and by which kind of order it was closed."""

    symbol: Symbol
    side: PositionSide
    setup: str
    result_bps: int | None
    closed_by: str
    candles: int
    candles_ago: int


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """The closed trades of a setup in a symbol; ``result_bps`` is their mean result of what was paid to enter."""

    setup: str
    symbol: Symbol
    trades: int
    wins: int
    result_bps: int | None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A bot's own books in quote currency, shares in basis points of equity. No word that a model ever wrote."""

    quote: str
    equity: str | None
    free: str | None
    exposure_bps: int | None
    day_bps: int | None
    drawdown_bps: int | None
    positions_max: int
    position_weight_max_bps: int | None
    trading: TradingState
    held: tuple[Held, ...]
    waiting: tuple[Waiting, ...]
    trades: tuple[Trade, ...]
    memory: tuple[Remembered, ...]


def account(state: BotState, view: MarketView, symbols: Sequence[Symbol], now: datetime) -> Account:
    """The bot at the close of the candle that opened ``now``; its memory of these symbols. Computed exactly."""
    bot, ledger = state.configuration, state.ledger
    marks = {symbol: view.mark(symbol) for symbol in {*ledger.positions, *ledger.dust}}
    equity = ledger.equity(marks)
    exposure = sum((held.quantity * marks[symbol] for symbol, held in ledger.positions.items()), ZERO)
    # What a bot measures its losses from, it keeps only where it has a limit for them.
    day = change(state.day_equity, equity) if state.day is not None and state.day == now.date() else None
    drawdown = None if state.high_water is None else change(state.high_water, min(equity, state.high_water))
    return Account(
        quote=bot.quote,
        equity=price(equity),
        free=price(state.free),
        exposure_bps=basis_points(exposure, equity),
        day_bps=day,
        drawdown_bps=None if drawdown is None else -drawdown,
        positions_max=bot.limits.positions_max,
        position_weight_max_bps=basis_points(bot.limits.position_fraction_max, Decimal(1)),
        trading=state.trading,
        held=tuple(
            _held(state, position, marks[symbol], equity, now) for symbol, position in sorted(ledger.positions.items())
        ),
        waiting=tuple(_waiting(order) for order in state.orders.values() if not order.reduce_only),
        trades=tuple(_trade(trade, state, now) for trade in state.trades[-TRADES_MAX:]),
        memory=_memory(state, symbols),
    )


def named(setup: str) -> str:
    """A setup's name if it is one; whatever else stands there is not shown."""
    return setup if _SETUP.fullmatch(setup) else "unnamed"


def _held(state: BotState, position: Position, mark: Decimal, equity: Decimal, now: datetime) -> Held:
    trip = state.trips.get(position.symbol)
    opened_at = trip.opened_at if trip else position.opened_at
    candles = max(0, (now - opened_at) // state.candle)
    worth = position.quantity * mark
    settled = position.realised - position.fees + position.funding + position.covered
    result = settled + position.unrealised(mark) - worth * state.configuration.fees.taker
    moved = change(position.entry_price, mark)
    return Held(
        symbol=position.symbol,
        side=position.side,
        weight_bps=basis_points(worth, equity),
        entry_price=price(position.entry_price),
        price_change_bps=moved,
        result=price(result),
        result_bps=basis_points(result, position.entry_cost),
        fees_paid=price(position.fees),
        candles=candles,
        setup=named(trip.setup if trip else ""),
        plan=_plan(state, position.symbol, candles),
    )


def _plan(state: BotState, symbol: Symbol, candles: int) -> Plan:
    exits = [order for order in state.working(symbol) if order.reduce_only]
    trailing = next((order.trailing_fraction for order in exits if order.trailing_fraction is not None), None)
    trip = state.trips.get(symbol)
    lasts = trip.bracket.candles_max if trip and trip.bracket else None
    return Plan(
        stop=_level([order for order in exits if order.kind in PROTECTIVE_KINDS]),
        target=_level([order for order in exits if order.reason == "take_profit"]),
        trailing_bps=None if trailing is None else basis_points(trailing, Decimal(1)),
        scale_outs=sum(order.reason == "scale_out" for order in exits),
        candles_left=None if lasts is None else max(0, lasts - candles),
        leaving="yes" if any(order.kind == "market" for order in exits) else "no",
    )


def _level(orders: Sequence[Order]) -> str | None:
    levels = (order.trigger_price if order.trigger_price is not None else order.limit_price for order in orders)
    return next((text(level) for level in levels if level is not None), None)


def _waiting(order: Order) -> Waiting:
    return Waiting(
        symbol=order.symbol,
        side=order.side,
        kind=order.kind,
        limit=None if order.limit_price is None else text(order.limit_price),
        trigger=None if order.trigger_price is None else text(order.trigger_price),
    )


def _trade(trade: ClosedTrade, state: BotState, now: datetime) -> Trade:
    return Trade(
        symbol=trade.symbol,
        side=trade.side,
        setup=named(trade.setup),
        result_bps=basis_points(trade.net, trade.entry_cost),
        closed_by=trade.reason,
        candles=max(0, (trade.closed_at - trade.opened_at) // state.candle),
        candles_ago=max(0, (now - trade.closed_at) // state.candle),
    )


def _memory(state: BotState, symbols: Sequence[Symbol]) -> tuple[Remembered, ...]:
    """The records with the most trades first, then by name."""
    found = [record for record in state.memory.search() if record[1] in symbols]
    found.sort(key=lambda entry: (-entry[2].trades, entry[0], entry[1]))
    return tuple(
        Remembered(
            setup=named(setup),
            symbol=symbol,
            trades=record.trades,
            wins=record.wins,
            result_bps=basis_points(record.net, record.cost),
        )
        for setup, symbol, record in found[:RECORDS_MAX]
    )
