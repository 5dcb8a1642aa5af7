"""Gateway processes that are killed, frozen and overrun: what was acknowledged is stored once, and nothing else is."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from itertools import count

import asyncpg
import pytest
import ray

from actors import options
from actors.calls import ActorUnavailable, Handle, answer, spawn
from actors.gateway import GatewayActor, Gateways, RayGateway
from actors.nodes import alive_nodes, this_node
from actors.remote_log import RemoteLog
from events.bot import BotPaused
from events.codec import Codec
from events.commit import GroupCommitLog
from events.encoded import EncodedCommand, encode_command
from events.envelope import NewEvent
from events.errors import LogUnavailable, WrongExpectedVersion
from events.identifiers import EventId, FleetName, StreamId, new_event_id
from events.log import NO_STREAM, Appended, EventLog
from events.postgres import PostgresEventLog
from oxbot.config import Secret
from oxbot.wiring.stores import Database

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("local_ray")]

NUMBERS = count(1)
BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
STORED = """
SELECT s.stream_id, e.version, e.event_id
FROM log.events AS e JOIN log.streams AS s USING (stream_no)
ORDER BY e.position
"""
POSITIONS = "SELECT count(*) = max(position) AND min(position) = 1 FROM log.events"


@pytest.fixture
def name() -> str:
    """A name that no other test's gateway has."""
    return f"gateway-{next(NUMBERS)}"


@pytest.fixture
async def actor(name: str, database: str) -> AsyncIterator[Handle]:
    """A gateway of the test's own, at work."""
    handle = spawn(GatewayActor, options.gateway(name, this_node()), name, Database(dsn=Secret(database)), "error")
    await answer(handle.wake.remote(), of=name)
    yield handle
    ray.kill(handle)


async def process_of(actor: Handle) -> int:
    """The process id, as soon as the actor is at work again."""
    while True:
        with suppress(ActorUnavailable):
            process_id: int = await answer(actor.wake.remote(), of="the gateway")
            return process_id


def event(reason: str = "") -> NewEvent:
    return NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotPaused(reason=reason))


class Bot:
    """Appends cycle after cycle, each on top of the one before, and notes what was acknowledged."""

    def __init__(self, number: int) -> None:
        self.stream = StreamId(f"bot-{number}")
        self.acknowledged: list[EventId] = []

    async def live(self, log: EventLog, until: Callable[[], bool]) -> None:
        """Two facts a cycle."""
        while not until():
            events = [event("one"), event("two")]
            appended = await log.append(self.stream, events, expected=len(self.acknowledged))
            self.acknowledged += [each.event_id for each in events]
            assert appended.version == len(self.acknowledged)


async def stored(pool: asyncpg.Pool) -> dict[str, list[EventId]]:
    """The event ids of each stream in order of version, once positions and versions are seen to have no gaps."""
    streams: dict[str, list[EventId]] = {}
    for stream, version, event_id in await pool.fetch(STORED):
        ids = streams.setdefault(stream, [])
        ids.append(event_id)
        assert version == len(ids)
    assert await pool.fetchval(POSITIONS)
    return streams


async def test_a_gateway_killed_under_load_loses_and_doubles_nothing(
    name: str, actor: Handle, pool: asyncpg.Pool
) -> None:
    """Scenario A6: three kills with batches queued and in flight from three processes' worth of bots."""
    bots = [Bot(number) for number in range(60)]
    kills = 0

    def acknowledged() -> int:
        return sum(len(bot.acknowledged) for bot in bots)

    async def kill() -> None:
        nonlocal kills
        while kills < 3:
            process_id, before = await process_of(actor), acknowledged()
            while acknowledged() < before + 500:
                await asyncio.sleep(0.01)
            os.kill(process_id, signal.SIGKILL)
            kills += 1
        before = acknowledged()
        while acknowledged() < before + 500:
            await asyncio.sleep(0.01)
        kills += 1

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        remotes = [RemoteLog(RayGateway([name]), deadline_seconds=60) for _ in range(3)]
        logs = [await stack.enter_async_context(GroupCommitLog(remote, Codec())) for remote in remotes]
        tasks.create_task(kill())
        for number, bot in enumerate(bots):
            tasks.create_task(bot.live(logs[number % 3], lambda: kills > 3))

    assert await stored(pool) == {bot.stream: bot.acknowledged for bot in bots}


