"""A local exchange that runs: opened, it listens on loopback; closed, it has ended in order and kept its state."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from aiohttp import web
from msgspec.structs import replace

from events.errors import OxbotError
from oxbot.exchange.admin import Admin
from oxbot.exchange.calls import Calls
from oxbot.exchange.channels import Channels
from oxbot.exchange.clock import Clocks
from oxbot.exchange.engine import Exchange
from oxbot.exchange.feed import Feed, NoFeed
from oxbot.exchange.floor import Floor, Supply
from oxbot.exchange.journal import Journal
from oxbot.exchange.operations import Operations
from oxbot.exchange.plan import Plan
from oxbot.exchange.server import PublicSide
from oxbot.exchange.sessions import Hub

HOST = "127.0.0.1"
SHUTDOWN_SECONDS = 1.0


class PortUnavailable(OxbotError):
    """Somebody else listens there."""


MakeFeed = Callable[[Exchange], Feed]


class Running:
    """Where it listens, and its parts for tests in the same process."""

    def __init__(self, calls: Calls, hub: Hub, port: int, admin_port: int) -> None:
        self.calls = calls
        self.hub = hub
        self.exchange = calls.floor.exchange
        self.rest_url = f"http://{HOST}:{port}"
        self.ws_url = f"ws://{HOST}:{port}/ws/v5"
        self.admin_url = f"http://{HOST}:{admin_port}"


@asynccontextmanager
async def open_exchange(plan: Plan, make_feed: MakeFeed | None = None) -> AsyncIterator[Running]:
    """Run it while the block lasts. Without a feed prices move only when the admin port moves them."""
    plan.home.mkdir(parents=True, exist_ok=True)
    with Journal(plan.home, plan.settings) as journal:
        clocks = Clocks(start_ms=plan.start_ms, speed=plan.speed, path=plan.home / "clock.json")
        exchange = journal.exchange
        hub = Hub()
        channels = Channels(exchange, hub)
        feed = _prepared(plan, exchange, clocks.market_ms(), make_feed)
        floor = Floor(journal, clocks, feed, channels.tell)
        calls = Calls(floor, clocks, seed=plan.settings.seed)
        operations = Operations(calls, hub, channels)
        public = PublicSide(calls, hub, operations, silence_seconds=plan.silence_seconds)
        admin = Admin(calls, hub, may_crash=plan.may_crash)
        served = _served_both(public.application(), admin.application(), plan)
        async with _beside(floor.run()), served as (port, admin_port):
            try:
                yield Running(calls, hub, port, admin_port)
            finally:
                calls.stopping.set()
                for session in hub.each(lambda _: True):
                    session.close(1001, "the exchange stops")
        floor.ship()


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run it while the block lasts; whichever of them fails ends the other, and its own error is what is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(work, name="exchange")
            yield
            running.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def _prepared(plan: Plan, exchange: Exchange, now: int, make_feed: MakeFeed | None) -> Supply:
    """List what is new, open the accounts, and bring the history in."""
    # Candles that were missed while it was down are played from where it stopped.
    at = exchange.now or now
    for instrument in plan.instruments:
        if exchange.instrument(instrument.inst_id) is None:
            # A copy: the engine changes its instruments' states.
            exchange.list_instrument(replace(instrument), at)
    supply: Supply = NoFeed()
    if make_feed is not None:
        feed = make_feed(exchange)
        feed.begin(now)
        supply = feed
    for inst_id, price in plan.prices.items():
        if exchange.mark_price(inst_id) is None:
            exchange.set_price(inst_id, price, at)
    known = set(exchange.accounts())
    for funded in plan.accounts:
        exchange.open_account(funded.spec, at)
        if funded.spec.name not in known:
            for currency, amount in funded.deposits.items():
                exchange.deposit(funded.spec.name, currency, amount, at)
    return supply


@asynccontextmanager
async def _served_both(public: web.Application, admin: web.Application, plan: Plan) -> AsyncIterator[tuple[int, int]]:
    async with _served(public, plan.port) as port, _served(admin, plan.admin_port) as admin_port:
        yield port, admin_port


@asynccontextmanager
async def _served(application: web.Application, port: int) -> AsyncIterator[int]:
    """Serve it on loopback; the port that it has."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            raise PortUnavailable(f"cannot listen on {HOST}:{port}: {error.strerror}") from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
