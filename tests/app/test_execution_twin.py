"""Two accounts of ours whose keys open one account at the venue: the first trades, the second says why it does not."""

import asyncio

import pytest

from events.account import AccountIdentified, AccountKeysSet, AccountOpened, AccountReconciled, AccountUnreconciled
from events.bot import OrderRejected
from events.identifiers import AccountName, VenueName, account_stream
from oxbot.adapters.memory_venue import VenueFault
from tests.app.test_execution import account_facts, bot_facts, enter, of, placed
from tests.core.scenario import START
from tests.simulation.execution_world import ACCOUNT, Incarnation, World
from tests.simulation.virtual_time import run

FIRST, ANOTHER = AccountName("first"), "0" * 16


async def begun(*, first: bool) -> tuple[World, Incarnation, str]:
    """A runner at work, and which account it is; ``first``: another account of ours was that before."""
    known = World(3, spot_bots=1)
    await known.open()
    known.start()
    await asyncio.sleep(3)
    [told] = [
        event.fact
        for event in await known.log.read_stream(account_stream(ACCOUNT))
        if isinstance(event.fact, AccountIdentified)
    ]
    await known.stop()
    world = World(3, spot_bots=1)
    if first:
        opened = AccountOpened(account=FIRST, venue=VenueName("test"))
        same = AccountIdentified(at=START, epoch=0, identity=told.identity)
        await world.append(account_stream(FIRST), [opened, AccountKeysSet(fingerprint="x"), same])
    await world.open()
    one = world.start()
    await asyncio.sleep(10)
    return world, one, told.identity


def test_the_second_says_whose_account_it_is_and_enters_nothing_until_either_has_other_keys() -> None:
    async def play() -> World:
        world, one, _ = await begun(first=True)
        await enter(world, one)
        assert placed(world) == []
        await world.append(account_stream(FIRST), [AccountIdentified(at=START, epoch=0, identity=ANOTHER)])
        await asyncio.sleep(20)
        await enter(world, one)
        await world.stop()
        return world

    world = run(play())
    [said] = of(account_facts(world), AccountUnreconciled)
    assert said.reason == "account first is the same account at the venue; give this one keys of its own"
    assert [said.reason in fact.reason for fact in of(bot_facts(world), OrderRejected)] == [True]
    assert len(of(account_facts(world), AccountReconciled)) == 1
    assert len(placed(world)) == 2


@pytest.mark.parametrize("faults", [0, 3])
def test_the_first_trades_though_a_second_comes_and_is_identified_once_it_is_told(faults: int) -> None:
    async def play() -> World:
        world, one, identity = await begun(first=False)
        await world.append(account_stream(FIRST), [AccountIdentified(at=START, epoch=0, identity=identity)])
        one.crash_at = one.points + 1
        await asyncio.sleep(20)
        again = world.start()
        again.venue.faults += [VenueFault("identity", "lost")] * faults
        await asyncio.sleep(20)
        await enter(world, again)
        await world.stop()
        return world

    world = run(play())
    assert of(account_facts(world), AccountUnreconciled) == []
    assert len(of(account_facts(world), AccountIdentified)) == 1
    assert len(placed(world)) == 2
