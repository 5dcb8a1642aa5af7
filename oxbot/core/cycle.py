"""One candle in the life of a bot: fills, then exits and entries, as the stages Execution, Decision, Risk."""

from decimal import Decimal

from events.bot import BotFact, DecisionMade, OrderCancelled, OrderDenied, OrderFilled, OrderRequested
from events.identifiers import DecisionId, OrderId, Symbol
from events.values import Bracket
from oxbot.core import paper
from oxbot.core.candles import Candle, Frame, window_digest
from oxbot.core.market_view import MarketView
from oxbot.core.money import ZERO, ceil_to_step, floor_to_step
from oxbot.core.orders import Order
from oxbot.core.risk import EntryRequest, assess
from oxbot.core.state import BotState, evolve
from oxbot.core.strategy import BoundStrategy, Signal


class Cycle:
    """Collects the facts that one frame causes in one bot, each decided on the state that the earlier ones left."""

    def __init__(self, state: BotState, strategy: BoundStrategy, frame: Frame, view: MarketView) -> None:
        self.facts: list[BotFact] = []
        self._state = state
        self._status = state.status_at(frame.open_time)
        self._strategy = strategy
        self._frame = frame
        self._view = view

    def run(self) -> list[BotFact]:
        """The facts, in order: empty when the frame changes nothing."""
        followed = {instrument.symbol for instrument in self._state.configuration.market.instruments}
        candles = [(symbol, candle) for symbol, candle in self._frame.candles if symbol in followed]
        closed = {symbol for symbol, candle in candles if self._execute(symbol, candle)}
        for symbol, candle in candles:
            self._decide(symbol, candle, may_enter=symbol not in closed)
        return self.facts

    def _emit(self, fact: BotFact) -> None:
        self.facts.append(fact)
        self._state = evolve(self._state, fact)

    # Execution: what the candle does to orders that were at work before its close.

    def _execute(self, symbol: Symbol, candle: Candle) -> bool:
        """Match the symbol's orders with the candle; whether a position was closed by it."""
        if not self._state.orders:
            return False
        held, earlier_facts = symbol in self._state.ledger.positions, len(self.facts)
        for order in self._state.working(symbol):
            if order.kind == "market":
                self._execute_market(order, candle)
        self._execute_resting(symbol, candle)
        held = held or any(isinstance(fact, OrderFilled) for fact in self.facts[earlier_facts:])
        return held and symbol not in self._state.ledger.positions

    def _execute_market(self, order: Order, candle: Candle) -> None:
        if order.side == "buy" and self._status == "stopped":
            self._emit(OrderCancelled(order_id=order.order_id, at=candle.open_time, reason="the bot was stopped"))
            return
        instrument = self._state.instrument(order.symbol)
        fill = paper.fill_at_open(order, candle, instrument=instrument, fees=self._state.configuration.fees)
        self._emit(fill)
        if isinstance(fill, OrderFilled):
            if order.bracket is not None:
                self._place_bracket(order, order.bracket, fill)
            self._cancel_orphans(order.symbol, candle)

    def _execute_resting(self, symbol: Symbol, candle: Candle) -> None:
        first = paper.first_to_trade(self._state.working(symbol), candle)
        if first is None:
            return
        order, price = first
        quantity = self._state.ledger.positions[symbol].quantity
        fees = self._state.configuration.fees
        self._emit(paper.fill_resting(order, candle, quantity=quantity, price=price, fees=fees))
        self._cancel_orphans(symbol, candle)

    def _place_bracket(self, entry: Order, bracket: Bracket, fill: OrderFilled) -> None:
        tick = self._state.instrument(entry.symbol).tick
        stop = ceil_to_step(fill.price * (1 - bracket.stop_fraction), tick)
        target = floor_to_step(fill.price * (1 + bracket.target_fraction), tick)
        for kind, reason, trigger in (("stop", "stop_loss", stop), ("take_profit", "take_profit", target)):
            self._emit(
                OrderRequested(
                    order_id=self._next_order_id(),
                    at=fill.at,
                    symbol=entry.symbol,
                    side="sell",
                    kind=kind,  # type: ignore[arg-type]  # a literal of the tuple above
                    reason=reason,  # type: ignore[arg-type]  # likewise
                    quantity=fill.quantity,
                    trigger_price=trigger,
                    reduce_only=True,
                    parent_id=entry.order_id,
                )
            )

    def _cancel_orphans(self, symbol: Symbol, candle: Candle) -> None:
        if symbol in self._state.ledger.positions:
            return
        for order in self._state.working(symbol):
            if order.reduce_only:
                self._emit(
                    OrderCancelled(order_id=order.order_id, at=candle.open_time, reason="the position is closed")
                )

    # Decision: what the strategy wants at the candle's close.

    def _decide(self, symbol: Symbol, candle: Candle, *, may_enter: bool) -> None:
        holding = symbol in self._state.ledger.positions
        if any(order.kind == "market" for order in self._state.working(symbol)):
            return
        if self._status == "stopped":
            if holding:
                self._request_exit(symbol, candle, decision_id=None)
            return
        if not holding and not (may_enter and self._status == "running"):
            return
        signal = self._strategy.observe(self._view[symbol], holding=holding)
        if signal is not None:
            self._act(symbol, candle, signal)

    def _act(self, symbol: Symbol, candle: Candle, signal: Signal) -> None:
        equity, exposure = self._valuation()
        decision = self._decision(symbol, candle, signal, equity)
        self._emit(decision)
        if signal.intent == "exit":
            self._request_exit(symbol, candle, decision_id=decision.decision_id)
            return
        notional = equity * signal.size_fraction
        entry = EntryRequest(
            symbol=symbol,
            notional=notional,
            equity=equity,
            exposure=exposure,
            mark=candle.close,
            bracket=signal.bracket,
        )
        self._gate(entry, signal, decision)

    # Risk: the verdict on an entry.

    def _gate(self, entry: EntryRequest, signal: Signal, decision: DecisionMade) -> None:
        denial = assess(self._state, entry)
        if denial is not None:
            self._emit(
                OrderDenied(
                    decision_id=decision.decision_id,
                    at=decision.at,
                    symbol=entry.symbol,
                    rule=denial.rule,
                    limit=denial.limit,
                    value=denial.value,
                )
            )
            return
        self._emit(
            OrderRequested(
                order_id=self._next_order_id(),
                at=decision.at,
                symbol=entry.symbol,
                side="buy",
                kind="market",
                reason="entry",
                notional=entry.notional,
                bracket=signal.bracket,
                decision_id=decision.decision_id,
            )
        )

    def _request_exit(self, symbol: Symbol, candle: Candle, *, decision_id: DecisionId | None) -> None:
        self._emit(
            OrderRequested(
                order_id=self._next_order_id(),
                at=candle.open_time,
                symbol=symbol,
                side="sell",
                kind="market",
                reason="exit_signal" if decision_id else "bot_stopped",
                quantity=self._state.ledger.positions[symbol].quantity,
                reduce_only=True,
                decision_id=decision_id,
            )
        )

    def _decision(self, symbol: Symbol, candle: Candle, signal: Signal, equity: Decimal) -> DecisionMade:
        bot = self._state.configuration
        number = self._state.decisions_made + 1
        return DecisionMade(
            decision_id=DecisionId(f"{bot.bot_id}-d{number}"),
            at=candle.open_time,
            venue=bot.market.venue,
            symbol=symbol,
            timeframe=bot.market.timeframe,
            window_digest=window_digest(self._view[symbol].candles(self._strategy.window)),
            window=self._strategy.window,
            strategy=bot.strategy.name,
            strategy_version=bot.strategy.version,
            parameters=bot.strategy.parameters,
            measurements=signal.measurements,
            intent=signal.intent,
            mark=candle.close,
            equity=equity,
        )

    def _valuation(self) -> tuple[Decimal, Decimal]:
        """Equity and the value of what is held, both at the newest closes."""
        positions = self._state.ledger.positions
        exposure = sum((held.quantity * self._view.mark(symbol) for symbol, held in positions.items()), ZERO)
        return self._state.ledger.cash + exposure, exposure

    def _next_order_id(self) -> OrderId:
        return OrderId(f"{self._state.bot_id}-{self._state.orders_requested + 1}")
