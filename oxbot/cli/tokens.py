"""``oxbot tokens``: issue, list and revoke API tokens, and rotate the key that access tokens are signed with."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from typing import Annotated, get_args

import typer

from events.user import Scope
from oxbot.cli.columns import print_rows
from oxbot.cli.inputs import MOMENT, InvalidInput, parse_until
from oxbot.cli.installation import open_installation
from oxbot.cli.users import ACTOR, NameArgument, named, run
from oxbot.config import load_settings
from oxbot.logs import configure_logs
from oxbot.wiring.people import People, rotate_signing_key

HEADERS = ("name", "scopes", "expires", "last used", "id")

app = typer.Typer(
    name="tokens", no_args_is_help=True, help="Issue, list and revoke API tokens; rotate the key of access tokens."
)


@app.command()
def issue(
    user: NameArgument,
    name: Annotated[str, typer.Option(help="What the token is for.")],
    scope: Annotated[list[str], typer.Option(help="read, trade, admin or metrics; may be given several times.")],
    until: Annotated[str | None, typer.Option(help="It expires then.")] = None,
    lasting: Annotated[str | None, typer.Option("--for", help="It expires after so long, such as 8h or 90d.")] = None,
) -> None:
    """Issue an API token in the name of an account; it is printed this once."""
    expires_at, scopes = parse_until(until, lasting, datetime.now(UTC)), [_scope(one) for one in scope]

    async def work(use: People) -> None:
        user_id = (await named(use, user)).user_id
        _, text = await use.api_tokens.issue(user_id, name, scopes, expires_at=expires_at, by=ACTOR)
        sys.stdout.write(f"{text}\n")

    run(work)


@app.command("list")
def list_tokens(user: NameArgument) -> None:
    """List the API tokens of an account."""

    async def work(use: People) -> None:
        found = await use.api_tokens.of((await named(use, user)).user_id)
        rows = [
            (
                one.stored.name,
                " ".join(one.scopes),
                f"{one.stored.expires_at:{MOMENT}}",
                f"{one.stored.last_used_at:{MOMENT}}" if one.stored.last_used_at else "never",
                one.stored.token_id,
            )
            for one in found
        ]
        print_rows(HEADERS, rows)

    run(work)


@app.command()
def revoke(user: NameArgument, token_id: Annotated[str, typer.Argument(help="The token's id.")]) -> None:
    """Revoke an API token of an account."""

    async def work(use: People) -> None:
        await use.api_tokens.revoke((await named(use, user)).user_id, token_id, by=ACTOR)
        sys.stdout.write(f"the token {token_id} is revoked\n")

    run(work)


@app.command("rotate-key")
def rotate_key(
    at_once: Annotated[
        bool, typer.Option("--at-once", help="The key may be known: what it signed is refused from now on.")
    ] = False,
) -> None:
    """Sign access tokens with a new key; what the old one signed is good until it expires."""
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)

    async def within() -> None:
        async with open_installation(settings, name="tokens") as installation:
            rotated = await rotate_signing_key(installation.stores.log, settings.home, at_once=at_once)
        before = "is refused" if at_once else "is good until it expires"
        sys.stdout.write(
            f"access tokens are signed with key {rotated.key_id}; what {rotated.retired} signed {before}\n"
        )

    asyncio.run(within())


def _scope(text: str) -> Scope:
    chosen: Scope | None = next((scope for scope in get_args(Scope) if scope == text), None)
    if chosen is None:
        raise InvalidInput(f"--scope {text!r} is neither read, trade, admin nor metrics")
    return chosen
