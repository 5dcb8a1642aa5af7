"""``oxbot strategies``: what bots can decide by, and what each of its parameters is."""

import sys
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from oxbot.cli.audit_words import printable
from oxbot.core.catalogue import StrategyShown, listed, shown
from oxbot.wiring.strategies import installed_strategies

app = typer.Typer(name="strategies", help="What bots can decide by.")

LINE = ("name", "version", "summary")
PARAMETER = ("name", "type", "default", "bounds", "meaning")
TABLE_WIDTH = 130

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def strategies(context: typer.Context, as_json: _Json = False) -> None:
    """List every strategy that is installed, plug-ins included."""
    if context.invoked_subcommand is not None:
        return
    found = listed(installed_strategies())
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    table = Table(*LINE)
    for line in found:
        table.add_row(*(printable(str(getattr(line, name))) for name in LINE))
    _print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="The strategy's name.")], as_json: _Json = False) -> None:
    """Show what a strategy does and every parameter of it; with --json also as a JSON schema."""
    found = shown(installed_strategies(), name)
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        _print(_table(found))


def _table(found: StrategyShown) -> Table:
    table = Table(*PARAMETER, title=f"{found.name}, version {found.version}", caption=printable(found.summary) or None)
    for parameter in found.parameters:
        table.add_row(*(printable(getattr(parameter, name)) for name in PARAMETER))
    return table


def _print(table: Table) -> None:
    # A file or a pipe has no width of its own; the table needs this much.
    Console(width=max(Console().width, TABLE_WIDTH), markup=False).print(table)
