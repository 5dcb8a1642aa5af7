"""The command ``oxbot``."""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from events.errors import OxbotError
from events.identifiers import FleetName
from oxbot.adapters.database import explained
from oxbot.cli import archive as archive_commands
from oxbot.cli import audit as audit_commands
from oxbot.cli import bots as bots_commands
from oxbot.cli import database as database_commands
from oxbot.cli import market as market_commands
from oxbot.cli import privacy as privacy_commands
from oxbot.cli import projections as projections_commands
from oxbot.cli import risk as risk_commands
from oxbot.cli import strategies as strategies_commands
from oxbot.cli.compare import compare
from oxbot.cli.demo import Demo, DemoOptions
from oxbot.cli.inputs import (
    InvalidInput,
    parse_amount,
    parse_kills,
    parse_moment,
    parse_parameters,
    parse_speed,
    parse_symbols,
)
from oxbot.cli.progress import DemoProgress
from oxbot.cli.replay import replay
from oxbot.cli.up import run_up
from oxbot.config import load_settings
from oxbot.logs import configure_logs

T = TypeVar("T")

REFUSED = 2
"""What was asked or found is wrong; 1 is left to verifications that find something."""

CRASHED = 70
INTERRUPTED = 130

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

app.add_typer(archive_commands.app, name="archive")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(bots_commands.app, name="bots")
app.add_typer(market_commands.app, name="market")
app.add_typer(database_commands.app, name="db")
app.add_typer(privacy_commands.app, name="privacy")
app.add_typer(projections_commands.app, name="projections")
app.add_typer(risk_commands.app, name="risk")
app.add_typer(strategies_commands.app, name="strategies")
app.command("compare")(compare)
app.command("replay")(replay)

DEFAULT_SYMBOLS = "BTC/USDT,ETH/USDT,SOL/USDT,XRP/USDT,DOGE/USDT,ADA/USDT"


@app.callback()
def oxbot() -> None:
    """An event-sourced fleet of crypto trading bots."""


@app.command()
def demo(
    market: Annotated[
        Path | None, typer.Option(help="A folder of candle files; without it, a synthetic market.")
    ] = None,
    timeframe: Annotated[str, typer.Option(help="Length of a candle, such as 5m or 1h.")] = "5m",
    symbols: Annotated[str, typer.Option(help="Symbols, separated by commas.")] = DEFAULT_SYMBOLS,
    bots: Annotated[int | None, typer.Option(min=1, max=1000, help="How many bots; bot i trades symbol i.")] = None,
    begins: Annotated[str | None, typer.Option("--from", help="First moment, inclusive, by candle open time.")] = None,
    ends: Annotated[str | None, typer.Option("--to", help="Last moment, exclusive.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Length of the synthetic market without --to.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the synthetic market.")] = 1,
    speed: Annotated[str, typer.Option(help="max, or how many times as fast as the clock, such as 60x.")] = "max",
    strategy: Annotated[str, typer.Option(help="What the bots decide by.")] = "ema_cross",
    param: Annotated[list[str] | None, typer.Option(help="A strategy parameter, name=value; may come again.")] = None,
    capital: Annotated[str, typer.Option(help="Quote capital of each bot.")] = "10000",
    fleet: Annotated[str | None, typer.Option(help="Name of the fleet; a fresh one unless given.")] = None,
    kill: Annotated[list[str] | None, typer.Option(help="Kill -9 a process on the way, such as bot@30%.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    stop: Annotated[bool, typer.Option("--exit", help="Exit at the end instead of serving the API.")] = False,
) -> None:
    """Let a fleet of its own trade a market on paper, end to end, then serve the API."""
    chosen = parse_symbols(symbols)
    options = DemoOptions(
        market=market,
        timeframe=timeframe,
        symbols=chosen,
        bots=bots or len(chosen),
        begins_at=parse_moment(begins, "--from"),
        ends_before=parse_moment(ends, "--to"),
        days=days,
        seed=seed,
        speed=parse_speed(speed),
        strategy=strategy,
        parameters=parse_parameters(param or []),
        capital=parse_amount(capital, "--capital"),
        fleet=None if fleet is None else FleetName(fleet),
        kills=tuple(parse_kills(kill or [])),
    )
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)
    progress = DemoProgress(as_json=as_json)
    try:
        run(Demo(options, settings, progress).run(then_serve=not stop))
    finally:
        progress.close()


@app.command()
def up(
    speed: Annotated[str, typer.Option(help="How many times as fast as the clock market time passes.")] = "1x",
) -> None:
    """Run the main fleet on the synthetic market, and serve the API, until interrupted."""
    factor = parse_speed(speed)
    if factor is None:
        raise InvalidInput("--speed of oxbot up must be a factor such as 60x: its market has no end")
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)
    run(run_up(settings, speed=factor))


def run(work: Coroutine[None, None, T]) -> T:
    """Run it to its end; a group of errors becomes the first of them."""
    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        raise _first(group) from group


def main() -> None:
    """Run the command line: whatever goes wrong is one line on standard error and a status that says whose fault.

    Whoever asks it to terminate interrupts it, so that it ends in order: seals, and stops what it has started.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app(standalone_mode=True)
    except (Exception, BaseExceptionGroup, KeyboardInterrupt) as error:  # noqa: BLE001  # the last to be asked
        raise SystemExit(end(error, debug=os.environ.get("OXBOT_LOG_LEVEL") == "debug")) from None


def end(error: BaseException, *, debug: bool) -> int:
    """Say why the command ended: its exit status. Where a fault of ours was raised is told to who debugs."""
    cause = _first(error)
    if isinstance(cause, KeyboardInterrupt):
        return INTERRUPTED
    known = _known(cause)
    if known is not None:
        sys.stderr.write(f"oxbot: {known}\n")
        return REFUSED
    what = " ".join(f"{type(cause).__name__}: {cause}".split())
    sys.stderr.write(f"oxbot: a fault of oxbot itself: {what} (OXBOT_LOG_LEVEL=debug shows where)\n")
    if debug:
        traceback.print_exception(error)
    return CRASHED


def _known(cause: BaseException) -> OxbotError | None:
    """The error if it is one for the operator, who is told so; None for a fault of ours."""
    if isinstance(cause, OxbotError):
        return cause
    if isinstance(cause, OSError) and isinstance(cause.filename, str | bytes):
        return OxbotError(f"cannot use {os.fsdecode(cause.filename)}: {cause.strerror}")
    return explained(cause)


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
