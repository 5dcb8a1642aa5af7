"""``oxbot up``: the main fleet on its market, and the API, until it is told to stop."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack, redirect_stdout
from datetime import UTC, datetime
from typing import Annotated

import structlog
import typer
from rich.console import Console

from actors.environment import prepare_embedded
from oxbot.app.account_directory import AccountDirectory
from oxbot.app.venue_accounts import check_addresses
from oxbot.cli.api import api_plan
from oxbot.cli.inputs import InvalidInput, parse_speed, parse_symbols
from oxbot.cli.installation import MAIN_FLEET, MARKET_BEGINS_AT, Installation, open_installation
from oxbot.config import Settings, load_settings
from oxbot.core.candles import timeframe_duration
from oxbot.logs import configure_logs
from oxbot.wiring.api import serve_api
from oxbot.wiring.market import LiveSyntheticMarket, MarketPlan, Speed
from oxbot.wiring.models import models_plan, paced, take_keys
from oxbot.wiring.notifier import check_targets
from oxbot.wiring.venue_choice import KeptChoice, VenueChoice, keep_choice, kept_choice

HISTORY_CANDLES = 300
"""So many closed candles of a venue's market are fetched before the first that a bot lives through."""

logger = structlog.get_logger(__name__)

app = typer.Typer()


@app.command()
def up(
    speed: Annotated[str, typer.Option(help="How many times as fast as the clock market time passes.")] = "1x",
    venue: Annotated[str | None, typer.Option(help="Follow a venue's market instead: okx, for one.")] = None,
    demo_mode: Annotated[bool, typer.Option("--demo", help="In the venue's demo mode.")] = False,
    venue_url: Annotated[str, typer.Option(help="HTTP address of a local exchange, or of the venue's demo.")] = "",
    venue_ws: Annotated[str, typer.Option(help="WebSocket address that goes with it; else the same host's.")] = "",
    symbols: Annotated[str | None, typer.Option(help="The venue's symbols; BTC/USDT:USDT is a perpetual.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Length of the venue's candles.")] = None,
) -> None:
    """Run the main fleet on a venue's market or the synthetic one, and serve the API, until interrupted."""
    factor = parse_speed(speed)
    if factor is None:
        raise InvalidInput("--speed of oxbot up must be a factor such as 60x: its market has no end")
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)
    choice = None
    if venue is not None:
        check_addresses(venue, demo=demo_mode, rest=venue_url, ws=venue_ws or venue_url.replace("http", "ws", 1))
        choice = VenueChoice(
            venue=venue,
            symbols=parse_symbols(symbols or ",".join(settings.market_symbols)),
            timeframe=timeframe or settings.market_timeframe,
            demo=demo_mode,
            rest=venue_url,
            ws=venue_ws or venue_url.replace("http", "ws", 1),
            speed=factor,
        )
        if factor != 1 and not choice.local:
            raise InvalidInput("--speed is for the synthetic market and for a local exchange that goes as fast")
    elif demo_mode or venue_url or venue_ws or symbols or timeframe:
        raise InvalidInput("--demo, --venue-url, --venue-ws, --symbols and --timeframe go with --venue")
    asyncio.run(run_up(settings, speed=factor, choice=choice))


async def run_up(settings: Settings, *, speed: float, choice: VenueChoice | None = None) -> None:
    """Start everything that is not running and serve until interrupted; without a choice, on the synthetic market."""
    console = Console(stderr=True)
    check_targets(settings.notify_targets)
    async with AsyncExitStack() as stack:
        # Ray prints to standard output what belongs to standard error.
        stack.enter_context(redirect_stdout(sys.stderr))
        installation = await stack.enter_async_context(
            open_installation(settings, name="up", connections=2, serves=True)
        )
        models = models_plan(settings, os.environ)
        take_keys(models)
        prepare_embedded(settings.home)
        from actors.cluster import start_ray, stop_ray  # noqa: PLC0415 - Ray reads its environment on import
        from actors.executions import Executions  # noqa: PLC0415 - imports Ray
        from actors.fleet import Fleet  # noqa: PLC0415 - imports Ray

        start_ray(settings)
        stack.callback(stop_ray)
        plan = await _plan(installation, speed, choice)
        terms = installation.terms()
        directory = AccountDirectory(installation.stores.log)
        executions = Executions(
            MAIN_FLEET, installation.database, settings, accounts=directory, market=terms.venue, speed=speed
        )
        accounts = 0 if choice is None else await executions.reserve()
        fleet = Fleet(
            MAIN_FLEET,
            installation.database,
            settings,
            plan,
            executions=executions,
            accounts=accounts,
            models=paced(models, plan),
        )
        stack.push_async_callback(fleet.seal)
        console.print(
            f"[dim]oxbot:[/dim] venue {terms.venue}, market time {speed:g} times as fast as the clock",
            highlight=False,
        )
        await serve_beside(serve_api(api_plan(installation, console)), fleet.tend())


async def serve_beside(serving: Coroutine[None, None, None], tending: Coroutine[None, None, None]) -> None:
    """Serve, and tend to the fleet for as long as that lasts."""
    async with asyncio.TaskGroup() as group:
        tender = group.create_task(tending)
        await serving
        tender.cancel()


async def _plan(installation: Installation, speed: float, choice: VenueChoice | None) -> MarketPlan:
    """The market, which is kept for the other commands before anything of it runs."""
    settings = installation.settings
    if choice is not None:
        kept = await _looked(choice, _matching(settings, choice))
        keep_choice(settings.home, kept)
        return kept.choice.plan(kept.begins_at)
    keep_choice(settings.home, None)
    terms = installation.terms()
    return LiveSyntheticMarket(
        seed=settings.market_seed,
        timeframe=settings.market_timeframe,
        symbols=tuple(instrument.symbol for instrument in terms.instruments),
        begins_at=MARKET_BEGINS_AT,
        speed=Speed(factor=speed, started_at=datetime.now(UTC), market_at=await terms.next_open()),
    )


def _matching(settings: Settings, choice: VenueChoice) -> KeptChoice | None:
    """What was kept of the same candles by an earlier run."""
    known = kept_choice(settings.home)
    if known is None:
        return None
    same = ("market", "symbols", "timeframe")
    return known if all(getattr(known.choice, name) == getattr(choice, name) for name in same) else None


async def _looked(choice: VenueChoice, known: KeptChoice | None) -> KeptChoice:
    """The choice with what the venue says now or, if it does not answer, said before. Raises ``InvalidInput``."""
    from actors.venue_look import look_at  # noqa: PLC0415 - imports Ray

    looked = await look_at(choice.plan(MARKET_BEGINS_AT))
    if looked.told is not None:
        step = timeframe_duration(choice.timeframe)
        began = looked.told.now - HISTORY_CANDLES * step
        first = datetime.fromtimestamp(began.timestamp() // step.total_seconds() * step.total_seconds(), UTC)
        return KeptChoice(
            choice=choice,
            begins_at=first if known is None else known.begins_at,
            instruments=looked.told.instruments,
        )
    if looked.final or known is None:
        raise InvalidInput(f"the market of {choice.venue} cannot be followed: {looked.refusal}")
    logger.warning("venue_not_reached", venue=choice.venue, error=looked.refusal)
    return KeptChoice(choice=choice, begins_at=known.begins_at, instruments=known.instruments)
