"""``oxbot users``: make accounts, give them roles and passwords, disable them and end their sessions, list them."""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, get_args

import msgspec
import typer

from events.user import Role
from oxbot.app.accounts import PASSWORD_LENGTH_MAX, Credential, UnknownUser
from oxbot.cli.columns import print_rows
from oxbot.cli.inputs import InvalidInput
from oxbot.cli.installation import open_installation
from oxbot.config import load_settings
from oxbot.logs import configure_logs
from oxbot.wiring.people import People, people

HEADERS = ("user", "role", "state", "id")
ACTOR = "cli"

app = typer.Typer(
    name="users", no_args_is_help=True, help="Make accounts of people, give them roles and passwords, disable them."
)

NameArgument = Annotated[str, typer.Argument(help="The account's name.")]


@app.command("list")
def list_users(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List every account."""

    async def work(use: People) -> None:
        found = await use.accounts.all()
        if as_json:
            shown = [{"username": one.username, "role": one.role, "disabled": one.disabled, "user_id": one.user_id}
                     for one in found]  # fmt: skip
            sys.stdout.write(msgspec.json.encode(shown).decode() + "\n")
        else:
            print_rows(HEADERS, [_columns(one) for one in found])

    run(work)


@app.command()
def create(
    name: NameArgument, role: Annotated[str, typer.Option(help="What they may do: viewer, trader or admin.")]
) -> None:
    """Make an account; its password is asked for, or read from standard input."""
    chosen, password = _role(role), _password()

    async def work(use: People) -> None:
        await use.accounts.create(name, password, chosen, by=ACTOR)
        sys.stdout.write(f"{name} may sign in as {chosen}\n")

    run(work)


@app.command("role")
def change_role(name: NameArgument, role: Annotated[str, typer.Argument(help="viewer, trader or admin.")]) -> None:
    """Give an account another role, which its tokens follow at once."""
    chosen = _role(role)

    async def work(use: People) -> None:
        await use.accounts.change_standing((await named(use, name)).user_id, role=chosen, by=ACTOR)
        sys.stdout.write(f"{name} is {chosen}\n")

    run(work)


@app.command()
def password(name: NameArgument) -> None:
    """Set an account's password, which is asked for or read from standard input; its sessions and API tokens end."""
    given = _password()

    async def work(use: People) -> None:
        await use.accounts.change_password(name, given, by=ACTOR)
        sys.stdout.write(f"{name} has another password; all sessions and API tokens are over\n")

    run(work)


@app.command()
def disable(name: NameArgument) -> None:
    """Let nobody sign in to an account any more; its sessions and API tokens end."""
    _set_disabled(name, disabled=True)


@app.command()
def enable(name: NameArgument) -> None:
    """Let an account be signed in to again."""
    _set_disabled(name, disabled=False)


@app.command("sign-out")
def sign_out(name: NameArgument) -> None:
    """End all sessions of an account."""

    async def work(use: People) -> None:
        await use.sessions.end_all((await named(use, name)).user_id, by=ACTOR)
        sys.stdout.write(f"all sessions of {name} are over\n")

    run(work)


async def named(use: People, name: str) -> Credential:
    """The account of that name. Raises ``UnknownUser``."""
    found = await use.accounts.named(name)
    if found is None:
        raise UnknownUser(f"there is no account {name!r}")
    return found


def run(work: Callable[[People], Awaitable[None]]) -> None:
    """Do the work on the people of the installation that the environment describes."""
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)

    async def within() -> None:
        async with open_installation(settings, name="users") as installation:
            await work(people(installation.stores, settings.home))

    asyncio.run(within())


def _set_disabled(name: str, *, disabled: bool) -> None:
    async def work(use: People) -> None:
        await use.accounts.change_standing((await named(use, name)).user_id, disabled=disabled, by=ACTOR)
        sys.stdout.write(f"{name} is {'disabled' if disabled else 'enabled'}\n")

    run(work)


def _role(text: str) -> Role:
    chosen: Role | None = next((role for role in get_args(Role) if role == text), None)
    if chosen is None:
        raise InvalidInput(f"{text!r} is neither viewer, trader nor admin")
    return chosen


def _password() -> str:
    """What is given, never by an argument, which every process of the machine could read."""
    if not sys.stdin.isatty():
        return sys.stdin.read(PASSWORD_LENGTH_MAX + 2).rstrip("\n")
    given = getpass.getpass("password: ")
    if getpass.getpass("again: ") != given:
        raise InvalidInput("the two passwords differ")
    return given


def _columns(one: Credential) -> tuple[str, str, str, str]:
    return one.username, one.role, "disabled" if one.disabled else "enabled", one.user_id
