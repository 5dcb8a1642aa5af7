"""The fleet's switch holds for bots that are created after it was set, and for those created while it is being set."""

from collections.abc import Sequence

import pytest

from events.bot import TradingState, TradingStateSet
from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import BotId, FleetName, bot_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from oxbot.app.bots import BotCommands, CommandResult, NewBot
from oxbot.app.fleet_switch import switch_fleet
from tests.app.fakes import HookedLog, facts_in
from tests.app.test_bots import GivenMarket, commands
from tests.core.scenario import BTC, DECIDER, FEES, START, moment

pytestmark = pytest.mark.anyio

FIRST, LATE = BotId("first"), BotId("late")


class ProcessDied(Exception):
    """Stands for the end of the process on this line."""


async def created(bots: BotCommands, bot_id: BotId) -> CommandResult:
    return await bots.create(NewBot(name="b", symbols=(BTC,)), bot_id=bot_id)


@pytest.fixture
async def log() -> MemoryEventLog:
    """A log with one running bot."""
    log = MemoryEventLog(Codec())
    await created(commands(log), FIRST)
    await commands(log).start(FIRST)
    return log


async def told(log: EventLog, bot_id: BotId) -> Sequence[TradingStateSet]:
    """What the bot's gate was told."""
    return [fact for fact in await facts_in(log, bot_stream(bot_id)) if isinstance(fact, TradingStateSet)]


@pytest.mark.parametrize("state", ["reducing", "halted"])
async def test_a_bot_that_is_created_after_the_switch_is_told_it_too(log: MemoryEventLog, state: TradingState) -> None:
    await switch_fleet(commands(log), state, "news")

    assert await created(commands(log), LATE) == CommandResult(LATE, 3, "created", state)
    assert await commands(log).start(LATE) == CommandResult(LATE, 4, "running", state)

    said = TradingStateSet(state=state, reason="as its fleet", scope="fleet", effective_at=moment(12))
    assert await told(log, LATE) == [said]


async def test_a_bot_that_is_created_after_the_switch_was_set_back_is_told_nothing(log: MemoryEventLog) -> None:
    await switch_fleet(commands(log), "halted")
    await switch_fleet(commands(log), "active")
    assert (await created(commands(log), LATE)).trading == "active"
    assert await told(log, LATE) == []


async def test_what_one_bot_was_told_is_no_word_to_those_that_come_after(log: MemoryEventLog) -> None:
    await commands(log).set_trading(FIRST, "halted")
    assert (await created(commands(log), LATE)).trading == "active"


async def test_the_switch_of_another_fleet_does_not_count(log: MemoryEventLog) -> None:
    others = BotCommands(
        log, DECIDER, fleet=FleetName("fleet-2"), market=GivenMarket(), fees=FEES, now=lambda: START, actor="x"
    )
    await created(others, BotId("other"))
    await switch_fleet(others, "halted")
    assert (await created(commands(log), LATE)).trading == "active"


async def test_a_bot_whose_creator_died_before_its_second_look_is_told_at_its_start(log: MemoryEventLog) -> None:
    async def before(number: int, events: Sequence[NewEvent]) -> None:
        del events
        if number == 1:
            await switch_fleet(commands(log), "reducing")

    async def after(number: int, events: Sequence[NewEvent]) -> None:
        del number, events
        raise ProcessDied

    with pytest.raises(ProcessDied):
        await created(commands(HookedLog(log, before=before, after=after)), LATE)
    assert await told(log, LATE) == []

    assert (await commands(log).start(LATE)).trading == "reducing"
    assert [said.reason for said in await told(log, LATE)] == ["as its fleet"]


async def test_no_word_to_a_bot_alone_lets_it_past_its_fleets_switch_and_the_answer_says_so(
    log: MemoryEventLog,
) -> None:
    await switch_fleet(commands(log), "halted")
    for state in ("reducing", "active"):
        told_alone = await commands(log).set_trading(FIRST, state)
        assert (told_alone.trading, told_alone.note) == ("halted", "its fleet is halted")
    assert (await commands(log).start(FIRST)).trading == "halted"


async def test_lifting_the_switch_restores_what_each_bot_was_under(log: MemoryEventLog) -> None:
    await created(commands(log), LATE)
    await commands(log).set_trading(LATE, "reducing")
    await switch_fleet(commands(log), "halted")
    lifted = await switch_fleet(commands(log), "active")
    assert [(result.bot_id, result.trading, result.note) for _, result, _ in lifted if result] == [
        (FIRST, "active", ""),
        (LATE, "reducing", "it itself is reducing"),
    ]


@pytest.mark.parametrize("switch", ["active", "halted"])
async def test_a_bot_that_the_switch_did_not_reach_is_told_at_its_next_start(
    log: MemoryEventLog, switch: TradingState
) -> None:
    """Whoever set it died after it was on record; and so did whoever would have started the bot, once before."""
    await switch_fleet(commands(log), "reducing")
    await commands(log).set_fleet_trading(switch)
    await commands(log).pause(FIRST)
    assert (await commands(log).start(FIRST)).trading == switch
    assert [(said.state, said.scope) for said in await told(log, FIRST)] == [("reducing", "fleet"), (switch, "fleet")]


async def test_a_start_follows_a_switch_that_is_set_again_while_it_tells_the_bot(log: MemoryEventLog) -> None:
    """The switch is turned just before the start's word to the bot is on record, and the bot is not asked again."""
    await switch_fleet(commands(log), "halted")
    await commands(log).set_fleet_trading("active")

    async def before(number: int, events: Sequence[NewEvent]) -> None:
        del events
        if number == 1:
            await commands(log).set_fleet_trading("reducing")

    assert (await commands(HookedLog(log, before=before)).start(FIRST)).trading == "reducing"


async def test_a_bot_of_another_fleet_is_started_as_its_own_fleet(log: MemoryEventLog) -> None:
    others = BotCommands(
        log, DECIDER, fleet=FleetName("fleet-2"), market=GivenMarket(), fees=FEES, now=lambda: START, actor="x"
    )
    await created(others, LATE)
    await switch_fleet(commands(log), "halted")
    assert (await commands(log).start(LATE)).trading == "active"
    await others.set_fleet_trading("reducing")
    assert (await commands(log).start(LATE)).trading == "reducing"


async def test_a_bot_that_is_created_while_the_switch_is_set_is_found(log: MemoryEventLog) -> None:
    """It began before the switch was on record, and its creator is not asked again."""

    async def before(number: int, events: Sequence[NewEvent]) -> None:
        del events
        if number == 1:
            await created(commands(log), LATE)

    results = await switch_fleet(commands(HookedLog(log, before=before)), "halted")

    assert [(bot_id, result and result.trading) for bot_id, result, _ in results] == [
        (FIRST, "halted"),
        (LATE, "halted"),
    ]
    assert len(await told(log, LATE)) == 1


async def test_a_switch_that_is_set_while_a_bot_is_created_reaches_it(log: MemoryEventLog) -> None:
    """Whoever set it found no such bot, so it is the creator who must look."""

    async def before(number: int, events: Sequence[NewEvent]) -> None:
        del events
        if number == 1:
            await switch_fleet(commands(log), "halted", "news")

    assert (await created(commands(HookedLog(log, before=before)), LATE)).trading == "halted"
    assert [said.reason for said in await told(log, LATE)] == ["as its fleet"]
