"""A model that cannot be asked for now: whoever has another one goes there at once, whoever has none learns why."""

from datetime import timedelta
from decimal import Decimal

import pytest

from events.advice import AbstainReason, AdviceAbstained, AdviceLapsed, AdviceReceived
from events.identifiers import BotId, bot_stream
from oxbot.app.models.transport import CallFailed
from tests.app.models.test_gateway import lived
from tests.app.models.world import MODEL, OTHER, Asked, Rule, Step, World, answer, append, model
from tests.core.scenario import START
from tests.simulation.virtual_time import run

BROKEN = CallFailed("provider_error", status=500)
FROZEN = CallFailed("rate_limited", status=429, retry_after=300.0)


def failing(step: Step) -> Rule:
    """The first model does this to its first calls, every other one answers."""

    def rule(asked: Asked) -> Step:
        return step if asked.provider_model == "openai/model" and asked.number <= 6 else answer()

    return rule


def chained(step: Step) -> World:
    return World(failing(step), models=[model(fallbacks=(OTHER,)), model(OTHER)])


async def broken(world: World, step: Step) -> None:
    """So many ask and fail that the model is closed, or its provider wants nothing for a while."""
    for bot in "vwxyz" if step is BROKEN else "z":
        await world.want(bot, f"of {bot}", seconds=600)
    await world.clock.sleep(6)


@pytest.mark.parametrize("step", [BROKEN, FROZEN], ids=["breaker", "retry_after"])
def test_whoever_may_ask_another_model_asks_it_at_once(step: Step) -> None:
    async def main() -> None:
        world = chained(step)
        async with world.alive():
            await broken(world, step)
            route = world.gateway.route(MODEL)
            assert route is not None
            assert route.held(world.clock.now()) is not None
            await world.want("late", "late", seconds=600)
            await world.clock.sleep(6)
        assert isinstance(await world.one("late"), AdviceReceived)
        assert {call.model for _, call in world.provider.calls if call.messages[-1].content == "late"} == {OTHER}

    run(main())


@lived
async def test_who_waited_already_when_a_provider_asks_for_a_pause_goes_elsewhere() -> None:
    world = World(failing(FROZEN), models=[model(calls_per_minute=1, burst=1, fallbacks=(OTHER,)), model(OTHER)])
    await world.want("first", "first", seconds=600)
    await world.want("second", "second", seconds=600)
    await world.lives(10)
    assert [isinstance(await world.one(bot), AdviceReceived) for bot in ("first", "second")] == [True, True]


@lived
async def test_a_short_pause_is_waited_for() -> None:
    world = chained(CallFailed("rate_limited", status=429, retry_after=4.0))
    async with world.alive():
        await world.want("a", seconds=600)
        await world.clock.sleep(2.5)
        await world.want("late", "late", seconds=600)
        await world.clock.sleep(5)
    assert {call.model for _, call in world.provider.calls} == {MODEL}


@lived
async def test_a_model_that_has_rested_is_asked_again_although_there_is_another_one() -> None:
    world = chained(BROKEN)
    async with world.alive():
        await broken(world, BROKEN)
        await world.clock.sleep(40)
        await world.want("late", "late")
        await world.clock.sleep(6)
    assert world.provider.calls[-1][1].model == MODEL
    route = world.gateway.route(MODEL)
    assert route is not None
    assert route.held(world.clock.now()) is None


@lived
async def test_where_another_model_cannot_be_asked_any_sooner_one_waits_for_the_first() -> None:
    world = World(lambda _: FROZEN, models=[model(fallbacks=(OTHER,)), model(OTHER)])
    async with world.alive():
        await broken(world, FROZEN)
        await world.clock.sleep(6)
        calls = len(world.provider.calls)
        await world.want("late", "late", seconds=20)
        await world.clock.sleep(40)
    assert len(world.provider.calls) == calls == 2
    told = await world.one("late")
    assert isinstance(told, AdviceAbstained)
    assert told.reason == "rate_limited"


@pytest.mark.parametrize(("step", "reason"), [(BROKEN, "breaker_open"), (FROZEN, "rate_limited")])
@pytest.mark.parametrize("lapsed", [False, True])
def test_who_gives_up_waiting_for_such_a_model_learns_why(step: Step, reason: AbstainReason, *, lapsed: bool) -> None:
    async def main() -> None:
        world = World(failing(step))
        async with world.alive():
            await broken(world, step)
            advice_id = await world.want("late", "late", seconds=600)
            await world.clock.sleep(1)
            if lapsed:
                fact = AdviceLapsed(advice_id=advice_id, at=START)
                await append(world.log, bot_stream(BotId("late")), fact)
            world.gateway.withdraw(advice_id)
            world.gateway.withdraw(advice_id)
            await world.clock.sleep(1)
            told = await world.one("late")
            assert isinstance(told, AdviceAbstained)
            assert (told.reason, told.attempts, told.cost) == (reason, 0, Decimal(0))
            assert "model" in told.detail

    run(main())


@lived
async def test_whose_time_is_up_while_a_provider_wants_a_pause_learns_that() -> None:
    world = World(failing(FROZEN))
    async with world.alive():
        await broken(world, FROZEN)
        asked_at = world.clock.now()
        await world.want("late", "late", seconds=20)
        await world.clock.sleep(30)
    told = await world.one("late")
    assert isinstance(told, AdviceAbstained)
    assert told.reason == "rate_limited"
    assert told.at <= asked_at + timedelta(seconds=20)


@lived
async def test_what_another_model_was_asked_already_is_not_asked_of_the_first_after_a_death() -> None:
    world = chained(FROZEN)
    async with world.alive():
        await world.want("z", seconds=600)
        await world.clock.sleep(3)
    assert [call.model for _, call in world.provider.calls] == [MODEL, OTHER]
    await world.clock.sleep(400)
    await world.lives()
    assert isinstance(await world.one("z"), AdviceReceived)
    assert [fact.model for fact in await world.begun()] == [MODEL, OTHER, OTHER]


@lived
async def test_a_pause_that_a_provider_wants_outlives_the_gateway() -> None:
    world = World(lambda asked: FROZEN if asked.number == 1 else answer())
    async with world.alive():
        await broken(world, FROZEN)
    (ended,) = await world.ended()
    assert (ended.outcome, ended.retry_after) == ("rate_limited", 300)
    await world.want("late", "late", seconds=600)
    await world.lives()
    first, *rest = [at for at, _ in world.provider.calls]
    assert len(rest) == 2
    assert min(rest) == ended.at + timedelta(seconds=300) > first
    assert isinstance(await world.one("late"), AdviceReceived)


@lived
async def test_a_model_without_its_key_is_not_called_and_the_bot_learns_why() -> None:
    world = chained(BROKEN)
    world.fault[MODEL] = world.fault[OTHER] = "the environment variable KEY holds no key"
    await world.want("a", seconds=600)
    await world.lives()
    told = await world.one("a")
    assert isinstance(told, AdviceAbstained)
    assert (told.reason, told.detail, told.attempts) == ("refused", "the environment variable KEY holds no key", 0)
    assert await world.begun() == []
    assert not world.provider.calls


@lived
async def test_instead_of_a_model_without_its_key_the_next_one_is_asked() -> None:
    world = chained(BROKEN)
    world.fault[MODEL] = "the environment variable KEY holds no key"
    await world.want("a", seconds=600)
    await world.lives()
    assert isinstance(await world.one("a"), AdviceReceived)
    assert [fact.model for fact in await world.begun()] == [OTHER]
