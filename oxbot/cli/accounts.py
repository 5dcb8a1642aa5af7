"""``oxbot accounts``: open accounts at venues, set their keys, arm, disarm and kill them, and show how they stand."""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, get_args

import msgspec
import typer

from events.account import KillPolicy
from events.identifiers import AccountName, VenueName
from oxbot.adapters.database import Role
from oxbot.adapters.postgres_venue_credentials import PostgresCredentialsTable
from oxbot.app.account_directory import AccountDirectory
from oxbot.app.account_report import AccountDetails, AccountReader, AccountStanding
from oxbot.app.venue_accounts import ApiKeys, VenueAccounts
from oxbot.cli.audit_words import printable
from oxbot.cli.columns import print_rows
from oxbot.cli.inputs import MOMENT, InvalidInput, parse_until
from oxbot.cli.installation import Installation, open_installation
from oxbot.cli.owners import owner_meant, owner_words
from oxbot.config import Secret, load_settings
from oxbot.core.venue_account import OpenAccount
from oxbot.logs import configure_logs
from oxbot.wiring.connections import accounts_that_fit, too_few
from oxbot.wiring.venue_accounts import account_reader, venue_accounts
from oxbot.wiring.venue_keys import replace_key

app = typer.Typer(
    name="accounts",
    no_args_is_help=True,
    help="Open accounts at venues, set their keys, arm, disarm and kill them, show how they stand.",
)

HEADERS = ("account", "market", "keys", "armed until", "reconciled", "bots", "entries")
SECRET_BYTES_MAX = 16 * 1024

_Name = Annotated[str, typer.Argument(help="The account's name.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Reason = Annotated[str, typer.Option(help="Why, for the record.")]


@app.command("open")
def open_account(
    name: _Name,
    venue: Annotated[str, typer.Option(help="Where: okx.")],
    demo: Annotated[bool, typer.Option("--demo", help="In the venue's demo mode, with play money.")] = False,
    url: Annotated[
        str, typer.Option(help="HTTP address of a local exchange, or another one of the venue's own for its demo.")
    ] = "",
    ws: Annotated[str, typer.Option(help="WebSocket address that goes with it; by itself, the same host's.")] = "",
) -> None:
    """Make an account known. It trades nothing until it has keys and is armed."""
    wanted = OpenAccount(AccountName(name), VenueName(venue), demo, url, ws or url.replace("http", "ws", 1))

    async def work(installation: Installation) -> None:
        await _accounts(installation).open(wanted)
        sys.stdout.write(f"account {name} is open; set its keys next\n")
        known = await AccountDirectory(installation.stores.log).refresh()
        beside = sum(one.market == known[wanted.account].market for one in known.values())
        settings = installation.settings
        room = accounts_that_fit(settings.connections_max, notifier=bool(settings.notify_targets))
        if beside > room:
            sys.stderr.write(f"oxbot: {too_few(settings.connections_max, room)}\n")

    _run(work)


@app.command()
def keys(
    name: _Name,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="A file that only you can read; without it, standard input, or you are asked."),
    ] = None,
) -> None:
    """Store an account's API key, encrypted: JSON with api_key, secret and, if the venue has one, password."""
    given = _keys(file)

    async def work(installation: Installation) -> None:
        accounts = _accounts(installation)
        fingerprint = await accounts.set_keys(AccountName(name), given)
        sys.stdout.write(f"account {name} has the key {fingerprint}\n")

    _run(work)


@app.command("rotate-key")
def rotate_key(
    to: Annotated[
        Path | None,
        typer.Option(help="A file with the key to come, as OXBOT_VENUE_KEY will hold it; needed where that is set."),
    ] = None,
) -> None:
    """Encrypt all credentials under another key, safe to repeat; without --to, the file in the home is replaced."""
    settings = load_settings(os.environ)
    if settings.venue_key is not None and to is None:
        raise InvalidInput("OXBOT_VENUE_KEY is set, so say with --to which key takes its place, and then set that one")
    following = None if to is None else Secret(_secret_text(to).strip())

    async def work(installation: Installation) -> None:
        table = PostgresCredentialsTable(installation.stores.pool)
        count = await replace_key(settings.home, table, given=settings.venue_key, to=following)
        sys.stdout.write(f"{count} accounts' credentials are encrypted under the new key\n")

    _run(work, role="oxbot_execution")


@app.command()
def grant(
    name: _Name,
    to: Annotated[str, typer.Option(help="The user's name or id; empty for no user's bots.")],
) -> None:
    """Let one user's bots name an account, and no other user's; administrators' always may. Bots that trade go on."""

    async def work(installation: Installation) -> None:
        owner = await owner_meant(installation, to)
        await _accounts(installation).grant(AccountName(name), owner)
        sys.stdout.write(f"account {name} is granted to {owner_words(owner)}\n")

    _run(work)


@app.command()
def arm(
    name: _Name,
    until: Annotated[str | None, typer.Option(help="Until that moment.")] = None,
    lasting: Annotated[str | None, typer.Option("--for", help="For so long, such as 30m, 8h or 2d.")] = None,
) -> None:
    """Let entries through to an account, for 30 days at most."""
    moment = parse_until(until, lasting, datetime.now(UTC))
    _do(name, lambda accounts, account: accounts.arm(account, moment), f"is armed until {moment:{MOMENT}}")


@app.command()
def disarm(name: _Name, reason: _Reason = "") -> None:
    """Let no entry through any more; exits and cancels go on."""
    _do(name, lambda accounts, account: accounts.disarm(account, reason), "is disarmed; its exits go on")


