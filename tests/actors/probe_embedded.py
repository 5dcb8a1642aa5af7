"""Starts a fleet of one bot on an embedded Ray and prints, as JSON, what can be seen of its processes from outside."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from actors.environment import TOKEN_FILE, prepare_embedded
from events.identifiers import BotId, FleetName, Symbol
from oxbot.app.bots import NewBot
from oxbot.cli.demo import DemoMarket, DemoOptions, bot_commands, load_market
from oxbot.config import Settings
from oxbot.core.candles import Series
from oxbot.wiring.database import open_database
from oxbot.wiring.market import PlayedMarket
from oxbot.wiring.stores import Database, open_stores

FLEET = FleetName("probe")
SYMBOL = Symbol("BTC/USDT")
STRANGER = """
import logging, ray
ray.init(address={address!r}, namespace="oxbot", logging_level=logging.CRITICAL, log_to_driver=False)
"""


async def main(home: Path) -> None:
    settings = Settings(home=home)
    home.mkdir(parents=True)
    market = load_market(_options())
    async with (
        open_database(settings) as database,
        open_stores(database, "oxbot_operator", name="probe", connections=2) as stores,
    ):
        await stores.candles.add([(Series(market.venue, symbol, "5m"), candles) for symbol, candles in market.candles])
        commands = bot_commands(stores, market, FLEET)
        await commands.create(NewBot(name="probe", symbols=(SYMBOL,)), bot_id=BotId("probe-1"))
        await commands.start(BotId("probe-1"))
        prepare_embedded(home)
        from actors.cluster import start_ray, stop_ray

        start_ray(settings)
        found = await _look(settings, database, market)
        stop_ray()
    sys.__stdout__.write(json.dumps(found) + "\n")  # type: ignore[union-attr]  # there is one


async def _look(settings: Settings, database: Database, market: DemoMarket) -> dict[str, Any]:
    from actors.fleet import Fleet

    fleet = Fleet(FLEET, database, settings, _plan(market))
    while not (progress := await fleet.progress()).market.finished:
        await asyncio.sleep(0.1)
    host_before = _host_process(progress)
    await fleet.kill("supervisor")
    while not (await _progress_after_restart(fleet)).hosts:
        await asyncio.sleep(0.1)
    host_after = _host_process(await _progress_after_restart(fleet))
    return {
        "actors": _actors(),
        "listening": _listening(),
        "niceness": _niceness(),
        "host_modules": await _host_modules(database),
        "host_outlives_supervisor": host_before == host_after,
        "token_mode": oct((settings.home / TOKEN_FILE).stat().st_mode & 0o777),
        "stranger_status": _stranger(None),
        "token_holder_status": _stranger(settings.home / TOKEN_FILE),
        "connections": await _connections(database),
    }


def _plan(market: DemoMarket) -> PlayedMarket:
    return PlayedMarket(
        venue=market.venue,
        timeframe="5m",
        symbols=(SYMBOL,),
        begins_at=market.begins_at,
        ends_before=market.ends_before,
        followers=1,
    )


def _options() -> DemoOptions:
    return DemoOptions(
        market=None,
        timeframe="5m",
        symbols=(SYMBOL,),
        bots=1,
        begins_at=datetime(2024, 1, 1, tzinfo=UTC),
        ends_before=datetime(2024, 1, 2, tzinfo=UTC),
        days=1,
        seed=1,
        speed=None,
        strategy="ema_cross",
        parameters={},
        capital=Decimal(10000),
        fleet=FLEET,
        kills=(),
    )


def _host_process(progress: Any) -> int | None:
    return next((report.status.process_id for report in progress.hosts if report.status is not None), None)


async def _progress_after_restart(fleet: Any) -> Any:
    from actors.calls import ActorUnavailable

    while True:
        try:
            return await fleet.progress()
        except ActorUnavailable:
            await asyncio.sleep(0.1)


def _actors() -> list[dict[str, Any]]:
    from ray._private import state

    return [
        {"name": actor["Name"], "detached": actor["IsDetached"], "class": actor["ActorClassName"]}
        for actor in state.actors().values()
        if actor["State"] == "ALIVE"
    ]


def _family() -> list[psutil.Process]:
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def _listening() -> list[str]:
    addresses: set[str] = set()
    for process in _family():
        try:
            for connection in process.net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN:
                    addresses.add(connection.laddr.ip)
        except psutil.NoSuchProcess:
            continue
    return sorted(addresses)


def _niceness() -> list[int]:
    workers = [
        process for process in _family() if any("oxbot" in part or "ray::" in part for part in process.cmdline())
    ]
    return sorted({process.nice() for process in workers})


async def _host_modules(database: Database) -> list[str]:
    """The modules of a host like any other, asked through one method more."""
    from actors.bot_host import BotHostActor
    from actors.calls import answer, spawn
    from actors.options import market_name, resident

    class ProbedHost(BotHostActor):
        async def modules(self) -> list[str]:
            await self.status()
            return sorted(sys.modules)

    host = spawn(ProbedHost, resident("probe-host"), "probe-host", market_name(FLEET), database, "warning")
    await answer(host.place.remote([BotId("probe-1")]), of="the probed host")
    await asyncio.sleep(1)
    modules: list[str] = await answer(host.modules.remote(), of="the probed host")
    return modules


def _stranger(token: Path | None) -> int:
    """The exit status of a process that connects to our Ray, with the token or without one."""
    import ray

    address = ray.get_runtime_context().gcs_address
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    environment |= {"HOME": "/nonexistent"}
    if token is not None:
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    command = [sys.executable, "-c", STRANGER.format(address=address)]
    try:
        return subprocess.run(command, env=environment, capture_output=True, timeout=40, check=False).returncode
    except subprocess.TimeoutExpired:
        return -1


async def _connections(database: Database) -> int:
    async with open_stores(database, "oxbot_operator", name="counter", connections=1) as stores:
        sql = "select count(*) from pg_stat_activity where application_name ~ '^oxbot (probe-host-1|probe-host)$'"
        count: int = await stores.pool.fetchval(sql)
        return count


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
