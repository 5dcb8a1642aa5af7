"""One incarnation of a bot: it recovers from the log alone, yields to a newer one, and learns what others say."""

import asyncio
from collections.abc import Collection, Sequence
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.bot import BotClaimed, BotCreated, BotFact, BotPaused, CapitalDeposited, OrderRequested
from events.codec import Codec
from events.envelope import NewEvent
from events.errors import LogUnavailable
from events.log import EventLog
from events.memory import MemoryEventLog
from oxbot.app.bot_runner import BotRunner, Superseded
from oxbot.app.candle_store import CandleStore
from oxbot.app.redecide import redecide
from oxbot.core.bot import BotCommand, ClaimBot, CommandRefused, DepositCapital, PauseBot, StartBot, StopBot
from oxbot.core.candles import Frame
from tests.app.fakes import (
    STREAM,
    HookedLog,
    UnsteadyLog,
    claimed,
    facts_in,
    failing_log,
    frames_after,
    history,
    lived,
    market,
    runner,
    state_in,
    stored,
    tell,
    written,
)
from tests.core import market_strategies as markets
from tests.core.scenario import BOT, BTC, DECIDER, ETH, STEP, created, instrument, moment, running
from tests.examples import some

pytestmark = pytest.mark.anyio

BUSY = market(120, seed=7)


async def live_on(log: EventLog, candles: CandleStore, frames: Sequence[Frame], killed_after: Collection[int]) -> None:
    """Live through the frames, one incarnation after another: each goes when it is killed or the log fails it."""
    incarnation = await _persistently_claimed(log, candles)
    while remaining := frames_after(frames, incarnation.cursor):
        try:
            for frame in remaining:
                await incarnation.observe([frame])
                if frames.index(frame) in killed_after:
                    killed_after = [number for number in killed_after if number != frames.index(frame)]
                    break
            else:
                return
        except LogUnavailable:
            pass
        incarnation = await _persistently_claimed(log, candles)


async def _persistently_claimed(log: EventLog, candles: CandleStore) -> BotRunner:
    while True:
        try:
            return await claimed(log, candles)
        except LogUnavailable:
            continue


async def test_a_busy_bot_does_something_worth_recovering() -> None:
    """What the tests below rest on: every way into and out of a position happens in the busy market."""
    facts = await facts_in(await lived(BUSY))
    reasons = [fact.reason for fact in facts if isinstance(fact, OrderRequested)]
    assert {"entry", "exit_signal", "stop_loss", "take_profit"} <= set(reasons)
    assert len(facts) > 80


async def test_acceptance_06_a_bot_killed_after_every_single_frame_lives_the_same_life() -> None:
    log = await written(running())
    await live_on(log, await stored(BUSY), BUSY, range(len(BUSY)))

    assert await history(log) == await history(await lived(BUSY))
    assert sum(isinstance(fact, BotClaimed) for fact in await facts_in(log)) == len(BUSY) + 1


async def test_acceptance_06_a_bot_that_loses_the_answer_to_every_append_lives_the_same_life() -> None:
    inner = await written(running())
    log = failing_log(inner, lost=range(2, 1000, 2), refused=range(3, 1000, 4))
    await live_on(log, await stored(BUSY), BUSY, [])

    assert await history(inner) == await history(await lived(BUSY))


@given(
    facts=markets.bots(),
    frames=markets.frames(),
    killed_after=st.sets(st.integers(0, 59)),
    lost=st.sets(st.integers(1, 60), max_size=20),
    refused=st.sets(st.integers(1, 60), max_size=20),
)
@some(60)
def test_whenever_it_is_killed_a_bot_lives_the_same_life(
    facts: list[BotFact], frames: list[Frame], killed_after: set[int], lost: set[int], refused: set[int]
) -> None:
    """Killed after a frame, after an append whose answer was lost, or before one that did not arrive."""

    async def exercise() -> None:
        inner = await written(facts)
        log = failing_log(inner, lost=lost, refused=refused)
        await live_on(log, await stored(frames), frames, killed_after)
        assert await history(inner) == await history(await lived(frames, facts))

    asyncio.run(exercise())


async def test_recovery_shows_the_bot_nothing_from_before_its_market_began() -> None:
    """With earlier candles in the store, a bot's first incarnation and its second decide as if there were none."""
    begun = running(parameters={"fast": "2", "slow": "3", "lookback": "8"})
    late = [fact_from(fact, 40) for fact in begun]
    log, candles = await written(late), await stored(BUSY)

    await live_on(log, candles, BUSY[40:], range(0, len(BUSY), 7))

    assert await history(log) == await history(await lived(BUSY[40:], late))


def fact_from(fact: BotFact, number: int) -> BotFact:
    """A creation moved to a market that begins with candle ``number``."""
    if not isinstance(fact, BotCreated):
        return fact
    return msgspec.structs.replace(fact, market=msgspec.structs.replace(fact.market, begins_at=moment(number)))


