"""The gateway over the real log and the real store of bodies: what it did is there for the one that comes after it."""

import asyncpg
import pytest

from events.advice import AdviceReceived
from events.codec import Codec
from events.postgres import PostgresEventLog
from oxbot.adapters.postgres_bodies import PostgresBodies
from oxbot.app.clock import SystemClock
from tests.app.models.world import Point, World

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("killed", "calls"),
    [
        (Point("append ModelCallEnded", happened=True), 1),
        (Point("deliver", happened=False), 1),
        (Point("deliver", happened=True), 1),
        (Point("call", happened=True), 2),
    ],
)
async def test_what_was_stored_before_a_gateway_died_is_told_by_the_next_one_without_a_call(
    pool: asyncpg.Pool, killed: Point, calls: int
) -> None:
    world = World(log=PostgresEventLog(pool, Codec()), bodies=PostgresBodies(pool), clock=SystemClock())
    world.provider.latency = 0.01
    world.killer.on = killed
    for bot in ("a", "b"):
        await world.want(bot)
    await world.lives()
    assert world.killer.killed == killed
    assert len(world.provider.calls) == calls
    assert len(await world.begun()) == len(await world.ended()) == calls
    for bot in ("a", "b"):
        told = await world.one(bot)
        assert isinstance(told, AdviceReceived)
        assert await world.bodies.get(told.answer) == b"good"
