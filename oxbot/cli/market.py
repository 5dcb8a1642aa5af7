"""``oxbot market``: bring candles into the store."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from oxbot.adapters.recorded_market import RecordedMarket, read_market
from oxbot.cli.inputs import parse_moment, parse_symbols
from oxbot.cli.installation import open_installation
from oxbot.config import Settings, load_settings
from oxbot.core.candles import Series

app = typer.Typer(no_args_is_help=True, help="Bring candles into the store.")


@app.command("import")
def import_market(
    folder: Annotated[Path, typer.Argument(help="A folder of files such as BTC-USDT_5m.csv.gz.")],
    timeframe: Annotated[str, typer.Option(help="Length of a candle.")],
    symbols: Annotated[str, typer.Option(help="Symbols, separated by commas.")],
    begins: Annotated[str | None, typer.Option("--from", help="First moment, inclusive.")] = None,
    ends: Annotated[str | None, typer.Option("--to", help="Last moment, exclusive.")] = None,
) -> None:
    """Check every candle, then store all of them or none. The venue is named by a digest of the files' content."""
    market = read_market(
        folder,
        timeframe=timeframe,
        symbols=parse_symbols(symbols),
        begins_at=parse_moment(begins, "--from"),
        ends_before=parse_moment(ends, "--to"),
    )
    added = asyncio.run(_store(market, load_settings(os.environ)))
    for note in market.notes:
        sys.stderr.write(f"oxbot: {note}\n")
    total = sum(len(candles) for _, candles in market.candles)
    sys.stdout.write(f"venue {market.venue}: {total} candles, {added} of them new\n")


async def _store(market: RecordedMarket, settings: Settings) -> int:
    async with open_installation(settings, name="import") as installation:
        return await installation.stores.candles.add(
            [(Series(market.venue, symbol, market.timeframe), candles) for symbol, candles in market.candles]
        )
