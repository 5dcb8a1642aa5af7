"""``oxbot privacy``: a person is shown and erased from the command line, once and for all."""

import asyncio
from pathlib import Path

from oxbot.adapters.argon2_passwords import Argon2Passwords
from oxbot.adapters.postgres_accounts import PostgresCredentials
from oxbot.app.accounts import Accounts
from oxbot.app.clock import SystemClock
from oxbot.cli.installation import open_installation
from oxbot.config import Settings
from oxbot.wiring.privacy import subject_keys
from tests.e2e.conftest import Oxbot

PASSWORD = "correct horse battery staple"  # noqa: S105


async def create_account(home: Path, name: str) -> str:
    """An account in the home's installation, made as the API makes them; its id."""
    settings = Settings(home=home)
    async with open_installation(settings, name="tests", role="oxbot_api", serves=True) as installation:
        stores = installation.stores
        keys, credentials = subject_keys(stores, home), PostgresCredentials(stores.pool)
        accounts = Accounts(stores.log, credentials, keys, Argon2Passwords(), now=SystemClock().now)
        return await accounts.create(name, PASSWORD, "viewer")


def test_a_person_is_shown_then_erased_then_shown_as_erased(oxbot: Oxbot, home: Path) -> None:
    user_id = asyncio.run(create_account(home, "annabelle"))

    shown = oxbot("privacy", "show", "annabelle")
    assert (shown.returncode, shown.stdout) == (0, "position 1: user.username annabelle\n")
    nobody = oxbot("privacy", "erase", "bob", "--reason", "asked for it")
    assert (nobody.returncode, nobody.stderr) == (2, "oxbot: there is no account 'bob'\n")
    unreasoned = oxbot("privacy", "erase", "annabelle", "--reason", " ")
    assert (unreasoned.returncode, unreasoned.stderr) == (2, "oxbot: --reason must say why\n")
    erased = oxbot("privacy", "erase", "annabelle", "--reason", "asked for it", OXBOT_LOG_LEVEL="debug")
    assert (erased.returncode, erased.stdout) == (0, f"user-{user_id} is erased\n")
    assert "annabelle" not in erased.stderr
    gone = oxbot("privacy", "show", f"user-{user_id}")
    assert (gone.returncode, gone.stdout) == (0, "position 1: user.username erased\n")
    assert oxbot("privacy", "show", "annabelle").returncode == 2