@app.command()
def kill(
    name: _Name,
    policy: Annotated[str, typer.Option(help="freeze: cancel what would enter; close: close all positions as well.")],
    reason: _Reason = "",
) -> None:
    """Throw an account's kill switch: it is disarmed at once, and its execution does the rest and says what it did."""
    chosen: KillPolicy | None = next((known for known in get_args(KillPolicy) if known == policy), None)
    if chosen is None:
        raise InvalidInput(f"--policy {policy!r} is neither freeze nor close")
    done = f"is disarmed and its kill switch thrown ({policy}); oxbot accounts show {name} says what came of it"
    _do(name, lambda accounts, account: accounts.kill(account, chosen, reason), done)


@app.command()
def show(name: _Name, as_json: _Json = False) -> None:
    """Show whether entries pass and what keeps them back, and what was found out about an account."""

    async def work(installation: Installation) -> None:
        details = await _reader(installation).show(AccountName(name))
        if as_json:
            sys.stdout.write(msgspec.json.format(msgspec.json.encode(details)).decode() + "\n")
        else:
            sys.stdout.write("".join(f"{printable(line)}\n" for line in described(details)))

    _run(work)


@app.command("list")
def list_accounts(as_json: _Json = False) -> None:
    """List every account."""

    async def work(installation: Installation) -> None:
        standings = await _reader(installation).all()
        if as_json:
            sys.stdout.write(msgspec.json.encode(standings).decode() + "\n")
        else:
            print_rows(HEADERS, [_columns(standing) for standing in standings])

    _run(work)


def described(account: AccountDetails) -> list[str]:
    """The account in lines for people."""
    place = f"{account.market}{', demo' if account.demo else ''}{f', at {account.rest}' if account.rest else ''}"
    reconciled = f"yes, last at {account.reconciled_at:{MOMENT}}" if account.reconciled_at else "yes"
    lines = [
        f"account     {account.account} ({place})",
        f"entries     {'; '.join(account.obstacles) or 'pass'}",
        f"keys        {account.keys or 'none'}",
        f"armed       {_moment(account.armed_until)}",
        f"reconciled  {reconciled if account.reconciled else 'no'}",
        f"bots        {', '.join(account.bots) or 'none'}",
        f"granted to  {account.owner or 'nobody'}",
    ]
    lines += [f"leverage    {symbol} {leverage}" for symbol, leverage in account.leverages.items()]
    lines += [
        f"in doubt    {one.order_id} of bot {one.bot_id} in {one.symbol}: {one.status}" for one in account.in_doubt
    ]
    lines += [f"stranger    since {one.at:{MOMENT}}: {one.words}" for one in account.strangers]
    if account.killed is not None:
        killed = account.killed
        lines.append(
            f"killed      at {killed.at:{MOMENT}} ({killed.policy}): {killed.cancelled} entries cancelled,"
            f" {killed.closed} positions closed, {len(killed.left)} things left"
        )
        lines += [f"left        {words}" for words in killed.left]
    return lines


def _columns(account: AccountStanding) -> tuple[str, ...]:
    entries = printable("; ".join(account.obstacles) or "pass")
    reconciled = "yes" if account.reconciled else "no"
    return (
        account.account, account.market, account.keys or "none", _moment(account.armed_until), reconciled,
        str(len(account.bots)), entries,
    )  # fmt: skip


def _moment(moment: datetime | None) -> str:
    return "no" if moment is None else f"{moment:{MOMENT}}"


def _keys(file: Path | None) -> ApiKeys:
    """What is given, never by an argument, which every process of the machine could read."""
    if file is None and sys.stdin.isatty():
        asked = [getpass.getpass(f"{what}: ") for what in ("API key", "secret", "password (none: leave it empty)")]
        fields: dict[str, str | None] = {"api_key": asked[0], "secret": asked[1], "password": asked[2] or None}
        content = msgspec.json.encode(fields)
    else:
        content = (sys.stdin.read(SECRET_BYTES_MAX) if file is None else _secret_text(file)).encode()
    try:
        return msgspec.json.decode(content, type=ApiKeys)
    except (msgspec.MsgspecError, UnicodeError) as error:
        wrong = error if isinstance(error, msgspec.ValidationError) else "it is no JSON"
        # The cause is left behind, since it holds what was given.
        raise InvalidInput(f'the keys must be {{"api_key": .., "secret": .., "password": ..}}: {wrong}') from None


def _secret_text(file: Path) -> str:
    """The content of a file that nobody else can read."""
    with file.open() as opened:
        mode = os.fstat(opened.fileno()).st_mode & 0o777
        if mode & 0o077:
            raise InvalidInput(f"{file} has mode {mode:o}; others must not read it: chmod 600 {file}")
        try:
            return opened.read(SECRET_BYTES_MAX)
        except UnicodeDecodeError:
            raise InvalidInput(f"{file} is no text") from None


def _do(name: str, call: Callable[[VenueAccounts, AccountName], Awaitable[None]], done: str) -> None:
    async def work(installation: Installation) -> None:
        await call(_accounts(installation), AccountName(name))
        sys.stdout.write(f"account {name} {done}\n")

    _run(work)


def _accounts(installation: Installation) -> VenueAccounts:
    settings = installation.settings
    return venue_accounts(installation.stores, settings.home, settings.venue_key, actor="cli")


def _reader(installation: Installation) -> AccountReader:
    return account_reader(installation.stores, AccountDirectory(installation.stores.log))


def _run(work: Callable[[Installation], Awaitable[None]], *, role: Role = "oxbot_operator") -> None:
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)

    async def within() -> None:
        async with open_installation(settings, name="cli", role=role) as installation:
            await work(installation)

    asyncio.run(within())
