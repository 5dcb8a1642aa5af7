"""Other terms and ordered exits that came between two candles make no difference to those that were lived before."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from events.bot import BotConfigured, ExitOrdered, OrderRequested, TermsTaken
from events.codec import Codec
from events.identifiers import VenueName, bot_stream
from events.memory import MemoryEventLog
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.bot_runner import BotRunner
from oxbot.app.clock import SystemClock
from oxbot.app.handle import handle
from oxbot.app.redecide import Redecided, redecide
from oxbot.core.bot import BotDecider, ConfigureBot, OrderExit, StartBot, StopBot
from oxbot.core.candles import Frame, Series
from oxbot.core.creation import CreateBot
from oxbot.core.strategies import built_in
from oxbot.core.strategy import Strategies
from tests.app.fakes import facts_in, write
from tests.core.lives import BOT, BTC, LOOSE, START, Scripted, Wish, at, candle, creation

pytestmark = pytest.mark.anyio

WISHES = {key: wishes for number in (0, 7, 8) for key, wishes in at(number, Wish()).items()}
SCRIPTED = BotDecider(Strategies(Scripted(WISHES)))
PRICES = [100 + (7 * number * number) % 11 for number in range(120)]
Told = ConfigureBot | OrderExit | StopBot


async def lived(
    *told: Told, before: int = 5, decider: BotDecider = SCRIPTED, command: CreateBot | None = None, length: int = 10
) -> tuple[MemoryEventLog, MemoryCandleStore]:
    """A bot that is told something after so many candles, which it learns of when it next appends."""
    log, candles = MemoryEventLog(Codec()), MemoryCandleStore()
    made = [candle(number, str(PRICES[number] if decider is not SCRIPTED else 100)) for number in range(length)]
    frames = [Frame(each.open_time, ((BTC, each),)) for each in made]
    await candles.add([(Series(VenueName("test"), BTC, "4h"), made)])
    for first in (command or creation(), StartBot()):
        await handle(log, decider, bot_stream(BOT), first, at=START)
    runner = BotRunner(BOT, log=log, decider=decider, candles=candles, clock=SystemClock(), holder="h")
    await runner.claim()
    await runner.observe(frames[:before])
    for each in told:
        await handle(log, decider, bot_stream(BOT), each, at=START)
    await runner.refresh()
    await runner.observe(frames[before:])
    return log, candles


async def again(log: MemoryEventLog, candles: MemoryCandleStore, decider: BotDecider = SCRIPTED) -> Redecided:
    """The life decided again."""
    return await redecide(BOT, log=log, candles=candles, decider=decider)


@pytest.mark.parametrize(
    "told",
    [
        [ConfigureBot(limits=replace(LOOSE, trades_per_day_max=1))],
        [ConfigureBot(name="Two"), ConfigureBot(name="Three")],
        [OrderExit()],
        [ConfigureBot(name="Two"), OrderExit()],
        [StopBot(policy="keep", effective_at=candle(5, "1").open_time)],
    ],
)
@pytest.mark.parametrize("before", [2, 3, 5, 9])
async def test_a_life_in_which_the_bot_was_told_something_is_decided_again_alike(
    told: Sequence[Told], before: int
) -> None:
    log, candles = await lived(*told, before=before)
    found = await again(log, candles)
    assert found.difference is None
    assert found.facts > 0


async def test_the_exit_is_the_first_thing_that_the_bot_does_once_it_knows() -> None:
    log, _ = await lived(OrderExit())
    facts = await facts_in(log, bot_stream(BOT))
    [exit_] = [fact for fact in facts if isinstance(fact, OrderRequested) and fact.reason == "force_exit"]
    assert exit_.at == candle(5, "1").open_time


@pytest.mark.parametrize("left_out", [TermsTaken, ExitOrdered])
async def test_a_life_that_lacks_what_the_bot_was_told_or_made_of_it_is_found_out(left_out: type) -> None:
    log, candles = await lived(ConfigureBot(limits=replace(LOOSE, trades_per_day_max=1)), OrderExit())
    facts = [fact for fact in await facts_in(log, bot_stream(BOT)) if not isinstance(fact, left_out)]
    planted = MemoryEventLog(Codec())
    await write(planted, facts, bot_stream(BOT))
    assert (await again(planted, candles)).difference is not None


async def test_a_bot_whose_new_parameters_look_further_back_is_shown_more_and_decided_again_alike() -> None:
    decider = BotDecider(built_in())
    short, longer = {"fast": "2", "slow": "4", "lookback": "8"}, {"fast": "3", "slow": "9", "lookback": "40"}
    command = creation(strategy="ema_cross", parameters=short, capital="10000")
    log, candles = await lived(ConfigureBot(parameters=longer), before=60, decider=decider, command=command, length=120)
    facts = await facts_in(log, bot_stream(BOT))
    taken = next(number for number, fact in enumerate(facts) if isinstance(fact, TermsTaken))
    assert any(isinstance(fact, OrderRequested) for fact in facts[taken:])
    found = await again(log, candles, decider)
    assert found.difference is None


async def test_other_parameters_than_the_recorded_ones_are_found_out() -> None:
    decider = BotDecider(built_in())
    short, longer = {"fast": "2", "slow": "4", "lookback": "8"}, {"fast": "3", "slow": "9", "lookback": "40"}
    command = creation(strategy="ema_cross", parameters=short, capital="10000")
    log, candles = await lived(ConfigureBot(parameters=longer), before=60, decider=decider, command=command, length=120)
    facts = await facts_in(log, bot_stream(BOT))
    changed = [
        replace(fact, strategy=None, limits=replace(LOOSE, positions_max=7))
        if isinstance(fact, BotConfigured)
        else fact
        for fact in facts
    ]
    planted = MemoryEventLog(Codec())
    await write(planted, changed, bot_stream(BOT))
    assert (await again(planted, candles, decider)).difference is not None
