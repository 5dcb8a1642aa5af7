"""What the gateway to the language models does: facts of the models' own stream."""

from decimal import Decimal
from typing import Literal

from events.advice import AbstainReason, Usage
from events.identifiers import AdviceId, BodyHash, BotId, CallId, ModelName
from events.values import Timestamp, Value


class ModelsClaimed(Value, frozen=True, kw_only=True, tag="models.claimed"):
    """A gateway took over the models of the installation; every older one must stop."""

    epoch: int
    holder: str


class ModelCallBegun(Value, frozen=True, kw_only=True, tag="model_call.begun"):
    """A call is about to be made; so much of the budgets of those who wait for it is reserved until it has ended.

    Who is in ``shares`` pays an equal part; ``advice`` are their requests, in the same order. A call that was begun
    and never ended is taken to have cost all of it.
    """

    call_id: CallId
    at: Timestamp
    model: ModelName
    provider_model: str
    prompt: BodyHash
    attempt: int
    reserved: Decimal
    reserved_tokens: int
    shares: tuple[BotId, ...]
    price_version: str
    advice: tuple[AdviceId, ...] = ()


class ModelCallEnded(Value, frozen=True, kw_only=True, tag="model_call.ended"):
    """How a call ended: what came back is stored under ``answer``; ``outcome`` is "answered" or why there is none.

    For ``retry_after`` seconds from then on the model's provider wants no call; none are 0.
    """

    call_id: CallId
    at: Timestamp
    outcome: Literal["answered"] | AbstainReason
    status: int | None = None
    detail: str = ""
    answer: BodyHash | None = None
    resolved_model: str = ""
    request_id: str = ""
    finish_reason: str = ""
    usage: Usage = Usage()
    cost: Decimal = Decimal(0)
    latency_ms: int = 0
    retry_after: int = 0


class ModelRouteClosed(Value, frozen=True, kw_only=True, tag="model_route.closed"):
    """A model is not asked for a while, or, without ``until``, until somebody has mended its settings.

    With a ``template`` (name/version) only what that one renders is not asked; everything else still is.
    """

    model: ModelName
    at: Timestamp
    cause: Literal["infrastructure", "quality", "settings"]
    detail: str
    until: Timestamp | None = None
    template: str = ""


class ModelRouteOpened(Value, frozen=True, kw_only=True, tag="model_route.opened"):
    """A model is asked again; with a ``template``, what that one renders."""

    model: ModelName
    at: Timestamp
    template: str = ""


ModelFact = ModelsClaimed | ModelCallBegun | ModelCallEnded | ModelRouteClosed | ModelRouteOpened
"""What the models' own stream holds."""
