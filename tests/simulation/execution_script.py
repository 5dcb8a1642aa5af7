"""A short life in which every step of an order happens once: what a fault or a crash at each of them is tried on."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from events.identifiers import BotId
from events.values import Bracket
from oxbot.app.execution_sending import Timing
from tests.simulation.execution_lives import settled
from tests.simulation.execution_world import SPOT, SWAP, Incarnation, World
from tests.simulation.virtual_time import run

BRACKET = Bracket(stop_fraction=Decimal("0.01"), target_fraction=Decimal("0.02"))
SPOT_BOT, OTHER_BOT, SWAP_BOT = BotId("spot-0"), BotId("spot-1"), BotId("swap-0")
SECONDS = 24

Prepare = Callable[[Incarnation], None]


def lived(prepare: Prepare, *, asleep_seconds: int = 0, answer_seconds: float = 3.0) -> World:
    """The script under a fault that is prepared; a process that stands still is replaced, and wakes so much later.

    Raises ``Disagreement`` unless venue and log say the same in the end.
    """
    return run(_lived(prepare, asleep_seconds, answer_seconds))


async def _lived(prepare: Prepare, asleep_seconds: int, answer_seconds: float) -> World:
    world = World(7)
    world.timing = Timing(answer=answer_seconds)
    await world.open()
    one = first = world.start()
    prepare(first)
    asleep = 0
    for second in range(SECONDS + asleep_seconds):
        await _happens(world, second)
        await asyncio.sleep(1)
        if one.task is not None and one.task.done():
            one = world.start()
        if first.frozen:
            one = world.start() if one is first else one
            asleep += 1
            if asleep == asleep_seconds:
                first.frozen = False
                first.thawed.set()
    await settled(world)
    await world.stop()
    return world


async def _happens(world: World, second: int) -> None:
    """An entry that fills in two parts, a target that is reached, a position that is left, an entry withdrawn."""
    match second:
        case 1:
            await world.enter(SPOT_BOT, limit=True, bracket=BRACKET)
            await world.enter(SWAP_BOT, limit=False, bracket=BRACKET, short=True)
            await world.enter(OTHER_BOT, limit=True, bracket=BRACKET)
        case 4:
            # Both spot entries rest at the same price; the first takes a little of it.
            world.books.set_price(SPOT.symbol, Decimal(39_800), volume=Decimal("0.01"))
        case 7:
            world.books.set_price(SPOT.symbol, Decimal(39_850))
            for order in (await world.state(OTHER_BOT)).working(SPOT.symbol):
                if not order.reduce_only and order.cancel_requested_at is None:
                    await world.withdraw(OTHER_BOT, order.order_id)
        case 9:
            world.books.set_price(SPOT.symbol, Decimal(39_700))
        case 13:
            world.books.set_price(SWAP.symbol, Decimal(2_021), volume=Decimal("0.3"))
        case 15:
            await world.leave(SWAP_BOT)
            world.books.set_price(SWAP.symbol, Decimal(2_010))
            world.books.pay_funding(SWAP.symbol, Decimal("0.0001"))
        case 18:
            world.books.set_price(SPOT.symbol, Decimal(41_500))
        case 20:
            await world.enter(SPOT_BOT, limit=False, bracket=BRACKET)
        case 22:
            await world.leave(SPOT_BOT)
