"""A short live life in which every step of an order happens, each under one kind of fault and with a crash after it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import NamedTuple

from events.values import Bracket
from tests.simulation.live_checks import counted, differences
from tests.simulation.live_strikes import ANSWERS, cease, strike, struck
from tests.simulation.live_world import SPOT, Incarnation, LiveWorld, until

BRACKET = Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal("0.02"))
STRUCK_SECONDS = 3.0
QUIET_SECONDS = 6.0
DEAD_SECONDS = 3.0
SETTLE_SECONDS = 120.0
LATE_SECONDS = 2.7
"""What is still on its way when the faults end has come by then."""

CRASH_WITHIN = 12


class Disagreement(AssertionError):
    """The log and the exchange do not say the same."""


class Act(NamedTuple):
    """One step of the script, and the requests that it is made of."""

    name: str
    endpoints: tuple[str, ...]
    happens: Callable[[LiveWorld], Awaitable[None]]
    prepared: Callable[[LiveWorld], Awaitable[None]] | None = None


async def _enter(world: LiveWorld) -> None:
    first, _, swap = world.bots
    await world.enter(first, bracket=BRACKET, limited=True)
    await world.enter(swap, bracket=BRACKET, limited=False, long=False)


async def _fill_a_part(world: LiveWorld) -> None:
    await world.price(SPOT.symbol, Decimal(49_900), volume=Decimal("0.01"))


async def _fill_the_rest(world: LiveWorld) -> None:
    await world.price(SPOT.symbol, Decimal(49_880))


async def _rest(world: LiveWorld) -> None:
    second = list(world.bots)[1]
    await world.enter(second, bracket=BRACKET, limited=True)


async def _leave(world: LiveWorld) -> None:
    _, second, swap = world.bots
    await world.withdraw(second)
    await world.leave(swap)


async def _reach(world: LiveWorld) -> None:
    await world.price(SPOT.symbol, Decimal(51_500))


SCRIPT = (
    Act("place", ("POST trade/order", "POST trade/order-algo"), _enter),
    Act("fill", ("GET trade/fills", "GET trade/order"), _fill_a_part),
    Act("amend", ("POST trade/amend-algos", "POST trade/amend-order"), _fill_the_rest),
    Act("cancel", ("POST trade/cancel-order", "POST trade/cancel-algos"), _leave, _rest),
    Act("trigger", ("GET trade/order-algo", "GET trade/fills"), _reach),
)


async def lived(world: LiveWorld, kind: str) -> Counter[str]:
    """Live through the script under that kind of fault; answers what there was. Raises ``Disagreement``."""
    one = world.start()
    await until(lambda: _is(one.quiet), seconds=SETTLE_SECONDS)
    for act in SCRIPT:
        if act.prepared is not None:
            await act.prepared(world)
            await _rested(one)
        await strike(world, kind, act.endpoints)
        await act.happens(world)
        if kind in ANSWERS:
            # Not every kind of act asks for everything: what a refused entry would have led to does not come.
            hit = await until(lambda: _any_struck(world), seconds=STRUCK_SECONDS)
            world.ended[f"{act.name} struck"] += hit
        one = await _crashed(world, one)
        await _rested(one)
        await world.admin.delete("/faults")
    await settled(world)
    return world.ended + await counted(world)


async def settled(world: LiveWorld) -> None:
    """No more faults, a market that stands still, one process; then everything must agree, and stay so."""
    await cease(world)
    for old in world.incarnations:
        old.crash_at = old.freeze_at = 0
        old.wake()
    await world.calm()
    last = world.incarnations[-1]
    if last.done or last.frozen:
        last = world.start()

    async def agreed() -> bool:
        return last.quiet and not await differences(world)

    for seconds in (LATE_SECONDS, 0.0):
        if not await until(agreed, seconds=SETTLE_SECONDS):
            state = None if last.runner is None else last.runner.account.state
            said = "no runner" if state is None else f"{state.reconciled} {state.unreconciled}"
            busy = () if last.runner is None else last.runner.busy
            words = "\n".join(await differences(world))
            raise Disagreement(f"{world.account}: {dict(world.ended)} {said} {busy} {last.task!r}\n{words}")
        await asyncio.sleep(seconds)


async def _rested(one: Incarnation) -> None:
    await until(lambda: _is(one.quiet), seconds=QUIET_SECONDS)


async def _crashed(world: LiveWorld, one: Incarnation) -> Incarnation:
    """The process dies at one of its next steps, and another takes its place."""
    one.crash_at = one.points + world.chances.randint(1, CRASH_WITHIN)
    if not await until(lambda: _is(one.done), seconds=DEAD_SECONDS):
        one.crash_at = 0
        one.die()
    return world.start()


async def _any_struck(world: LiveWorld) -> bool:
    return await struck(world) > 0


async def _is(condition: bool) -> bool:
    return condition
