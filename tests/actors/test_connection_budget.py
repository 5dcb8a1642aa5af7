"""A fleet with more hosts than connections lives through its market, and never holds more connections than it may."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import pytest
import ray

from actors.fleet import Fleet
from actors.options import NAMESPACE
from events.identifiers import BotId, FleetName, Symbol
from oxbot.adapters.database import open_pool
from oxbot.app.bots import NewBot
from oxbot.cli.demo import DemoMarket, DemoOptions, bot_commands, load_market
from oxbot.config import Secret, Settings
from oxbot.core.candles import Series
from oxbot.wiring.connections import FIXED, GATEWAY
from oxbot.wiring.market import PlayedMarket
from oxbot.wiring.stores import Database, Stores, open_stores
from tests.local_ray import HOME

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("local_ray")]

FLEET = FleetName("budget")
SYMBOL = Symbol("BTC/USDT")
BOTS = 5
DIRECT = 1
CONNECTIONS_MAX = sum(FIXED.values()) + GATEWAY + DIRECT

BACKENDS = """
SELECT application_name FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
"""
DECISIONS = (
    "SELECT count(*) FROM log.events JOIN log.streams USING (stream_no) WHERE stream_id = $1 AND event_type = $2"
)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    """As large as that of the process that starts a fleet, for which it stands."""
    opened = await open_pool(database, size=FIXED["starter"], application_name="tests")
    yield opened
    await asyncio.wait_for(opened.close(), timeout=5)


async def test_acceptance_19_many_hosts_share_the_connections_that_there_are(database: str, pool: asyncpg.Pool) -> None:
    market = load_market(_options())
    seen: list[list[str]] = []
    place = Database(dsn=Secret(database))
    async with open_stores(place, "oxbot_operator", name="bots", connections=1) as stores:
        await _create_bots(stores, market)
    fleet = Fleet(FLEET, place, Settings(home=HOME, connections_max=CONNECTIONS_MAX), _plan(market))
    async with asyncio.TaskGroup() as tasks:
        tending = tasks.create_task(fleet.tend())
        watching = tasks.create_task(_watch(pool, seen))
        while not (await fleet.progress()).market.finished:
            await asyncio.sleep(0.1)
        watching.cancel()
        tending.cancel()
    _end_fleet()
    decisions = [await pool.fetchval(DECISIONS, f"bot-{FLEET}-{number}", "decision.made") for number in range(BOTS)]
    assert len(set(decisions)) == 1, "whichever way its host goes, a bot decides the same"
    assert decisions[0] > 0
    assert max(map(len, seen)) <= CONNECTIONS_MAX
    for kind in ("market", "projector", "supervisor", "sealer"):
        assert 1 <= _most(seen, f"oxbot {kind}") <= FIXED[kind], kind
    assert _most(seen, f"oxbot {FLEET}-gateway-") == GATEWAY
    hosts = {name for names in seen for name in names if "host" in name}
    assert hosts == {f"oxbot {FLEET}-host-{number}" for number in range(1, DIRECT + 1)}


def _most(seen: list[list[str]], beginning: str) -> int:
    return max(sum(name.startswith(beginning) for name in names) for names in seen)


def _end_fleet() -> None:
    for name in ray.util.list_named_actors():
        if name.startswith(FLEET):
            ray.kill(ray.get_actor(name, namespace=NAMESPACE))


async def _watch(pool: asyncpg.Pool, seen: list[list[str]]) -> None:
    while True:
        seen.append([row["application_name"] for row in await pool.fetch(BACKENDS)])
        await asyncio.sleep(0.02)


async def _create_bots(stores: Stores, market: DemoMarket) -> None:
    await stores.candles.add([(Series(market.venue, symbol, "5m"), candles) for symbol, candles in market.candles])
    commands = bot_commands(stores, market, FLEET)
    for number in range(BOTS):
        bot_id = BotId(f"{FLEET}-{number}")
        await commands.create(NewBot(name=f"bot {number}", symbols=(SYMBOL,)), bot_id=bot_id)
        await commands.start(bot_id)


def _plan(market: DemoMarket) -> PlayedMarket:
    return PlayedMarket(
        venue=market.venue,
        timeframe="5m",
        symbols=(SYMBOL,),
        begins_at=market.begins_at,
        ends_before=market.ends_before,
        followers=BOTS,
    )


def _options() -> DemoOptions:
    return DemoOptions(
        market=None,
        timeframe="5m",
        symbols=(SYMBOL,),
        bots=BOTS,
        begins_at=datetime(2024, 1, 1, tzinfo=UTC),
        ends_before=datetime(2024, 1, 3, tzinfo=UTC),
        days=2,
        seed=1,
        speed=None,
        strategy="ema_cross",
        parameters={},
        capital=Decimal(10000),
        fleet=FLEET,
        kills=(),
    )
