"""A command that counts for one version of a bot only."""

from collections.abc import Sequence

import pytest

from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import bot_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from oxbot.app.bots import BotCommands, NewBot
from oxbot.app.pinned_log import PinnedLog, VersionMoved
from tests.app.fakes import HookedLog
from tests.app.test_bots import A, commands
from tests.core.scenario import BTC

pytestmark = pytest.mark.anyio


@pytest.fixture
async def log() -> MemoryEventLog:
    """A log with one bot, which is at version 3."""
    log = MemoryEventLog(Codec())
    await commands(log).create(NewBot(name="b", symbols=(BTC,)), bot_id=A)
    await commands(log).start(A)
    return log


def pinned(log: EventLog, version: int) -> BotCommands:
    """The commands for that version."""
    return commands(log).over(lambda inner: PinnedLog(inner, bot_stream(A), version))


async def test_a_command_for_the_version_that_there_is_is_done(log: MemoryEventLog) -> None:
    assert (await pinned(log, 3).pause(A)).version == 4


@pytest.mark.parametrize("version", [0, 2, 4])
async def test_a_command_for_another_version_records_nothing_and_says_which_there_is(
    log: MemoryEventLog, version: int
) -> None:
    head = await log.head()
    with pytest.raises(VersionMoved) as moved:
        await pinned(log, version).pause(A)

    assert moved.value.actual == 3
    assert await log.head() == head


async def test_a_command_that_has_nothing_to_record_is_still_for_its_version(log: MemoryEventLog) -> None:
    await commands(log).pause(A)
    with pytest.raises(VersionMoved):
        await pinned(log, 3).pause(A)


async def test_a_race_that_is_lost_is_not_decided_again(log: MemoryEventLog) -> None:
    async def overtake(number: int, events: Sequence[NewEvent]) -> None:
        del number, events
        await commands(log).pause(A)

    with pytest.raises(VersionMoved) as moved:
        await pinned(HookedLog(log, before=overtake), 3).stop(A)

    assert moved.value.actual == 4


async def test_a_command_of_two_appends_is_pinned_until_the_first(log: MemoryEventLog) -> None:
    await commands(log).pause(A)
    await commands(log).set_fleet_trading("reducing")

    result = await pinned(log, 4).start(A)

    assert (result.version, result.status, result.trading) == (6, "running", "reducing")
