"""The one table of what facts mean to people: how grave, in which words, and which alert begins or ends. Pure."""

from decimal import Decimal
from typing import Literal, NamedTuple

from events.account import AccountDisarmed, AccountKillDone, AccountReconciled, AccountUnreconciled, StrangerSeen
from events.advice import AdviceAbstained, AdviceReceived
from events.alerts import AlertCleared, AlertRaised
from events.bot import (
    BotHalted,
    BotStarted,
    BotStopped,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderInDoubt,
    OrderRejected,
    OrderRequested,
    OrderTriggered,
    PositionLiquidated,
    TradingStateSet,
    TradingStateTripped,
)
from events.envelope import Fact
from events.models import ModelRouteClosed, ModelRouteOpened
from events.security import AttemptsRefused
from events.venue import MarketGapFound, MarketRecovered, MarketStale
from oxbot.core.money import text

Level = Literal["info", "warning", "failure"]
Effect = Literal["none", "begins", "ends", "passes"]
"""Of an alert: ``begins`` until another fact ends it, or is over at once and ``passes``."""

Rule = Literal[
    "bot_halted", "trading_tripped", "liquidated", "large_loss", "order_in_doubt", "order_rejected",
    "account_unreconciled", "account_disarmed", "kill_switch", "stranger",
    "market_stale", "market_gap",
    "model_closed", "model_budget", "attempts_refused",
    "projection_stopped", "projection_lag", "bot_failing", "slow_cycle", "feed_late", "doubt_lasts",
]  # fmt: skip

ATTEMPTS_MAX = 20
"""More attempts in one count than this are an attack."""


class Meaning(NamedTuple):
    """``mark`` says which alert of the rule, within what the fact's stream is of. Of a notice there are ``words``."""

    level: Level = "info"
    words: str = ""
    rule: Rule | None = None
    effect: Effect = "none"
    mark: str = ""
    value: Decimal | None = None
    threshold: Decimal | None = None


def meaning_of(fact: Fact, request: OrderRequested | None = None) -> Meaning | None:
    """What the fact means; None for one that means nothing to people. An order's ``request`` makes for better words."""
    match fact:
        case OrderInDoubt() | OrderRejected() | OrderFilled():
            return _of_order(fact, request)
        case OrderAccepted() | OrderTriggered() | OrderCancelled() | OrderExpired():
            return Meaning(rule="order_in_doubt", effect="ends", mark=fact.order_id)
        case MarketStale() | MarketGapFound() | MarketRecovered():
            return _of_market(fact)
        case AlertRaised():
            level: Level = "failure" if fact.rule in ("projection_stopped", "doubt_lasts") else "warning"
            said = f"{fact.rule.replace('_', ' ')}: {fact.words}"
            return Meaning(level, said, fact.rule, "begins", fact.subject, fact.value, fact.threshold)
        case AlertCleared():
            said = f"{fact.rule.replace('_', ' ')} is over: {fact.subject}"
            return Meaning("info", said, fact.rule, "ends", fact.subject)
        case AttemptsRefused(attempt=attempt, attempts=attempts, addresses=addresses) if attempts > ATTEMPTS_MAX:
            said = f"{attempts} attempts refused from {addresses} addresses: {attempt.replace('_', ' ')}"
            limit = Decimal(ATTEMPTS_MAX)
            return Meaning("warning", said, "attempts_refused", "passes", attempt, Decimal(attempts), limit)
        case _:
            return _of_bot(fact) or _of_account(fact) or _of_model(fact)


def _of_bot(fact: Fact) -> Meaning | None:
    match fact:
        case BotHalted():
            return Meaning("failure", f"halted by {fact.rule}: {fact.reason}", "bot_halted", "begins")
        case BotStarted() | BotStopped():
            return Meaning(rule="bot_halted", effect="ends")
        case TradingStateTripped():
            numbers = f"{fact.rule} {text(fact.value)}, limit {text(fact.limit)}"
            said = f"{fact.state} since {numbers}"
            return Meaning("warning", said, "trading_tripped", "begins", "", fact.value, fact.limit)
        case TradingStateSet(state="active"):
            return Meaning(rule="trading_tripped", effect="ends")
        case PositionLiquidated():
            said = f"{fact.side} {text(fact.quantity)} {fact.symbol} was liquidated at {text(fact.price)}"
            return Meaning("failure", said, "liquidated", "passes", fact.symbol)
        case _:
            return None


