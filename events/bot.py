"""The facts of a bot's life: lifecycle, capital, decisions, orders and fills. One stream per bot holds them."""

from decimal import Decimal
from typing import Literal

from events.advice import AdviceFact
from events.identifiers import (
    HOUSE,
    AccountName,
    AdviceId,
    BotId,
    DecisionId,
    FillId,
    FleetName,
    OrderId,
    OwnerId,
    Symbol,
    VenueName,
)
from events.values import (
    Bracket,
    FeeCurrency,
    FeeSchedule,
    MarketReference,
    Measurement,
    OrderKind,
    PaperModel,
    Parameter,
    PositionSide,
    RiskLimits,
    Side,
    Sizing,
    StrategyReference,
    TimeInForce,
    Timestamp,
    Value,
)

Intent = Literal["enter_long", "enter_short", "exit", "reduce"]
OrderReason = Literal[
    "entry", "exit_signal", "stop_loss", "take_profit", "bot_stopped",
    "trailing_stop", "time_limit", "scale_out", "force_exit",
]  # fmt: skip
StopPolicy = Literal["close", "keep"]
"""What becomes of what a stopped bot holds: it is sold at the next open, or kept until its own stops and targets."""
TradingState = Literal["active", "reducing", "halted"]
"""What the risk gate lets through: everything; only what makes positions smaller; only protective exits."""


class BotCreated(Value, frozen=True, kw_only=True, tag="bot.created"):
    """A bot came to be, with everything it will decide by; without sizing, paper or leverage, by their defaults.

    With an ``account`` its orders go to that account at the venue; without, to the paper venue. Its ``owner`` is who
    may command it beside the administrators, and stays that for good.
    """

    bot_id: BotId
    fleet: FleetName
    name: str
    strategy: StrategyReference
    market: MarketReference
    limits: RiskLimits
    fees: FeeSchedule
    quote: str
    sizing: Sizing | None = None
    paper: PaperModel | None = None
    leverage: Decimal | None = None
    account: AccountName | None = None
    owner: OwnerId = HOUSE


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
    """The bot is off for good: it enters nothing more, and closes what it holds at the next open.

    By the policy "keep" it keeps that instead, until its own stops, targets and time limits close it.

    For ``effective_at`` see ``BotStarted``.
    """

    reason: str = ""
    effective_at: Timestamp | None = None
    policy: StopPolicy = "close"


class BotArchived(Value, frozen=True, kw_only=True, tag="bot.archived"):
    """Somebody put a bot away that was stopped and holds nothing; lists leave it out, the log keeps it."""

    reason: str = ""


class BotConfigured(Value, frozen=True, kw_only=True, tag="bot.configured"):
    """Somebody gave the bot other terms, where they are not None.

    A name is its own at once; from which candle on the others count, its cycle says.
    """

    name: str | None = None
    strategy: StrategyReference | None = None
    limits: RiskLimits | None = None
    sizing: Sizing | None = None


class TermsTaken(Value, frozen=True, kw_only=True, tag="terms.taken"):
    """From the candle that opened at ``at`` on the bot decides by the terms that it was last given."""

    at: Timestamp


class ExitOrdered(Value, frozen=True, kw_only=True, tag="exit.ordered"):
    """Somebody told the bot to leave what it holds in these symbols, whatever its strategy thinks."""

    symbols: tuple[Symbol, ...]
    reason: str = ""


class BotHalted(Value, frozen=True, kw_only=True, tag="bot.halted"):
    """The bot was stopped by a rule or a fault, not by a person: it enters nothing, and asks its strategy nothing.

    With ``at`` its own cycle said so, at the close of the candle that opened then. What it holds keeps its exits.
    """

    rule: str
    reason: str
    at: Timestamp | None = None


class BotArmed(Value, frozen=True, kw_only=True, tag="bot.armed"):
    """An administrator let the bot enter with real money until then; its exits need nobody's leave.

    ``apart``: its market has a clock of its own, so that the times of its candles say nothing of whether it is then.
    """

    until: Timestamp
    apart: bool = False


