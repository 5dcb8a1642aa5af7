"""A whole installation in one thread of the test's process: database, market, bots, views and the API, on a port."""

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

import asyncpg

from events.envelope import Fact, NewEvent
from events.identifiers import BotId, StreamId, VenueName, new_event_id
from events.log import ANY_VERSION
from oxbot.adapters import embedded_postgres
from oxbot.app.equity import EverythingStoredIsClosed
from oxbot.app.host_runner import HostRunner, HostStatus
from oxbot.cli.installation import MAIN_FLEET, MARKET_BEGINS_AT, main_commands, synthetic_market
from oxbot.config import Secret, Settings, load_settings
from oxbot.wiring.api import ApiPlan, serve_api
from oxbot.wiring.host import open_host
from oxbot.wiring.market import LiveSyntheticMarket, Speed, open_market
from oxbot.wiring.projector import open_projector
from oxbot.wiring.stores import Database, open_stores
from oxbot.wiring.supervisor import open_supervisor

SPEED = 15000.0
"""Times as fast as the clock: fifty candles of five minutes a second."""

START_SECONDS = 60
ADDRESS = re.compile(r"listens on (\S+)")
PASSWORD = re.compile(r"the password (\S+)")

AnswerT = TypeVar("AnswerT")
Announce = Callable[[str], None]


class Installation(NamedTuple):
    """Where it is, how to sign in as its administrator, its market, and the loop that it lives in."""

    address: str
    password: str
    market: VenueName
    database: Database
    loop: asyncio.AbstractEventLoop

    def do(self, work: Coroutine[None, None, AnswerT]) -> AnswerT:
        """What the work answers, done in the installation's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(START_SECONDS)

    def say(self, stream: StreamId, *facts: Fact) -> None:
        """Append facts, as whoever makes them would."""
        self.do(_append(self.database, stream, facts))

    def told(self, stream: StreamId) -> list[Fact]:
        """All facts of a stream."""
        return self.do(_read(self.database, stream))


class OneHost:
    """``Hosts`` of which there is one, in this process."""

    def __init__(self, runner: HostRunner) -> None:
        self._runner = runner

    async def ensure(self, host: str) -> None:
        """It is there."""

    async def status(self, host: str) -> HostStatus:
        """Who lives in it."""
        del host
        return self._runner.status(0)

    async def place(self, host: str, bot_ids: Sequence[BotId]) -> None:
        """Let the bots live in it."""
        del host
        await self._runner.place(bot_ids)

    async def refresh(self, host: str, bot_ids: Sequence[BotId]) -> None:
        """Tell the bots that others appended to their streams."""
        del host
        await self._runner.refresh(bot_ids)

    async def wake(self) -> None:
        """Everything is at work."""


@contextmanager
def installed(server: str, template: str, home: Path) -> Iterator[Installation]:
    """An installation over a copy of the template database, running until the end."""
    dsn = asyncio.run(_copy(server, template))
    settings = load_settings({"OXBOT_HOME": str(home), "OXBOT_API_PORT": "0"})
    database = Database(dsn=Secret(dsn), embedded=True)
    said: list[str] = []
    begun, ended = threading.Event(), threading.Event()
    loop = asyncio.new_event_loop()

    def announce(text: str) -> None:
        said.append(text)
        if PASSWORD.search(text):
            begun.set()

    living = loop.create_task(_live(settings, database, announce))
    thread = threading.Thread(target=_run, args=(loop, living, ended), name="installation")
    thread.start()
    try:
        assert begun.wait(START_SECONDS), said
        text = "\n".join(said)
        address, password = ADDRESS.search(text)[1], PASSWORD.search(text)[1]  # type: ignore[index]  # it has begun
        yield Installation(address, password, synthetic_market(settings).venue, database, loop)
    finally:
        loop.call_soon_threadsafe(living.cancel)
        thread.join(START_SECONDS)
        assert ended.is_set()
        loop.close()


def _run(loop: asyncio.AbstractEventLoop, living: "asyncio.Task[None]", ended: threading.Event) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait([living]))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        ended.set()


async def _live(settings: Settings, database: Database, announce: Announce) -> None:
    market = synthetic_market(settings)
    plan = LiveSyntheticMarket(
        seed=settings.market_seed,
        timeframe=settings.market_timeframe,
        symbols=tuple(instrument.symbol for instrument in market.instruments),
        begins_at=MARKET_BEGINS_AT,
        speed=Speed(factor=SPEED, started_at=datetime.now(UTC), market_at=MARKET_BEGINS_AT),
    )
    async with AsyncExitStack() as stack:
        feed = await stack.enter_async_context(open_market(plan, database))
        host = await stack.enter_async_context(open_host("host", database, feed))
        projector = await stack.enter_async_context(open_projector(database))
        supervisor = await stack.enter_async_context(
            open_supervisor(MAIN_FLEET, database, OneHost(host), bots_per_actor=100)
        )
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for work in (
            feed.run(),
            host.run(),
            projector.run(),
            supervisor.run(),
            serve_api(_api(settings, database, announce)),
        ):
            group.create_task(work)


def _api(settings: Settings, database: Database, announce: Announce) -> ApiPlan:
    return ApiPlan(
        host="127.0.0.1",
        port=0,
        home=settings.home,
        database=database,
        commands=lambda stores: main_commands(stores, settings, actor="api"),
        market_time=EverythingStoredIsClosed(),
        announce=announce,
    )


async def _append(database: Database, stream: StreamId, facts: Sequence[Fact]) -> None:
    async with open_stores(database, "oxbot_operator", name="test", connections=1) as stores:
        events = [NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=fact) for fact in facts]
        await stores.log.append(stream, events, expected=ANY_VERSION)


async def _read(database: Database, stream: StreamId) -> list[Fact]:
    async with open_stores(database, "oxbot_operator", name="test", connections=1) as stores:
        return [event.fact for event in await stores.log.read_stream(stream)]


async def _copy(server: str, template: str) -> str:
    connection = await asyncpg.connect(server)
    await connection.execute("DROP DATABASE IF EXISTS page WITH (FORCE)")
    await connection.execute(
        await connection.fetchval("SELECT format('CREATE DATABASE page TEMPLATE %I', $1::text)", template)
    )
    await connection.close()
    return server.replace(f"/{embedded_postgres.DATABASE}?", "/page?")
