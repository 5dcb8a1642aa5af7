"""``oxbot privacy``: show what the log holds about a person, and erase them from it."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from oxbot.app.privacy import Privacy
from oxbot.cli.inputs import InvalidInput
from oxbot.cli.installation import open_installation
from oxbot.config import load_settings
from oxbot.logs import configure_logs
from oxbot.wiring.privacy import privacy

T = TypeVar("T")

app = typer.Typer(
    name="privacy", no_args_is_help=True, help="Show what the log holds about a person, and erase them from it."
)

_UserArgument = Annotated[str, typer.Argument(help="The account's name or id.")]


@app.command()
def show(user: _UserArgument) -> None:
    """List every personal field that the log holds about a person, by position."""
    values = _run(lambda use_cases: use_cases.show(user))
    for found in values:
        value = "not what was sealed" if found.value is None else str(found.value)
        sys.stdout.write(f"position {found.position}: {found.field} {value}{' (plain text)' if found.plain else ''}\n")
    if not values:
        sys.stdout.write("the log holds nothing personal\n")


@app.command()
def erase(
    user: _UserArgument,
    reason: Annotated[str, typer.Option(help="Why, for the record; it stays for ever, so it must name nobody.")],
) -> None:
    """Destroy the key to everything the log holds about a person, and their credential. It cannot be undone."""
    if not reason.strip():
        raise InvalidInput("--reason must say why")
    erased = _run(lambda use_cases: use_cases.erase(user, reason.strip()))
    sys.stdout.write(f"{erased.subject} is erased\n")
    if erased.plain_positions:
        positions = ", ".join(map(str, erased.plain_positions))
        sys.stdout.write(f"but older programs recorded the name in plain text, which stays: position {positions}\n")


def _run(call: Callable[[Privacy], Awaitable[T]]) -> T:
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)

    async def within() -> T:
        async with open_installation(settings, name="privacy") as installation:
            return await call(privacy(installation.stores, settings.home, actor="cli"))

    return asyncio.run(within())
