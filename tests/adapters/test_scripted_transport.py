"""The model that is always there answers legally and always the same; the others fail as their names say."""

import msgspec
import pytest

from events.advice import OpinionAction
from oxbot.adapters.model_transport import open_transport
from oxbot.adapters.scripted_answers import BEHAVIOURS
from oxbot.adapters.scripted_transport import ScriptedTransport
from oxbot.app.clock import SystemClock
from oxbot.app.models.known import ModelTable
from oxbot.app.models.transport import CallFailed, Message
from oxbot.core.advice_answer import Answer, Faulty, read_answer
from tests.adapters.questions import question, scripted_call

pytestmark = pytest.mark.anyio

FAULTS = {
    "prose": "prose",
    "fence": "prose",
    "truncated": "truncated",
    "duplicate_keys": "duplicate_key",
    "not_a_number": "not_a_number",
    "nested": "too_deep",
    "not_json": "prose",
    "empty": "empty",
    "blank": "empty",
    "wrong_side": "no_item",
    "other_snapshot": "wrong_snapshot",
}
DROPPED = {"leverage": 1, "oversized": 1, "unknown_coin": 1, "twice": 2, "steering": 1}
LEGAL = ("rule", "contrary", "worst", "holds", "obeys_headline")


async def said(behaviour: str, *turns: Message, seed: int = 0, market: int = 1) -> str:
    completion = await ScriptedTransport(seed=seed).complete(scripted_call(behaviour, *turns, seed=market))
    return completion.text or ""


def test_every_behaviour_is_expected_to_do_something() -> None:
    assert sorted([*FAULTS, *DROPPED, *LEGAL]) == sorted(BEHAVIOURS)


@pytest.mark.parametrize("behaviour", LEGAL)
async def test_a_legal_answer_has_an_opinion_on_every_symbol(behaviour: str) -> None:
    read = read_answer(await said(behaviour), question().asked)
    assert isinstance(read, Answer)
    assert [opinion.symbol for opinion in read.opinions] == list(question().asked.marks)
    assert read.refusals == ()


@pytest.mark.parametrize(("behaviour", "code"), FAULTS.items())
async def test_an_answer_that_is_none_is_named(behaviour: str, code: str) -> None:
    read = read_answer(await said(behaviour), question().asked)
    assert isinstance(read, Faulty)
    assert read.code == code


@pytest.mark.parametrize(("behaviour", "dropped"), DROPPED.items())
async def test_a_wrong_item_is_dropped_and_the_others_stand(behaviour: str, dropped: int) -> None:
    read = read_answer(await said(behaviour), question().asked)
    assert isinstance(read, Answer)
    assert len(read.refusals) == dropped
    assert len(read.opinions) == 2


async def test_the_same_question_has_the_same_answer_and_another_seed_is_another_model() -> None:
    assert await said("rule") == await said("rule")
    assert len({await said("rule", seed=seed) for seed in range(8)}) > 1


async def test_the_rule_looks_at_the_numbers() -> None:
    actions: set[OpinionAction] = set()
    for market in range(1, 9):
        read = read_answer(await said("rule", market=market), question(market).asked)
        assert isinstance(read, Answer)
        actions |= {opinion.action for opinion in read.opinions}
    assert {"long", "close"} <= actions


async def test_the_contrary_model_is_of_another_mind() -> None:
    rule, contrary = [read_answer(await said(name), question().asked) for name in ("rule", "contrary")]
    assert isinstance(rule, Answer)
    assert isinstance(contrary, Answer)
    pairs = zip(rule.opinions, contrary.opinions, strict=True)
    assert all(one.action != other.action for one, other in pairs if one.action != "hold")


async def test_one_that_errs_once_mends_its_answer_when_told() -> None:
    told = (Message("assistant", "As I said."), Message("user", "That was no JSON."))
    assert isinstance(read_answer(await said("prose_once"), question().asked), Faulty)
    assert isinstance(read_answer(await said("prose_once", *told), question().asked), Answer)
    assert isinstance(read_answer(await said("prose", *told), question().asked), Faulty)


@pytest.mark.parametrize(
    "words", ["", "snapshot: zz\n### BTC/USDT\nmark: NaN\n", "### \n### X\nindicators: ema_20=1e999"]
)
@pytest.mark.parametrize("behaviour", sorted(BEHAVIOURS))
async def test_whatever_is_asked_it_answers_something(behaviour: str, words: str) -> None:
    call = msgspec.structs.replace(scripted_call(behaviour), messages=(Message("user", words),))
    completion = await ScriptedTransport().complete(call)
    assert completion.text is None or isinstance(read_answer(completion.text, question().asked), Faulty)


@pytest.mark.parametrize(
    ("behaviour", "kind", "settings"),
    [
        ("failing", "provider_error", False),
        ("slow", "timeout", False),
        ("rate_limited", "rate_limited", False),
        ("refusing", "refused", False),
        ("unauthorised", "refused", True),
        ("unheard_of", "refused", True),
    ],
)
async def test_one_that_fails_says_why(behaviour: str, kind: str, settings: bool) -> None:
    with pytest.raises(CallFailed) as failed:
        await ScriptedTransport().complete(scripted_call(behaviour))
    assert (failed.value.kind, failed.value.settings) == (kind, settings)


async def test_it_counts_tokens_so_that_budgets_can_be_rehearsed() -> None:
    usage = (await ScriptedTransport().complete(scripted_call("rule"))).usage
    assert usage.input > 500
    assert usage.output > 50


async def test_a_table_of_our_own_models_is_served_without_litellm() -> None:
    async with open_transport(ModelTable(), {}, clock=SystemClock()) as transport:
        assert isinstance(transport, ScriptedTransport)
