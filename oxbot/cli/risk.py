"""``oxbot risk``: what a bot's risk gate can be told to hold to."""

import sys
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from oxbot.cli.columns import print_rows
from oxbot.cli.inputs import InvalidInput
from oxbot.core.risk import LimitRow, limits_table

app = typer.Typer(name="risk", no_args_is_help=True, help="The rules of the risk gate.")

COLUMNS = ("rule", "limit", "unit", "meaning", "default", "bounds")


@app.callback()
def risk() -> None:
    """The rules of the risk gate."""


@app.command()
def limits(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the README's table.")] = False,
) -> None:
    """List every rule in the order in which it is asked, with the limits that can be set."""
    if as_json and as_markdown:
        raise InvalidInput("--json and --markdown cannot both be: say one")
    rows = limits_table()
    if as_json:
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
    elif as_markdown:
        sys.stdout.write(limits_markdown(rows))
    else:
        print_rows(COLUMNS, [cells(row) for row in rows])


def limits_markdown(rows: list[LimitRow]) -> str:
    """The table as Markdown."""
    return "".join(f"| {' | '.join(line)} |\n" for line in _lines(rows))


def cells(row: LimitRow) -> tuple[str, ...]:
    """The row's texts in the order of ``COLUMNS``."""
    return tuple(str(getattr(row, name)) for name in COLUMNS)


def _lines(rows: list[LimitRow]) -> Iterator[tuple[str, ...]]:
    yield COLUMNS
    yield ("---",) * len(COLUMNS)
    for row in rows:
        rule, limit, *words = cells(row)
        yield (f"`{rule}`", f"`{limit}`" if limit else "", *words)
