"""What a person sees while a fleet runs: a bar on standard error, a table on standard output."""

import sys
import time
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from oxbot.app.fleet_report import BotResult, FleetResult
from oxbot.cli.columns import CONTAMINATED
from oxbot.core.money import ratio

if TYPE_CHECKING:
    from actors.fleet import FleetProgress


RATE_SECONDS = 0.5
TABLE_WIDTH = 110


class DemoProgress:
    """Shows stages, the market's time, events per second and the projector's lag; then the result."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._output = sys.stdout
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._range: tuple[datetime, datetime] | None = None
        self._last = (time.monotonic(), 0)
        self._rate = 0.0

    def begin(self, begins_at: datetime, ends_before: datetime) -> None:
        """Show a bar over this range of market time from the first movement on."""
        self._range = begins_at, ends_before

    def stage(self, text: str) -> None:
        """Say what is being done."""
        self._console.print(f"[dim]oxbot:[/dim] {text}", highlight=False)

    def note(self, text: str) -> None:
        """Say something that the person should know."""
        self._console.print(f"[yellow]oxbot:[/yellow] {text}", highlight=False)

    def announce(self, text: str) -> None:
        """Say what the person needs to go on."""
        self._console.print(f"[bold]oxbot:[/bold] {text}", highlight=False, soft_wrap=True)

    def moved(self, progress: "FleetProgress", head: int) -> None:
        """Show where the fleet is."""
        if self._range is None or progress.market.slowest is None:
            return
        begins_at, ends_before = self._range
        bar = self._started(begins_at)
        fraction = (progress.market.slowest - begins_at) / (ends_before - begins_at)
        self._measure(head)
        bar.update(
            bar.task_ids[0],
            completed=1.0 if progress.market.finished else max(0.0, fraction),
            market=progress.market.slowest.strftime("%Y-%m-%d %H:%M"),
            rate=f"{self._rate:,.0f}",
            lag=f"{max(0, head - progress.projected):,}",
        )

    def result(self, result: FleetResult) -> None:
        """Print the result as JSON or as a table."""
        if self._bar is not None:
            self._bar.stop()
        if self._as_json:
            self._output.write(msgspec.json.encode(result).decode() + "\n")
            self._output.flush()
            return
        console = Console(file=self._output)
        # A file or a pipe has no width of its own; the table needs this much.
        Console(file=self._output, width=max(console.width, TABLE_WIDTH)).print(result_table(result))

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()

    def _measure(self, head: int) -> None:
        now, (before, events) = time.monotonic(), self._last
        if now - before >= RATE_SECONDS:
            self._rate = (head - events) / (now - before) if events else 0.0
            self._last = now, head

    def _started(self, begins_at: datetime) -> Progress:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("market {task.fields[market]}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[rate]} events/s, lag {task.fields[lag]}"),
                console=self._console,
            )
            self._bar.add_task("market", total=1.0, market=f"{begins_at:%Y-%m-%d}", rate="0", lag="0")
            self._bar.start()
        return self._bar


def result_table(result: FleetResult) -> Table:
    """One line per bot; of those that models advised, also whether these had seen the market."""
    market = result.market
    table = Table(
        title=f"{market.begins_at:%Y-%m-%d} to {market.ends_before:%Y-%m-%d}, {market.candles:,} candles, "
        f"{result.events:,} events, {result.candles_per_second:,.0f} candles/s"
    )
    for name in ("bot", "strategy", "symbols"):
        table.add_column(name)
    for name in ("equity", "return", "trades", "win rate", "max drawdown", "fees"):
        table.add_column(name, justify="right")
    labelled = any(bot.contaminated is not msgspec.UNSET for bot in result.bots)
    if labelled:
        table.add_column("contaminated")
    for bot in result.bots:
        seen = False if bot.contaminated is msgspec.UNSET else bot.contaminated
        table.add_row(*_cells(bot), *([CONTAMINATED[seen]] if labelled else []))
    return table


def _cells(bot: BotResult) -> tuple[str, ...]:
    equity, capital = Decimal(bot.equity), Decimal(bot.capital)
    wins = sum(Decimal(trade.net) > 0 for trade in bot.trades)
    trades = len(bot.trades)
    return (
        bot.name,
        bot.strategy,
        ", ".join(bot.symbols),
        f"{equity:,.2f}",
        f"{ratio(equity - capital, capital):+.2%}",
        f"{trades}" + (f" + {len(bot.open)} open" if bot.open else ""),
        f"{ratio(Decimal(wins), Decimal(trades)):.1%}" if trades else "-",
        f"{Decimal(bot.max_drawdown):.2%}",
        f"{Decimal(bot.fees):,.2f}",
    )
