"""The bots of one host look at one series: what is computed of it is computed once, and each lives as if alone."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.bot import BotCreated, BotFact
from events.codec import Codec
from events.identifiers import BotId, bot_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from events.values import Parameter, StrategyReference
from oxbot.app.bot_runner import FRAMES_AT_ONCE
from oxbot.app.candle_store import CandleStore
from oxbot.app.host_runner import HostRunner
from oxbot.core.bot import BotDecider
from oxbot.core.market_view import CandleWindow
from oxbot.core.strategies import built_in
from oxbot.core.strategy import Signal, Strategies, StrategyState
from tests.app.fakes import (
    ListedFeed,
    SteppingClock,
    UnsteadyLog,
    at_work,
    eventually,
    facts_in,
    funded,
    history,
    market,
    stored,
    write,
)
from tests.core.scenario import STEP, moment

pytestmark = pytest.mark.anyio

FRAMES = market(120, seed=7)
END = moment(119)
WINDOW = 5


class Counting:
    """A strategy that never acts and counts which candles it computes something of."""

    name = "counting"
    version = 1
    window = WINDOW
    size_fraction_max = built_in().bind(built_in().refer("ema_cross", {})).size_fraction_max

    def __init__(self) -> None:
        self.computed: Counter[datetime] = Counter()
        self.observed: Counter[datetime] = Counter()
        self.newest = moment(0)
        self.lag_max = timedelta(0)

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        """It has none."""
        del given
        return ()

    def bind(self, parameters: tuple[Parameter, ...]) -> "Counting":
        """Itself."""
        del parameters
        return self

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """Have the mean of the closes computed, or find it."""
        del state
        if len(window) == WINDOW and window.last is not None:
            self.observed[window.last.open_time] += 1
            self.newest = max(self.newest, window.last.open_time)
            self.lag_max = max(self.lag_max, self.newest - window.last.open_time)
            window.memo("mean", lambda: self._compute(window))
        return None

    def _compute(self, window: CandleWindow) -> float:
        assert window.last is not None
        self.computed[window.last.open_time] += 1
        return float(window.closes(WINDOW).mean())


def counting(bot_id: BotId, *, begins: int = 0) -> list[BotFact]:
    """A running bot of that strategy whose market begins with a candle."""
    facts = beginning(funded(bot_id), begins)
    assert isinstance(facts[0], BotCreated)
    strategy = StrategyReference(name="counting", version=1, parameters=())
    return [msgspec.structs.replace(facts[0], strategy=strategy), *facts[1:]]


def beginning(facts: Sequence[BotFact], number: int) -> list[BotFact]:
    """A creation, and what follows it, moved to a market that begins with a candle."""
    creation, *rest = facts
    assert isinstance(creation, BotCreated)
    later = msgspec.structs.replace(creation.market, begins_at=moment(number))
    return [msgspec.structs.replace(creation, market=later), *rest]


async def log_of(bots: Mapping[BotId, Sequence[BotFact]]) -> MemoryEventLog:
    """A log in which these bots have begun."""
    log = MemoryEventLog(Codec())
    for bot_id, facts in bots.items():
        await write(log, facts, bot_stream(bot_id))
    return log


async def live(
    bots: Sequence[BotId], log: EventLog, candles: CandleStore, *, strategies: Strategies, page: int = 60
) -> None:
    """Let the bots live in one host until all have seen the last frame."""
    feed, clock = ListedFeed(FRAMES, page=page), SteppingClock()
    host = HostRunner("host", log=log, decider=BotDecider(strategies), feed=feed, candles=candles, clock=clock)
    await host.place(bots)
    async with at_work(host.run()):
        await eventually(lambda: [presence.cursor for presence in host.status(1).bots] == [END] * len(bots))


@pytest.mark.parametrize("page", [1, 7, 120])
async def test_bots_of_one_host_compute_once_what_they_see_alike(page: int) -> None:
    bots = {BotId(name): counting(BotId(name)) for name in ("a", "b", "c")}
    strategy = Counting()

    await live(list(bots), await log_of(bots), await stored(FRAMES), strategies=Strategies(strategy), page=page)

    expected = [moment(number) for number in range(WINDOW - 1, 120)]
    assert strategy.observed == dict.fromkeys(expected, 3)
    assert strategy.computed == dict.fromkeys(expected, 1)
    assert strategy.lag_max <= FRAMES_AT_ONCE * STEP, "so that what was computed is still remembered"


async def test_bots_that_come_back_at_different_candles_share_again_once_they_see_alike() -> None:
    """One begins at candle 0, one at 30 with earlier candles in the store; the later one's first windows are short."""
    early, late = BotId("early"), BotId("late")
    bots = {early: counting(early), late: counting(late, begins=30)}
    strategy = Counting()

    await live([late, early], await log_of(bots), await stored(FRAMES), strategies=Strategies(strategy))

    both = {moment(number) for number in range(30 + WINDOW - 1, 120)}
    assert {at for at, times in strategy.observed.items() if times == 2} == both
    assert {at for at, times in strategy.computed.items() if times == 1} >= {at for at in both if at > moment(60)}


@given(begins=st.lists(st.integers(0, 60), min_size=2, max_size=4), page=st.integers(1, 50), seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_bots_that_begin_at_different_candles_live_together_as_each_does_alone(
    begins: list[int], page: int, seed: int
) -> None:
    """Every fact is the same, the digests of the windows that they decided on among them."""

    async def exercise() -> None:
        bots = {
            BotId(f"bot-{number}"): beginning(funded(BotId(f"bot-{number}")), begin)
            for number, begin in enumerate(begins)
        }
        candles, together = await stored(FRAMES), await log_of(bots)
        unsteady = UnsteadyLog(together, seed)
        await live(list(bots), unsteady, candles, strategies=built_in(), page=page)
        for bot_id, facts in bots.items():
            alone = await log_of({bot_id: facts})
            await live([bot_id], alone, candles, strategies=built_in(), page=page)
            assert await history(together, bot_stream(bot_id)) == await history(alone, bot_stream(bot_id))
            assert len(await facts_in(alone, bot_stream(bot_id))) > len(facts) + 1

    asyncio.run(exercise())
