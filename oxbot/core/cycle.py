"""One candle in the life of a bot: what the venue does, then exits and entries: Execution, Decision, Risk."""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, get_args

from events.advice import Sentiment
from events.bot import (
    BotFact,
    BotHalted,
    DayOpened,
    DecisionMade,
    HighWaterRaised,
    OrderCancelled,
    OrderCancelRequested,
    OrderFilled,
    OrderReason,
    OrderRequested,
    TradingStateTripped,
)
from events.identifiers import DecisionId, OrderId, Symbol
from events.values import OrderKind
from oxbot.core.advice import TakenOpinion
from oxbot.core.advice_cycle import Asking, heard, wanted
from oxbot.core.brackets import bracket_facts, time_is_up
from oxbot.core.candles import Candle, Frame, timeframe_duration
from oxbot.core.decisions import decided, denied, entry_request
from oxbot.core.entry import Entry, Fleet, Market, candles_needed, context, fit, planned, too_small
from oxbot.core.ledger import Position
from oxbot.core.live import candle_of, missing_candles
from oxbot.core.live_cycle import asked_again, closed_since, outlived
from oxbot.core.market_view import MarketView
from oxbot.core.money import ZERO, floor_to_step
from oxbot.core.order_validation import validate
from oxbot.core.orders import Order
from oxbot.core.paper_margin import Held
from oxbot.core.paper_prices import Terms
from oxbot.core.paper_venue import CandleMatch
from oxbot.core.risk import AFTER_FLEET, LETS_THROUGH, Denial, assess, passed_loss_limits
from oxbot.core.state import BotState, evolve
from oxbot.core.strategy import BoundStrategy, Failed, Holding, Signal, StrategyState, advice_terms, asked
from oxbot.core.trips import ENTRY_INTENTS, Refused

ALL_KINDS: frozenset[OrderKind] = frozenset(get_args(OrderKind))
WAITING_KINDS = ALL_KINDS - {"market"}
"""The kinds of entry that wait for a price; one at the market is under way."""


class Outside(NamedTuple):
    """What a bot is told beside candles: stakes of its fleet, faulty data, news, what keeps its account shut."""

    fleet: Fleet | None = None
    data_faults: Mapping[Symbol, str] = {}
    sentiments: Mapping[Symbol, Sentiment] = {}
    account_fault: str = ""


ALL_WELL = Outside()


