"""The executions of a market's accounts: as many as there are connections for, and a plain word for the others."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from actors.executions import Executions
from events.account import AccountKeysSet
from events.codec import Codec
from events.identifiers import AccountName, FleetName, VenueName
from events.memory import MemoryEventLog
from oxbot.app.account_directory import AccountDirectory
from oxbot.config import Secret, Settings
from oxbot.wiring.connections import FIXED, GATEWAY, MODELS, NOTIFIER, too_few
from oxbot.wiring.stores import Database
from tests.app.accounts import open_account

pytestmark = pytest.mark.anyio

LEAST = sum(FIXED.values()) + GATEWAY + MODELS + NOTIFIER


async def executions(connections_max: int, *names: str) -> Executions:
    """Those of accounts at OKX that have keys, in an installation that also notifies."""
    log = MemoryEventLog(Codec())
    for name in names:
        await open_account(log, AccountName(name), "okx", more=[AccountKeysSet(fingerprint="f")])
    settings = Settings(home=Path("home"), connections_max=connections_max, notify_urls=Secret("json://127.0.0.1"))
    database = Database(dsn=Secret("postgresql:///nowhere"))
    return Executions(FleetName("main"), database, settings, accounts=AccountDirectory(log), market=VenueName("okx"))


@pytest.mark.parametrize(
    ("connections_max", "accounts", "room"),
    [(LEAST + 5, ["one", "two"], 2), (LEAST + 3, ["one", "two"], 1), (LEAST + 9, [], 1), (LEAST, ["one"], 0)],
)
async def test_connections_are_kept_for_the_accounts_that_there_are_as_far_as_they_go(
    connections_max: int, accounts: list[str], room: int
) -> None:
    assert await (await executions(connections_max, *accounts)).reserve() == room


async def test_an_account_that_has_no_connections_is_left_out_with_a_word() -> None:
    one = await executions(LEAST, "one")
    await one.reserve()
    with capture_logs() as said:
        await one.tend()
        await one.tend()
    assert [(entry["account"], entry["reason"]) for entry in said] == [("one", too_few(LEAST, 0))]
    assert too_few(LEAST, 0).startswith(f"OXBOT_CONNECTIONS_MAX is {LEAST}, which leaves connections for 0 accounts;")
