"""One desk after the other: whoever is superseded stays down while the newer one works, and comes back when needed."""

import asyncio

import pytest

from events.advice import AdviceAbstained, AdviceReceived
from events.envelope import NewEvent
from events.identifiers import MODELS_STREAM, new_event_id
from events.log import ANY_VERSION
from events.models import ModelsClaimed
from oxbot.app.advice_desk import AdviceDesk
from oxbot.app.advice_keeper import IDLE, AdviceKeeper
from tests.app.advised_bots import AdvisedStage, advised, advised_market
from tests.app.fakes import SteppingClock, at_work, eventually, facts_in, stored, written

pytestmark = pytest.mark.anyio

MARKET = advised_market(312)


class Kept:
    """A keeper whose clock a test advances, and how many desks it has begun."""

    def __init__(self, there: AdvisedStage, clock: SteppingClock) -> None:
        self.begun = 0
        self._there = there
        self.keeper = AdviceKeeper(self._begin, log=there.log, clock=clock)

    def _begin(self) -> AdviceDesk:
        self.begun += 1
        return self._there.desk(holder=f"kept-{self.begun}")


async def claimed(there: AdvisedStage, epoch: int) -> None:
    """Another gateway has taken over."""
    fact = ModelsClaimed(epoch=epoch, holder="other")
    [event] = await there.log.read_all(after_position=await there.log.head() - 1)
    new = NewEvent(event_id=new_event_id(), occurred_at=event.occurred_at, fact=fact)
    await there.log.append(MODELS_STREAM, [new], expected=ANY_VERSION)


async def epochs(there: AdvisedStage) -> int:
    """How often the models were claimed."""
    events = await there.log.read_stream(MODELS_STREAM)
    return sum(isinstance(event.fact, ModelsClaimed) for event in events)


async def answers(there: AdvisedStage) -> int:
    """How many requests of the bot were answered."""
    return sum(isinstance(fact, AdviceReceived | AdviceAbstained) for fact in await facts_in(there.log))


async def test_the_superseded_stays_down_and_comes_back_once_requests_wait_and_nobody_works() -> None:
    there = AdvisedStage(await written(advised()), await stored(MARKET))
    newest = (await there.log.read_all())[-1].recorded_at
    clock = SteppingClock(newest)
    kept = Kept(there, clock)
    async with at_work(kept.keeper.run()), asyncio.timeout(60):
        while await epochs(there) < 1:
            await asyncio.sleep(0.005)
        await claimed(there, 2)
        # It learns that it was superseded when it next writes: at the first request.
        await there.live(MARKET, patience_seconds=0)
        await eventually(lambda: bool(clock.slept_seconds))
        for _ in range(3):
            clock.advance(IDLE.total_seconds() / 4)
            await asyncio.sleep(0.02)
        assert (kept.begun, await answers(there)) == (1, 0)
        for _ in range(6):
            clock.advance(IDLE.total_seconds() / 4)
            await asyncio.sleep(0.02)
        while await answers(there) < 1:
            await asyncio.sleep(0.005)
    assert kept.begun == 2
    assert await epochs(there) == 3


async def test_the_superseded_leaves_it_to_a_newer_one_that_is_at_work() -> None:
    there = AdvisedStage(await written(advised()), await stored(MARKET))
    clock = SteppingClock((await there.log.read_all())[-1].recorded_at)
    kept = Kept(there, clock)
    async with at_work(kept.keeper.run()), asyncio.timeout(60):
        while await epochs(there) < 1:
            await asyncio.sleep(0.005)
        async with there.serving(holder="newer"):
            while await epochs(there) < 2:
                await asyncio.sleep(0.005)
            await there.live(MARKET)
            for _ in range(12):
                clock.advance(IDLE.total_seconds() / 4)
                await asyncio.sleep(0.01)
    assert kept.begun == 1
    assert await answers(there) > 0
