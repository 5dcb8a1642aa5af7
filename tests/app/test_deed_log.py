"""A command that is repeated after a crash: whatever it had appended is found, and nothing happens twice."""

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from events.bot import BotPaused, BotStarted, BotStopped, TradingStateSet
from events.codec import Codec
from events.envelope import NewEvent
from events.errors import LogUnavailable
from events.identifiers import bot_stream, new_event_id
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.app.bots import BotCommands, CommandResult, NewBot
from oxbot.app.capital import BookedFlow
from oxbot.app.deed_log import DeedLog, bot_of
from oxbot.app.fleet_switch import FleetIncomplete, switch_fleet
from tests.app.fakes import HookedLog, facts_in
from tests.app.test_bots import A, commands
from tests.core.scenario import BTC

pytestmark = pytest.mark.anyio

NEW = NewBot(name="b", symbols=(BTC,))
Command = Callable[[BotCommands], Awaitable[CommandResult | BookedFlow]]

COMMANDS: dict[str, Command] = {
    "start": lambda bots: bots.start(A),
    "pause": lambda bots: bots.pause(A, "why"),
    "stop": lambda bots: bots.stop(A, "why"),
    "halt": lambda bots: bots.set_trading(A, "halted"),
    "deposit": lambda bots: bots.deposit(A, Decimal(5), reference="one"),
    "create": lambda bots: bots.create(NEW),
}


@pytest.fixture(params=["memory", "postgres"])
def log(request: pytest.FixtureRequest) -> EventLog:
    """An empty log of each kind."""
    if request.param == "memory":
        return MemoryEventLog(Codec())
    pool: asyncpg.Pool = request.getfixturevalue("pool")
    return PostgresEventLog(pool, Codec())


def doing(log: EventLog, deed: UUID, *, resumed: bool) -> BotCommands:
    """The commands of one request."""
    return commands(log).over(lambda inner: DeedLog(inner, deed, resumed=resumed), new_bot=bot_of(deed))


async def running(log: EventLog) -> None:
    """One bot that runs."""
    await commands(log).create(NEW, bot_id=A)
    await commands(log).start(A)


def dying_after(log: EventLog, number: int) -> HookedLog:
    """A log whose answer to that append is lost."""

    async def lose(appends: int, events: Sequence[NewEvent]) -> None:
        del events
        if appends == number:
            raise LogUnavailable("gone")

    return HookedLog(log, after=lose)


@pytest.mark.parametrize("name", COMMANDS)
async def test_what_died_after_its_append_is_answered_as_it_would_have_been_and_not_done_again(
    log: EventLog, name: str
) -> None:
    twin = MemoryEventLog(Codec())
    deed = new_event_id()
    for each in (log, twin):
        await (commands(each).create(NEW, bot_id=A) if name == "start" else running(each))
    expected = await COMMANDS[name](doing(twin, deed, resumed=False))
    with pytest.raises(LogUnavailable):
        await COMMANDS[name](doing(dying_after(log, 1), deed, resumed=False))
    head = await log.head()
    # What others do in the meantime comes after it, and changes nothing of its answer.
    if name not in ("stop", "create"):
        await commands(log).stop(A, "meanwhile")
        head += 1

    again = await COMMANDS[name](doing(log, deed, resumed=True))

    assert again == expected
    assert await log.head() == head


@pytest.mark.parametrize("name", COMMANDS)
async def test_what_died_before_its_append_is_done(log: EventLog, name: str) -> None:
    await (commands(log).create(NEW, bot_id=A) if name == "start" else running(log))
    head = await log.head()

    await COMMANDS[name](doing(log, new_event_id(), resumed=True))

    assert await log.head() > head


async def test_a_command_of_two_appends_that_died_between_them_does_the_second(log: EventLog) -> None:
    await commands(log).create(NEW, bot_id=A)
    await commands(log).set_fleet_trading("reducing")
    deed = new_event_id()
    with pytest.raises(LogUnavailable):
        await doing(dying_after(log, 1), deed, resumed=False).start(A)
    assert isinstance((await facts_in(log, bot_stream(A)))[-1], TradingStateSet)

    result = await doing(log, deed, resumed=True).start(A)

    assert (result.status, result.trading) == ("running", "reducing")
    kinds = [type(fact) for fact in await facts_in(log, bot_stream(A))]
    assert kinds.count(TradingStateSet) == 1
    assert kinds.count(BotStarted) == 1


async def test_a_command_that_decides_otherwise_now_is_decided_on_what_there_is(log: EventLog) -> None:
    await running(log)
    deed = new_event_id()
    await doing(log, deed, resumed=False).pause(A)

    result = await doing(log, deed, resumed=True).stop(A)

    assert (result.version, result.status) == (5, "stopped")
    facts = await facts_in(log, bot_stream(A))
    assert [type(fact) for fact in facts[-2:]] == [BotPaused, BotStopped]


async def test_two_that_go_on_with_one_deed_at_once_do_it_once(log: EventLog) -> None:
    await running(log)
    deed = new_event_id()

    async def overtake(number: int, events: Sequence[NewEvent]) -> None:
        del events
        if number == 1:
            await doing(log, deed, resumed=True).pause(A, "once")

    slow = doing(HookedLog(log, before=overtake), deed, resumed=False)
    result = await slow.pause(A, "once")

    assert (result.version, result.status) == (4, "paused")
    assert [type(fact) for fact in await facts_in(log, bot_stream(A))].count(BotPaused) == 1


async def test_a_fleet_whose_switch_died_half_way_is_told_to_the_last_once(log: EventLog) -> None:
    made = [await commands(log).create(NEW) for _ in range(4)]
    deed = new_event_id()
    with pytest.raises((LogUnavailable, FleetIncomplete)):
        await switch_fleet(doing(dying_after(log, 3), deed, resumed=False), "reducing")

    switched = await switch_fleet(doing(log, deed, resumed=True), "reducing")

    assert [each.result and each.result.trading for each in switched] == ["reducing"] * 4
    for bot in made:
        assert [type(fact) for fact in await facts_in(log, bot_stream(bot.bot_id))].count(TradingStateSet) == 1


async def test_deeds_name_their_events_apart_and_in_order_of_time(log: EventLog) -> None:
    await running(log)
    first, second = new_event_id(), new_event_id()
    await doing(log, first, resumed=False).pause(A)
    await doing(log, second, resumed=False).start(A)

    ids = [event.event_id for event in (await log.read_stream(bot_stream(A)))[-2:]]
    assert ids[0] != ids[1]
    assert [one.bytes[:6] for one in ids] == [first.bytes[:6], second.bytes[:6]]
    assert {one.version for one in ids} == {7}
