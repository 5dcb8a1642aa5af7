"""The risk gate's table and the fleet's switch, as an operator uses them."""

import json

import pytest
from typer.testing import CliRunner

from oxbot.cli.main import application
from oxbot.core.risk import limits_table
from tests.e2e.conftest import Oxbot

RUNNER = CliRunner()


def test_the_limits_are_printed_as_they_are() -> None:
    table = RUNNER.invoke(application(), ["risk", "limits"], env={"COLUMNS": "250"})
    listed = RUNNER.invoke(application(), ["risk", "limits", "--json"])

    assert (table.exit_code, listed.exit_code) == (0, 0)
    assert [row["limit"] for row in json.loads(listed.stdout)] == [row.limit for row in limits_table()]
    for row in limits_table():
        assert row.rule in table.stdout
        assert row.limit in table.stdout


def test_an_operator_halts_the_fleet_and_lets_each_bot_go_on_as_it_was(oxbot: Oxbot) -> None:
    assert oxbot("db", "migrate").returncode == 0
    bots = []
    for name in ("one", "two"):
        created = oxbot("bots", "create", name, "--symbols", "BTC/USDT", "--json")
        assert created.returncode == 0, created.stderr
        bots.append(json.loads(created.stdout)["bot_id"])

    halted = oxbot("bots", "halt", "--all", "--reason", "flood")
    assert (halted.returncode, halted.stderr) == (0, "")
    assert halted.stdout == "".join(f"bot {bot} is created, halted\n" for bot in bots)
    again = json.loads(oxbot("bots", "halt", "--all", "--json").stdout)
    assert [(item["bot_id"], item["standing"]["trading"], item["standing"]["version"]) for item in again] == [
        (bot, "halted", 3) for bot in bots
    ]

    refused = "its fleet is halted"
    assert oxbot("bots", "activate", bots[0]).stdout == f"bot {bots[0]} is created, halted; {refused}\n"
    assert json.loads(oxbot("bots", "reduce", bots[1], "--json").stdout)["note"] == refused
    lifted = oxbot("bots", "activate", "--all")
    assert lifted.stdout == f"bot {bots[0]} is created\nbot {bots[1]} is created, reducing; it itself is reducing\n"
    listed = json.loads(oxbot("bots", "list", "--json").stdout)
    assert {bot["bot_id"]: bot["trading"] for bot in listed} == {bots[0]: "active", bots[1]: "reducing"}
    assert "reducing" in oxbot("bots", "list").stdout


@pytest.mark.parametrize("arguments", [["halt"], ["halt", "b1", "--all"], ["activate"], ["reduce", "b1", "--all"]])
def test_the_switch_is_told_of_one_bot_or_of_all(oxbot: Oxbot, arguments: list[str]) -> None:
    refused = oxbot("bots", *arguments)
    assert (refused.returncode, refused.stderr) == (2, "oxbot: name one bot, or say --all\n")
