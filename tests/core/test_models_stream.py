"""The models' stream: who may write, what is open, what was spent, and what is taken to have cost all of it."""

from datetime import timedelta
from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from events.advice import Usage
from events.identifiers import AdviceId, BodyHash, BotId, CallId, ModelName
from events.models import (
    ModelCallBegun,
    ModelCallEnded,
    ModelFact,
    ModelRouteClosed,
    ModelRouteOpened,
    ModelsClaimed,
)
from oxbot.core.models_stream import (
    CALLS_KEPT,
    ClaimModels,
    EndedCall,
    ModelsDecider,
    ModelsState,
    RecordModelFact,
    token_share,
    tokens_of,
)
from tests.core.scenario import START

DECIDER = ModelsDecider()
MODEL = ModelName("model")
CLAIMED = ModelsClaimed(epoch=1, holder="test")


def begun(number: int = 1, *bots: str, seconds: float = 0) -> ModelCallBegun:
    shares = bots or ("a",)
    return ModelCallBegun(
        call_id=CallId(f"call-{number}"),
        at=START + timedelta(seconds=seconds),
        model=MODEL,
        provider_model="openai/model",
        prompt=BodyHash("0" * 64),
        attempt=1,
        reserved=Decimal("0.03"),
        reserved_tokens=100,
        shares=tuple(BotId(bot) for bot in shares),
        price_version="1",
        advice=tuple(AdviceId(f"{bot}-a{number}") for bot in shares),
    )


def ended(number: int = 1, cost: str = "0.02", **fields: object) -> ModelCallEnded:
    fact = ModelCallEnded(
        call_id=CallId(f"call-{number}"),
        at=START + timedelta(seconds=number),
        outcome="answered",
        answer=BodyHash("1" * 64),
        usage=Usage(input=30, output=10),
        cost=Decimal(cost),
    )
    return msgspec.structs.replace(fact, **fields)


def folded(*facts: ModelFact) -> ModelsState:
    state = DECIDER.initial
    for fact in facts:
        state = DECIDER.evolve(state, fact)
    return state


def test_a_claim_ends_what_was_open_at_its_full_price() -> None:
    state = folded(CLAIMED, begun(1), ended(1), begun(2))
    claimed, interrupted = DECIDER.decide(ClaimModels("next", START), state)
    assert claimed == ModelsClaimed(epoch=2, holder="next")
    assert isinstance(interrupted, ModelCallEnded)
    assert (interrupted.call_id, interrupted.outcome, interrupted.cost) == ("call-2", "interrupted", Decimal("0.03"))
    after = folded(CLAIMED, begun(1), ended(1), begun(2), claimed, interrupted)
    assert (after.epoch, after.open, after.calls) == (2, {}, 2)
    assert (after.spent[BotId("a")].usd, after.spent[BotId("a")].tokens) == (Decimal("0.05"), 140)


def test_a_gateway_that_is_not_the_newest_writes_nothing() -> None:
    state = folded(CLAIMED, ModelsClaimed(epoch=2, holder="next"))
    assert DECIDER.decide(RecordModelFact(1, begun()), state) == []
    assert DECIDER.decide(RecordModelFact(2, begun()), state) == [begun()]


def test_a_call_ends_once_and_only_if_it_was_begun() -> None:
    assert DECIDER.decide(RecordModelFact(1, ended()), folded(CLAIMED)) == []
    assert DECIDER.decide(RecordModelFact(1, ended()), folded(CLAIMED, begun())) == [ended()]
    assert DECIDER.decide(RecordModelFact(1, ended()), folded(CLAIMED, begun(), ended())) == []
    assert DECIDER.decide(RecordModelFact(1, begun()), folded(CLAIMED, begun())) == []


def test_who_shares_a_call_pays_an_equal_part() -> None:
    state = folded(CLAIMED, begun(1, "a", "b"), ended(1))
    assert {bot_id: (spent.usd, spent.tokens) for bot_id, spent in state.spent.items()} == {
        "a": (Decimal("0.01"), 20),
        "b": (Decimal("0.01"), 20),
    }


def test_a_new_day_begins_with_nothing_spent_and_the_old_one_is_not_added_to_it() -> None:
    day = 86_400
    state = folded(CLAIMED, begun(1), begun(2, seconds=day), ended(1), ended(2, at=START + timedelta(seconds=day)))
    assert state.spent[BotId("a")].usd == Decimal("0.02")
    assert state.spent[BotId("a")].day == (START + timedelta(days=1)).date()


def test_a_bot_that_has_not_asked_for_a_week_is_forgotten() -> None:
    state = folded(CLAIMED, begun(1, "old"), ended(1), begun(2, "new", seconds=8 * 86_400))
    assert set(state.spent) == {"new"}


def test_only_the_calls_of_the_last_minute_count_under_a_limit() -> None:
    state = folded(CLAIMED, begun(1), begun(2, seconds=30), begun(3, seconds=61))
    assert [call.call_id for call in state.recent] == ["call-2", "call-3"]


def test_a_template_is_closed_and_opened_beside_its_model() -> None:
    model = ModelRouteClosed(model=MODEL, at=START, cause="settings", detail="no key")
    template = ModelRouteClosed(model=MODEL, at=START, cause="quality", detail="no use", template="market/1")
    state = folded(CLAIMED, model, template)
    assert set(state.closed.values()) == {model, template}
    opened = ModelRouteOpened(model=MODEL, at=START, template="market/1")
    assert DECIDER.decide(RecordModelFact(1, opened), state) == [opened]
    state = folded(CLAIMED, model, template, opened)
    assert set(state.closed.values()) == {model}
    assert DECIDER.decide(RecordModelFact(1, opened), state) == []


def test_tokens_that_nobody_counted_are_all_that_were_reserved_unless_the_provider_did_not_work() -> None:
    assert tokens_of(begun(), ended(usage=Usage())) == 100
    assert tokens_of(begun(), ended(outcome="timeout", usage=Usage())) == 100
    assert tokens_of(begun(), ended(outcome="rate_limited", usage=Usage())) == 0
    assert tokens_of(begun(), ended()) == 40
    assert token_share(100, begun(1, "a", "b", "c")) == 34


def test_a_request_pays_for_the_calls_that_were_made_for_it_alone() -> None:
    call = EndedCall(begun=begun(1, "a", "b"), ended=ended(1))
    assert [call.share(AdviceId(advice)) for advice in ("a-a1", "b-a1", "a-a2")] == [
        Decimal("0.01"),
        Decimal("0.01"),
        Decimal(0),
    ]


@given(count=st.integers(CALLS_KEPT - 2, CALLS_KEPT + 3))
def test_no_more_ended_calls_are_remembered_than_are_of_use(count: int) -> None:
    state = folded(CLAIMED)
    for number in range(1, count + 1):
        state = DECIDER.evolve(DECIDER.evolve(state, begun(number, seconds=number)), ended(number))
    assert len(state.ended) == min(count, CALLS_KEPT)
    assert state.ended[-1].begun.call_id == f"call-{count}"


def test_the_state_survives_being_kept_as_a_snapshot() -> None:
    closed = ModelRouteClosed(model=MODEL, at=START, cause="settings", detail="no key")
    state = folded(CLAIMED, begun(1, "a", "b"), ended(1), begun(2), closed)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=ModelsState) == state
