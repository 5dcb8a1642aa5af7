"""A status counts from its own candle on, whoever lives when: told to a bot, to nobody, or learnt too late."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.bot import BotFact, BotNoticed, BotPaused, BotStopped, OrderRequested
from events.codec import Codec
from events.errors import LogUnavailable
from events.log import EventLog
from events.memory import MemoryEventLog
from oxbot.app.bot_runner import BotRunner
from oxbot.app.candle_store import CandleStore
from oxbot.app.redecide import redecide
from oxbot.core.bot import BotCommand, CommandRefused, PauseBot, StartBot, StopBot
from oxbot.core.candles import Frame
from tests.app.fakes import (
    STREAM,
    claimed,
    facts_in,
    failing_log,
    frames_after,
    market,
    state_in,
    stored,
    tell,
    written,
)
from tests.core import market_strategies as markets
from tests.core.market_strategies import dated
from tests.core.scenario import BOT, DECIDER, STEP, created, deposited, moment, running
from tests.examples import some

pytestmark = pytest.mark.anyio

BUSY = market(120, seed=7)
NEW: list[BotFact] = [created(), deposited()]
Words = Mapping[int, Sequence[BotCommand]]

# What becomes of a bot at one candle.
LIVES = "learns what it was told and lives on"
LAGS = "lives on as far as it can without learning"
DIES = "is gone, and nobody takes over"
RESTARTS = "is gone, and another takes over"


class Fate:
    """A bot's life candle by candle: words come as the market stands, incarnations live, lag, die and restart."""

    def __init__(self, log: MemoryEventLog, store: CandleStore, *, seen_by: EventLog) -> None:
        self._log = log
        self._store = store
        self._seen_by = seen_by
        self._incarnation: BotRunner | None = None

    async def live(self, frames: Sequence[Frame], words: Words, plan: Mapping[int, str]) -> None:
        """Tell the words before the candle of that number; incarnations see the log through ``seen_by``."""
        unlearnt: int | None = None
        for number in range(len(frames) + 1):
            for word in words.get(number, ()):
                unlearnt = number if unlearnt is None else unlearnt
                with suppress(CommandRefused):
                    await tell(self._log, dated(word, number))
            action = plan.get(number, LIVES) if number < len(frames) else LIVES
            until = number if action != LAGS or unlearnt is None else min(number, unlearnt - 1)
            if await self._act(action, frames[: until + 1]):
                unlearnt = None

    async def _act(self, action: str, frames: Sequence[Frame]) -> bool:
        """Whether the bot has now learnt everything."""
        if action in (DIES, RESTARTS):
            self._incarnation = None
        if action == DIES:
            return False
        learns = action != LAGS or self._incarnation is None
        while True:
            try:
                if self._incarnation is None:
                    self._incarnation = await claimed(self._seen_by, self._store)
                elif learns:
                    await self._incarnation.refresh()
                await self._incarnation.observe(frames_after(frames, self._incarnation.cursor))
            except LogUnavailable:
                self._incarnation, learns = None, True
            else:
                return learns


async def life(
    words: Words,
    plan: Mapping[int, str] | None = None,
    *,
    facts: Sequence[BotFact] = NEW,
    frames: Sequence[Frame] = BUSY,
    failing: tuple[Collection[int], Collection[int]] = ((), ()),
) -> MemoryEventLog:
    """The log of a bot to which that happened; without a plan it lives undisturbed and learns every word at once."""
    log = await written(facts)
    lost, refused = failing
    seen_by = failing_log(log, lost=lost, refused=refused)
    await Fate(log, await stored(frames), seen_by=seen_by).live(frames, words, plan or {})
    return log


async def cycles(log: EventLog) -> list[tuple[datetime, bytes]]:
    """What the bot's cycles led to: times and payloads."""
    encode = Codec().encode
    events = await log.read_stream(STREAM)
    cycled = [event for event in events if hasattr(event.fact, "at") and not isinstance(event.fact, BotNoticed)]
    return [(event.occurred_at, encode(event.fact)[2]) for event in cycled]


