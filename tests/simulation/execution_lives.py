"""Whole lives of an execution under fire, from a seed, and what each came to."""

import asyncio
from collections import Counter

from oxbot.app.execution_sending import Timing
from tests.simulation.execution_checks import differences
from tests.simulation.execution_world import Incarnation, World, until
from tests.simulation.virtual_time import run

SECONDS = 90
SETTLE_SECONDS = 300


class Disagreement(AssertionError):
    """Log and venue do not say the same."""


def lived(seed: int) -> Counter[str]:
    """Live one life to its end; answers what there was of what. Raises ``Disagreement``."""
    return run(_lived(seed))


async def _lived(seed: int) -> Counter[str]:
    world = World(seed)
    await world.open()
    chances = world.chances
    # A process that stands still wakes to answers that are long overdue, unless it gave up waiting for them.
    world.timing = Timing(answer=chances.choice((3.0, 8.0, 1000.0)))
    one = world.start()
    for _ in range(SECONDS):
        await asyncio.sleep(1)
        if chances.random() < 0.7:
            world.move()
        for bot_id in world.bots:
            if chances.random() < 0.15:
                await world.act(bot_id)
        if chances.random() < 0.2:
            world.fault(one)
            world.ended["faults"] += 1
        if chances.random() < 0.1:
            world.books.deliver()
        one = await _fate(world, one)
    await settled(world)
    await world.stop()
    world.ended["orders"] += len(world.books.orders())
    world.ended["fills"] += len(world.books.fills(world.begun))
    world.ended["lives"] += 1
    return world.ended


async def _fate(world: World, one: Incarnation) -> Incarnation:
    """Let the process die or stand still, now or at one of its next steps, and another take its place."""
    chances = world.chances
    if one.task is not None and one.task.done():
        return world.start() if chances.random() < 0.4 else one
    chance = chances.random()
    if chance < 0.04:
        one.crash_at = one.points + chances.randint(1, 60)
    elif chance < 0.07:
        one.freeze_at = one.points + chances.randint(1, 60)
    elif chance < 0.09 or (one.frozen and chance < 0.4):
        world.ended["replaced"] += 1
        return world.start()
    for old in world.incarnations[:-1]:
        if old.frozen and chances.random() < 0.15:
            old.frozen = False
            old.thawed.set()
            world.ended["woken"] += 1
    return one


async def settled(world: World) -> None:
    """No more faults, a market that stands still, one process; then everything must agree, and stay so."""
    for old in world.incarnations:
        old.frozen = False
        old.thawed.set()
        old.crash_at = old.freeze_at = 0
        old.venue.faults.clear()
    world.books.fills_shown_max = None
    world.calm()
    last = world.start()

    async def quiet() -> bool:
        return last.runner.idle and last.runner.account.state.reconciled and not await differences(world)

    for last_look in (False, True):
        if not await until(quiet, seconds=SETTLE_SECONDS):
            state = last.runner.account.state
            busy = [key.group for key in last.runner.busy]
            words = "\n".join(await differences(world))
            error = last.task.exception() if last.task is not None and last.task.done() else None
            await world.stop()
            raise Disagreement(f"{words}\n{state.reconciled} {state.unreconciled} {busy} {error!r}")
        if last_look:
            return
        # What was still on its way comes now, and must change nothing.
        world.ended["late"] += world.books.deliver()
        await asyncio.sleep(40)
