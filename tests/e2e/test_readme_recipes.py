"""What the README tells to write and to type works as it stands there."""

import json
import os
import shlex
import tomllib
from pathlib import Path

from tests.e2e.conftest import MarketFolder, Oxbot, demo_arguments
from tests.plug_ins import install

README = (Path(__file__).parents[2] / "README.md").read_text()


def _blocks() -> list[str]:
    """The indented blocks of the recipe: the module, and its part of a pyproject.toml."""
    recipe = README.partition("**Write a strategy.**")[2].partition("\n**")[0]
    blocks: list[list[str]] = [[]]
    for line in recipe.splitlines():
        if line.startswith("    ") or (not line and blocks[-1]):
            blocks[-1].append(line.removeprefix("    "))
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


def test_the_strategy_of_the_recipe_trades_and_replays(oxbot: Oxbot, market: MarketFolder, tmp_path: Path) -> None:
    source, project = _blocks()
    points = tomllib.loads(project)["project"]["entry-points"]["oxbot.strategies"]
    site = tmp_path / "site"
    site.mkdir()
    install(site, "dip", "\n".join(f"{name} = {value}" for name, value in points.items()), source=source)
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])

    shown = oxbot("strategies", "show", "dip", "--json", PYTHONPATH=path)
    assert [parameter["name"] for parameter in json.loads(shown.stdout)["parameters"]] == ["falls", "size_fraction"]

    chosen = ("--strategy", "dip", "--param", "falls=4", "--to", "2024-03-04")
    played = oxbot(*demo_arguments(market.path, ("BTC/USDT", "ETH/USDT"), *chosen), PYTHONPATH=path)
    assert played.returncode == 0, played.stderr
    bots = json.loads(played.stdout)["bots"]
    assert all(bot["strategy"] == "dip" and len(bot["trades"]) > 5 for bot in bots)
    assert {trade["reason"] for bot in bots for trade in bot["trades"]} == {"exit_signal"}
    replayed = oxbot("replay", PYTHONPATH=path)
    assert replayed.returncode == 0, replayed.stderr
    assert "0 differences" in replayed.stdout

    refused = oxbot(
        "bots", "create", "x", "--symbols", "BTC/USDT", "--strategy", "dip", "--param", "falls=0", PYTHONPATH=path
    )
    assert (refused.returncode, "`$.falls`" in refused.stderr) == (2, True)


def test_the_bots_of_the_api_section_are_created(oxbot: Oxbot, tmp_path: Path) -> None:
    body = tmp_path / "bot.json"
    body.write_text('{"name": "margin"' + README.partition('\n    {"name": "margin"')[2].partition("\n\n")[0])
    typed = README.partition("\n    oxbot bots create fast ")[2].partition("\n\n")[0].replace("\\\n", " ")
    assert oxbot("db", "migrate").returncode == 0

    margin = oxbot("bots", "create", "--from", str(body), "--json")
    fast = oxbot("bots", "create", "fast", *shlex.split(typed), "--json")

    assert (margin.returncode, fast.returncode) == (0, 0), margin.stderr + fast.stderr
    listed = {bot["name"]: bot for bot in json.loads(oxbot("bots", "list", "--json").stdout)}
    assert (listed["margin"]["leverage"], listed["fast"]["leverage"]) == ("3", "5")
    assert {listed[name]["strategy"] for name in ("margin", "fast")} == {"trinity"}