async def test_before_its_first_candle_the_cursor_is_one_candle_before_the_market() -> None:
    incarnation = await claimed(await written(running(instrument(ETH), instrument(BTC))), await stored([]))

    assert incarnation.cursor == moment(0) - STEP
    assert (incarnation.version, incarnation.state.epoch) == (4, 1)
    assert set(incarnation.symbols) == {BTC, ETH}


async def test_the_cursor_is_what_was_shown_and_the_version_what_was_appended() -> None:
    log = await written(running())
    incarnation = await claimed(log, await stored(BUSY))

    await incarnation.observe(BUSY[:30])

    assert incarnation.cursor == moment(29)
    assert incarnation.version == await log.head()
    assert incarnation.state == await state_in(log)


async def test_a_recovered_bot_goes_on_after_the_newest_candle_that_left_a_fact() -> None:
    log, candles = await written(running()), await stored(BUSY)
    await (await claimed(log, candles)).observe(BUSY[:30])

    cursor = (await claimed(log, candles)).cursor

    assert cursor == (await state_in(log)).cursor
    assert moment(20) < cursor <= moment(29)


async def test_what_a_candle_leads_to_occurs_at_its_close() -> None:
    events = await (await lived(BUSY)).read_stream(STREAM)
    cycles = [(event.fact.at, event.occurred_at) for event in events if isinstance(event.fact, OrderRequested)]
    assert cycles
    assert all(occurred_at == at + STEP for at, occurred_at in cycles)


async def test_a_bot_that_does_not_exist_cannot_be_claimed() -> None:
    with pytest.raises(CommandRefused, match="no such bot"):
        await runner(MemoryEventLog(Codec()), await stored([])).claim()


@given(pages=st.lists(st.tuples(st.integers(0, 119), st.integers(1, 40)), max_size=12))
@settings(max_examples=50)
def test_frames_that_come_again_or_overlap_change_nothing(pages: list[tuple[int, int]]) -> None:
    """A page never begins beyond the frame after the last one, as no feed leaves any out; else pages are at random."""

    async def exercise() -> None:
        log = await written(running())
        incarnation = await claimed(log, await stored(BUSY))
        seen = 0
        for first, length in [*pages, (0, len(BUSY))]:
            page = BUSY[min(first, seen) : min(first, seen) + length]
            await incarnation.observe(page)
            seen = max(seen, min(first, seen) + len(page))
        assert await history(log) == await history(await lived(BUSY))

    asyncio.run(exercise())


async def test_a_frame_that_is_left_out_is_gone_and_is_found_by_deciding_again() -> None:
    """A runner trusts its feed: it lives on without the frame, ignores it when it comes late, and replay tells."""
    log, candles = await written(running()), await stored(BUSY)
    entry = await _second_entry()
    incarnation = await claimed(log, candles)

    await incarnation.observe([frame for frame in BUSY if frame is not BUSY[entry]])
    late = await log.head()
    await incarnation.observe([BUSY[entry]])

    assert await log.head() == late
    result = await redecide(BOT, log=log, candles=candles, decider=DECIDER)
    assert result.difference is not None
    assert result.difference.at == moment(entry)


async def _second_entry() -> int:
    """The number of the frame in which the undisturbed bot enters again."""
    facts = await facts_in(await lived(BUSY))
    entries = [fact.at for fact in facts if isinstance(fact, OrderRequested) and fact.reason == "entry"]
    return (entries[1] - moment(0)) // STEP


async def test_acceptance_05_a_newer_claim_ends_a_bot_before_it_appends_anything() -> None:
    log, candles = await written(running()), await stored(BUSY)
    old = await claimed(log, candles, holder="old")
    await old.observe(BUSY[:10])
    await claimed(log, candles, holder="new")
    head = await log.head()

    with pytest.raises(Superseded, match="epoch 2 has taken over from 1"):
        await old.observe(BUSY[10:])

    assert await log.head() == head


async def test_a_newer_claim_that_is_learnt_by_refresh_ends_a_bot() -> None:
    log, candles = await written(running()), await stored(BUSY)
    old = await claimed(log, candles)
    await claimed(log, candles)

    with pytest.raises(Superseded):
        await old.refresh()
    with pytest.raises(Superseded):
        await old.observe(BUSY)
    assert await log.head() == 5


@given(number=st.integers(2, 20))
@settings(max_examples=20)
def test_acceptance_05_a_newer_claim_between_fold_and_append_lets_that_append_fail(number: int) -> None:
    """The claim comes just before the old incarnation's append of that number: nothing of it is stored."""

    async def exercise() -> None:
        inner, candles = await written(running()), await stored(BUSY)

        async def intrude(attempt: int, events: Sequence[NewEvent]) -> None:
            del events
            if attempt == number:
                await tell(inner, ClaimBot("new"))

        log = HookedLog(inner, before=intrude)
        old = await claimed(log, candles, holder="old")
        with pytest.raises(Superseded):
            await old.observe(BUSY)

        events = await inner.read_stream(STREAM)
        assert events[-1].fact == BotClaimed(epoch=2, holder="new")
        assert len(log.attempts) == number
        await live_on(inner, candles, BUSY, [])
        assert await history(inner) == await history(await lived(BUSY))

    asyncio.run(exercise())


