"""``oxbot parity``: a live bot against the same bot on paper: the same decisions, and what their results differ by."""

import asyncio
import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from oxbot.app.parity import CAUSES, OrderDifference, Parity, compare_bots
from oxbot.app.parity_orders import Traded
from oxbot.app.views import StoredRow
from oxbot.cli.bots_named import bot_meant
from oxbot.cli.installation import open_installation
from oxbot.config import Settings, load_settings
from oxbot.core.money import text
from oxbot.wiring.stores import Stores

DIFFERS = 1
PAGE = 500
TABLE_WIDTH = 160
OF_ORDERS = [cause for cause in CAUSES if cause != "funding"]

_Bot = Annotated[str, typer.Argument(help="A bot's id, or its name where no other bot has it.")]

app = typer.Typer()


@app.command()
def parity(
    live_bot: _Bot,
    paper_bot: _Bot,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare a live bot with the same bot on paper; exit 1 if their decisions differ."""
    found = asyncio.run(_compared(load_settings(os.environ), live_bot, paper_bot))
    raise typer.Exit(say(found, as_json=as_json))


def say(found: Parity, *, as_json: bool) -> int:
    """Print the comparison; the exit status."""
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        _print(found)
    return DIFFERS if found.decision_differences else 0


async def _compared(settings: Settings, live_bot: str, paper_bot: str) -> Parity:
    async with open_installation(settings, name="parity", role="oxbot_projector") as installation:
        stores = installation.stores
        rows = await _rows(stores)
        live, paper = bot_meant(live_bot, rows), bot_meant(paper_bot, rows)
        return await compare_bots(live, paper, log=stores.log, candles=stores.candles)


async def _rows(stores: Stores) -> list[StoredRow]:
    rows: list[StoredRow] = []
    while page := await stores.views.across("bots", after_bot=rows[-1].bot_id if rows else "", limit=PAGE):
        rows.extend(page)
    return rows


def _print(found: Parity) -> None:
    # A file or a pipe has no width of its own; the tables need this much.
    console = Console(width=max(Console().width, TABLE_WIDTH), highlight=False)
    for line in found.setup:
        console.print(f"not created alike: {line}", markup=False)
    for each in found.decision_differences:
        where = f"{each.at:%Y-%m-%dT%H:%M:%SZ} {each.symbol}"
        told = f"live {each.live or 'none'}, paper {each.paper or 'none'}"
        console.print(f"DIFFERS {where} {each.field}: {told}", markup=False)
    differences = len({(each.at, each.symbol) for each in found.decision_differences})
    console.print(f"decisions: {found.decisions} made by both, {differences} that differ")
    if found.orders:
        console.print(_orders(found))
    console.print(_causes(found))
    if found.latency is not None:
        known = found.latency
        console.print(
            f"latency of {known.orders} live orders, from the candle's close to the first fill: "
            f"median {known.median_ms:,} ms, most {known.most_ms:,} ms; what it cost is in the price"
        )


def _orders(found: Parity) -> Table:
    table = Table(title=f"live {escape(found.live_bot)} against paper {escape(found.paper_bot)}")
    for name in ("candle", "symbol", "order"):
        table.add_column(name)
    for name in ("live", "paper", "ms", *OF_ORDERS):
        table.add_column(name, justify="right")
    for row in found.orders:
        table.add_row(*map(escape, _cells(row)))
    return table


def _cells(row: OrderDifference) -> Iterator[str]:
    reasons = dict.fromkeys(reason for side in (row.live, row.paper) if side is not None for reason in side.reasons)
    latency = None if row.live is None else row.live.latency_ms
    yield f"{row.at:%Y-%m-%d %H:%M}"
    yield row.symbol
    yield f"{row.side} ({', '.join(reasons)})"
    yield _traded(row.live)
    yield _traded(row.paper)
    yield "" if latency is None else f"{latency:,}"
    for cause in OF_ORDERS:
        amount = row.amounts.get(cause)
        yield "" if amount is None else _signed(amount)


def _traded(side: Traded | None) -> str:
    if side is None:
        return "not asked for"
    done = f"{text(side.quantity)} at {text(round(side.price, 8))}" if side.quantity else ""
    return "; ".join(part for part in (done, *side.ends) if part) or "nothing"


def _causes(found: Parity) -> Table:
    table = Table(title="what the results differ by, in quote currency")
    table.add_column("cause")
    table.add_column("amount", justify="right")
    table.add_column("meaning")
    table.add_row("live result", text(found.live_result), "")
    table.add_row("paper result", text(found.paper_result), "", end_section=True)
    for cause, meaning in CAUSES.items():
        table.add_row(cause, _signed(found.causes[cause]), meaning)
    if found.unexplained:
        table.add_row("unexplained", _signed(found.unexplained), "a fault of this report")
    table.add_section()
    table.add_row("difference", _signed(found.difference), "live result less paper result")
    return table


def _signed(amount: Decimal) -> str:
    return f"+{text(amount)}" if amount > 0 else text(amount)
