"""Whether an execution lets bots have more money than their account has."""

import asyncio
from decimal import Decimal

import pytest

from events.account import AccountUnreconciled, StrangerSeen
from events.bot import BotArmed, BotStopped, CapitalDeposited, OrderRejected
from events.identifiers import bot_stream
from tests.app.test_execution import BRACKET, FOREVER, SPOT_BOT, SWAP_BOT, account_facts, bot_facts, enter, of, placed
from tests.simulation.execution_world import CAPITAL, SPOT, SWAP, Incarnation, World
from tests.simulation.virtual_time import run


def begun(money: str, *, swap_bots: int = 1) -> World:
    """A world with a spot bot and a bot of a perpetual, of 10,000 each, and so much at the venue."""
    world = World(3, spot_bots=1, swap_bots=swap_bots)
    world.books.wallet.cash["USDT"] = Decimal(money)
    return world


async def ready(world: World) -> Incarnation:
    await world.open()
    one = world.start()
    await asyncio.sleep(3)
    return one


def test_bots_of_a_perpetual_may_not_have_more_than_the_account_either() -> None:
    async def play() -> World:
        world = begun("19990")
        one = await ready(world)
        await asyncio.sleep(40)
        await enter(world, one)
        await world.stop()
        return world

    world = run(play())
    [said] = of(account_facts(world), AccountUnreconciled)
    assert said.reason == said.lacks == "USDT: the bots have 20000, the venue says 19990"
    assert placed(world) == []
    assert "the bots have 20000" in of(bot_facts(world), OrderRejected)[0].reason


def test_what_the_bots_have_is_enough_while_they_hold_perpetuals_and_what_those_lost_is_not_asked_for_twice() -> None:
    async def play() -> World:
        world = begun("20000")
        one = await ready(world)
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET, short=False)
        await world.enter(SPOT_BOT, limit=False, bracket=BRACKET)
        await asyncio.sleep(5)
        world.books.set_price(SWAP.symbol, Decimal(1_985))
        await asyncio.sleep(40)
        assert one.runner.account.state.reconciled
        world.books.set_price(SWAP.symbol, Decimal(1_900))
        await asyncio.sleep(40)
        assert one.runner.account.state.reconciled
        await world.stop()
        return world

    facts = account_facts(run(play()))
    assert of(facts, AccountUnreconciled) == []
    assert [fact for fact in of(facts, StrangerSeen) if fact.kind == "balance"] == []


def test_the_money_of_a_bot_that_was_stopped_and_holds_nothing_is_nobodys() -> None:
    async def play() -> World:
        world = begun("10000")
        await world.open()
        await world.append(bot_stream(SWAP_BOT), [BotStopped()])
        one = world.start()
        await asyncio.sleep(40)
        await enter(world, one)
        await world.stop()
        return world

    world = run(play())
    assert of(account_facts(world), AccountUnreconciled) == []
    assert len(placed(world)) == 2


def test_the_money_of_a_bot_that_was_stopped_and_holds_something_is_still_needed() -> None:
    async def play() -> World:
        world = begun("20000")
        await ready(world)
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET, short=False)
        await asyncio.sleep(5)
        await world.append(bot_stream(SWAP_BOT), [BotStopped()])
        world.books.wallet.cash["USDT"] -= Decimal(5_000)
        await asyncio.sleep(40)
        await world.stop()
        return world

    assert len(of(account_facts(run(play())), AccountUnreconciled)) == 1


@pytest.mark.parametrize(("missing", "told"), [("0.9", 0), ("1.1", 1)])
def test_what_a_venue_rounds_of_a_perpetuals_results_is_not_missed(missing: str, told: int) -> None:
    async def play() -> World:
        world = begun(str(CAPITAL - Decimal(missing)), swap_bots=1)
        world.bots = {SWAP_BOT: SWAP}
        await ready(world)
        await asyncio.sleep(40)
        await world.stop()
        return world

    assert len(of(account_facts(run(play())), AccountUnreconciled)) == told


def test_a_spot_bot_has_nothing_that_the_venue_does_not() -> None:
    async def play() -> World:
        world = begun(str(CAPITAL - Decimal("0.00000001")))
        world.bots = {SPOT_BOT: SPOT}
        await ready(world)
        await asyncio.sleep(40)
        await world.stop()
        return world

    assert len(of(account_facts(run(play())), AccountUnreconciled)) == 1


def test_when_a_bot_is_armed_the_money_is_counted_at_once() -> None:
    async def play() -> World:
        world = begun("20000")
        one = await ready(world)
        await asyncio.sleep(8)
        counted = one.venue.calls.count("balances")
        await world.append(bot_stream(SPOT_BOT), [CapitalDeposited(amount=CAPITAL), BotArmed(until=FOREVER)])
        await asyncio.sleep(3)
        assert one.venue.calls.count("balances") > counted
        await world.stop()
        return world

    run(play())
