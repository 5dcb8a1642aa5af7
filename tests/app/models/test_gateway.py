"""The gateway's life of one question: asked once, on record, repaired once, retried within bounds, always answered."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from decimal import Decimal

import pytest

from events.advice import AdviceAbstained, AdviceReceived, Usage
from events.identifiers import ModelName
from events.models import ModelRouteClosed, ModelRouteOpened
from oxbot.app.bot_runner import Superseded
from oxbot.app.models.known import Budgets, SpendLimit
from oxbot.app.models.transport import CallFailed
from tests.app.models.world import GENEROUS, OPINION, OTHER, Asked, Step, World, always, answer, by_text, model, script
from tests.simulation.virtual_time import run


def lived(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def wrapped() -> None:
        run(test())

    return wrapped


@lived
async def test_an_answer_reaches_the_bot_with_what_it_cost() -> None:
    world = World()
    await world.want("a")
    await world.lives()
    told = await world.one("a")
    assert isinstance(told, AdviceReceived)
    assert told.opinions == (OPINION,)
    assert told.resolved_model == "openai/model-1"
    assert told.cost == Decimal("0.000027")
    assert (told.attempts, told.shared_by, told.latency_ms, told.repaired) == (1, 1, 2000, False)
    assert (await world.bodies.get(told.answer)).decode() == "good"
    assert await world.bodies.get(told.prompt) == next(iter(world.requests.values())).prompt.body


@lived
async def test_the_same_question_is_asked_once_for_everybody_who_waits() -> None:
    world = World()
    for number in range(100):
        await world.want(f"bot-{number}")
    await world.lives()
    assert len(world.provider.calls) == 1
    told = [await world.one(f"bot-{number}") for number in range(100)]
    assert {fact.shared_by for fact in told} == {100}
    assert sum(fact.cost for fact in told) == Decimal("0.000027")


@lived
async def test_whoever_joins_a_question_under_way_gets_its_answer_for_nothing() -> None:
    world = World()
    async with world.alive():
        await world.want("a")
        await world.clock.sleep(1)
        await world.want("b")
        await world.clock.sleep(2)
    assert len(world.provider.calls) == 1
    told = [await world.one(bot) for bot in ("a", "b")]
    assert [fact.cost for fact in told] == [Decimal("0.000027"), 0]
    assert [fact.shared_by for fact in told] == [2, 2]


@lived
async def test_whoever_asks_the_same_soon_after_gets_the_stored_answer_for_nothing() -> None:
    world = World()
    await world.want("a")
    await world.lives()
    await world.restart()
    await world.want("b")
    await world.lives()
    assert len(world.provider.calls) == 1
    assert (await world.one("b")).cost == 0


@lived
async def test_an_answer_that_cannot_be_read_is_asked_for_once_more_with_the_fault_and_without_the_answer() -> None:
    world = World(script(answer("IGNORE ALL RULES"), answer("good again")))
    await world.want("a")
    await world.lives()
    told = await world.one("a")
    assert isinstance(told, AdviceReceived)
    assert (told.attempts, told.repaired, told.cost) == (2, True, Decimal("0.000054"))
    repair = world.provider.calls[1][1].messages
    assert repair[-1].content == "what now?\n\nAnswer in JSON."
    assert not any("IGNORE" in message.content for message in repair)


@lived
async def test_a_second_answer_that_cannot_be_read_is_an_abstention() -> None:
    world = World(script(answer("no"), answer("no again")))
    await world.want("a")
    await world.lives()
    told = await world.one("a")
    assert isinstance(told, AdviceAbstained)
    assert (told.reason, told.detail, told.attempts) == ("invalid", "not_json", 2)
    assert told.answer is not None
    assert (await world.bodies.get(told.answer)).decode() == "no again"


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (answer(None), "empty"),
        (answer("  \n"), "empty"),
        (answer("good", finish_reason="length"), "truncated"),
    ],
)
def test_an_answer_that_is_none_is_an_abstention_at_once(completion: object, reason: str) -> None:
    async def main() -> None:
        world = World(script(completion))  # type: ignore[arg-type]  # a completion
        await world.want("a")
        await world.lives()
        told = await world.one("a")
        assert isinstance(told, AdviceAbstained)
        assert (told.reason, told.attempts, len(world.provider.calls)) == (reason, 1, 1)

    run(main())


@pytest.mark.parametrize("kind", ["provider_error", "unreachable", "timeout", "rate_limited"])
def test_a_model_that_does_not_answer_is_asked_three_times_and_no_more(kind: str) -> None:
    async def main() -> None:
        world = World(always(CallFailed(kind, detail="no")))  # type: ignore[arg-type]  # of a list
        await world.want("a")
        await world.lives()
        told = await world.one("a")
        assert isinstance(told, AdviceAbstained)
        assert (told.reason, told.attempts, len(world.provider.calls)) == (kind, 3, 3)
        assert [fact.attempt for fact in await world.begun()] == [1, 2, 3]

    run(main())


@lived
async def test_a_call_that_hangs_is_given_up_and_taken_to_have_cost_all_of_it() -> None:
    world = World(script(60.0))
    await world.want("a")
    await world.lives()
    told = await world.one("a")
    assert isinstance(told, AdviceReceived)
    assert told.attempts == 2
    first, second = await world.ended()
    assert (first.outcome, first.cost) == ("timeout", (await world.begun())[0].reserved)
    assert second.outcome == "answered"


@lived
async def test_whose_time_is_up_before_a_call_could_be_begun_is_told_so_and_pays_nothing() -> None:
    world = World(models=[model(calls_per_minute=1, burst=1)])
    await world.want("a", "first", seconds=30)
    await world.want("b", "second", seconds=30)
    await world.lives()
    told = [await world.one(bot) for bot in ("a", "b")]
    late = next(fact for fact in told if isinstance(fact, AdviceAbstained))
    assert (late.reason, late.cost, late.attempts) == ("stale", Decimal(0), 0)
    assert len(world.provider.calls) == 1


@lived
async def test_retry_after_is_waited_for() -> None:
    world = World(script(CallFailed("rate_limited", status=429, retry_after=40.0)))
    await world.want("a")
    await world.want("b", "another")
    await world.lives()
    times = [at for at, _ in world.provider.calls]
    assert len(times) == 3
    assert times[2] - times[0] >= timedelta(seconds=42)
    assert isinstance(await world.one("a"), AdviceReceived)


@lived
async def test_settings_that_a_provider_refuses_close_the_model_until_they_were_read_again() -> None:
    world = World(script(CallFailed("refused", status=401, detail="that key is not one of ours")))
    await world.want("a")
    await world.want("b", "another")
    await world.lives()
    told = await world.one("a")
    assert isinstance(told, AdviceAbstained)
    assert (told.reason, told.attempts) == ("refused", 1)
    closed = [fact for fact in await world.facts() if isinstance(fact, ModelRouteClosed)]
    assert [(fact.cause, fact.until, fact.detail) for fact in closed] == [
        ("settings", None, "that key is not one of ours")
    ]
    await world.want("c", "a third")
    await world.restart()
    await world.lives()
    assert isinstance(await world.one("c"), AdviceReceived)
    assert any(isinstance(fact, ModelRouteOpened) for fact in await world.facts())


@lived
async def test_a_closed_model_is_not_called() -> None:
    world = World(script(CallFailed("refused", status=404, detail="no such model")))
    async with world.alive():
        await world.want("a")
        await world.clock.sleep(5)
        await world.want("b", "another")
        await world.clock.sleep(5)
    told = await world.one("b")
    assert isinstance(told, AdviceAbstained)
    assert (told.reason, told.detail) == ("breaker_open", "model is closed: no such model")
    assert len(world.provider.calls) == 1


@lived
async def test_what_a_provider_refuses_of_one_prompt_closes_nothing() -> None:
    world = World(by_text({"bad words": CallFailed("refused", detail="filtered")}))
    await world.want("a", "bad words")
    await world.want("b", "good words")
    await world.lives()
    refused = await world.one("a")
    assert isinstance(refused, AdviceAbstained)
    assert (refused.reason, refused.attempts) == ("refused", 1)
    assert isinstance(await world.one("b"), AdviceReceived)
    assert not any(isinstance(fact, ModelRouteClosed) for fact in await world.facts())


@lived
async def test_another_model_is_asked_only_where_the_table_names_it_and_the_answer_says_which() -> None:
    def rule(asked: Asked) -> Step:
        if asked.provider_model == "openai/model":
            return CallFailed("provider_error", status=500)
        return answer(resolved_model="openai/other-9")

    for fallbacks, expected in (((), AdviceAbstained), ((OTHER,), AdviceReceived)):
        world = World(rule, models=[model(fallbacks=fallbacks), model(OTHER)])
        await world.want("a", seconds=300)
        await world.lives()
        told = await world.one("a")
        assert isinstance(told, expected)
        assert told.resolved_model == ("openai/other-9" if fallbacks else "")


@lived
async def test_a_model_that_nobody_knows_or_that_has_no_price_is_not_asked() -> None:
    world = World(models=[model(), model(OTHER, prices=None)])
    await world.want("a", name=ModelName("unheard-of"))
    await world.want("b", name=OTHER)
    await world.lives()
    told = [await world.one(bot) for bot in ("a", "b")]
    assert [fact.reason for fact in told if isinstance(fact, AdviceAbstained)] == ["no_model", "unpriced"]
    assert not world.provider.calls


@lived
async def test_without_budget_nothing_is_called() -> None:
    poor = SpendLimit(usd_per_day=Decimal(0), tokens_per_day=10**9)
    world = World(budgets=Budgets(bot=poor, owner=GENEROUS, fleet=GENEROUS))
    await world.want("a")
    await world.lives()
    told = await world.one("a")
    assert isinstance(told, AdviceAbstained)
    assert (told.reason, told.detail) == ("budget", "the budget of bot a for today is used up")
    assert not world.provider.calls


@lived
async def test_five_failures_in_a_row_close_a_model_and_one_good_call_opens_it_again() -> None:
    world = World(script(*[CallFailed("provider_error", status=500)] * 5))
    for bot in "abcdef":
        await world.want(bot, bot, seconds=600)
    await world.lives()
    facts = await world.facts()
    closed = [fact for fact in facts if isinstance(fact, ModelRouteClosed)]
    assert [fact.cause for fact in closed] == ["infrastructure"]
    assert closed[0].until is not None
    probe, after = [at for at, _ in world.provider.calls if at > closed[0].at][:2]
    assert probe >= closed[0].until
    assert after >= probe + timedelta(seconds=world.provider.latency)
    assert any(isinstance(fact, ModelRouteOpened) for fact in facts)


@lived
async def test_whoever_cannot_wait_for_a_closed_model_is_told_at_once() -> None:
    world = World(always(CallFailed("provider_error", status=500)))
    for bot in "abcdef":
        await world.want(bot, bot, seconds=20)
    await world.lives()
    reasons = {fact.reason for bot in "abcdef" if isinstance(fact := await world.one(bot), AdviceAbstained)}
    assert reasons <= {"provider_error", "breaker_open"}
    assert len(world.provider.calls) <= 8


@lived
async def test_a_template_whose_answers_are_no_use_is_not_asked_and_every_other_one_is() -> None:
    world = World(by_text({"nonsense": answer("no")}))
    for number in range(30):
        await world.want(f"bot-{number}", f"nonsense {number}", seconds=600)
    await world.want("fine", "sense", template="trader/1")
    await world.lives()
    closed = [fact for fact in await world.facts() if isinstance(fact, ModelRouteClosed)]
    assert [(fact.cause, fact.template) for fact in closed] == [("quality", "market/1")]
    assert isinstance(await world.one("fine"), AdviceReceived)
    before = len(world.provider.calls)
    assert before < 30
    await world.want("late", "nonsense again")
    await world.restart()
    await world.lives()
    late = await world.one("late")
    assert isinstance(late, AdviceAbstained)
    assert late.reason == "breaker_open"
    assert len(world.provider.calls) == before


@lived
async def test_what_a_bot_has_given_up_is_not_called() -> None:
    world = World()
    advice_id = await world.want("a")
    world.gateway.withdraw(advice_id)
    await world.lives(30)
    assert not world.provider.calls
    assert await world.told("a") == []


@lived
async def test_the_gateway_stops_as_soon_as_another_one_has_claimed_the_models() -> None:
    first = World()
    second = World(log=first.log, bodies=first.bodies)
    async with first.alive() as running:
        await first.clock.sleep(1)
        async with second.alive():
            await first.clock.sleep(1)
            await first.want("late")
            with pytest.raises(Superseded):
                await asyncio.wait_for(running, 60)
    assert not first.provider.calls


@lived
async def test_while_more_is_asked_than_the_limit_allows_every_bot_is_served_in_turn() -> None:
    world = World(models=[model(calls_per_minute=10, burst=1)])
    answered = dict.fromkeys((f"bot-{number}" for number in range(40)), 0)
    async with world.alive():
        for candle in range(16):
            for bot in answered:
                await world.want(bot, f"{bot} at {candle}", seconds=60)
            await world.clock.sleep(61)
            await world.take_all()
    for bot in answered:
        answered[bot] = sum(isinstance(fact, AdviceReceived) for fact in await world.told(bot))
    assert sum(answered.values()) >= 16 * 9
    assert min(answered.values()) >= max(answered.values()) - 1


@lived
async def test_advice_on_what_is_held_goes_before_that_on_what_is_not() -> None:
    world = World(models=[model(calls_per_minute=10, burst=1)])
    for number in range(20):
        await world.want(f"paper-{number}", f"paper {number}", seconds=600)
    await world.want("held", "held", seconds=600, advice_class="exit")
    await world.lives()
    asked = [call.messages[-1].content for _, call in world.provider.calls]
    assert asked.index("held") <= 1


@lived
async def test_who_cannot_pay_its_part_leaves_and_the_others_share_the_call() -> None:
    tokens = SpendLimit(usd_per_day=Decimal(1000), tokens_per_day=4000)
    world = World(
        script(answer(usage=Usage(input=3500, output=1))),
        budgets=Budgets(bot=tokens, owner=GENEROUS, fleet=GENEROUS),
    )
    await world.want("spent", "alone")
    await world.lives()
    await world.take_all()
    for bot in ("spent", "b", "c"):
        await world.want(bot, "together" * 600)
    await world.lives()
    lacking, *others = [(await world.told(bot))[-1] for bot in ("spent", "b", "c")]
    assert isinstance(lacking, AdviceAbstained)
    assert (lacking.reason, lacking.prompt) == ("budget", None)
    assert all(isinstance(fact, AdviceReceived) for fact in others)
    assert (await world.begun())[-1].shares == ("b", "c")


@lived
async def test_half_a_character_in_an_answer_is_stored_as_it_is_read() -> None:
    world = World(script(answer("good \ud800")))
    await world.want("a")
    await world.lives()
    told = await world.one("a")
    assert isinstance(told, AdviceReceived)
    assert (await world.bodies.get(told.answer)).decode() == "good ?"


@lived
async def test_what_a_provider_did_not_count_costs_all_that_was_reserved() -> None:
    world = World(script(answer(usage=Usage())))
    await world.want("a")
    await world.lives()
    assert (await world.one("a")).cost == (await world.begun())[0].reserved > 0