class Cycle:
    """Collects the facts that one frame causes in one bot, each decided on the state that the earlier ones left."""

    def __init__(
        self,
        state: BotState,
        strategy: BoundStrategy,
        frame: Frame,
        view: MarketView,
        outside: Outside = ALL_WELL,
    ) -> None:
        self.facts: list[BotFact] = []
        self.failed: Failed | None = None
        self._state = state
        self._standing = state.standing_at(frame.open_time)
        self._strategy = strategy
        self._frame = frame
        self._view = view
        self._fleet = outside.fleet
        self._data_faults = outside.data_faults
        self._sentiments = outside.sentiments
        self._advised = advice_terms(strategy)
        self._account_fault = outside.account_fault if state.live else ""
        self._timeframe = timeframe_duration(state.configuration.market.timeframe)
        self._entries = 0

    def run(self) -> list[BotFact]:
        """The facts, in order: empty when the frame changes nothing."""
        followed = {instrument.symbol for instrument in self._state.configuration.market.instruments}
        candles = [(symbol, candle) for symbol, candle in self._frame.candles if symbol in followed]
        self._open_day()
        closed = {symbol for symbol, candle in candles if self._execute(symbol, candle)}
        self._hear()
        for symbol, candle in candles:
            self._decide(symbol, candle, may_enter=symbol not in closed)
        self._watch_equity()
        self._ask()
        return self.facts

    def _emit(self, fact: BotFact) -> None:
        self.facts.append(fact)
        self._state = evolve(self._state, fact)

    # Execution: what the candle does to the position and to orders that were at work before its close.

    def _execute(self, symbol: Symbol, candle: Candle) -> bool:
        """Match the symbol with the candle; whether a position was closed by it."""
        if self._state.live:
            return self._outlive(symbol, candle)
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

    def _outlive(self, symbol: Symbol, candle: Candle) -> bool:
        """Let what has lost its purpose go; whether a position was closed in the candle. The venue is a real one."""
        self._withdraw_entries(symbol, candle)
        for order, reason in outlived(self._state, symbol, candle.open_time + self._timeframe):
            self._cancel(order, candle, reason)
        return closed_since(self._state, symbol, candle.open_time)

    def _withdraw_entries(self, symbol: Symbol, candle: Candle) -> None:
        """Nothing is entered once the bot is stopped, halted or may only reduce, though it was requested before.

        A pause takes back what waits for a price; an entry at the market is under way.
        """
        if self._standing.status in {"stopped", "halted"}:
            self._cancel_entries(symbol, candle, reason=f"the bot was {self._standing.status}")
        elif "entry" not in LETS_THROUGH[self._standing.trading]:
            self._cancel_entries(symbol, candle, reason=f"the trading state is {self._standing.trading}")
        elif self._standing.status == "paused":
            self._cancel_entries(symbol, candle, reason="the bot was paused", kinds=WAITING_KINDS)

    def _cancel_entries(
        self, symbol: Symbol, candle: Candle, *, reason: str, kinds: Collection[OrderKind] = ALL_KINDS
    ) -> None:
        for order in self._state.working(symbol):
            if not order.reduce_only and order.kind in kinds:
                self._cancel(order, candle, reason)

    def _cancel(self, order: Order, candle: Candle, reason: str) -> None:
        """End the order; at a real venue that can only be asked for, once."""
        order_id, at = order.order_id, candle.open_time
        if not self._state.live:
            self._emit(OrderCancelled(order_id=order_id, at=at, reason=reason))
        elif self._state.orders[order_id].cancel_requested_at is None:
            self._emit(OrderCancelRequested(order_id=order_id, at=at, reason=reason, at_close=True))

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
        if position is not None and symbol in self._state.leaving:
            self._request_exit(symbol, candle, reason="force_exit")
            return
        if self._standing.status == "stopped" and not (self._standing.keeps and position is not None):
            if position is not None:
                self._request_exit(symbol, candle, reason="bot_stopped")
            return
        if position is not None and self._is_over(symbol, candle):
            self._request_exit(symbol, candle, reason="time_limit")
            return
        if position is not None and self._ask_again(position, candle):
            return
        if self._standing.status in {"stopped", "halted"} or (
            position is None and not (may_enter and self._standing.status == "running")
        ):
            return
        if position is None and any(order.reduce_only for order in self._state.working(symbol)):
            # Only a real venue may still have one: it could trade against the new position.
            return
        if position is not None and "exit_signal" not in LETS_THROUGH[self._standing.trading]:
            return
        taken = self._opinion(symbol)
        state = StrategyState(
            self._holding(position, candle),
            self._state.memory.unwritable(),
            symbol,
            taken.opinion if taken else None,
        )
        signal = asked(self._strategy, self._view[symbol], state)
        if isinstance(signal, Failed):
            self._halt(candle, signal)
        elif signal is not None:
            self._act(symbol, candle, signal)

    def _halt(self, candle: Candle, failed: Failed) -> None:
        """What the bot holds keeps its exits; it enters nothing, and its strategy is asked nothing more."""
        self.failed = failed
        self._emit(BotHalted(rule="strategy_failed", reason=failed.reason, at=candle.open_time))
        self._standing = self._state.standing_at(candle.open_time)
        for symbol in {order.symbol: None for order in self._state.orders.values()}:
            self._withdraw_entries(symbol, candle)

    def _ask_again(self, position: Position, candle: Candle) -> bool:
        """Ask again for the exits that a real venue ended before they had traded; whether one goes at the market."""
        instrument, let_through = self._state.instrument(position.symbol), LETS_THROUGH[self._standing.trading]
        for order in list(self._state.owed.values()):
            if order.symbol != position.symbol or order.reason not in let_through:
                continue
            request = asked_again(order, position, instrument, candle, order_id=self._order_id(1))
            if request is None:
                continue
            self._emit(request)
            if request.kind == "market":
                return True
        return False

    def _is_over(self, symbol: Symbol, candle: Candle) -> bool:
        trip = self._state.trips.get(symbol)
        return trip is not None and time_is_up(
            trip.bracket, opened_at=trip.opened_at, candle_open=candle.open_time, duration=self._timeframe
        )

    def _holding(self, position: Position | None, candle: Candle) -> Holding | None:
        if position is None:
            return None
        trip, opened_at = self._state.trips.get(position.symbol), position.opened_at
        if self._state.live:
            opened_at = trip.opened_at if trip else candle_of(opened_at, self._timeframe)
            opened_at = min(opened_at, candle.open_time)
        return Holding(
            side=position.side,
            quantity=position.quantity,
            entry_price=position.entry_price,
            opened_at=opened_at,
            candles=(candle.open_time - opened_at) // self._timeframe,
            setup=trip.setup if trip else "",
            reduced=position.exit_quantity > 0,
        )

    def _act(self, symbol: Symbol, candle: Candle, signal: Signal) -> None:
        position = self._state.ledger.positions.get(symbol)
        entering = signal.intent in ENTRY_INTENTS
        taken = self._opinion(symbol)
        if entering == (position is not None) or (entering and self._advised is not None and taken is None):
            return
        market = Market(
            self._state.instrument(symbol),
            candle,
            self._view,
            self._timeframe,
            self._equity(),
            self._fleet,
            self._data_fault(symbol) if entering else "",
            taken.advice_id if taken else None,
            self._account_fault if entering else "",
        )
        signal, fault = fit(signal)
        if fault is not None and signal.intent != "exit":
            decision, denial = self._decision(signal, market, None), Denial("order_validity", ZERO, Decimal(1))
            if not self._said_today(decision, denial):
                self._emit(decision)
                self._emit(denied(decision, denial, reason=fault))
            return
        if position is None:
            self._enter(signal, market)
            return
        lot = market.instrument.lot
        part = floor_to_step(position.quantity * signal.reduce_fraction, lot)
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
        request = entry_request(self._state, decision, entry, market)
        fault = validate(request, market.instrument) or (too_small(entry, market) if self._state.live else None)
        asked = context(self._state, signal, entry, market, entries_this_cycle=self._entries, order_fault=fault)
        denial = assess(asked)
        if denial is not None and self._said_today(decision, denial):
            return
        self._emit(decision)
        if denial is None:
            self._entries += 1
            self._emit(request)
            return
        words = {"order_validity": fault, "data_quality": market.data_fault, "live_arming": market.account_fault}
        self._emit(denied(decision, denial, reason=words.get(denial.rule) or ""))

    def _data_fault(self, symbol: Symbol) -> str:
        """What is wrong with the symbol's candles, in words: as told, or for real money a gap in what the bot sees."""
        told = self._data_faults.get(symbol, "")
        if told or not self._state.live:
            return told
        count = max(self._strategy.window, candles_needed(self._state))
        return missing_candles(self._view[symbol], count, self._timeframe)

    def _said_today(self, decision: DecisionMade, denial: Denial) -> bool:
        """Whether the log says so already, at nearly the same value: what is refused on and on can be derived.

        Not so where the fleet's limits were looked at, or where the bot was told of a fault in its data: what the fleet
        had at stake, and that fault, are on record nowhere else. A model's opinion leads to one entry, refused or not.
        What keeps its account shut is on record until that is something else, or nothing.
        """
        if decision.advice_id is not None or decision.account_fault != self._state.account_fault:
            return False
        told = denial.rule == "data_quality" and bool(self._data_faults.get(decision.symbol))
        passed = decision.fleet_position is not None and denial.rule in AFTER_FLEET
        news = Refused(denial.rule, decision.setup, decision.at.date(), denial.value)
        known = any(said.covers(news) for said in self._state.refused.get(decision.symbol, ()))
        return known and not (told or passed or denial.rule.startswith("fleet_"))

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
                at_close=self._state.live,
            )
        )

    def _decision(self, signal: Signal, market: Market, entry: Entry | None) -> DecisionMade:
        return decided(self._state, self._strategy, signal, market, entry)

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
        if highest is None or equity > highest:
            self._emit(HighWaterRaised(at=at, equity=equity))
        elif self._standing.own == "active":
            passed = passed_loss_limits(limits, equity=equity, high_water=highest, day_start_equity=equity)
            for denial in passed[:1]:
                self._emit(_tripped(at, denial))

    def _equity(self, marks: dict[Symbol, Decimal] | None = None) -> Decimal:
        """Cash and what is held, at these marks, or where there is none at the newest closes."""
        ledger, known = self._state.ledger, marks or {}
        symbols = {*ledger.positions, *ledger.dust}
        return ledger.equity({name: known.get(name) or self._view.mark(name) for name in symbols})

    # Advice: what is heard before anything is decided, and asked for after everything is.

    def _hear(self) -> None:
        fact = heard(self._state, self._frame.open_time)
        if fact is not None:
            self._emit(fact)

    def _ask(self) -> None:
        if self._advised is None:
            return
        fact = wanted(
            Asking(
                self._state,
                self._advised,
                self._strategy.window,
                self._frame.open_time,
                self._view,
                self._standing,
                self._sentiments,
            )
        )
        if fact is not None:
            self._emit(fact)

    def _opinion(self, symbol: Symbol) -> TakenOpinion | None:
        """What an advised strategy may still act on."""
        if self._advised is None:
            return None
        held = symbol in self._state.ledger.positions
        return self._state.advice.usable(symbol, self._frame.open_time, held=held)

    def _order_id(self, number: int) -> OrderId:
        return OrderId(f"{self._state.bot_id}-{self._state.orders_requested + number}")


def _tripped(at: datetime, denial: Denial) -> TradingStateTripped:
    return TradingStateTripped(at=at, state="reducing", rule=denial.rule, limit=denial.limit, value=denial.value)