async def entries(log: EventLog) -> list[int]:
    """The candles in which the bot decided to enter."""
    facts = await facts_in(log)
    return [
        (fact.at - moment(0)) // STEP for fact in facts if isinstance(fact, OrderRequested) and fact.reason == "entry"
    ]


SCENARIOS: dict[str, tuple[Words, range]] = {
    "created, and started much later": ({60: [StartBot()]}, range(60, 120)),
    "created, and started while nobody lives": ({60: [StartBot()]}, range(60, 120)),
    "paused from the beginning and resumed": ({0: [StartBot(), PauseBot()], 60: [StartBot()]}, range(60, 120)),
    "paused": ({0: [StartBot()], 60: [PauseBot("lunch")]}, range(60)),
    "paused and resumed": ({0: [StartBot()], 40: [PauseBot()], 80: [StartBot()]}, range(120)),
    "stopped": ({0: [StartBot()], 60: [StopBot("enough")]}, range(60)),
}
PLANS: dict[str, dict[int, str]] = {
    "nobody lives before": dict.fromkeys(range(90), DIES),
    "dies early": dict.fromkeys(range(30, 90), DIES),
    "dies just before": dict.fromkeys(range(39, 62), DIES),
    "restarts after every candle": dict.fromkeys(range(120), RESTARTS),
    "restarts without having learnt": {60: RESTARTS, 61: RESTARTS},
    "lags and then restarts": {**dict.fromkeys(range(35, 70), LAGS), 70: RESTARTS},
    "lags and then learns": dict.fromkeys(range(35, 90), LAGS),
}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_whoever_lives_when_the_word_comes_the_bot_does_the_same(scenario: str, plan: str) -> None:
    words, entering = SCENARIOS[scenario]
    undisturbed = await life(words)
    assert await entries(undisturbed), "it enters, or the comparison says nothing"
    assert set(await entries(undisturbed)) <= set(entering)

    log = await life(words, PLANS[plan])

    assert await cycles(log) == await cycles(undisturbed)
    assert (await state_in(log)).ledger == (await state_in(undisturbed)).ledger
    assert not any(isinstance(fact, BotNoticed) for fact in await facts_in(log)), "it knew every word in time"


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_an_append_that_fails_at_any_moment_changes_nothing_of_it(scenario: str) -> None:
    words, _ = SCENARIOS[scenario]
    undisturbed = await cycles(await life(words))
    for plan in ({}, PLANS["dies early"]):
        log = await life(words, plan, failing=(range(2, 999, 2), range(3, 999, 4)))
        assert await cycles(log) == undisturbed


@given(
    frames=markets.frames(),
    facts=markets.bots(),
    words=st.dictionaries(
        st.integers(0, 60),
        st.lists(st.sampled_from([StartBot(), PauseBot(), StartBot(), PauseBot(), StopBot()]), min_size=1, max_size=3),
        max_size=5,
    ),
    plan=st.dictionaries(st.integers(0, 60), st.sampled_from([LAGS, DIES, RESTARTS]), max_size=60),
    failing=st.tuples(st.sets(st.integers(1, 60), max_size=10), st.sets(st.integers(1, 60), max_size=10)),
    begun=st.booleans(),
)
@some(100)
def test_any_schedule_of_words_and_deaths_leads_to_the_cycles_of_the_undisturbed_life(  # noqa: PLR0917 - all by name
    frames: list[Frame],
    facts: list[BotFact],
    words: Words,
    plan: Mapping[int, str],
    failing: tuple[Collection[int], Collection[int]],
    begun: bool,
) -> None:
    """As long as no incarnation lives a candle without a word that counts for it."""
    facts = facts if begun else facts[:2]

    async def exercise() -> None:
        undisturbed = await life(words, facts=facts, frames=frames)
        log = await life(words, plan, facts=facts, frames=frames, failing=failing)
        assert await cycles(log) == await cycles(undisturbed)
        for lived in (log, undisturbed):
            result = await redecide(BOT, log=lived, candles=await stored(frames), decider=DECIDER)
            assert result.difference is None
        assert not any(isinstance(fact, BotNoticed) for fact in await facts_in(log))

    asyncio.run(exercise())


