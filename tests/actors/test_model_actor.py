"""An advised bot's process costs what any bot's does, and knows nothing of models; another process asks them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import ray

from actors.bot_host import BotHostActor
from actors.calls import answer, find, spawn
from actors.fleet import Fleet
from actors.options import NAMESPACE, market_name, models_name, resident
from events.identifiers import BotId, FleetName, Symbol, bot_stream
from oxbot.app.bots import NewBot
from oxbot.cli.demo import DemoMarket, DemoOptions, bot_commands, load_market
from oxbot.config import Secret, Settings
from oxbot.core.candles import Series
from oxbot.wiring.market import PlayedMarket
from oxbot.wiring.models import ModelsPlan
from oxbot.wiring.stores import Database, Stores, open_stores
from tests.local_ray import HOME

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("local_ray")]

SYMBOL = Symbol("BTC/USDT")
MEGABYTE = 1_000_000
MORE_MAX = 6 * MEGABYTE
"""What two processes of the same kind of bot differ by in any case, as measured, and some more."""


async def test_an_advised_bot_s_process_is_as_large_as_an_indicator_bot_s_and_loads_no_model_library(
    database: str, request: pytest.FixtureRequest
) -> None:
    place = Database(dsn=Secret(database))
    owned: dict[str, int] = {}
    for strategy in ("indicator", "model"):
        bytes_owned, modules = await _lived(place, FleetName(f"memory-{strategy}"), strategy)
        owned[strategy] = bytes_owned
        assert not {"litellm", "openai", "oxbot.app.models.gateway", "oxbot.wiring.models"} & set(modules)
    megabytes = {strategy: f"{size / MEGABYTE:.1f}" for strategy, size in owned.items()}
    request.node.user_properties.append(("counts", f"megabytes of its own by strategy: {megabytes}"))
    assert owned["model"] - owned["indicator"] < MORE_MAX


async def test_the_process_that_asks_models_comes_back_when_it_is_killed(database: str) -> None:
    fleet = FleetName("restarts")
    market = load_market(_options(fleet))
    async with _fleet(Database(dsn=Secret(database)), fleet, market):
        handle = find(models_name(fleet))
        first: int = await answer(handle.wake.remote(), of="the models")
        os.kill(first, 9)
        second = first
        async with asyncio.timeout(60):
            while second == first:
                await asyncio.sleep(0.1)
                second = await _woken(fleet) or first
    assert second != first


def _probed_host() -> type:
    """A host like any other that also tells what it has loaded and how much memory is its own.

    Made in a function, so that its process does not load this module, and with it what starts fleets.
    """

    class ProbedHost(BotHostActor):
        async def probed(self) -> tuple[int, list[str]]:
            await self.status()
            rollup = Path(f"/proc/{os.getpid()}/smaps_rollup").read_text(encoding="utf-8")
            private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
            return private * 1024, sorted(sys.modules)

    return ProbedHost


async def _woken(fleet: FleetName) -> int | None:
    try:
        process_id: int = await find(models_name(fleet)).wake.remote()
    except ray.exceptions.RayActorError:
        return None
    return process_id


async def _lived(place: Database, fleet: FleetName, strategy: str) -> tuple[int, list[str]]:
    """What a host of one bot of that strategy owns once it has lived through its market."""
    market = load_market(_options(fleet))
    async with open_stores(place, "oxbot_operator", name="bots", connections=1) as stores:
        bot_id = await _create_bot(stores, market, fleet, strategy)
        async with _fleet(place, fleet, market) as running:
            host = spawn(
                _probed_host(), resident(f"{fleet}-probed"), f"{fleet}-probed", market_name(fleet), place, "warning"
            )
            await answer(host.place.remote([bot_id]), of="the host")
            async with asyncio.timeout(240):
                while not (await running.progress()).market.finished:
                    await asyncio.sleep(0.2)
            probed: tuple[int, list[str]] = await answer(host.probed.remote(), of="the host")
        events = await stores.log.read_stream(bot_stream(bot_id))
    advised = any(event.event_type == "advice.received" for event in events)
    assert advised == (strategy == "model"), "the bot was not what it is measured as"
    return probed


@asynccontextmanager
async def _fleet(place: Database, fleet: FleetName, market: DemoMarket) -> AsyncIterator[Fleet]:
    """A fleet whose only bots are those that a test places itself."""
    begun = Fleet(fleet, place, Settings(home=HOME), _plan(market), models=ModelsPlan())
    try:
        yield begun
    finally:
        for name in ray.util.list_named_actors():
            if name.startswith(fleet):
                ray.kill(ray.get_actor(name, namespace=NAMESPACE))


async def _create_bot(stores: Stores, market: DemoMarket, fleet: FleetName, strategy: str) -> BotId:
    """One that no supervisor places: it belongs to another fleet."""
    await stores.candles.add([(Series(market.venue, symbol, "5m"), candles) for symbol, candles in market.candles])
    commands, bot_id = bot_commands(stores, market, FleetName(f"{fleet}-bots")), BotId(f"{fleet}-1")
    await commands.create(NewBot(name="bot", symbols=(SYMBOL,), strategy=strategy), bot_id=bot_id)
    await commands.start(bot_id)
    return bot_id


def _plan(market: DemoMarket) -> PlayedMarket:
    return PlayedMarket(
        venue=market.venue,
        timeframe="5m",
        symbols=(SYMBOL,),
        begins_at=market.begins_at,
        ends_before=market.ends_before,
        followers=1,
    )


def _options(fleet: FleetName) -> DemoOptions:
    return DemoOptions(
        market=None,
        timeframe="5m",
        symbols=(SYMBOL,),
        bots=1,
        begins_at=datetime(2024, 1, 1, tzinfo=UTC),
        ends_before=datetime(2024, 1, 4, tzinfo=UTC),
        days=3,
        seed=1,
        speed=None,
        strategy="ema_cross",
        parameters={},
        capital=Decimal(10000),
        fleet=fleet,
        kills=(),
    )
