"""One candle in the life of a bot: what the venue does, then exits and entries: Execution, Decision, Risk."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import get_args

from events.bot import (
    BotFact,
    DayOpened,
    DecisionMade,
    HighWaterRaised,
    OrderCancelled,
    OrderDenied,
    OrderFilled,
    OrderReason,
    OrderRequested,
    TradingStateTripped,
)
from events.identifiers import DecisionId, OrderId, Symbol
from events.values import OrderKind
from oxbot.core.brackets import bracket_facts, time_is_up
from oxbot.core.candles import Candle, Frame, timeframe_duration, window_digest
from oxbot.core.entry import Entry, Fleet, Market, context, fit, planned
from oxbot.core.ledger import Position
from oxbot.core.market_view import MarketView
from oxbot.core.money import ZERO, floor_to_step
from oxbot.core.order_validation import validate
from oxbot.core.orders import LIMITED_KINDS, Order
from oxbot.core.paper_margin import Held
from oxbot.core.paper_prices import Terms
from oxbot.core.paper_venue import CandleMatch
from oxbot.core.risk import AFTER_FLEET, LETS_THROUGH, Denial, assess, passed_loss_limits
from oxbot.core.state import BotState, evolve
from oxbot.core.strategy import BoundStrategy, Holding, Signal, StrategyState
from oxbot.core.trips import Refused

HIGH_WATER_STEP = Decimal("1.001")
"""The highest equity is recorded when it was passed by this factor, so that a drawdown is known to a thousandth."""

ALL_KINDS: frozenset[OrderKind] = frozenset(get_args(OrderKind))

ENTRY_LIMIT_CANDLES = 3
"""So long an entry with a limit waits after the candle that made the bot want it."""


class Cycle:
    """Collects the facts that one frame causes in one bot, each decided on the state that the earlier ones left."""

    def __init__(
        self, state: BotState, strategy: BoundStrategy, frame: Frame, view: MarketView, *, fleet: Fleet | None = None
    ) -> None:
        self.facts: list[BotFact] = []
        self._state = state
        self._standing = state.standing_at(frame.open_time)
        self._strategy = strategy
        self._frame = frame
        self._view = view
        self._fleet = fleet
        self._timeframe = timeframe_duration(state.configuration.market.timeframe)
        self._entries = 0

    def run(self) -> list[BotFact]:
        """The facts, in order: empty when the frame changes nothing."""
        followed = {instrument.symbol for instrument in self._state.configuration.market.instruments}
        candles = [(symbol, candle) for symbol, candle in self._frame.candles if symbol in followed]
        self._open_day()
        closed = {symbol for symbol, candle in candles if self._execute(symbol, candle)}
        for symbol, candle in candles:
            self._decide(symbol, candle, may_enter=symbol not in closed)
        self._watch_equity()
        return self.facts

    def _emit(self, fact: BotFact) -> None:
        self.facts.append(fact)
        self._state = evolve(self._state, fact)

    # Execution: what the candle does to the position and to orders that were at work before its close.

    def _execute(self, symbol: Symbol, candle: Candle) -> bool:
        """Match the symbol with the candle; whether a position was closed by it."""
        held = self._state.ledger.positions.get(symbol)
        if not self._state.orders and (held is None or held.kind == "spot"):
            return False
        self._withdraw_entries(symbol, candle)
        bot, entered = self._state.configuration, held is not None
        terms = Terms(self._state.instrument(symbol), bot.fees, self._state.paper, self._timeframe)
        window = self._view[symbol]
        before = window.candles(2)[0].open_time if len(window) > 1 else None
        match = CandleMatch(candle, terms, before=before)
        while (fact := match.next_fact(self._state.working(symbol), self._held(symbol))) is not None:
            order = self._state.orders[fact.order_id] if isinstance(fact, OrderFilled) else None
            self._emit(fact)
            if isinstance(fact, OrderFilled) and order is not None and not order.reduce_only:
                entered = True
                self._place_exits(order, fact)
        return entered and symbol not in self._state.ledger.positions

    def _withdraw_entries(self, symbol: Symbol, candle: Candle) -> None:
        """Nothing is entered once the bot is stopped or may only reduce, though it was requested before.

        A pause takes back what waits at a limit; an entry at the market is under way.
        """
        if self._standing.status == "stopped":
            self._cancel_entries(symbol, candle, reason="the bot was stopped")
        elif "entry" not in LETS_THROUGH[self._standing.trading]:
            self._cancel_entries(symbol, candle, reason=f"the trading state is {self._standing.trading}")
        elif self._standing.status == "paused":
            self._cancel_entries(symbol, candle, reason="the bot was paused", kinds=LIMITED_KINDS)

    def _cancel_entries(
        self, symbol: Symbol, candle: Candle, *, reason: str, kinds: Collection[OrderKind] = ALL_KINDS
    ) -> None:
        for order in self._state.working(symbol):
            if not order.reduce_only and order.kind in kinds:
                self._emit(OrderCancelled(order_id=order.order_id, at=candle.open_time, reason=reason))

    def _place_exits(self, entry: Order, fill: OrderFilled) -> None:
        position = self._state.ledger.positions.get(entry.symbol)
        if position is None:
            return
        facts = bracket_facts(
            entry,
            fill,
            working=self._state.working(entry.symbol),
            held=position.quantity,
            instrument=self._state.instrument(entry.symbol),
            numbers=self._order_id,
        )
        for fact in facts:
            self._emit(fact)

    def _held(self, symbol: Symbol) -> Held | None:
        position = self._state.ledger.positions.get(symbol)
        if position is None:
            return None
        level = position.liquidation_price(self._state.instrument(symbol))
        return Held(position.side, position.quantity, position.cost, position.margin, level)

    # Decision: what the bot, or its strategy, wants at the candle's close.

    def _decide(self, symbol: Symbol, candle: Candle, *, may_enter: bool) -> None:
        position = self._state.ledger.positions.get(symbol)
        # An exit waits for the one before it, an entry for either; what an entry still wants delays no exit.
        if any(
            order.kind == "market" and order.reduce_only == (position is not None)
            for order in self._state.working(symbol)
        ):
            return
        if self._standing.status == "stopped":
            if position is not None:
                self._request_exit(symbol, candle, reason="bot_stopped")
            return
        if position is not None and self._is_over(symbol, candle):
            self._request_exit(symbol, candle, reason="time_limit")
            return
        if position is None and not (may_enter and self._standing.status == "running"):
            return
        if position is not None and "exit_signal" not in LETS_THROUGH[self._standing.trading]:
            return
        state = StrategyState(self._holding(position, candle), self._state.memory, symbol)
        signal = self._strategy.observe(self._view[symbol], state)
        if signal is not None:
            self._act(symbol, candle, signal)

    def _is_over(self, symbol: Symbol, candle: Candle) -> bool:
        trip = self._state.trips.get(symbol)
        return trip is not None and time_is_up(
            trip.bracket, opened_at=trip.opened_at, candle_open=candle.open_time, duration=self._timeframe
        )

    def _holding(self, position: Position | None, candle: Candle) -> Holding | None:
        if position is None:
            return None
        trip = self._state.trips.get(position.symbol)
        return Holding(
            side=position.side,
            quantity=position.quantity,
            entry_price=position.entry_price,
            opened_at=position.opened_at,
            candles=(candle.open_time - position.opened_at) // self._timeframe,
            setup=trip.setup if trip else "",
            reduced=position.exit_quantity > 0,
        )

    def _act(self, symbol: Symbol, candle: Candle, signal: Signal) -> None:
        position = self._state.ledger.positions.get(symbol)
        entering = signal.intent in {"enter_long", "enter_short"}
        if entering == (position is not None):
            return
        market = Market(
            self._state.instrument(symbol), candle, self._view, self._timeframe, self._equity(), self._fleet
        )
        signal, fault = fit(signal)
        if fault is not None and signal.intent != "exit":
            decision, denial = self._decision(signal, market, None), Denial("order_validity", ZERO, Decimal(1))
            if not self._said_today(decision, denial):
                self._emit(decision)
                self._deny(decision, denial, reason=fault)
            return
        if position is None:
            self._enter(signal, market)
            return
        lot = market.instrument.lot
        part = floor_to_step(position.quantity * min(Decimal(1), signal.reduce_fraction), lot)
        whole = signal.intent == "exit" or part >= floor_to_step(position.quantity, lot)
        if not whole and part <= 0:
            return
        decision = self._decision(signal, market, None)
        self._emit(decision)
        self._request_exit(
            symbol, candle, reason="exit_signal", decision_id=decision.decision_id, quantity=None if whole else part
        )

    # Risk: the verdict on an entry.

    def _enter(self, signal: Signal, market: Market) -> None:
        entry = planned(self._state, signal, market)
        decision = self._decision(signal, market, entry)
        request = self._request(decision, entry, market)
        fault = validate(request, market.instrument)
        asked = context(self._state, signal, entry, market, entries_this_cycle=self._entries, order_fault=fault)
        denial = assess(asked)
        if denial is not None and self._said_today(decision, denial):
            return
        self._emit(decision)
        if denial is None:
            self._entries += 1
            self._emit(request)
            return
        self._deny(decision, denial, reason=fault or "" if denial.rule == "order_validity" else "")

    def _said_today(self, decision: DecisionMade, denial: Denial) -> bool:
        """Whether the log says so already: what is refused candle after candle can be derived.

        Not so where the fleet's limits were looked at: what the fleet had at stake is on record nowhere else.
        """
        passed = decision.fleet_position is not None and denial.rule in AFTER_FLEET
        said = Refused(denial.rule, decision.setup, decision.at.date())
        known = said in self._state.refused.get(decision.symbol, ())
        return known and not (passed or denial.rule.startswith("fleet_"))

    def _deny(self, decision: DecisionMade, denial: Denial, *, reason: str) -> None:
        self._emit(
            OrderDenied(
                decision_id=decision.decision_id,
                at=decision.at,
                symbol=decision.symbol,
                rule=denial.rule,
                limit=denial.limit,
                value=denial.value,
                reason=reason,
            )
        )

    def _request(self, decision: DecisionMade, entry: Entry, market: Market) -> OrderRequested:
        limited = entry.limit_price is not None
        return OrderRequested(
            order_id=self._order_id(1),
            at=decision.at,
            symbol=decision.symbol,
            side="buy" if entry.side == "long" else "sell",
            kind="limit" if limited else "market",
            reason="entry",
            notional=entry.notional,
            bracket=entry.bracket,
            decision_id=decision.decision_id,
            limit_price=entry.limit_price,
            expires_at=decision.at + (1 + ENTRY_LIMIT_CANDLES) * self._timeframe if limited else None,
            leverage=entry.leverage if market.instrument.kind == "perpetual" else None,
        )

    def _request_exit(
        self,
        symbol: Symbol,
        candle: Candle,
        *,
        reason: OrderReason,
        decision_id: DecisionId | None = None,
        quantity: Decimal | None = None,
    ) -> None:
        position = self._state.ledger.positions[symbol]
        instrument = self._state.instrument(symbol)
        whole = floor_to_step(position.quantity, instrument.lot)
        self._cancel_entries(symbol, candle, reason="its position is being left")
        self._emit(
            OrderRequested(
                order_id=self._order_id(1),
                at=candle.open_time,
                symbol=symbol,
                side="sell" if position.side == "long" else "buy",
                kind="market",
                reason=reason,
                quantity=whole if quantity is None else quantity,
                reduce_only=True,
                decision_id=decision_id,
                leverage=position.leverage if instrument.kind == "perpetual" else None,
            )
        )

    def _decision(self, signal: Signal, market: Market, entry: Entry | None) -> DecisionMade:
        """A signal that names its setup is recorded in full; one that does not says all in its measurements."""
        bot, window = self._state.configuration, self._view[market.instrument.symbol]
        full = entry is not None and bool(signal.setup)
        fleet = self._fleet if entry is not None else None
        return DecisionMade(
            decision_id=DecisionId(f"{bot.bot_id}-d{self._state.decisions_made + 1}"),
            at=market.candle.open_time,
            venue=bot.market.venue,
            symbol=market.instrument.symbol,
            timeframe=bot.market.timeframe,
            window_digest=window_digest(window.candles(min(self._strategy.window, len(window)))),
            window=self._strategy.window,
            strategy=bot.strategy.name,
            strategy_version=bot.strategy.version,
            parameters=() if signal.setup or signal.reason else bot.strategy.parameters,
            measurements=signal.measurements,
            intent=signal.intent,
            mark=market.candle.close,
            equity=market.equity,
            size_fraction=entry.size_fraction if entry and full else None,
            entry_price=(entry.limit_price or entry.price) if entry and full else None,
            stop_loss=entry.stop if entry and full else None,
            take_profit=entry.target if entry and full else None,
            confidence=signal.confidence,
            setup=signal.setup,
            reason=signal.reason,
            fleet_exposure=fleet.exposure if fleet else None,
            fleet_net_exposure=fleet.net_exposure if fleet else None,
            fleet_equity=fleet.equity if fleet else None,
            fleet_position=fleet.position if fleet else None,
        )

    # What the loss limits are measured from.

    def _open_day(self) -> None:
        today = self._frame.open_time.date()
        if self._state.configuration.limits.daily_loss_max is None or self._state.day == today:
            return
        opens = {symbol: candle.open for symbol, candle in self._frame.candles}
        self._emit(DayOpened(at=self._frame.open_time, equity=self._equity(opens)))

    def _watch_equity(self) -> None:
        limits, at = self._state.configuration.limits, self._frame.open_time
        if limits.drawdown_max is None:
            return
        equity, highest = self._equity(), self._state.high_water
        if highest is None or (equity > highest and equity >= highest * HIGH_WATER_STEP):
            self._emit(HighWaterRaised(at=at, equity=equity))
        elif self._standing.trading == "active":
            passed = passed_loss_limits(limits, equity=equity, high_water=highest, day_start_equity=equity)
            for denial in passed[:1]:
                self._emit(_tripped(at, denial))

    def _equity(self, marks: dict[Symbol, Decimal] | None = None) -> Decimal:
        """Cash and what is held, at these marks, or where there is none at the newest closes."""
        ledger, known = self._state.ledger, marks or {}
        symbols = {*ledger.positions, *ledger.dust}
        return ledger.equity({name: known.get(name) or self._view.mark(name) for name in symbols})

    def _order_id(self, number: int) -> OrderId:
        return OrderId(f"{self._state.bot_id}-{self._state.orders_requested + number}")


def _tripped(at: datetime, denial: Denial) -> TradingStateTripped:
    return TradingStateTripped(at=at, state="reducing", rule=denial.rule, limit=denial.limit, value=denial.value)
