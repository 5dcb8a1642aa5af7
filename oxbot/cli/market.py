"""``oxbot market``: bring candles into the store."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from events.identifiers import VenueName
from oxbot.adapters.candle_profiles import candle_profile
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.recorded_market import RecordedMarket, read_market
from oxbot.app.account_directory import market_of
from oxbot.app.candle_download import Downloaded, download_candles
from oxbot.app.clock import SystemClock
from oxbot.app.live_market_incidents import left_out_of
from oxbot.cli.download_progress import DownloadProgress
from oxbot.cli.inputs import MOMENT, InvalidInput, parse_moment, parse_symbols
from oxbot.cli.installation import open_installation
from oxbot.config import Settings, load_settings
from oxbot.core.candles import Series, timeframe_duration
from oxbot.wiring.market import VenueMarket

app = typer.Typer(name="market", no_args_is_help=True, help="Bring candles into the store.")


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


@app.command("download")
def download_market(
    venue: Annotated[str, typer.Option(help="okx, binance, bybit or kraken.")],
    symbols: Annotated[str, typer.Option(help="Symbols, separated by commas; BTC/USDT:USDT is a perpetual.")],
    timeframe: Annotated[str, typer.Option(help="Length of a candle.")],
    begins: Annotated[str, typer.Option("--from", help="First moment, inclusive.")],
    ends: Annotated[str | None, typer.Option("--to", help="Last moment, exclusive; without it, now.")] = None,
    url: Annotated[str | None, typer.Option(help="Ask there instead, such as at a local exchange.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Store the candles under this venue's name; else a local exchange's are okx-local."),
    ] = None,
) -> None:
    """Bring a venue's closed candles into the store. Safe to stop and repeat: only what is missing is asked for."""
    wanted = parse_symbols(symbols)
    begins_at, ends_before = parse_moment(begins, "--from"), parse_moment(ends, "--to") or datetime.now(UTC)
    if begins_at is None or begins_at >= ends_before:
        raise InvalidInput("--from must be before --to")
    candle_profile(venue).check(timeframe, venue)
    plan = VenueMarket(
        venue=venue,
        stored_as=VenueName(name) if name else market_of(venue, rest=url or ""),
        timeframe=timeframe,
        symbols=wanted,
        begins_at=begins_at,
        addresses=None if url is None else VenueAddresses(rest=url, ws=url.replace("http", "ws", 1)),
    )
    for done in asyncio.run(_download(plan, ends_before, load_settings(os.environ))):
        for gap in done.gaps:
            sys.stderr.write(f"oxbot: {done.symbol}: no candles from {gap.first:{MOMENT}} to {gap.last:{MOMENT}}\n")
        sys.stdout.write(f"{done.symbol}: {done.candles} candles, {done.added} of them new, sha256 {done.digest}\n")


async def _download(plan: VenueMarket, ends_before: datetime, settings: Settings) -> list[Downloaded]:
    step = timeframe_duration(plan.timeframe)
    results: list[Downloaded] = []
    async with open_installation(settings, name="download") as installation, plan.open_source() as source:
        await source.load()
        stores = installation.stores
        left_out = await left_out_of(stores.log, plan.stored_as, plan.timeframe, step=step)
        with DownloadProgress(plan.symbols, plan.begins_at, ends_before) as progress:
            for symbol in plan.symbols:
                done = await download_candles(
                    source,
                    stores.candles,
                    Series(plan.stored_as, symbol, plan.timeframe),
                    begins_at=plan.begins_at,
                    ends_before=ends_before,
                    clock=SystemClock(),
                    left_out=left_out.get(symbol, ()),
                    moved=progress.of(symbol),
                )
                results.append(done)
    return results
