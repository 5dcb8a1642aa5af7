"""``oxbot models``: the table is shown without its keys, and a model is asked and judged."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oxbot.adapters.model_table import InvalidModelTable
from oxbot.cli.inputs import InvalidInput
from oxbot.cli.main import application

RUNNER = CliRunner()
KEY = "sk-very-secret-1234567890"


def table(folder: Path, text: str) -> dict[str, str | None]:
    path = folder / "models.toml"
    path.write_text(text)
    return {"OXBOT_MODELS": str(path), "THE_KEY": KEY, "OXBOT_HOME": str(folder)}


def test_the_list_says_where_keys_are_and_not_what_they_are(tmp_path: Path) -> None:
    environment = table(
        tmp_path,
        '[models.there]\nprovider_model = "openai/a"\nkey_env = "THE_KEY"\n'
        '[models.gone]\nprovider_model = "openai/a"\nkey_env = "NO_SUCH_KEY"\n',
    )
    for options in ([], ["--json"]):
        printed = RUNNER.invoke(application(["models"]), ["models", "list", *options], env=environment)
        assert printed.exit_code == 0
        assert "THE_KEY" in printed.stdout
        assert KEY not in printed.output
    shown = {model["name"]: model for model in json.loads(printed.stdout)}
    assert set(shown) == {"scripted", "there", "gone"}
    assert shown["there"]["key"] == "THE_KEY"
    assert shown["gone"]["key"].startswith("missing: ")


def test_the_scripted_model_passes_its_check() -> None:
    printed = RUNNER.invoke(application(["models"]), ["models", "check", "scripted", "--calls", "2", "--json"])
    assert printed.exit_code == 0
    told = json.loads(printed.stdout)
    assert (told["compliant"], told["symbols"], told["cost"]) == (2, 3, "0")


def test_a_model_that_answers_wrongly_fails_its_check(tmp_path: Path) -> None:
    environment = table(tmp_path, '[models.bad]\nprovider_model = "scripted/leverage"\n')
    printed = RUNNER.invoke(application(["models"]), ["models", "check", "bad"], env=environment)
    assert printed.exit_code == 1
    assert "0 of 1 answers as they must be" in printed.stdout
    assert "leverage" in printed.stdout
    assert "no prices" in printed.stdout


@pytest.mark.parametrize(("name", "text"), [("nobody", ""), ("nobody", "[models.a]\nprovider_model = 'openai/a'\n")])
def test_a_model_that_is_not_there_is_said(name: str, text: str, tmp_path: Path) -> None:
    refused = RUNNER.invoke(application(["models"]), ["models", "check", name], env=table(tmp_path, text))
    assert isinstance(refused.exception, InvalidInput)
    assert "there is scripted" in str(refused.exception)


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    refused = RUNNER.invoke(application(["models"]), ["models", "list"], env=table(tmp_path, "models = 1"))
    assert isinstance(refused.exception, InvalidModelTable)
