"""Whose a bot is, and who may name an account, as an operator says it."""

import asyncio
import json
from pathlib import Path

from tests.e2e.conftest import Oxbot
from tests.e2e.test_privacy import create_account


def test_an_operator_creates_bots_for_users_and_grants_them_accounts(oxbot: Oxbot, home: Path, tmp_path: Path) -> None:
    anna = asyncio.run(create_account(home, "anna"))
    file = tmp_path / "bot.json"
    file.write_text(json.dumps({"name": "three", "symbols": ["BTC/USDT"], "owner": anna}))
    unknown = oxbot("bots", "create", "one", "--symbols", "BTC/USDT", "--owner", "nobody")
    assert (unknown.returncode, unknown.stderr) == (2, "oxbot: there is no account 'nobody'\n")
    for arguments in (["one"], ["two", "--owner", "Anna"]):
        created = oxbot("bots", "create", *arguments, "--symbols", "BTC/USDT")
        assert created.returncode == 0, created.stderr
    assert oxbot("bots", "create", "--from", str(file)).returncode == 0
    listed = json.loads(oxbot("bots", "list", "--json").stdout)
    assert sorted((bot["name"], bot["owner"]) for bot in listed) == [("one", ""), ("three", anna), ("two", anna)]
    assert f"owner\t{anna}\n" in oxbot("bots", "show", "three").stdout

    assert oxbot("accounts", "open", "main", "--venue", "okx", "--demo").returncode == 0
    assert oxbot("accounts", "grant", "main", "--to", "anna").stdout == f"account main is granted to {anna}\n"
    assert f"granted to  {anna}\n" in oxbot("accounts", "show", "main").stdout