class BotDisarmed(Value, frozen=True, kw_only=True, tag="bot.disarmed"):
    """The bot enters nothing with real money any more, until it is armed again; its exits go on."""

    reason: str = ""


class TradingStateSet(Value, frozen=True, kw_only=True, tag="trading_state.set"):
    """A person said what the gate may let through, of the bot itself or by its fleet's switch; the stricter holds.

    For the time see ``BotStarted``.
    """

    state: TradingState
    reason: str = ""
    scope: Literal["bot", "fleet"] = "bot"
    effective_at: Timestamp | None = None


class TradingStateTripped(Value, frozen=True, kw_only=True, tag="trading_state.tripped"):
    """A loss limit was passed, so the gate lets through less from now on."""

    at: Timestamp
    state: TradingState
    rule: str
    limit: Decimal
    value: Decimal


class HighWaterRaised(Value, frozen=True, kw_only=True, tag="high_water.raised"):
    """Equity at a close stood above its highest on record; drawdown is measured from here."""

    at: Timestamp
    equity: Decimal


class DayOpened(Value, frozen=True, kw_only=True, tag="day.opened"):
    """The equity with which a day (UTC) began, at its first candles' opens; the daily loss is measured from it."""

    at: Timestamp
    equity: Decimal


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
    """A strategy chose to act on a closed candle; the digest proves which window it saw.

    Without parameters, they are those that the bot was created with. With ``advice_id`` it had a model's opinion of
    the symbol before it. ``account_fault`` is why a live bot's account let no entry out just then; it holds for the
    entries that follow, until one says otherwise.
    """

    decision_id: DecisionId
    at: Timestamp
    venue: VenueName
    symbol: Symbol
    timeframe: str
    window: int
    window_digest: str
    strategy: str
    strategy_version: int
    parameters: tuple[Parameter, ...] = ()
    measurements: tuple[Measurement, ...]
    intent: Intent
    mark: Decimal
    equity: Decimal
    size_fraction: Decimal | None = None
    entry_price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    confidence: Decimal | None = None
    setup: str = ""
    reason: str = ""
    fleet_exposure: Decimal | None = None
    fleet_net_exposure: Decimal | None = None
    fleet_equity: Decimal | None = None
    fleet_position: int | None = None
    data_fault: str = ""
    advice_id: AdviceId | None = None
    account_fault: str = ""


class OrderRequested(Value, frozen=True, kw_only=True, tag="order.requested"):
    """The bot wants this order at the venue; nobody may send it before this fact is durable.

    ``at_close``: a live bot asked for it at the close of the candle that opened at ``at``. Without it a live bot's
    ``at`` is a moment of the venue's clock, such as that of the fill which brought a bracket's exits.
    """

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
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = "gtc"
    post_only: bool = False
    trailing_fraction: Decimal | None = None
    activation_price: Decimal | None = None
    oco_group: str = ""
    expires_at: Timestamp | None = None
    leverage: Decimal | None = None
    at_close: bool = False


class OrderDenied(Value, frozen=True, kw_only=True, tag="order.denied"):
    """Our risk gate refused the order that a decision asked for; ``reason`` says more where the numbers do not."""

    decision_id: DecisionId
    at: Timestamp
    symbol: Symbol
    rule: str
    limit: Decimal
    value: Decimal
    reason: str = ""


class OrderSubmitted(Value, frozen=True, kw_only=True, tag="order.submitted"):
    """The order is about to be sent under this client id and in these terms; nobody may send it before this is durable.

    The venue itself refuses what reaches it after ``expires_at``, so once that has passed a lookup is final.
    """

    order_id: OrderId
    at: Timestamp
    client_id: str
    expires_at: Timestamp
    quantity: Decimal
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    attempt: int = 1


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


class OrderInDoubt(Value, frozen=True, kw_only=True, tag="order.in_doubt"):
    """Whether the venue has the order is unknown; only what the venue says of it can end the doubt."""

    order_id: OrderId
    at: Timestamp
    reason: str


class OrderTriggered(Value, frozen=True, kw_only=True, tag="order.triggered"):
    """The price reached the order's trigger; a stop-limit rests at its limit from now on."""

    order_id: OrderId
    at: Timestamp


