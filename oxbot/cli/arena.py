"""``oxbot arena``: strategies and models compared on equal capital, after what the models cost."""

import asyncio
import os
import sys
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

import msgspec
import typer

from oxbot.adapters.model_table import read_model_table
from oxbot.app.arena import LINES, LINES_MAX, ArenaBoard, ArenaReader
from oxbot.app.equity import EquityReader, EverythingStoredIsClosed
from oxbot.app.projection import ProjectionRunner
from oxbot.cli.audit_words import printable
from oxbot.cli.columns import CONTAMINATED, print_rows
from oxbot.cli.installation import open_installation
from oxbot.config import load_settings
from oxbot.logs import configure_logs
from oxbot.views.arena import ArenaLine

app = typer.Typer()

COLUMNS = (
    "contest", "rank", "bot", "strategy", "model", "answered by", "capital", "equity", "return", "P&L", "fees",
    "model cost", "net P&L", "net return", "drawdown", "trades", "coverage", "calls", "abstained", "invalid", "stale",
    "late ms", "contaminated",
)  # fmt: skip


@app.command()
def arena(
    fleet: Annotated[str | None, typer.Option(help="Only bots of this fleet; all unless given.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LINES_MAX, help="How many lines at most.")] = LINES,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank bots by return after what their models cost, among those with the same capital and market."""
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)
    models = read_model_table(settings.models)

    async def work() -> ArenaBoard:
        async with open_installation(settings, name="cli") as installation:
            stores = installation.stores
            await ProjectionRunner(stores.log, stores.views).catch_up()
            equity = EquityReader(stores.views, stores.candles, EverythingStoredIsClosed())
            return await ArenaReader(stores.views, equity, models).board(fleet=fleet, limit=limit)

    say(asyncio.run(work()), as_json=as_json)


def say(board: ArenaBoard, *, as_json: bool) -> None:
    """Print the board."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(board).decode() + "\n")
        return
    print_rows(COLUMNS, [cells(line) for line in board.items])
    for line in board.items:
        if line.unranked:
            sys.stdout.write(printable(f"{line.bot_id} is not ranked: {line.unranked}") + "\n")
    if board.bots > len(board.items):
        sys.stdout.write(f"{len(board.items)} of {board.bots} bots; --limit shows up to {LINES_MAX}\n")


def cells(line: ArenaLine) -> tuple[str, ...]:
    """The line's texts in the order of ``COLUMNS``, without what could steer a terminal."""
    texts = (
        str(line.contest),
        "-" if line.rank is None else str(line.rank),
        line.name,
        line.strategy,
        ", ".join(line.models) or "none",
        ", ".join(f"{name} x{count}" for name, count in line.resolved) or "nobody",
        line.capital,
        _money(line.equity),
        _percent(line.total_return),
        _money(line.pnl),
        _money(line.fees),
        _cost(line.model_cost),
        _money(line.pnl_net),
        _percent(line.return_net),
        _percent(line.max_drawdown),
        str(line.trades),
        _percent(line.coverage),
        str(line.calls),
        _percent(line.abstained),
        _percent(line.invalid),
        _percent(line.stale),
        "" if line.late_ms is None else str(line.late_ms),
        CONTAMINATED[line.contaminated],
    )
    return tuple(printable(text) for text in texts)


def _money(amount: str | None) -> str:
    return "" if amount is None else _fixed(Decimal(amount), 2)


def _cost(amount: str) -> str:
    return _fixed(Decimal(amount), 4)


def _percent(share: str | None) -> str:
    return "" if share is None else f"{_fixed(Decimal(share) * 100, 2)}%"


def _fixed(number: Decimal, places: int) -> str:
    """So many decimals, rounded the same way in every process: ccxt changes what its thread rounds by."""
    return f"{number.quantize(Decimal((0, (1,), -places)), ROUND_HALF_EVEN):f}"
