"""What models answered is read again from what is stored, and leads to what is on record; else that is said."""

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec
import pytest

from events.advice import AdviceAbstained, AdviceReceived, AdviceRequested, Opinion, Refusal
from events.bot import BotFact
from oxbot.adapters.memory_bodies import MemoryBodies
from oxbot.app.advice_replay import Reread, reread
from oxbot.app.bodies import BodyMissing, BodyStore, body_hash
from oxbot.app.models.transport import Completion
from tests.app.advised_bots import AdvisedStage, CountedTransport, advised, advised_market
from tests.app.fakes import facts_in, stored, written
from tests.core.scenario import BOT, BTC, DECIDER, running

pytestmark = pytest.mark.anyio

MARKET = advised_market(360)
Change = Callable[[AdviceReceived], AdviceReceived]


async def advised_life(answer: Completion | None = None) -> AdvisedStage:
    """An installation in which one bot has lived through the market, advised."""
    there = AdvisedStage(await written(advised()), await stored(MARKET))
    async with there.serving(transport=CountedTransport(answer)):
        await there.live(MARKET)
    return there


async def again(there: AdvisedStage, facts: Sequence[BotFact] | None = None, bodies: BodyStore | None = None) -> Reread:
    """What reading it all again finds; of other facts or bodies if any are given."""
    log = there.log if facts is None else await written(facts)
    return await reread(BOT, log=log, candles=there.candles, bodies=bodies or there.bodies, decider=DECIDER)


async def changed(there: AdvisedStage, change: Change) -> tuple[list[BotFact], AdviceReceived]:
    """The bot's facts with its second answer changed; and that answer."""
    facts = await facts_in(there.log)
    second = [fact for fact in facts if isinstance(fact, AdviceReceived)][1]
    return [change(fact) if fact is second else fact for fact in facts], second


async def test_every_stored_answer_leads_to_the_opinions_on_record_without_a_call() -> None:
    there = await advised_life()
    calls = len(there.transport.calls)
    found = await again(there)
    assert (found.requests, found.answers, found.difference) == (6, 6, None)
    assert len(there.transport.calls) == calls


@pytest.mark.parametrize(
    "change",
    [
        lambda fact: msgspec.structs.replace(fact, opinions=()),
        lambda fact: msgspec.structs.replace(
            fact, opinions=(Opinion(symbol=BTC, action="short", weight=10_000, confidence=100, horizon=1),)
        ),
        lambda fact: msgspec.structs.replace(
            fact, opinions=(msgspec.structs.replace(fact.opinions[0], invalidation=Decimal("0.1")),)
        ),
        lambda fact: msgspec.structs.replace(fact, refusals=(Refusal(item=0, fault="of nothing"),)),
        lambda fact: msgspec.structs.replace(fact, answer=body_hash(b"garbage")),
    ],
    ids=["no opinion", "another opinion", "another level", "another refusal", "another answer"],
)
async def test_an_answer_that_says_something_else_is_named(change: Change) -> None:
    there = await advised_life()
    await there.bodies.put(b"garbage")
    facts, answer = await changed(there, change)
    found = await again(there, facts)
    assert found.difference is not None
    assert (found.difference.bot_id, found.difference.advice_id) == (BOT, answer.advice_id)


async def test_an_answer_or_a_prompt_that_is_not_stored_is_an_error_that_names_it() -> None:
    there = await advised_life()
    facts = await facts_in(there.log)
    first = next(fact for fact in facts if isinstance(fact, AdviceReceived))
    for kept, missing in ((first.answer, first.prompt), (first.prompt, first.answer)):
        partly = MemoryBodies()
        await partly.put(await there.bodies.get(kept))
        with pytest.raises(BodyMissing) as caught:
            await again(there, bodies=partly)
        assert caught.value.body == missing


async def test_a_snapshot_that_is_not_what_the_bot_saw_is_named() -> None:
    there = await advised_life()
    facts = await facts_in(there.log)
    other = [
        msgspec.structs.replace(fact, snapshot="0" * 32) if isinstance(fact, AdviceRequested) else fact
        for fact in facts
    ]
    found = await again(there, other)
    assert found.difference is not None
    assert "the snapshot is" in found.difference.reason


async def test_an_abstention_is_read_over_but_its_bodies_must_be_there() -> None:
    there = await advised_life(Completion(text="no JSON", resolved_model="talker"))
    facts = await facts_in(there.log)
    assert any(isinstance(fact, AdviceAbstained) and fact.answer is not None for fact in facts)
    found = await again(there)
    assert (found.answers, found.difference) == (0, None)
    assert found.requests > 1
    with pytest.raises(BodyMissing):
        await again(there, bodies=MemoryBodies())


async def test_a_bot_that_asks_nobody_has_nothing_to_be_read_again() -> None:
    found = await reread(
        BOT,
        log=await written(running()),
        candles=await stored(MARKET),
        bodies=MemoryBodies(),
        decider=DECIDER,
    )
    assert found == Reread(BOT, 0, 0)