class OrderAmended(Value, frozen=True, kw_only=True, tag="order.amended"):
    """The working order stands at another price or quantity; what is None stays as it was."""

    order_id: OrderId
    at: Timestamp
    reason: str
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None


class OrderAmendRequested(Value, frozen=True, kw_only=True, tag="order.amend_requested"):
    """The bot wants the order at another price or quantity, all of it counted; ``OrderAmended`` says that it is so."""

    order_id: OrderId
    at: Timestamp
    reason: str
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None


class OrderCancelRequested(Value, frozen=True, kw_only=True, tag="order.cancel_requested"):
    """The bot wants the rest of the order gone; fills may still come. For ``at_close`` see ``OrderRequested``."""

    order_id: OrderId
    at: Timestamp
    reason: str
    at_close: bool = False


class OrderCancelRejected(Value, frozen=True, kw_only=True, tag="order.cancel_rejected"):
    """The venue did not cancel; the order works on, or another fact has ended it."""

    order_id: OrderId
    at: Timestamp
    reason: str


class OrderFilled(Value, frozen=True, kw_only=True, tag="order.filled"):
    """Part or all of the order traded; the fee is positive when paid, in quote currency unless ``fee_in`` is "base".

    A fee that the venue took in a third currency is not the bot's money: it is noted in ``other_fee`` and ``fee`` is 0.
    """

    order_id: OrderId
    fill_id: FillId
    at: Timestamp
    quantity: Decimal
    price: Decimal
    fee: Decimal
    liquidity: Literal["maker", "taker"]
    complete: bool
    fee_in: FeeCurrency = "quote"
    other_fee: Decimal | None = None
    other_fee_currency: str = ""


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


class FundingSettled(Value, frozen=True, kw_only=True, tag="funding.settled"):
    """A perpetual's funding at its mark time; ``amount`` in quote currency is above 0 if received.

    amount = -quantity * mark * rate, with quantity below 0 for a short; never more is paid than the position's margin.
    Where a venue tells the amount alone, ``rate`` or ``mark`` is None.
    """

    symbol: Symbol
    at: Timestamp
    rate: Decimal | None = None
    mark: Decimal | None = None
    quantity: Decimal
    amount: Decimal


class PositionLiquidated(Value, frozen=True, kw_only=True, tag="position.liquidated"):
    """The venue closed the whole position, or a ``part`` of it, because its margin had fallen below maintenance.

    ``covered`` is the part of the loss beyond the margin, which the venue bears. ``fill_id`` is a real venue's name of
    the trade by which it did so.
    """

    symbol: Symbol
    at: Timestamp
    side: PositionSide
    quantity: Decimal
    price: Decimal
    fee: Decimal
    covered: Decimal = Decimal(0)
    part: bool = False
    fill_id: str = ""


LifecycleFact = (
    BotCreated
    | BotClaimed
    | BotNoticed
    | BotStarted
    | BotPaused
    | BotStopped
    | BotArchived
    | BotConfigured
    | TermsTaken
    | ExitOrdered
    | BotHalted
    | BotArmed
    | BotDisarmed
    | TradingStateSet
    | TradingStateTripped
    | HighWaterRaised
    | DayOpened
)
CapitalFact = CapitalDeposited | CapitalWithdrawn
OrderProgress = (
    OrderAccepted
    | OrderRejected
    | OrderInDoubt
    | OrderTriggered
    | OrderAmended
    | OrderCancelRequested
    | OrderCancelRejected
    | OrderFilled
    | OrderCancelled
    | OrderExpired
    | OrderSubmitted
    | OrderAmendRequested
)
"""What may follow an order's request: what the venue says of it, and what the bot asks of it."""
OrderFact = OrderRequested | OrderDenied | OrderProgress
PositionFact = FundingSettled | PositionLiquidated
BotFact = LifecycleFact | CapitalFact | DecisionMade | OrderFact | PositionFact | AdviceFact

LIFECYCLE_TYPES = (
    "bot.created", "bot.started", "bot.paused", "bot.stopped", "bot.halted", "trading_state.set",
)  # fmt: skip
