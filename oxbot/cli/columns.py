"""Rows for people at a terminal, and for programs that read what is piped to them; nothing is ever cut short."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 100_000

CONTAMINATED = {True: "yes", False: "no", None: "unknown"}
"""Whether a model's training had seen the market that it was asked about."""


def print_rows(headers: Sequence[str], rows: Sequence[Sequence[str]], *, console: Console | None = None) -> None:
    """A table on a terminal that is wide enough for it, else a line for each row, its fields separated by tabs."""
    console = console or Console()
    table = Table(*headers)
    for row in rows:
        table.add_row(*(Text(field) for field in row))
    natural = console.measure(table, options=console.options.update(max_width=WIDE)).maximum
    if console.is_terminal and natural <= console.width:
        console.print(table)
        return
    for row in (headers, *rows):
        console.file.write("\t".join(row) + "\n")
