"""An exit that somebody orders of a live bot is asked for at once, once, and of that symbol alone."""

import asyncio

from events.bot import ExitOrdered, OrderRequested
from events.identifiers import bot_stream
from tests.app.test_execution import BRACKET, SPOT_BOT, SWAP_BOT, bot_facts, enter, of, played
from tests.simulation.execution_checks import differences
from tests.simulation.execution_world import SPOT, Incarnation, World


def test_an_exit_that_somebody_orders_goes_to_the_venue_at_once_and_leaves_the_rest_alone() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await enter(world, one)
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET)
        await asyncio.sleep(3)
        await world.append(bot_stream(SPOT_BOT), [ExitOrdered(symbols=(SPOT.symbol,), reason="news")])
        await asyncio.sleep(30)
        assert await differences(world) == []
        assert not (await world.state(SPOT_BOT)).ledger.positions
        assert (await world.state(SWAP_BOT)).ledger.positions

    facts = bot_facts(played(script))
    assert [fact.reason for fact in of(facts, OrderRequested)].count("force_exit") == 1


def test_an_exit_that_was_ordered_while_no_execution_lived_is_asked_for_by_the_next() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await enter(world, one)
        if one.task is not None:
            one.task.cancel()
        await world.append(bot_stream(SPOT_BOT), [ExitOrdered(symbols=(SPOT.symbol,))])
        await asyncio.sleep(3)
        world.start()
        await asyncio.sleep(30)
        assert not (await world.state(SPOT_BOT)).ledger.positions

    facts = bot_facts(played(script))
    assert [fact.reason for fact in of(facts, OrderRequested)].count("force_exit") == 1
