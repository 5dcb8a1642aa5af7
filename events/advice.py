"""What a bot asks of a language model and what it is told: facts of the bot's own stream."""

from decimal import Decimal
from typing import Literal

from events.identifiers import AdviceId, BodyHash, ModelName, Symbol
from events.values import Parameter, Timestamp, Value

OpinionAction = Literal["hold", "long", "short", "reduce", "close"]
AdviceClass = Literal["exit", "live", "paper", "research"]
"""Whom the gateway serves first: advice on what is held, live bots, paper bots, research."""

AbstainReason = Literal[
    "timeout", "rate_limited", "overloaded", "stale", "breaker_open", "budget", "unpriced", "refused",
    "provider_error", "unreachable", "invalid", "empty", "truncated", "no_model", "snapshot_differs", "interrupted",
]  # fmt: skip
"""Why there is no advice. A model that answers "hold" has not abstained."""


class Usage(Value, frozen=True, kw_only=True):
    """The tokens that a provider counted for one call; 0 where it said nothing."""

    input: int = 0
    output: int = 0
    cached: int = 0
    """How many of the input tokens came out of the provider's own cache."""


class Opinion(Value, frozen=True, kw_only=True):
    """What a model thinks of one symbol. It names no quantity, leverage, kind of order or account.

    ``weight`` is the share of equity that it wants there, in basis points; ``confidence`` is 0 to 100, ``horizon`` is
    in minutes, ``invalidation`` the price at which it would be wrong.
    """

    symbol: Symbol
    action: OpinionAction
    weight: int
    confidence: int
    horizon: int
    invalidation: Decimal | None = None
    reason: str = ""


class Refusal(Value, frozen=True, kw_only=True):
    """An item of an answer that was not taken, and what was wrong with it."""

    item: int
    fault: str


class Sentiment(Value, frozen=True, kw_only=True):
    """What recorded news say of a symbol: ``score`` from -2 to 2, of so many items, the newest so many minutes old.

    Without it nothing is known, which is not the same as 0.
    """

    symbol: Symbol
    score: Decimal
    items: int
    age_minutes: int


class AdviceRequested(Value, frozen=True, kw_only=True, tag="advice.requested"):
    """At the close of the candle that opened at ``at``, the bot asked a model, which nobody may call earlier.

    The prompt is rendered from the bot as it was just before this fact and from the candles up to ``at``: ``snapshot``
    is the digest of what the template is given. An answer counts for candles that open before ``expires_at``.
    """

    advice_id: AdviceId
    at: Timestamp
    model: ModelName
    template: str
    template_version: int
    snapshot: str
    symbols: tuple[Symbol, ...]
    advice_class: AdviceClass
    expires_at: Timestamp
    parameters: tuple[Parameter, ...] = ()
    sentiments: tuple[Sentiment, ...] = ()


class AdviceReceived(Value, frozen=True, kw_only=True, tag="advice.received"):
    """A model's answer, stored raw under ``answer`` before it was read; what could be read of it are the opinions.

    Symbols that it leaves out have no opinion. ``cost`` in US dollars is the bot's share of what the calls cost, which
    were ``attempts``, over ``latency_ms`` of real time. ``repaired``: the first answer was none and the model was
    asked once more. ``shared_by`` bots asked the same at the same time and got the same answer.
    """

    advice_id: AdviceId
    at: Timestamp
    answer: BodyHash
    prompt: BodyHash
    resolved_model: str
    opinions: tuple[Opinion, ...]
    refusals: tuple[Refusal, ...] = ()
    usage: Usage
    cost: Decimal
    latency_ms: int
    attempts: int = 1
    repaired: bool = False
    shared_by: int = 1


class AdviceAbstained(Value, frozen=True, kw_only=True, tag="advice.abstained"):
    """There is no advice, and why; what was paid all the same is the bot's share in US dollars."""

    advice_id: AdviceId
    at: Timestamp
    reason: AbstainReason
    detail: str = ""
    answer: BodyHash | None = None
    prompt: BodyHash | None = None
    resolved_model: str = ""
    usage: Usage = Usage()
    cost: Decimal = Decimal(0)
    latency_ms: int = 0
    attempts: int = 0
    shared_by: int = 1


class AdviceTaken(Value, frozen=True, kw_only=True, tag="advice.taken"):
    """The first candle, by its open time, whose cycle knew of the answer; ``stale`` if it was too old to count."""

    advice_id: AdviceId
    at: Timestamp
    stale: bool = False


class AdviceLapsed(Value, frozen=True, kw_only=True, tag="advice.lapsed"):
    """The bot stopped waiting at the candle that opened at ``at``; whatever is answered later counts for nothing."""

    advice_id: AdviceId
    at: Timestamp


AdviceFact = AdviceRequested | AdviceReceived | AdviceAbstained | AdviceTaken | AdviceLapsed
"""What of it a bot's stream holds."""
