"""``oxbot db``: bring the database to this program's schema."""

import asyncio
import os
import sys

import typer

from oxbot.config import Settings, load_settings
from oxbot.wiring.database import open_unmigrated
from oxbot.wiring.stores import migrate_database

app = typer.Typer(no_args_is_help=True, help="Look after the database.")


@app.callback()
def database() -> None:
    """Look after the database."""


@app.command()
def migrate() -> None:
    """Apply every migration that the database lacks; refuse one that a newer program has migrated."""
    applied = asyncio.run(_migrate(load_settings(os.environ)))
    sys.stdout.write(f"applied {', '.join(applied)}\n" if applied else "nothing to apply: the database is at head\n")


async def _migrate(settings: Settings) -> list[str]:
    async with open_unmigrated(settings) as database:
        return await migrate_database(database)
