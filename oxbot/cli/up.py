"""``oxbot up``: the main fleet on its market, and the API, until it is told to stop."""

import asyncio
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack, redirect_stdout
from datetime import UTC, datetime

from rich.console import Console

from actors.environment import prepare_embedded
from oxbot.app.equity import EverythingStoredIsClosed
from oxbot.cli.installation import MAIN_FLEET, MARKET_BEGINS_AT, Installation, main_commands, open_installation
from oxbot.config import Settings
from oxbot.wiring.api import ApiPlan, serve_api
from oxbot.wiring.market import LiveSyntheticMarket, Speed


async def run_up(settings: Settings, *, speed: float) -> None:
    """Start everything that is not running and serve until interrupted."""
    console = Console(stderr=True)
    async with AsyncExitStack() as stack:
        # Ray prints to standard output what belongs to standard error.
        stack.enter_context(redirect_stdout(sys.stderr))
        installation = await stack.enter_async_context(
            open_installation(settings, name="up", connections=2, serves=True)
        )
        prepare_embedded(settings.home)
        from actors.cluster import start_ray, stop_ray  # noqa: PLC0415 - Ray reads its environment on import
        from actors.fleet import Fleet  # noqa: PLC0415 - imports Ray

        start_ray(settings)
        stack.callback(stop_ray)
        fleet = Fleet(MAIN_FLEET, installation.database, settings, await _plan(installation, speed))
        stack.push_async_callback(fleet.seal)
        console.print(
            f"[dim]oxbot:[/dim] venue {installation.terms.venue}, market time {speed:g} times as fast as the clock",
            highlight=False,
        )
        await serve_beside(serve_api(_api(installation, console)), fleet.tend())


async def serve_beside(serving: Coroutine[None, None, None], tending: Coroutine[None, None, None]) -> None:
    """Serve, and tend to the fleet for as long as that lasts."""
    async with asyncio.TaskGroup() as group:
        tender = group.create_task(tending)
        await serving
        tender.cancel()


async def _plan(installation: Installation, speed: float) -> LiveSyntheticMarket:
    settings = installation.settings
    return LiveSyntheticMarket(
        seed=settings.market_seed,
        timeframe=settings.market_timeframe,
        symbols=tuple(instrument.symbol for instrument in installation.terms.instruments),
        begins_at=MARKET_BEGINS_AT,
        speed=Speed(factor=speed, started_at=datetime.now(UTC), market_at=await installation.terms.next_open()),
    )


def _api(installation: Installation, console: Console) -> ApiPlan:
    settings = installation.settings
    return ApiPlan(
        host=settings.api_host,
        port=settings.api_port,
        home=settings.home,
        database=installation.database,
        commands=lambda stores: main_commands(stores, installation.settings, actor="api"),
        market_time=EverythingStoredIsClosed(),
        announce=lambda text: console.print(f"[bold]oxbot:[/bold] {text}", highlight=False, soft_wrap=True),
    )
