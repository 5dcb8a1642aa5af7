"""``oxbot db``: bring the database to this program's schema."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from oxbot.adapters.backup import back_up
from oxbot.adapters.backup import restore as restore_into
from oxbot.config import Settings, load_settings
from oxbot.wiring.database import open_unmigrated
from oxbot.wiring.stores import migrate_database

app = typer.Typer(name="db", no_args_is_help=True, help="Look after the database.")


@app.callback()
def database() -> None:
    """Look after the database."""


@app.command()
def migrate() -> None:
    """Apply every migration that the database lacks; refuse one that a newer program has migrated."""
    applied = asyncio.run(_migrate(load_settings(os.environ)))
    sys.stdout.write(f"applied {', '.join(applied)}\n" if applied else "nothing to apply: the database is at head\n")


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="The new file.")]) -> None:
    """Copy the whole database, as of one moment, into a file; keys and archived events are beside it, not in it."""
    settings = load_settings(os.environ)
    asyncio.run(_backup(settings, file))
    sys.stdout.write(
        f"{file} holds the database; keep with it the keys in {settings.home} and the archive in {settings.archive}\n"
    )


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A file that oxbot db backup wrote.")]) -> None:
    """Make an empty database what a backup says, whole or not at all."""
    asyncio.run(_restore(load_settings(os.environ), file))
    sys.stdout.write(f"restored {file}; oxbot audit verify proves it against a checkpoint that you kept elsewhere\n")


async def _backup(settings: Settings, file: Path) -> None:
    async with open_unmigrated(settings) as database:
        await asyncio.to_thread(back_up, database.dsn.reveal(), file)


async def _restore(settings: Settings, file: Path) -> None:
    async with open_unmigrated(settings) as database:
        await restore_into(database.dsn.reveal(), file)


async def _migrate(settings: Settings) -> list[str]:
    async with open_unmigrated(settings) as database:
        return await migrate_database(database)
