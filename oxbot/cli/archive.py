"""``oxbot archive``: move the oldest events out of the database into files, and prove that the files are right."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from oxbot.app.archive import Archived, Archiver, Listed
from oxbot.config import load_settings
from oxbot.logs import configure_logs
from oxbot.wiring.archive import open_archiver
from oxbot.wiring.database import open_unmigrated

MISSING = 1

app = typer.Typer(
    name="archive", no_args_is_help=True, help="Move the oldest events into files, and prove that the files are right."
)


@app.command()
def create(
    drop: Annotated[bool, typer.Option("--drop", help="Then let the database go of what is archived.")] = False,
) -> None:
    """Copy every full partition of the log into files, read them back and compare them with the database."""

    async def work(archiver: Archiver) -> None:
        count = 0
        async for archived in archiver.create():
            count += 1
            _say("archived and compared", archived)
        if count == 0:
            sys.stdout.write("no partition is full that is not archived\n")
        if drop:
            await _drop(archiver)

    _run(work)


@app.command()
def drop() -> None:
    """Let the database go of every archived partition that nobody has to read any more, once it is compared again."""
    _run(_drop)


@app.command()
def verify() -> None:
    """Check every archived event, every stream's chain and every root; exit 2 at the first that is not right."""

    async def work(archiver: Archiver) -> None:
        events = 0
        async for archived in archiver.verify():
            events += archived.range.last - archived.range.first + 1
            _say("verified", archived)
        sys.stdout.write(f"{events} archived events are what was archived; oxbot audit verify goes on from there\n")

    _run(work)


@app.command(name="list")
def list_() -> None:
    """Show every range of positions that is archived or could be, and where it is; exit 1 if one is nowhere."""

    async def work(archiver: Archiver) -> None:
        listed = await archiver.listed()
        for found in listed:
            sys.stdout.write(f"positions {found.range.first} to {found.range.last}: {_where(found)}\n")
        if not listed:
            sys.stdout.write("no partition is full yet\n")
        if any(found.archived is None and not found.in_database for found in listed):
            raise typer.Exit(MISSING)

    _run(work)


async def _drop(archiver: Archiver) -> None:
    count = 0
    async for archived in archiver.drop():
        count += 1
        _say("dropped from the database", archived)
    if count == 0:
        sys.stdout.write("no archived partition is in the database\n")


def _where(found: Listed) -> str:
    match found.archived is not None, found.in_database:
        case True, True:
            return "in the database, and archived"
        case True, False:
            return "archived"
        case False, True:
            return "in the database, not archived"
        case _:
            return "MISSING: neither in the database nor in the archive"


def _say(what: str, archived: Archived) -> None:
    first, last = archived.range
    sys.stdout.write(f"positions {first} to {last}: {what}, manifest {archived.manifest_sha256}\n")


def _run(work: Callable[[Archiver], Awaitable[None]]) -> None:
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)

    async def within() -> None:
        async with (
            open_unmigrated(settings) as database,
            open_archiver(database, settings.archive, actor="cli") as archiver,
        ):
            await work(archiver)

    asyncio.run(within())
