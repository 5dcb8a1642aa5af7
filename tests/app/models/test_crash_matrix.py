"""A gateway that is killed at each of its awaits in turn: nothing is forgotten, told twice, or paid for twice."""

from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.advice import AdviceReceived
from events.models import ModelCallEnded, ModelsClaimed
from oxbot.app.models.budget import Group
from oxbot.app.models.known import Budgets, SpendLimit
from oxbot.app.models.transport import CallFailed
from tests.app.models.world import GENEROUS, Asked, Point, Rule, Step, World, answer, model, script
from tests.simulation.virtual_time import run

POINTS_MAX = 200
PER_MINUTE = 10


def mended(asked: Asked) -> Step:
    """No answer at first, and a good one once its fault is named."""
    return answer() if asked.text.endswith("Answer in JSON.") else answer("no")


LIVES: dict[str, tuple[Rule, int]] = {
    "answered": (script(), 1),
    "repaired": (mended, 1),
    "invalid": (lambda asked: answer(f"no {asked.text}"), 1),
    "failed once": (script(CallFailed("provider_error", status=500)), 1),
    "timed out once": (script(90.0), 1),
    "shared by three": (script(), 3),
    "shared by three and repaired": (mended, 3),
}


@pytest.mark.parametrize("life", LIVES)
def test_killed_at_any_await_and_started_again_every_question_is_answered_once(life: str) -> None:
    rule, bots = LIVES[life]
    whole = run(_lived(rule, bots, kill_at=None))
    assert whole.killer.passed < POINTS_MAX
    for kill_at in range(1, whole.killer.passed + 1):
        world = run(_lived(rule, bots, kill_at=kill_at))
        assert world.killer.killed is not None
        run(_check(world, bots, whole))


async def _lived(rule: Rule, bots: int, *, kill_at: int | None) -> World:
    world = World(rule, kill_at=kill_at)
    for number in range(bots):
        await world.want(f"bot-{number}", seconds=600)
    await world.lives()
    return world


async def _check(world: World, bots: int, whole: World) -> None:
    killed = world.killer.killed
    assert killed is not None
    begun, ended = await world.begun(), await world.ended()
    # What is on record and what has arrived differ by the one call that was on record when its gateway was killed.
    unsent = killed in (Point("append ModelCallBegun", happened=True), Point("call", happened=False))
    assert len(world.provider.calls) == len(begun) - unsent, killed
    assert {fact.call_id for fact in begun} == {fact.call_id for fact in ended}, killed
    for number in range(bots):
        await world.one(f"bot-{number}")
    stored = [fact for fact in ended if fact.answer is not None]
    expected = [fact for fact in await whole.ended() if fact.answer is not None]
    under_way = killed in (Point("call", happened=True), Point("append ModelCallEnded", happened=False)) or (
        killed.name == "put" and len(world.provider.calls) > len(stored)
    )
    assert len(stored) == len(expected), killed
    assert len(world.provider.calls) <= len(whole.provider.calls) + (1 if under_way else 0), killed
    assert [type(await world.one(f"bot-{n}")) for n in range(bots)] == [
        type(await whole.one(f"bot-{n}")) for n in range(bots)
    ], killed


FAULTS: list[Step] = [
    answer(),
    answer(),
    answer("no"),
    answer(None),
    90.0,
    CallFailed("provider_error", status=503),
    CallFailed("rate_limited", status=429, retry_after=3.0),
    CallFailed("unreachable"),
]


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), bots=st.integers(1, 12), prompts=st.integers(1, 6), kills=st.integers(0, 4))
def test_whatever_models_do_and_however_often_the_gateway_is_killed(
    seed: int, bots: int, prompts: int, kills: int
) -> None:
    chances = Random(seed)  # noqa: S311 - a test's chance, not a secret
    run(_fire(chances, bots, prompts, kills))


async def _fire(chances: Random, bots: int, prompts: int, kills: int) -> None:
    limit = SpendLimit(usd_per_day=Decimal("0.004"), tokens_per_day=6000)
    world = World(
        lambda asked: FAULTS[(chances.randrange(len(FAULTS)) + asked.number) % len(FAULTS)],
        budgets=Budgets(bot=limit, owner=GENEROUS, fleet=SpendLimit(usd_per_day=Decimal("0.02"), tokens_per_day=10**6)),
        models=[model(calls_per_minute=PER_MINUTE, burst=chances.randrange(1, 5))],
    )
    for _ in range(3):
        for number in range(bots):
            await world.want(f"bot-{number}", f"prompt {chances.randrange(prompts)}", seconds=300)
        if kills:
            kills -= 1
            world.killer.at = world.killer.passed + chances.randrange(1, 60)
        await world.lives()
        await _judge(world, bots)
        await world.take_all()


async def _judge(world: World, bots: int) -> None:
    facts = await world.facts()
    begun = await world.begun()
    claims = sum(isinstance(fact, ModelsClaimed) for fact in facts)
    assert len(world.provider.calls) <= len(begun) <= len(world.provider.calls) + claims
    times = [at for at, _ in world.provider.calls]
    for first in times:
        assert sum(first <= at < first + timedelta(minutes=1) for at in times) <= PER_MINUTE
    assert [fact.call_id for fact in begun] == [f"call-{number}" for number in range(1, len(begun) + 1)]
    assert {fact.call_id for fact in begun} == {fact.call_id for fact in facts if isinstance(fact, ModelCallEnded)}
    assert world.record is not None
    now = world.clock.now()
    for bot_id in world.record.state.spent:
        spent = world.record.state.spent[bot_id]
        assert 0 <= spent.usd <= Decimal("0.004")
        assert 0 <= spent.tokens <= 6000
        usd, tokens = world.record.book.left(Group("bot", bot_id), at=now)
        assert (usd, tokens) == (Decimal("0.004") - spent.usd, 6000 - spent.tokens)
    told = [fact for number in range(bots) for fact in await world.told(f"bot-{number}")]
    assert len({fact.advice_id for fact in told}) == len(told) == len(world.requests)
    for body in [body for fact in told for body in (fact.prompt, fact.answer) if body is not None]:
        await world.bodies.get(body)
    paid = sum((fact.cost for fact in told), Decimal(0))
    cost = sum((fact.cost for fact in facts if isinstance(fact, ModelCallEnded)), Decimal(0))
    assert paid <= cost + Decimal("1e-15")
    assert all(fact.opinions for fact in told if isinstance(fact, AdviceReceived))
