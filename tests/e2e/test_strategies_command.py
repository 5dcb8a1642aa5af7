"""What bots can decide by, as an operator asks for it."""

import json

from typer.testing import CliRunner

from oxbot.cli.main import application
from oxbot.core.catalogue import listed, shown
from oxbot.core.strategies import built_in

RUNNER = CliRunner()


def test_every_strategy_is_listed_with_what_it_does() -> None:
    table, as_json = (
        RUNNER.invoke(application(), ["strategies"]),
        RUNNER.invoke(application(), ["strategies", "--json"]),
    )
    assert (table.exit_code, as_json.exit_code) == (0, 0)
    assert [line["name"] for line in json.loads(as_json.stdout)] == [line.name for line in listed(built_in())]
    for line in listed(built_in()):
        assert line.name in table.stdout
        assert line.summary in table.stdout


def test_a_strategy_is_shown_with_every_parameter() -> None:
    table, as_json = (
        RUNNER.invoke(application(), ["strategies", "show", "ema_cross", *more], env={"COLUMNS": "200"})
        for more in ([], ["--json"])
    )
    assert (table.exit_code, as_json.exit_code) == (0, 0)
    found = json.loads(as_json.stdout)
    assert found["schema"]["properties"]["fast"]["maximum"] == 5000
    assert [parameter["name"] for parameter in found["parameters"]] == list(found["schema"]["properties"])
    for parameter in shown(built_in(), "ema_cross").parameters:
        assert parameter.name in table.stdout
        assert parameter.meaning in table.stdout
        assert parameter.bounds in table.stdout
