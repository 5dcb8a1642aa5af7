"""A live bot's gate refuses what its account would not let out, and replay finds that it had to."""

from datetime import timedelta

import pytest

from events.account import AccountArmed, AccountDisarmed, AccountOpened, AccountUnreconciled
from events.bot import BotArmed, DecisionMade, OrderDenied, OrderRequested
from events.identifiers import VenueName, account_stream
from events.memory import MemoryEventLog
from oxbot.app.account_watch import KEPT, AccountWatch
from oxbot.app.bot_runner import BotRunner
from oxbot.app.redecide import redecide
from oxbot.core.bot_state import BotState
from tests.app.fakes import SteppingClock, facts_in, state_in, stored, written
from tests.app.test_execution_at_exchange import append
from tests.app.test_live_bots import ACCOUNT, FRAMES, LIVE
from tests.core.scenario import BOT, DECIDER, START, running

pytestmark = pytest.mark.anyio

STREAM = account_stream(ACCOUNT)
ARMED = AccountArmed(until=START + timedelta(days=20))


async def opened() -> tuple[MemoryEventLog, AccountWatch, SteppingClock]:
    """An account that nobody has armed, with a bot that is armed for 30 days."""
    log, clock = await written(LIVE), SteppingClock()
    await append(log, STREAM, AccountOpened(account=ACCOUNT, venue=VenueName("okx")))
    return log, AccountWatch(log, clock), clock


async def test_an_account_is_shut_by_its_arming_by_the_bots_and_by_what_its_execution_found() -> None:
    log, watch, clock = await opened()
    bot: BotState = await state_in(log)
    assert await watch.fault(bot) == "the account is not armed"
    await append(log, STREAM, ARMED)
    assert await watch.fault(bot) == "the account is not armed"
    clock.advance(KEPT.total_seconds())
    assert await watch.fault(bot) == ""
    await append(log, STREAM, AccountUnreconciled(at=START, epoch=0, reason="the keys are wrong"))
    clock.advance(KEPT.total_seconds())
    assert await watch.fault(bot) == "the account is not reconciled: the keys are wrong"
    await append(log, STREAM, AccountArmed(until=START + timedelta(days=60)))
    clock.advance(timedelta(days=31).total_seconds())
    assert await watch.fault(bot) == "the bot is not armed"


async def test_a_bot_on_paper_has_no_account_and_an_unarmed_one_says_so_itself() -> None:
    _, watch, _ = await opened()
    for facts in (running(), [fact for fact in LIVE if not isinstance(fact, BotArmed)]):
        assert await watch.fault(await state_in(await written(facts))) == ""


async def test_what_a_shut_account_refused_is_decided_again_alike() -> None:
    log, watch, clock = await opened()
    candles = await stored(FRAMES)
    bot = BotRunner(BOT, log=log, decider=DECIDER, candles=candles, clock=clock, holder="one", accounts=watch)
    await bot.claim()
    asked = []
    for at, fact in ((40, ARMED), (60, AccountDisarmed()), (len(FRAMES), None)):
        await bot.observe(FRAMES[:at])
        facts = await facts_in(log)
        asked.append(sum(isinstance(each, OrderRequested) for each in facts))
        if fact is not None:
            await append(log, STREAM, fact)
            clock.advance(KEPT.total_seconds())
    refused = [each for each in facts if isinstance(each, OrderDenied)]
    assert {(each.rule, each.reason) for each in refused} == {("live_arming", "the account is not armed")}
    assert len({each.at.date() for each in refused}) == len(refused)
    assert asked[0] == 0 < asked[1]
    assert {each.account_fault for each in facts if isinstance(each, DecisionMade)} == {"the account is not armed", ""}
    again = await redecide(BOT, log=log, candles=candles, decider=DECIDER)
    assert again.difference is None