async def test_a_stopped_bot_does_not_end_before_the_candles_that_it_has_to_catch_up_with() -> None:
    """It died at candle 10, flat; the stop came at candle 60, when nobody lived."""
    log, candles = await written(running()), await stored(BUSY)
    await (await claimed(log, candles)).observe(BUSY[:3])
    await tell(log, StopBot(effective_at=moment(60)))
    incarnation = await claimed(log, candles)
    ends: list[int] = []
    for number, frame in enumerate(BUSY[:66]):
        if incarnation.finished:
            ends.append(number)
        await incarnation.observe([frame])

    assert await entries(log)
    assert ends
    assert min(ends) >= 60
    assert incarnation.finished


async def test_a_flat_bot_ends_with_the_last_candle_before_its_stop_counts() -> None:
    log, candles = await written([*NEW, BotStopped(effective_at=moment(10))]), await stored(BUSY)
    incarnation = await claimed(log, candles)
    await incarnation.observe(BUSY[:9])
    assert not incarnation.finished
    await incarnation.observe(BUSY[9:10])
    assert incarnation.finished


@pytest.mark.parametrize("told_for", [None, 50, 60], ids=["undated", "learnt late", "in time"])
@pytest.mark.parametrize("restarted", [True, False])
async def test_a_word_that_was_learnt_late_is_learnt_once_and_for_all(told_for: int | None, restarted: bool) -> None:
    """A resume for candle 50 reaches the bot after candle 59: neither it nor its successor lives those ten again."""
    log, candles = await written([*running(), BotPaused(effective_at=moment(0))]), await stored(BUSY)
    incarnation = await claimed(log, candles)
    await incarnation.observe(BUSY[:60])
    await tell(log, dated(StartBot(), told_for))
    await incarnation.refresh()
    if restarted:
        incarnation = await claimed(log, candles)
    await incarnation.observe(BUSY)

    notices = [fact for fact in await facts_in(log) if isinstance(fact, BotNoticed)]
    assert notices == ([] if told_for == 60 else [BotNoticed(at=moment(59))])
    assert await cycles(log) == await cycles(await life({0: [StartBot(), PauseBot()], 60: [StartBot()]}))


async def test_what_is_learnt_with_a_lost_race_is_noticed_before_the_cycle() -> None:
    """A bot that was not told of its stop lives on, holding, until its own append meets the word in the log."""
    leaves_at = await _quiet_until_exit()
    log, candles = await written(running()), await stored(BUSY)
    incarnation = await claimed(log, candles)
    await incarnation.observe(BUSY[: leaves_at - 1])
    await tell(log, StopBot(effective_at=moment(leaves_at - 1)))
    await incarnation.observe(BUSY[leaves_at - 1 : leaves_at + 1])

    *_, notice, sale = await facts_in(log)
    assert notice == BotNoticed(at=moment(leaves_at - 1))
    assert isinstance(sale, OrderRequested)
    assert (sale.reason, sale.at) == ("bot_stopped", moment(leaves_at))
    result = await redecide(BOT, log=log, candles=candles, decider=DECIDER)
    assert result.difference is None


async def _quiet_until_exit() -> int:
    """The number of a frame in which the undisturbed bot asks to sell, after one of which no fact tells."""
    facts = await facts_in(await life({0: [StartBot()]}))
    told = {getattr(fact, "at", None) for fact in facts}
    exits = [fact.at for fact in facts if isinstance(fact, OrderRequested) and fact.reason == "exit_signal"]
    return next((at - moment(0)) // STEP for at in exits if at - STEP not in told)