async def entries_after(command_at: int, *commands: BotCommand, refresh: bool) -> list[int]:
    """The candles in which a bot that others told something at that candle enters from there on."""
    log, candles = await written(running()), await stored(BUSY)
    incarnation = await claimed(log, candles)
    await incarnation.observe(BUSY[:command_at])
    for command in commands:
        await tell(log, command)
    if refresh:
        await incarnation.refresh()
        assert incarnation.state == await state_in(log)
    await incarnation.observe(BUSY[command_at:])
    facts = await facts_in(log)
    return [
        (fact.at - moment(0)) // STEP
        for fact in facts
        if isinstance(fact, OrderRequested) and fact.reason == "entry" and fact.at >= moment(command_at)
    ]


@pytest.mark.parametrize("refresh", [True, False])
async def test_a_pause_by_others_is_obeyed_at_the_next_candle_learnt_or_not(refresh: bool) -> None:
    """Without a refresh the append's expected version tells the bot."""
    assert await entries_after(30, PauseBot("by hand"), refresh=refresh) == []
    assert len(await entries_after(30, refresh=refresh)) > 3


async def test_a_resumed_bot_enters_again() -> None:
    undisturbed = await entries_after(30, refresh=True)
    assert await entries_after(30, PauseBot(), StartBot(), refresh=True) == undisturbed


async def test_a_stop_by_others_lets_the_bot_close_and_end() -> None:
    log, candles = await written(running()), await stored(BUSY)
    incarnation = await claimed(log, candles)
    holding = 0
    while not _holds_quietly(incarnation):
        await incarnation.observe([BUSY[holding]])
        holding += 1
    await tell(log, StopBot("enough"))

    await incarnation.refresh()
    assert not incarnation.finished
    await incarnation.observe(BUSY[holding : holding + 2])

    assert incarnation.finished
    [*_, sale] = [fact for fact in await facts_in(log) if isinstance(fact, OrderRequested)]
    assert (sale.reason, sale.at) == ("bot_stopped", moment(holding))


def _holds_quietly(incarnation: BotRunner) -> bool:
    """Whether it holds something and wants to change nothing."""
    state = incarnation.state
    return bool(state.ledger.positions) and all(order.kind != "market" for order in state.orders.values())


@given(seed=st.integers(0, 2**32), told=st.lists(st.sampled_from([PauseBot(), StartBot(), DepositCapital(Decimal(7))])))
@some(30)
def test_refreshing_while_observing_loses_no_fact_and_skips_no_fill(
    seed: int, told: list[PauseBot | StartBot | DepositCapital]
) -> None:
    """One task observes, one refreshes, one tells the bot things; in the end all three see one consistent life."""

    async def exercise() -> None:
        inner, candles = await written(running()), await stored(BUSY)
        log = UnsteadyLog(inner, seed)
        incarnation = await claimed(log, candles)
        done = asyncio.Event()

        async def observe() -> None:
            for frame in BUSY:
                await incarnation.observe([frame])
                await asyncio.sleep(0)
            done.set()

        async def refresh() -> None:
            while not done.is_set():
                await incarnation.refresh()
                await asyncio.sleep(0)

        async def tell_all() -> None:
            for command in told:
                await tell(log, command)
                await asyncio.sleep(0)

        await asyncio.gather(observe(), refresh(), tell_all())
        await incarnation.refresh()

        facts = await facts_in(inner)
        assert incarnation.state == await state_in(inner)
        assert incarnation.version == len(facts)
        assert sum(isinstance(fact, CapitalDeposited) for fact in facts) == 1 + told.count(DepositCapital(Decimal(7)))
        result = await redecide(BOT, log=inner, candles=candles, decider=DECIDER)
        assert result.difference is None
        assert incarnation.state.ledger.imbalance() == 0

    asyncio.run(exercise())


async def _life_with_a_resume(at: int, *, restarted: bool) -> list[BotFact]:
    """A bot that is paused from the beginning, is resumed at a candle, and restarts just after, or does not."""
    log, candles = await written([*running(), BotPaused()]), await stored(BUSY)
    incarnation = await claimed(log, candles)
    await incarnation.observe(BUSY[:at])
    await tell(log, StartBot())
    await incarnation.refresh()
    if restarted:
        incarnation = await claimed(log, candles)
    await incarnation.observe(BUSY)
    return [fact for fact in await facts_in(log) if not isinstance(fact, BotClaimed)]


async def test_a_bot_that_restarts_after_a_resume_does_not_trade_the_candles_of_its_pause() -> None:
    assert await _life_with_a_resume(60, restarted=True) == await _life_with_a_resume(60, restarted=False)


async def test_created_is_one_thing_and_started_another() -> None:
    """A bot that was never started sees its market and does nothing."""
    log = await written([created(), *running()[1:2]])
    incarnation = await claimed(log, await stored(BUSY))
    await incarnation.observe(BUSY)
    assert len(await facts_in(log)) == 3
