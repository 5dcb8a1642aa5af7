"""How a decision, and the entry that it asks for, are put on record."""

from events.bot import DecisionMade, OrderDenied, OrderRequested
from events.identifiers import DecisionId, OrderId
from oxbot.core.bot_state import BotState
from oxbot.core.candles import window_digest
from oxbot.core.entry import Entry, Market
from oxbot.core.risk import Denial
from oxbot.core.strategy import BoundStrategy, Signal

ENTRY_LIMIT_CANDLES = 3
"""So long an entry with a limit or a trigger waits after the candle that made the bot want it."""


def decided(
    state: BotState, strategy: BoundStrategy, signal: Signal, market: Market, entry: Entry | None
) -> DecisionMade:
    """A signal that names its setup is recorded in full; one that does not says all in its measurements."""
    bot, window = state.configuration, market.view[market.instrument.symbol]
    full = entry is not None and bool(signal.setup)
    fleet = market.fleet if entry is not None else None
    return DecisionMade(
        decision_id=DecisionId(f"{bot.bot_id}-d{state.decisions_made + 1}"),
        at=market.candle.open_time,
        venue=bot.market.venue,
        symbol=market.instrument.symbol,
        timeframe=bot.market.timeframe,
        window_digest=window_digest(window.candles(min(strategy.window, len(window)))),
        window=strategy.window,
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
        data_fault=market.data_fault if entry is not None else "",
        advice_id=market.advice_id,
        account_fault=market.account_fault,
    )


def denied(decision: DecisionMade, denial: Denial, *, reason: str) -> OrderDenied:
    """That the gate refused what the decision asked for."""
    return OrderDenied(
        decision_id=decision.decision_id,
        at=decision.at,
        symbol=decision.symbol,
        rule=denial.rule,
        limit=denial.limit,
        value=denial.value,
        reason=reason,
    )


def entry_request(state: BotState, decision: DecisionMade, entry: Entry, market: Market) -> OrderRequested:
    """The bot's next order: at the market, or waiting for the entry's limit or trigger for a few candles."""
    waits = entry.kind != "market"
    return OrderRequested(
        order_id=OrderId(f"{state.bot_id}-{state.orders_requested + 1}"),
        at=decision.at,
        symbol=decision.symbol,
        side="buy" if entry.side == "long" else "sell",
        kind=entry.kind,
        reason="entry",
        notional=entry.notional,
        bracket=entry.bracket,
        decision_id=decision.decision_id,
        limit_price=entry.limit_price,
        trigger_price=entry.trigger_price,
        time_in_force=entry.time_in_force,
        post_only=entry.post_only,
        expires_at=decision.at + (1 + ENTRY_LIMIT_CANDLES) * market.timeframe if waits else None,
        leverage=entry.leverage if market.instrument.kind == "perpetual" else None,
        at_close=state.live,
    )
