"""``oxbot api``: the API alone, as another process beside ``oxbot up``, or on the log of a fleet that rests."""

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.console import Console

from oxbot.adapters.model_table import read_model_table
from oxbot.app.equity import EverythingStoredIsClosed
from oxbot.cli.installation import Installation, main_commands, open_installation
from oxbot.config import Settings, load_settings
from oxbot.logs import configure_logs
from oxbot.wiring.api import ApiPlan, exposure, serve_api
from oxbot.wiring.venue_choice import moving_markets

app = typer.Typer()


@app.command()
def api(
    port: Annotated[int | None, typer.Option(help="Listen here instead of at the setting's port; 0 is any.")] = None,
) -> None:
    """Serve the API and nothing else, until interrupted: it holds no state, so any number may run."""
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)
    asyncio.run(run_api(settings if port is None else replace(settings, api_port=port)))


async def run_api(settings: Settings) -> None:
    """Serve until interrupted."""
    console = Console(stderr=True)
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(
            open_installation(settings, name="api", connections=2, serves=True)
        )
        await serve_api(api_plan(installation, console))


def api_plan(installation: Installation, console: Console) -> ApiPlan:
    """The API of this installation, which tells the console where it listens."""
    settings = installation.settings
    return ApiPlan(
        host=settings.api_host,
        port=settings.api_port,
        home=settings.home,
        database=installation.database,
        commands=lambda stores: main_commands(stores, installation.settings, actor="api"),
        market_time=EverythingStoredIsClosed(),
        announce=lambda text: console.print(f"[bold]oxbot:[/bold] {text}", highlight=False, soft_wrap=True),
        venue_key=settings.venue_key,
        models=read_model_table(settings.models),
        moving=lambda: moving_markets(settings.home),
        **exposure(settings),
    )
