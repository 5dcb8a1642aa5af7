"""``oxbot compare``: strategies against holding and against chance, on recorded candles, costs included."""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from functools import cache
from itertools import groupby
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from traceback import extract_tb
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from events.errors import OxbotError
from events.identifiers import Symbol
from events.values import MarketReference
from oxbot.adapters.recorded_market import RecordedMarket, read_market
from oxbot.app.compare import (
    Batch,
    Conditions,
    Contender,
    Row,
    Run,
    asks_models,
    batches,
    contenders,
    rows,
    run_batch,
    strategy_names,
)
from oxbot.cli.inputs import InvalidInput, parse_amount, parse_moment, parse_symbols
from oxbot.cli.installation import FEES
from oxbot.core.bot import BotDecider
from oxbot.core.candles import timeframe_duration
from oxbot.wiring.strategies import installed_strategies

DEFAULT_SYMBOLS = "BTC/USDT,ETH/USDT,SOL/USDT,XRP/USDT,DOGE/USDT"
TABLE_WIDTH = 130

app = typer.Typer()


class ComparisonFailed(OxbotError):
    """A strategy failed, or a process that was comparing died."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True, rename={"begins_at": "from", "ends_before": "to"}):
    """The result of ``oxbot compare``: a row per symbol and strategy, and every single run."""

    timeframe: str
    begins_at: datetime
    ends_before: datetime
    conditions: Conditions
    rows: list[Row]
    runs: list[Run]


@app.command()
def compare(
    candles: Annotated[Path, typer.Option(help="A folder of candle files, such as BTC-USDT_1h.csv.gz.")],
    timeframe: Annotated[str, typer.Option(help="Length of a candle, such as 5m or 1h.")] = "1h",
    symbols: Annotated[str, typer.Option(help="Symbols, separated by commas.")] = DEFAULT_SYMBOLS,
    strategies: Annotated[
        str | None, typer.Option(help="Strategies, separated by commas; all unless given. hodl and random always run.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many bots trade at random.")] = 30,
    begins: Annotated[str | None, typer.Option("--from", help="First moment, inclusive, by candle open time.")] = None,
    ends: Annotated[str | None, typer.Option("--to", help="Last moment, exclusive.")] = None,
    capital: Annotated[str, typer.Option(help="Quote capital of each bot.")] = "10000",
    jobs: Annotated[
        int | None, typer.Option(min=1, max=256, help="How many processes; one per core unless given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result, every run of it, as JSON.")] = False,
) -> None:
    """Compare strategies with holding and with chance on recorded candles; nothing is stored."""
    chosen = _chosen(strategies, seeds=seeds)
    conditions = Conditions(capital=parse_amount(capital, "--capital"), fees=FEES)
    wanted = parse_symbols(symbols)
    market = read_market(
        candles,
        timeframe=timeframe,
        symbols=wanted,
        begins_at=parse_moment(begins, "--from"),
        ends_before=parse_moment(ends, "--to"),
    )
    console = Console(stderr=True)
    for note in market.notes:
        console.print(f"[yellow]oxbot:[/yellow] {note}", highlight=False)
    work = batches(_reference(market), market.candles, chosen, conditions, decider=_decider())
    runs = _in_order(_run_all(work, jobs or os.cpu_count() or 1, console), wanted, chosen)
    _say(_comparison(market, conditions, runs), as_json=as_json)


def comparison_table(comparison: Comparison) -> Table:
    """A line per symbol and strategy."""
    conditions = comparison.conditions
    table = Table(
        title=f"{comparison.timeframe} candles, {comparison.begins_at:%Y-%m-%d} to {comparison.ends_before:%Y-%m-%d}",
        caption=f"Net of fees ({conditions.fees.maker:%} maker, {conditions.fees.taker:%} taker), half a spread of "
        f"{conditions.paper.half_spread:%} and slippage up to {conditions.paper.slippage_max:%}; a position takes at "
        f"most {conditions.limits.position_fraction_max:.0%} of equity, and an open one counts at the last close.\n"
        "random: each figure's median over its runs, one per seed, and between what nine tenths of them lie; "
        "beats random: the share of them that returned less.",
    )
    for name in ("symbol", "strategy"):
        table.add_column(name, no_wrap=True)
    for name in ("trades", "net return", "max drawdown", "Sharpe", "exposure", "fees", "beats random"):
        table.add_column(name, justify="right")
    for symbol, of_symbol in groupby(comparison.rows, attrgetter("symbol")):
        for number, line in enumerate(line for row in of_symbol for line in _lines(row)):
            table.add_row("" if number else symbol, *line)
        table.add_section()
    return table


def _chosen(strategies: str | None, *, seeds: int) -> list[Contender]:
    installed = installed_strategies()
    names = strategy_names(installed) if strategies is None else [name.strip() for name in strategies.split(",")]
    if not all(names):
        raise InvalidInput(f"--strategies {strategies!r} has an empty name")
    if len(set(names)) != len(names):
        raise InvalidInput(f"--strategies {strategies!r} names a strategy twice")
    for name in names:
        if asks_models(installed, name):
            raise InvalidInput(f"--strategies: {name} asks a model, and nobody was asked about these candles")
    return contenders(names, seeds=seeds)


def _reference(market: RecordedMarket) -> MarketReference:
    return MarketReference(
        venue=market.venue,
        timeframe=market.timeframe,
        begins_at=min(series[0].open_time for _, series in market.candles),
        instruments=market.instruments,
    )


def _run_all(work: Sequence[Batch], jobs: int, console: Console) -> list[Run]:
    with Progress(
        TextColumn("candles decided on"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("compare", total=sum(batch.steps for batch in work))
        runs: list[Run] = []
        for batch, done in _finished(work, jobs):
            runs += done
            progress.advance(task, batch.steps)
        return runs


def _finished(work: Sequence[Batch], jobs: int) -> Iterator[tuple[Batch, list[Run]]]:
    """Each batch with its runs, as they end."""
    if jobs == 1 or len(work) == 1:
        yield from ((batch, contend(batch)) for batch in work)
        return
    # A fresh process each: a copy of this one would hold whatever its threads were holding.
    pool = ProcessPoolExecutor(min(jobs, len(work)), mp_context=get_context("spawn"))
    try:
        futures: dict[Future[list[Run]], Batch] = {pool.submit(contend, batch): batch for batch in work}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise ComparisonFailed("a process that was comparing died; with --jobs 1 its reason shows") from error
    finally:
        pool.shutdown(cancel_futures=True)


def contend(batch: Batch) -> list[Run]:
    """The runs of a batch, in whatever process this is. Raises ``ComparisonFailed`` if a strategy fails at a candle."""
    try:
        return run_batch(batch, _decider())
    except OxbotError:
        raise
    except Exception as error:  # a strategy may be anybody's, and can fail in any way
        at = extract_tb(error.__traceback__)[-1]
        what = " ".join(f"{type(error).__name__}: {error}".split())
        name = batch.contenders[0].strategy
        raise ComparisonFailed(
            f"strategy {name} failed on {batch.symbol}: {what} ({Path(at.filename).name}:{at.lineno})"
        ) from error


@cache
def _decider() -> BotDecider:
    """The strategies that are installed, loaded once in each process."""
    return BotDecider(installed_strategies(), halts=False)


def _in_order(runs: list[Run], symbols: Sequence[Symbol], chosen: Sequence[Contender]) -> list[Run]:
    """The runs as symbols and contenders were asked for, whichever process was done first."""
    return sorted(
        runs,
        key=lambda run: (symbols.index(run.symbol), chosen.index(Contender(run.strategy, run.parameters))),
    )


def _comparison(market: RecordedMarket, conditions: Conditions, runs: list[Run]) -> Comparison:
    last = max(series[-1].open_time for _, series in market.candles)
    return Comparison(
        timeframe=market.timeframe,
        begins_at=min(series[0].open_time for _, series in market.candles),
        ends_before=last + timeframe_duration(market.timeframe),
        conditions=conditions,
        rows=rows(runs),
        runs=runs,
    )


def _say(comparison: Comparison, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(comparison).decode() + "\n")
        return
    # A file or a pipe has no width of its own; the table needs this much.
    width = max(Console().width, TABLE_WIDTH)
    Console(width=width).print(comparison_table(comparison))


def _lines(row: Row) -> Iterator[tuple[str, ...]]:
    """The row as it is shown: one line, or for several runs one for the median and one for each end of the range."""
    if row.runs == 1:
        yield (row.strategy, *_cells(row, 0))
        return
    for place, words in enumerate(("median", "5 %", "95 %")):
        yield (f"{row.strategy}, {words}", *_cells(row, place))


def _cells(row: Row, place: int) -> tuple[str, ...]:
    still_open = f" + {row.open_positions[place]:.0f} open" if row.runs == 1 and row.open_positions[place] else ""
    return (
        f"{row.trades[place]:,.0f}{still_open}",
        f"{row.total_return[place]:+.2%}",
        f"{row.max_drawdown[place]:.2%}",
        "-" if row.sharpe is None else f"{row.sharpe[place]:.2f}",
        "-" if row.exposure is None else f"{row.exposure[place]:.1%}",
        f"{row.fees[place]:,.2f}",
        "-" if row.beats_random is None else f"{row.beats_random:.0%}",
    )
