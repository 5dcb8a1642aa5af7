"""``oxbot users`` and ``oxbot tokens`` on a real database, as somebody at the keyboard gives them."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
import structlog
from typer.testing import CliRunner, Result

from events.codec import Codec
from events.errors import OxbotError
from events.postgres import PostgresEventLog
from events.security import SECURITY_STREAM, SigningKeyRotated
from oxbot.api.tokens import InvalidToken, SignedIn, Tokens
from oxbot.app.accounts import LastAdmin, UnknownUser, WeakPassword
from oxbot.app.api_tokens import InvalidApiToken
from oxbot.app.clock import SystemClock
from oxbot.cli.inputs import InvalidInput
from oxbot.cli.main import application
from oxbot.core.account import UserId
from oxbot.wiring.people import key_source

PASSWORD = "correct horse battery staple"  # noqa: S105


@pytest.fixture
def oxbot(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Terminal":
    """A terminal on an installation with a database of its own."""
    # The commands run in the tests' process, whose logs must not go where a command's standard error was.
    monkeypatch.setattr(structlog, "configure", lambda **_: None)
    return Terminal(database, tmp_path)


class Terminal:
    """Runs commands on one installation."""

    def __init__(self, database: str, home: Path) -> None:
        self.home = home
        self._environment = {"OXBOT_DATABASE_URL": database, "OXBOT_HOME": str(home)}
        self._app = application(["users", "tokens", "privacy"])

    def __call__(self, *arguments: str, given: str = "") -> str:
        """What the command prints. Raises what it refuses with."""
        result: Result = CliRunner().invoke(self._app, arguments, input=given, env=self._environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout


def test_accounts_are_made_changed_and_listed(oxbot: Terminal) -> None:
    oxbot("users", "create", "root", "--role", "admin", given=f"{PASSWORD}\n")
    oxbot("users", "create", "Ann", "--role", "viewer", given=f"{PASSWORD}\n")
    oxbot("users", "role", "ann", "trader")
    oxbot("users", "disable", "ann")
    disabled = oxbot("users", "list").splitlines()
    oxbot("users", "enable", "ann")
    oxbot("users", "password", "ann", given="another good password\n")
    oxbot("users", "sign-out", "ann")
    enabled = oxbot("users", "list", "--json")

    assert [line.split("\t")[:3] for line in disabled] == [
        ["user", "role", "state"], ["ann", "trader", "disabled"], ["root", "admin", "enabled"],
    ]  # fmt: skip
    assert '"username":"ann","role":"trader","disabled":false' in enabled
    for refused, arguments, given in [
        (LastAdmin, ("users", "role", "root", "trader"), ""),
        (LastAdmin, ("users", "disable", "root"), ""),
        (LastAdmin, ("privacy", "erase", "root", "--reason", "leaves"), ""),
        (UnknownUser, ("users", "disable", "nobody"), ""),
        (WeakPassword, ("users", "password", "ann"), "short\n"),
        (InvalidInput, ("users", "create", "eve", "--role", "root"), f"{PASSWORD}\n"),
    ]:
        with pytest.raises(refused):
            oxbot(*arguments, given=given)


def test_api_tokens_are_issued_listed_and_revoked(oxbot: Terminal) -> None:
    oxbot("users", "create", "ann", "--role", "trader", given=f"{PASSWORD}\n")
    text = oxbot("tokens", "issue", "ann", "--name", "script", "--scope", "read", "--scope", "trade", "--for", "8h")
    name, scopes, _, used, token_id = oxbot("tokens", "list", "ann").splitlines()[1].split("\t")
    oxbot("tokens", "revoke", "ann", token_id)

    assert text.startswith("oxb_")
    assert (name, scopes, used) == ("script", "read trade", "never")
    assert len(oxbot("tokens", "list", "ann").splitlines()) == 1
    with pytest.raises(InvalidApiToken):
        oxbot("tokens", "issue", "ann", "--name", "x", "--scope", "admin", "--for", "8h")
    with pytest.raises(OxbotError):
        oxbot("tokens", "issue", "ann", "--name", "x", "--scope", "all", "--for", "8h")


def test_the_signing_key_is_rotated_under_a_running_process_and_the_log_says_so(oxbot: Terminal, database: str) -> None:
    tokens, at = Tokens(key_source(oxbot.home)), SystemClock().now()
    first = tokens.issue(SignedIn(UserId("u"), "viewer"), at=at)
    oxbot("tokens", "rotate-key")
    second = tokens.issue(SignedIn(UserId("u"), "viewer"), at=at)
    assert tokens.verify(first).user_id == tokens.verify(second).user_id == "u"
    oxbot("tokens", "rotate-key", "--at-once")

    for token in (first, second):
        with pytest.raises(InvalidToken):
            tokens.verify(token)
    one, two = asyncio.run(rotations(database))
    assert (one.at_once, two.at_once) == (False, True)
    assert one.key_id == two.retired != one.retired


async def rotations(database: str) -> list[SigningKeyRotated]:
    """Those in the log."""
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        events = await PostgresEventLog(pool, Codec()).read_stream(SECURITY_STREAM)
    return [event.fact for event in events if isinstance(event.fact, SigningKeyRotated)]
