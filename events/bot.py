"""The facts of a bot's life: lifecycle, capital, decisions, orders and fills. One stream per bot holds them."""

from decimal import Decimal
from typing import Literal

from events.identifiers import BotId, DecisionId, FillId, FleetName, OrderId, Symbol, VenueName
from events.values import (
    Bracket,
    FeeSchedule,
    MarketReference,
    Measurement,
    OrderKind,
    Parameter,
    RiskLimits,
    Side,
    StrategyReference,
    Timestamp,
    Value,
)

Intent = Literal["enter_long", "exit"]
OrderReason = Literal["entry", "exit_signal", "stop_loss", "take_profit", "bot_stopped"]


class BotCreated(Value, frozen=True, kw_only=True, tag="bot.created"):
    """A bot came to be, with everything it will decide by."""

    bot_id: BotId
    fleet: FleetName
    name: str
    strategy: StrategyReference
    market: MarketReference
    limits: RiskLimits
    fees: FeeSchedule
    quote: str


class BotClaimed(Value, frozen=True, kw_only=True, tag="bot.claimed"):
    """An incarnation of the bot took over its stream; every older incarnation must stop."""

    epoch: int
    holder: str


class BotStarted(Value, frozen=True, kw_only=True, tag="bot.started"):
    """The bot may trade, from the candle that opens at ``effective_at`` on; without it, from its next one on."""

    effective_at: Timestamp | None = None


class BotPaused(Value, frozen=True, kw_only=True, tag="bot.paused"):
    """The bot enters nothing new; its exits are still managed. For ``effective_at`` see ``BotStarted``."""

    reason: str = ""
    effective_at: Timestamp | None = None


class BotStopped(Value, frozen=True, kw_only=True, tag="bot.stopped"):
    """The bot is off for good: it closes what it holds at the next open and enters nothing more.

    For ``effective_at`` see ``BotStarted``.
    """

    reason: str = ""
    effective_at: Timestamp | None = None


class BotHalted(Value, frozen=True, kw_only=True, tag="bot.halted"):
    """The bot was stopped by a rule or a fault, not by a person."""

    rule: str
    reason: str


class BotNoticed(Value, frozen=True, kw_only=True, tag="bot.noticed"):
    """The bot learnt of a status after the candle that opened at ``at``, though it had counted for earlier candles."""

    at: Timestamp


class CapitalDeposited(Value, frozen=True, kw_only=True, tag="capital.deposited"):
    """Quote currency came in from outside."""

    amount: Decimal
    reference: str = ""


class CapitalWithdrawn(Value, frozen=True, kw_only=True, tag="capital.withdrawn"):
    """Quote currency left to the outside."""

    amount: Decimal
    reference: str = ""


class DecisionMade(Value, frozen=True, kw_only=True, tag="decision.made"):
    """A strategy chose to act on a closed candle; the digest proves which window it saw."""

    decision_id: DecisionId
    at: Timestamp
    venue: VenueName
    symbol: Symbol
    timeframe: str
    window: int
    window_digest: str
    strategy: str
    strategy_version: int
    parameters: tuple[Parameter, ...]
    measurements: tuple[Measurement, ...]
    intent: Intent
    mark: Decimal
    equity: Decimal


class OrderRequested(Value, frozen=True, kw_only=True, tag="order.requested"):
    """The bot wants this order at the venue; nobody may send it before this fact is durable."""

    order_id: OrderId
    at: Timestamp
    symbol: Symbol
    side: Side
    kind: OrderKind
    reason: OrderReason
    quantity: Decimal | None = None
    notional: Decimal | None = None
    trigger_price: Decimal | None = None
    bracket: Bracket | None = None
    reduce_only: bool = False
    decision_id: DecisionId | None = None
    parent_id: OrderId | None = None


class OrderDenied(Value, frozen=True, kw_only=True, tag="order.denied"):
    """Our risk gate refused the order that a decision asked for."""

    decision_id: DecisionId
    at: Timestamp
    symbol: Symbol
    rule: str
    limit: Decimal
    value: Decimal


class OrderAccepted(Value, frozen=True, kw_only=True, tag="order.accepted"):
    """The venue has the order."""

    order_id: OrderId
    at: Timestamp
    venue_order_id: str = ""


class OrderRejected(Value, frozen=True, kw_only=True, tag="order.rejected"):
    """The venue refused the order."""

    order_id: OrderId
    at: Timestamp
    reason: str


class OrderFilled(Value, frozen=True, kw_only=True, tag="order.filled"):
    """Part or all of the order traded; the fee is in quote currency and positive when paid."""

    order_id: OrderId
    fill_id: FillId
    at: Timestamp
    quantity: Decimal
    price: Decimal
    fee: Decimal
    liquidity: Literal["maker", "taker"]
    complete: bool


class OrderCancelled(Value, frozen=True, kw_only=True, tag="order.cancelled"):
    """The rest of the order will not trade."""

    order_id: OrderId
    at: Timestamp
    reason: str


class OrderExpired(Value, frozen=True, kw_only=True, tag="order.expired"):
    """The order's time ran out, or it became impossible, before it traded in full."""

    order_id: OrderId
    at: Timestamp
    reason: str


LifecycleFact = BotCreated | BotClaimed | BotNoticed | BotStarted | BotPaused | BotStopped | BotHalted
CapitalFact = CapitalDeposited | CapitalWithdrawn
OrderFact = OrderRequested | OrderDenied | OrderAccepted | OrderRejected | OrderFilled | OrderCancelled | OrderExpired
BotFact = LifecycleFact | CapitalFact | DecisionMade | OrderFact

LIFECYCLE_TYPES = ("bot.created", "bot.started", "bot.paused", "bot.stopped", "bot.halted")
