"""``oxbot projections`` as an operator uses it."""

import json

from tests.e2e.conftest import Oxbot


def test_an_operator_sees_rebuilds_and_cannot_skip_what_is_not_broken(oxbot: Oxbot) -> None:
    created = oxbot("bots", "create", "one", "--symbols", "BTC/USDT", "--json")
    assert created.returncode == 0, created.stderr
    bot_id = json.loads(created.stdout)["bot_id"]
    listed = oxbot("bots", "list", "--json")
    assert listed.returncode == 0, listed.stderr

    rebuilt = oxbot("projections", "rebuild", "bots")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert rebuilt.stdout.startswith("projection bots is rebuilt up to position ")
    assert oxbot("projections", "rebuild", "bots", "--discard").stdout == "no rebuild of bots is under way\n"
    again = oxbot("bots", "list", "--json")
    assert [bot["bot_id"] for bot in json.loads(again.stdout)] == [bot_id]
    assert again.stdout == listed.stdout

    shown = oxbot("projections", "status").stdout
    for name in ("bots", "users", "system", "running"):
        assert name in shown

    refused = oxbot("projections", "skip", "bots", "1", "--reason", "none")
    assert (refused.returncode, refused.stderr) == (
        2,
        "oxbot: projection bots is not stopped at any event, so position 1 cannot be skipped\n",
    )
    unknown = oxbot("projections", "rebuild", "weather")
    assert (unknown.returncode, unknown.stderr) == (
        2,
        "oxbot: there is no projection weather; there is bots, users, system\n",
    )
    replayed = oxbot("replay")
    assert replayed.returncode == 0, replayed.stderr
    assert "views: 11 rebuilt from " in replayed.stdout