def command(stream: str, *events: NewEvent, expected: int = NO_STREAM) -> EncodedCommand:
    return encode_command(Codec(), StreamId(stream), events, expected=expected)


async def test_a_gateway_that_wakes_after_others_have_gone_on_corrupts_nothing(
    name: str, actor: Handle, pool: asyncpg.Pool
) -> None:
    """Scenario A20: what a frozen gateway still holds conflicts if another writer was first, else it is stored once."""
    process_id = await process_of(actor)
    log = PostgresEventLog(pool, Codec())
    overtaken, waited_for, newer = event("overtaken"), event("waited for"), event("newer")
    stale = [command("bot-1", overtaken), command("bot-2", waited_for)]

    os.kill(process_id, signal.SIGSTOP)
    with pytest.raises(LogUnavailable):
        await RemoteLog(RayGateway([name]), deadline_seconds=1).append_encoded(stale)
    await log.append(StreamId("bot-1"), [newer], expected=NO_STREAM)
    os.kill(process_id, signal.SIGCONT)

    conflict, repeated = await RemoteLog(RayGateway([name])).append_encoded(stale)
    assert isinstance(conflict, WrongExpectedVersion)
    assert isinstance(repeated, Appended)
    assert await stored(pool) == {"bot-1": [newer.event_id], "bot-2": [waited_for.event_id]}


async def test_a_burst_of_bots_is_answered_whole_over_two_connections(
    name: str, actor: Handle, pool: asyncpg.Pool
) -> None:
    """Scenario A17: ten times more bots than the queues of their processes hold, all at once."""
    del actor
    bots = [Bot(number) for number in range(2000)]
    most = 0
    done = False

    async def watch() -> None:
        nonlocal most
        while not done:
            most = max(most, await pool.fetchval(BACKENDS, f"oxbot {name}"))
            await asyncio.sleep(0.01)

    async def once(bot: Bot, log: EventLog) -> None:
        await bot.live(log, lambda: bool(bot.acknowledged))

    watching = asyncio.create_task(watch())
    async with AsyncExitStack() as stack:
        logs = [
            await stack.enter_async_context(GroupCommitLog(RemoteLog(RayGateway([name])), Codec(), queue_max=50))
            for _ in range(4)
        ]
        await asyncio.gather(*(once(bot, logs[number % 4]) for number, bot in enumerate(bots)))
    done = True
    await watching
    assert await stored(pool) == {bot.stream: bot.acknowledged for bot in bots}
    assert 1 <= most <= 2


async def test_a_caller_with_more_calls_than_ray_takes_waits_its_turn(
    name: str, actor: Handle, pool: asyncpg.Pool
) -> None:
    del actor
    remote = RemoteLog(RayGateway([name]))
    calls = 4 * options.GATEWAY_PENDING_CALLS_MAX
    assert await asyncio.gather(*(remote.head() for _ in range(calls))) == [0] * calls
    assert await pool.fetchval(BACKENDS, f"oxbot {name}") == 2


async def test_while_one_gateway_is_gone_another_answers(name: str, actor: Handle) -> None:
    del actor
    assert await RemoteLog(RayGateway(["gateway-that-never-was", name])).head() == 0


@pytest.mark.parametrize("machines", [["10.0.0.1"], ["10.0.0.1", "10.0.0.2", "10.0.0.3"]])
def test_a_host_asks_the_gateway_of_its_machine_first_and_then_the_others(machines: Sequence[str]) -> None:
    gateways = Gateways(fleet=FleetName("main"), nodes=tuple(machines))
    for machine in (*machines, "10.0.0.9"):
        names = gateways.names(nearest_to=machine)
        assert sorted(names) == [f"main-gateway-{node}" for node in machines]
        if machine in machines:
            assert names[0] == f"main-gateway-{machine}"


def test_this_machine_is_one_of_those_alive() -> None:
    assert this_node() in alive_nodes()