def _of_order(fact: OrderFilled | OrderInDoubt | OrderRejected, request: OrderRequested | None) -> Meaning:
    order = "an order"
    if request is not None:
        reason = request.reason.replace("_", " ")
        order = f"{request.kind.replace('_', ' ')} {request.side} {request.symbol} ({reason})"
    match fact:
        case OrderFilled():
            return Meaning("info", _filled(fact, request), "order_in_doubt", "ends", fact.order_id)
        case OrderInDoubt():
            said = f"{order} is in doubt: {fact.reason}"
            return Meaning("warning", said, "order_in_doubt", "begins", fact.order_id)
        case OrderRejected():
            return Meaning("warning", f"{order} was rejected: {fact.reason}", "order_in_doubt", "ends", fact.order_id)


def _filled(fact: OrderFilled, request: OrderRequested | None) -> str:
    if request is None:
        return ""
    did = "bought" if request.side == "buy" else "sold"
    rest = "" if fact.complete else ", more to come"
    return (
        f"{did} {text(fact.quantity)} {request.symbol} at {text(fact.price)}, {request.reason.replace('_', ' ')}{rest}"
    )


def _of_account(fact: Fact) -> Meaning | None:
    match fact:
        case AccountUnreconciled(reason=reason):
            said = f"no entries until venue and log agree: {reason}"
            return Meaning("failure", said, "account_unreconciled", "begins")
        case AccountReconciled(fills_adopted=adopted):
            said = f"venue and log agree; {adopted} missing fills were adopted"
            return Meaning("info", said, "account_unreconciled", "ends")
        case AccountDisarmed(reason=reason):
            return Meaning("warning", f"disarmed{f': {reason}' if reason else ''}", "account_disarmed", "passes")
        case AccountKillDone() as done:
            left = f"; still there: {', '.join(done.left)}" if done.left else "; nothing is left"
            counts = f"{done.cancelled} orders cancelled, {done.closed} positions closed"
            return Meaning("failure", f"kill switch ({done.policy}): {counts}{left}", "kill_switch", "passes")
        case StrangerSeen() as seen:
            mark = f"{seen.kind} {seen.reference}"
            if seen.quantity == 0:
                return Meaning("info", seen.words, "stranger", "ends", mark)
            said = f"a stranger's {seen.kind} at the venue, left alone: {seen.reference} {seen.words}".rstrip()
            return Meaning("warning", said, "stranger", "begins", mark)
        case _:
            return None


def _of_market(fact: MarketStale | MarketGapFound | MarketRecovered) -> Meaning:
    mark = f"{fact.symbol} {fact.timeframe}"
    match fact:
        case MarketStale():
            said = f"{mark}: no candle since {fact.expected:%Y-%m-%d %H:%M} UTC"
            return Meaning("warning", said, "market_stale", "begins", mark)
        case MarketGapFound():
            since, until = f"{fact.first:%Y-%m-%d %H:%M}", f"{fact.last:%Y-%m-%d %H:%M}"
            said = f"{mark}: the venue has no candles from {since} to {until} UTC"
            return Meaning("warning", said, "market_gap", "passes", mark)
        case MarketRecovered():
            said = f"{mark}: candles are complete again, {fact.backfilled} came late"
            return Meaning("info", said, "market_stale", "ends", mark)


def _of_model(fact: Fact) -> Meaning | None:
    match fact:
        case ModelRouteClosed():
            said = f"{fact.model} is not asked ({fact.cause}): {fact.detail}"
            return Meaning("warning", said, "model_closed", "begins", f"{fact.model} {fact.template}".strip())
        case ModelRouteOpened():
            return Meaning(rule="model_closed", effect="ends", mark=f"{fact.model} {fact.template}".strip())
        case AdviceAbstained(reason="budget"):
            return Meaning("warning", f"models are not asked: {fact.detail}", "model_budget", "begins")
        case AdviceReceived():
            return Meaning(rule="model_budget", effect="ends")
        case _:
            return None
