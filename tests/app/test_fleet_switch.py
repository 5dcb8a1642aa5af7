"""The fleet's switch: every bot is told, once, whatever becomes of the others."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from events.bot import BotStarted, BotStopped, CapitalWithdrawn, TradingStateSet
from events.codec import Codec
from events.envelope import NewEvent
from events.errors import LogUnavailable
from events.fleet import FleetSwitched
from events.identifiers import BotId, FleetName, bot_stream, fleet_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from oxbot.app.bots import BotCommands, CommandResult, NewBot
from oxbot.app.fleet_switch import FleetIncomplete, Switched, switch_fleet
from tests.app.fakes import HookedLog, facts_in, write
from tests.app.test_bots import GivenMarket, commands
from tests.core.scenario import BTC, DECIDER, FEES, START, moment

pytestmark = pytest.mark.anyio

BOTS = [BotId(f"b{number}") for number in range(12)]


async def fleet(count: int = 3) -> MemoryEventLog:
    """A log with so many running bots, and one of another fleet."""
    log = MemoryEventLog(Codec())
    for bot_id in BOTS[:count]:
        await commands(log).create(NewBot(name="b", symbols=(BTC,)), bot_id=bot_id)
        await commands(log).start(bot_id)
    await others(log).create(NewBot(name="b", symbols=(BTC,)), bot_id=BotId("other"))
    return log


def others(log: EventLog) -> BotCommands:
    """The commands of another fleet."""
    return BotCommands(
        log, DECIDER, fleet=FleetName("fleet-2"), market=GivenMarket(), fees=FEES, now=lambda: START, actor="x"
    )


async def switches(log: EventLog, bot_id: str) -> Sequence[TradingStateSet]:
    """What the bot was told."""
    return [fact for fact in await facts_in(log, bot_stream(BotId(bot_id))) if isinstance(fact, TradingStateSet)]


async def test_every_bot_of_the_fleet_is_told_from_the_next_candle_on_and_no_other() -> None:
    log = await fleet(12)

    told = await switch_fleet(commands(log), "halted", "news", by="somebody")

    assert told == [Switched(bot_id, CommandResult(bot_id, 4, "running", "halted")) for bot_id in BOTS]
    said = TradingStateSet(state="halted", reason="news", scope="fleet", effective_at=moment(12))
    for bot_id in BOTS:
        assert await switches(log, bot_id) == [said]
        [*_, event] = await log.read_stream(bot_stream(bot_id))
        assert event.metadata.actor == "somebody"
    assert await switches(log, "other") == []


async def test_turning_it_twice_says_it_once() -> None:
    log = await fleet()
    assert await switch_fleet(commands(log), "halted") == await switch_fleet(commands(log), "halted")
    assert len(await switches(log, "b0")) == 1


async def test_it_is_turned_back() -> None:
    log = await fleet()
    await switch_fleet(commands(log), "halted")
    told = await switch_fleet(commands(log), "active")
    assert [result.trading for _, result, _ in told if result] == ["active"] * 3


async def test_a_bot_that_has_ended_has_no_use_for_it() -> None:
    log = await fleet()
    await write(log, [BotStopped()], bot_stream(BOTS[1]))

    told = await switch_fleet(commands(log), "halted")

    assert [(bot_id, result is None) for bot_id, result, _ in told] == [("b0", False), ("b1", True), ("b2", False)]
    assert "stopped for good" in told[1].refusal
    assert await switches(log, "b1") == []


async def test_a_bot_that_cannot_be_told_is_named_and_all_others_are_told() -> None:
    """One bot's log does not answer, another's facts cannot be true."""
    inner = await fleet(5)
    await write(inner, [CapitalWithdrawn(amount=Decimal(10**9))], bot_stream(BOTS[3]))

    async def before(number: int, events: Sequence[NewEvent]) -> None:
        del events
        if number == 2:
            raise LogUnavailable("the log does not answer")

    with pytest.raises(FleetIncomplete, match="2 of 5 bots could not be told to be halted: ") as failed:
        await switch_fleet(commands(HookedLog(inner, before=before)), "halted")

    missed = [bot_id for bot_id in BOTS[:5] if not await switches(inner, bot_id)]
    assert len(missed) == 2
    assert all(bot_id in str(failed.value) for bot_id in missed)


async def test_a_fleet_without_bots_has_nobody_to_tell_but_its_first_one_begins_so() -> None:
    log = MemoryEventLog(Codec())
    assert await switch_fleet(commands(log), "halted", "news", by="somebody") == []

    [event] = await log.read_stream(fleet_stream(FleetName("fleet-1")))
    assert event.fact == FleetSwitched(state="halted", reason="news")
    assert event.metadata.actor == "somebody"
    created = await commands(log).create(NewBot(name="b", symbols=(BTC,)), bot_id=BOTS[0])
    assert created.trading == "halted"


async def test_the_switch_is_on_record_before_anybody_is_told() -> None:
    """Whoever dies between the two leaves a fleet whose next command tells the others."""
    inner = await fleet(1)

    async def before(number: int, events: Sequence[NewEvent]) -> None:
        if number == 1:
            assert [type(event.fact) for event in events] == [FleetSwitched]
        else:
            raise LogUnavailable("the log does not answer")

    with pytest.raises(FleetIncomplete):
        await switch_fleet(commands(HookedLog(inner, before=before)), "halted")
    assert await commands(inner).fleet_trading() == "halted"

    [told] = await switch_fleet(commands(inner), "halted")
    assert told.result == CommandResult(BOTS[0], 4, "running", "halted")


async def test_a_bot_of_another_creator_is_found_however_many_events_are_between() -> None:
    """The fleet is read from the log, page by page, not from views that may be behind."""
    log = await fleet(1)
    await write(log, [BotStarted()] * 1500, bot_stream(BOTS[0]))
    await commands(log).create(NewBot(name="b", symbols=(BTC,)), bot_id=BOTS[1])
    assert [bot_id async for bot_id in commands(log).fleet_bots()] == ["b0", "b1"]
