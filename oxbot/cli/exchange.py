"""``oxbot exchange``: what it takes."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from oxbot.cli.exchange_run import Options, run_exchange
from oxbot.cli.inputs import InvalidInput, parse_moment, parse_speed, parse_symbols
from oxbot.config import load_settings
from oxbot.exchange.admin_paths import PATHS

SYNTHETIC = "synthetic"
DEFAULT_SYMBOLS = "BTC/USDT,ETH/USDT,SOL/USDT"

ADMIN_HELP = "\n\n".join(f"{path}: {what}" for path, what in PATHS.items())
HELP = f"""Run a local exchange: OKX v5 REST and WebSockets on loopback, for tests and rehearsals.

Its state is kept in --home and goes on where it stopped. The admin port takes JSON:

{ADMIN_HELP}
"""

app = typer.Typer()


@app.command(help=HELP)
def exchange(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where REST and WebSockets listen; 0: a free port.")
    ] = 8030,
    admin_port: Annotated[int, typer.Option(min=0, max=65535, help="Where the admin side listens.")] = 8031,
    home: Annotated[
        Path | None, typer.Option(help="Where its state is kept; without it, exchange in the home.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the market, of its fills and of the accounts' keys.")] = 1,
    symbols: Annotated[str, typer.Option(help="Each is traded as spot and as a linear swap.")] = DEFAULT_SYMBOLS,
    market: Annotated[str, typer.Option(help="synthetic, or a folder of candle files.")] = SYNTHETIC,
    timeframe: Annotated[str, typer.Option(help="Length of a recorded candle.")] = "1m",
    speed: Annotated[
        str, typer.Option(help="How many times as fast as the clock the market goes, such as 60x.")
    ] = "1x",
    start: Annotated[
        str | None, typer.Option(help="Where the market's clock begins; now, or after some history.")
    ] = None,
) -> None:
    """Run a local exchange on loopback until interrupted."""
    factor = parse_speed(speed)
    if factor is None:
        raise InvalidInput("--speed of oxbot exchange must be a factor such as 60x")
    options = Options(
        home=home or load_settings(os.environ).home / "exchange",
        port=port,
        admin_port=admin_port,
        seed=seed,
        symbols=parse_symbols(symbols),
        folder=None if market == SYNTHETIC else Path(market),
        timeframe=timeframe,
        speed=factor,
        start=parse_moment(start, "--start"),
    )
    asyncio.run(run_exchange(options))
