"""The README is true: every setting, command and fact there is in it, and what it tells to run exists."""

from collections.abc import Mapping
from pathlib import Path
from pkgutil import iter_modules

import pytest
import typer

import benchmarks
from events.codec import FACT_TYPES
from events.values import PaperModel, Sizing
from oxbot.cli.main import application
from oxbot.cli.risk import limits_markdown
from oxbot.config import PREFIX, Settings
from oxbot.core.orders import LEGAL, OrderEvent, Step
from oxbot.core.risk import limits_table
from oxbot.core.strategies import built_in_strategies

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ENDS: Mapping[OrderEvent, Step] = {
    "rejected": "rejected",
    "filled_in_full": "filled",
    "cancelled": "cancelled",
    "expired": "expired",
}


def _commands(group: typer.Typer, path: str) -> list[str]:
    names = [known.name or known.callback.__name__ for known in group.registered_commands if known.callback]
    inner = [
        line
        for known in group.registered_groups
        if known.typer_instance
        for line in _commands(known.typer_instance, f"{path} {known.typer_instance.info.name or ''}".strip())
    ]
    return [f"{path} {name}" for name in names] + inner


@pytest.mark.parametrize("command", _commands(application(), "oxbot"))
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


@pytest.mark.parametrize("target", ["demo", "test", "soak"])
def test_the_commands_are_targets_of_make(target: str) -> None:
    assert f"make {target}" in README
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()


def test_the_table_of_order_states_is_the_one_that_orders_follow() -> None:
    assert f"\n\n{_states_markdown()}\n" in README


@pytest.mark.parametrize("field", [*PaperModel.__struct_fields__, *Sizing.__struct_fields__])
def test_every_field_of_the_paper_venue_and_of_sizing_is_documented(field: str) -> None:
    assert f"`{field}`" in README


@pytest.mark.parametrize("name", [strategy.name for strategy in built_in_strategies()])
def test_every_strategy_is_described(name: str) -> None:
    assert f"**`{name}`**" in README


@pytest.mark.parametrize("name", sorted(found.name for found in iter_modules(benchmarks.__path__)))
def test_every_benchmark_is_named(name: str) -> None:
    assert name.startswith("_") or f"`{name}`" in README


def _states_markdown() -> str:
    rows = [f"| `{status}` | {_ways(ways)} |\n" for status, ways in LEGAL.items()]
    return "".join(["| status | leads to |\n", "|---|---|\n", *rows])


def _ways(ways: Mapping[OrderEvent, Step]) -> str:
    by_step: dict[str, list[str]] = {}
    ends = ENDS.items() <= ways.items()
    for event, step in ways.items():
        if not (ends and event in ENDS):
            by_step.setdefault(step, []).append(event.replace("_", " "))
    ways_on = [f"`{step}`: {', '.join(events)}" for step, events in by_step.items()]
    return "; ".join([*(["any end"] if ends else []), *ways_on])
