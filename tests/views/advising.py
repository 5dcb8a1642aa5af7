"""Facts of advice for tests of rows: requests of any bot, and what came of them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from events.advice import AbstainReason, AdviceAbstained, AdviceFact, AdviceReceived, AdviceRequested, Opinion, Usage
from events.identifiers import BodyHash, BotId, CallId, ModelName, Symbol
from events.models import ModelCallBegun, ModelCallEnded
from oxbot.core.advice import advice_id
from tests.core.scenario import BOT, BTC, START, moment

PROMPT, ANSWER = BodyHash("aa" * 32), BodyHash("bb" * 32)
TODAY = datetime(2026, 11, 20, 12, tzinfo=START.tzinfo)


def requested(
    number: int = 1, *, at: int = 0, symbols: Sequence[Symbol] = (BTC,), model: str = "deep", bot_id: BotId = BOT
) -> AdviceRequested:
    """A bot's request of that number at the close of candle ``at``."""
    return AdviceRequested(
        advice_id=advice_id(bot_id, number),
        at=moment(at),
        model=ModelName(model),
        template="market",
        template_version=1,
        snapshot="0123456789abcdef",
        symbols=tuple(symbols),
        advice_class="paper",
        expires_at=moment(at + 4),
    )


def received(
    request: AdviceRequested,
    *opinions: Opinion,
    at: datetime = TODAY,
    cost: str = "0.002",
    latency_ms: int = 1234,
    attempts: int = 1,
    resolved: str = "deep-3.2",
) -> AdviceReceived:
    """An answer to it."""
    return AdviceReceived(
        advice_id=request.advice_id,
        at=at,
        answer=ANSWER,
        prompt=PROMPT,
        resolved_model=resolved,
        opinions=opinions,
        usage=Usage(input=1000, output=50, cached=600),
        cost=Decimal(cost),
        latency_ms=latency_ms,
        attempts=attempts,
    )


def abstained(
    request: AdviceRequested,
    reason: AbstainReason = "timeout",
    *,
    at: datetime = TODAY,
    cost: str = "0",
    attempts: int = 0,
) -> AdviceAbstained:
    """That there is none."""
    return AdviceAbstained(
        advice_id=request.advice_id, at=at, reason=reason, cost=Decimal(cost), attempts=attempts, latency_ms=20_000
    )


def opinion(symbol: Symbol = BTC, *, reason: str = "it rises") -> Opinion:
    """A model that wants to buy."""
    return Opinion(
        symbol=symbol,
        action="long",
        weight=1000,
        confidence=80,
        horizon=60,
        invalidation=Decimal("9.5E-7"),
        reason=reason,
    )


def asked_once(bot_id: BotId) -> list[AdviceFact]:
    """A request and its answer, which no cycle has taken."""
    request = requested(bot_id=bot_id)
    return [request, received(request, opinion())]


def begun(number: int = 1, *, at: datetime = TODAY, model: str = "deep", reserved: str = "0.01") -> ModelCallBegun:
    """A call of that number, for a bot's request of the same."""
    return ModelCallBegun(
        call_id=CallId(f"call-{number}"),
        at=at,
        model=ModelName(model),
        provider_model="deepseek/deepseek-chat",
        prompt=PROMPT,
        attempt=1,
        reserved=Decimal(reserved),
        reserved_tokens=2000,
        shares=(BOT,),
        price_version="2026-11",
        advice=(advice_id(BOT, number),),
    )


def ended(call: ModelCallBegun, *, at: datetime = TODAY, cost: str = "0.002") -> ModelCallEnded:
    """Its answer."""
    return ModelCallEnded(
        call_id=call.call_id,
        at=at,
        outcome="answered",
        answer=ANSWER,
        resolved_model="deep-3.2",
        usage=Usage(input=1000, output=50, cached=600),
        cost=Decimal(cost),
        latency_ms=1234,
    )
