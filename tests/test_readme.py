"""The README is true: every setting, command and fact there is in it, and the two commands exist."""

from pathlib import Path

import pytest
import typer

from events.codec import FACT_TYPES
from oxbot.cli.main import app
from oxbot.cli.risk import limits_markdown
from oxbot.config import PREFIX, Settings
from oxbot.core.risk import limits_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def _commands(group: typer.Typer, path: str) -> list[str]:
    names = [known.name or known.callback.__name__ for known in group.registered_commands if known.callback]
    inner = [
        line
        for known in group.registered_groups
        if known.typer_instance
        for line in _commands(known.typer_instance, f"{path} {known.name}")
    ]
    return [f"{path} {name}" for name in names] + inner


@pytest.mark.parametrize("command", _commands(app, "oxbot"))
def test_every_command_is_documented(command: str) -> None:
    assert f"`{command}`" in README


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_every_setting_is_documented(name: str) -> None:
    assert f"`{PREFIX}{name.upper()}`" in README


@pytest.mark.parametrize("tag", FACT_TYPES)
def test_every_fact_is_documented(tag: str) -> None:
    assert f"`{tag}`" in README


def test_the_table_of_limits_is_the_gates_own() -> None:
    """``oxbot risk limits --markdown`` prints it."""
    assert f"\n\n{limits_markdown(limits_table())}\n" in README


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_two_commands_are_targets_of_make(target: str) -> None:
    assert f"make {target}" in README
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()
