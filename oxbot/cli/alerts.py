"""``oxbot alerts``: what somebody should look at."""

import asyncio
import os
import sys
from typing import Annotated

import msgspec
import typer

from oxbot.app.alerts import audiences_of, read_alerts
from oxbot.cli.audit_words import printable
from oxbot.cli.columns import print_rows
from oxbot.cli.installation import open_installation
from oxbot.config import Settings, load_settings
from oxbot.logs import configure_logs
from oxbot.views.alert_rows import AlertRow

COLUMNS = ("since", "until", "level", "rule", "subject", "what")

app = typer.Typer()


@app.command()
def alerts(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(help="So many at most.", min=1, max=10_000)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/v1/alerts does.")] = False,
) -> None:
    """List what goes on that somebody should look at; exit 1 if there is anything."""
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)
    found = asyncio.run(_found(settings, going_on=None if every else True, limit=limit))
    if as_json:
        sys.stdout.write(msgspec.json.encode({"items": found}).decode() + "\n")
    else:
        print_rows(COLUMNS, [_cells(alert) for alert in found])
    if any(alert.until is None for alert in found):
        raise typer.Exit(1)


async def _found(settings: Settings, *, going_on: bool | None, limit: int) -> list[AlertRow]:
    async with open_installation(settings, name="alerts", connections=1) as installation:
        rows = await read_alerts(installation.stores.views, audiences_of(None), going_on=going_on, limit=limit)
    return [msgspec.json.decode(row.body, type=AlertRow) for row in rows]


def _cells(alert: AlertRow) -> tuple[str, ...]:
    until = "" if alert.until is None else f"{alert.until:%Y-%m-%d %H:%M:%S}"
    cells = (f"{alert.since:%Y-%m-%d %H:%M:%S}", until, alert.level, alert.rule, alert.subject, alert.words)
    return tuple(printable(cell) for cell in cells)
