"""The table of limits is whole wherever it is printed."""

from typer.testing import CliRunner

from oxbot.cli.inputs import InvalidInput
from oxbot.cli.main import application
from oxbot.core.risk import limits_table

RUNNER = CliRunner()


def test_what_is_piped_is_whole_however_narrow_the_terminal_is() -> None:
    printed = RUNNER.invoke(application(), ["risk", "limits"], env={"COLUMNS": "80"})
    rows = [line.split("\t") for line in printed.stdout.splitlines()]
    assert rows[0] == ["rule", "limit", "unit", "meaning", "default", "bounds"]
    assert [(row[0], row[1], row[3]) for row in rows[1:]] == [
        (row.rule, row.limit, row.meaning) for row in limits_table()
    ]


def test_two_forms_at_once_are_refused() -> None:
    refused = RUNNER.invoke(application(), ["risk", "limits", "--json", "--markdown"])
    assert isinstance(refused.exception, InvalidInput)
    assert "--json and --markdown" in str(refused.exception)
    assert refused.stdout == ""


def test_every_number_has_the_upper_bound_that_it_is_held_to() -> None:
    bounds = {row.limit: row.bounds for row in limits_table() if row.limit}
    assert bounds["positions_max"] == "at least 1 and below 1000000000000000"
    assert bounds["drawdown_max"] == "above 0 and at most 1"
    assert bounds["stop_guard.per_symbol"] == "yes or no"
    assert all("below" in words or "at most" in words or words == "yes or no" for words in bounds.values())
    assert {row.bounds for row in limits_table() if not row.limit} == {""}
