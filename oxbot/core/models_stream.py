"""The decider of the models' stream: who may call, what was begun and has not ended, and what was spent today."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import assert_never

import msgspec

from events.identifiers import AdviceId, BotId, CallId, ModelName
from events.models import (
    ModelCallBegun,
    ModelCallEnded,
    ModelFact,
    ModelRouteClosed,
    ModelRouteOpened,
    ModelsClaimed,
)
from oxbot.core.money import ZERO, exact, prorate

CALLS_KEPT = 1000
"""How many ended calls are remembered, so that an answer that is stored need not be paid for again."""

REMEMBERED = timedelta(days=7)
"""For how long a bot that asks nothing is remembered."""

LIMITED = timedelta(minutes=1)
"""For how long a call counts under its model's limit."""


class Spent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a bot's shares of ended calls came to on the day of its last call, and when that was begun."""

    day: date
    usd: Decimal = ZERO
    tokens: int = 0
    served_at: datetime


class EndedCall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call from its beginning to its end."""

    begun: ModelCallBegun
    ended: ModelCallEnded

    def share(self, advice_id: AdviceId) -> Decimal:
        """What of its cost in US dollars falls to a request; nothing, if the call was not made for it."""
        return share(self.ended.cost, self.begun) if advice_id in self.begun.advice else ZERO


class ModelsState(msgspec.Struct, frozen=True, kw_only=True):
    """The models of an installation, as far as calls go. ``paused``: until when a provider wanted no more of them."""

    epoch: int = 0
    calls: int = 0
    open: Mapping[CallId, ModelCallBegun] = {}
    ended: tuple[EndedCall, ...] = ()
    spent: Mapping[BotId, Spent] = {}
    closed: Mapping[str, ModelRouteClosed] = {}
    recent: tuple[ModelCallBegun, ...] = ()
    paused: Mapping[ModelName, datetime] = {}


class ClaimModels(msgspec.Struct, frozen=True):
    """Take over the models; what an older gateway left open is ended as interrupted."""

    holder: str
    at: datetime


class RecordModelFact(msgspec.Struct, frozen=True):
    """The gateway of this epoch says what it does."""

    epoch: int
    fact: ModelCallBegun | ModelCallEnded | ModelRouteClosed | ModelRouteOpened


ModelsCommand = ClaimModels | RecordModelFact


def share(amount: Decimal, begun: ModelCallBegun) -> Decimal:
    """An equal part of an amount, of everybody who pays for the call."""
    return amount if len(begun.shares) == 1 else prorate(amount, Decimal(1), Decimal(len(begun.shares)))


def tokens_of(begun: ModelCallBegun, ended: ModelCallEnded) -> int:
    """The tokens of a call as budgets count them.

    Where a provider may have worked and nobody counted (it said nothing, or was not waited for), all that was reserved.
    """
    counted = ended.usage.input + ended.usage.output
    uncounted = ended.outcome in ("answered", "empty", "truncated", "timeout", "interrupted")
    return begun.reserved_tokens if uncounted and not counted else counted


def token_share(tokens: int, begun: ModelCallBegun) -> int:
    """An equal part of a call's tokens, rounded up."""
    return -(-tokens // len(begun.shares))


def route(fact: ModelRouteClosed | ModelRouteOpened) -> str:
    """The name of what was closed or opened: a model, or a model and a template."""
    return f"{fact.model}:{fact.template}"


class ModelsDecider:
    """Decides for the models' stream. Pure."""

    initial = ModelsState()

    def evolve(self, state: ModelsState, fact: ModelFact) -> ModelsState:
        """The state after the fact."""
        match fact:
            case ModelsClaimed():
                return msgspec.structs.replace(state, epoch=fact.epoch)
            case ModelCallBegun():
                return _begun(state, fact)
            case ModelCallEnded():
                return _ended(state, fact)
            case ModelRouteClosed():
                return msgspec.structs.replace(state, closed={**state.closed, route(fact): fact})
            case ModelRouteOpened():
                rest = {name: closed for name, closed in state.closed.items() if name != route(fact)}
                return msgspec.structs.replace(state, closed=rest)
            case _:
                assert_never(fact)

    def decide(self, command: ModelsCommand, state: ModelsState) -> Sequence[ModelFact]:
        """The facts that follow; none from a gateway that is not the newest."""
        match command:
            case ClaimModels():
                claimed = ModelsClaimed(epoch=state.epoch + 1, holder=command.holder)
                return [claimed, *(interrupted(begun, command.at) for begun in state.open.values())]
            case RecordModelFact():
                return [command.fact] if command.epoch == state.epoch and _is_news(command.fact, state) else []
            case _:
                assert_never(command)


def interrupted(begun: ModelCallBegun, at: datetime) -> ModelCallEnded:
    """The end of a call of which nobody knows whether it was answered: it is taken to have cost all of it."""
    return ModelCallEnded(
        call_id=begun.call_id,
        at=at,
        outcome="interrupted",
        detail="the gateway ended before the call did",
        cost=begun.reserved,
    )


def _is_news(fact: ModelFact, state: ModelsState) -> bool:
    match fact:
        case ModelCallBegun():
            return fact.call_id not in state.open
        case ModelCallEnded():
            return fact.call_id in state.open
        case ModelRouteOpened():
            return route(fact) in state.closed
        case _:
            return True


def _begun(state: ModelsState, fact: ModelCallBegun) -> ModelsState:
    recent = tuple(begun for begun in state.recent if begun.at > fact.at - LIMITED)
    # Who pays for a call does not matter to its model's limit.
    counted = msgspec.structs.replace(fact, shares=(), advice=())
    today = fact.at.date()
    spent = {**state.spent}
    if state.recent and state.recent[-1].at.date() != today:
        spent = {bot_id: known for bot_id, known in spent.items() if known.day > today - REMEMBERED}
    for bot_id in fact.shares:
        known = spent.get(bot_id)
        if known is None or known.day != today:
            spent[bot_id] = Spent(day=today, served_at=fact.at)
        else:
            spent[bot_id] = msgspec.structs.replace(known, served_at=fact.at)
    return msgspec.structs.replace(
        state,
        calls=state.calls + 1,
        open={**state.open, fact.call_id: fact},
        spent=spent,
        recent=(*recent, counted),
    )


def _ended(state: ModelsState, fact: ModelCallEnded) -> ModelsState:
    begun = state.open[fact.call_id]
    call = EndedCall(begun=begun, ended=fact)
    usd, tokens = share(fact.cost, begun), token_share(tokens_of(begun, fact), begun)
    spent = {**state.spent}
    with exact():
        for bot_id in begun.shares:
            known = spent.get(bot_id)
            if known is not None and known.day == begun.at.date():
                spent[bot_id] = msgspec.structs.replace(known, usd=known.usd + usd, tokens=known.tokens + tokens)
    return msgspec.structs.replace(
        state,
        open={call_id: other for call_id, other in state.open.items() if call_id != fact.call_id},
        ended=(*state.ended[-CALLS_KEPT + 1 :], call),
        spent=spent,
        paused=_paused(state, begun.model, fact),
    )


def _paused(state: ModelsState, model: ModelName, fact: ModelCallEnded) -> Mapping[ModelName, datetime]:
    if not fact.retry_after:
        return state.paused
    until = fact.at + timedelta(seconds=fact.retry_after)
    return {**state.paused, model: max(until, state.paused.get(model, until))}
