"""A strategy of another distribution is used by every process that decides; a broken one is refused by name."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import MarketFolder, Oxbot, demo_arguments
from tests.plug_ins import NIGHTMARE, SLEEPER, install

BROKEN = "raise RuntimeError('no licence')"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for the import path."""
    path = tmp_path / "site"
    path.mkdir()
    return path


def beside(site: Path) -> str:
    """The import path with the folder on it."""
    return os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])


def refused(finished: "subprocess.CompletedProcess[str]", *words: str) -> None:
    complaints = [line for line in finished.stderr.splitlines() if line.startswith("oxbot: ")]
    assert finished.returncode == 2, finished.stderr
    assert finished.stdout == ""
    assert all(word in complaints[-1] for word in words), finished.stderr


def test_whoever_decides_refuses_a_broken_plug_in_by_name_and_writes_nothing(
    oxbot: Oxbot, home: Path, market: MarketFolder, site: Path
) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER", source=BROKEN)
    candles = ["--candles", str(market.path), "--timeframe", "5m", "--symbols", "BTC/USDT"]
    for arguments in (
        ["strategies"],
        ["strategies", "show", "hodl"],
        ["bots", "create", "one", "--symbols", "BTC/USDT"],
        ["compare", *candles],
        demo_arguments(market.path, ("BTC/USDT",)),
    ):
        finished = oxbot(*arguments, PYTHONPATH=beside(site))
        refused(finished, "'sleeper' (plug_one:SLEEPER) of plug_one 1.2", "RuntimeError: no licence")
    assert not home.exists()


def test_a_fleet_is_halted_whatever_is_installed(oxbot: Oxbot, site: Path) -> None:
    assert oxbot("db", "migrate").returncode == 0
    assert oxbot("bots", "create", "one", "--symbols", "BTC/USDT").returncode == 0
    install(site, "plug_one", "sleeper = plug_one:SLEEPER", source=BROKEN)
    halted = oxbot("bots", "halt", "one", PYTHONPATH=beside(site))
    assert halted.returncode == 0, halted.stderr
    assert halted.stdout.endswith("is created, halted\n")
    assert "no licence" in halted.stderr


EAGER = """
from decimal import Decimal
from oxbot.core.strategy import Signal
""" + SLEEPER.replace(
    "return None",
    "return None if state.holding else Signal(intent='enter_long', measurements=(), size_fraction=Decimal('0.1'))",
)


def test_replay_decides_all_bots_but_those_whose_strategy_is_gone_and_names_these(
    oxbot: Oxbot, market: MarketFolder, site: Path
) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER", source=EAGER)
    until = ("--to", "2024-03-02")
    gone = demo_arguments(market.path, ("BTC/USDT",), "--strategy", "sleeper", "--fleet", "gone", *until)
    first, second = oxbot(*gone, PYTHONPATH=beside(site)), oxbot("bots", "create", "kept", "--symbols", "BTC/USDT")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr

    alone = oxbot("replay", "--fleet", "main")
    whole = oxbot("replay", PYTHONPATH=beside(site))
    without = oxbot("replay")

    assert (alone.returncode, whole.returncode, without.returncode) == (0, 0, 2), without.stderr
    assert "of 2 bots decided again" in whole.stdout
    assert "bot gone-1 not decided again: strategy 'sleeper' is not known" in without.stdout
    assert "of 1 bots decided again" in without.stdout
    assert without.stderr == "oxbot: 1 of 2 bots were not decided again: gone-1\n"


def test_processes_that_compare_know_the_plug_ins(oxbot: Oxbot, market: MarketFolder, site: Path) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER")
    arguments = ("--timeframe", "5m", "--symbols", "BTC/USDT,ETH/USDT", "--seeds", "1", "--to", "2024-03-02")
    chosen = ("--strategies", "sleeper", "--jobs", "2", "--json")
    finished = oxbot("compare", "--candles", str(market.path), *arguments, *chosen, PYTHONPATH=beside(site))
    assert finished.returncode == 0, finished.stderr
    trades = {row["strategy"]: row["trades"] for row in json.loads(finished.stdout)["rows"]}
    assert trades["sleeper"] == [0, 0, 0]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_strategy_that_fails_while_it_is_compared_is_named_with_the_line_where_it_did(
    oxbot: Oxbot, market: MarketFolder, site: Path, jobs: str
) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER", source=NIGHTMARE)
    arguments = ("--timeframe", "5m", "--symbols", "BTC/USDT", "--seeds", "1", "--to", "2024-03-02")
    chosen = ("--strategies", "sleeper", "--jobs", jobs)
    finished = oxbot("compare", "--candles", str(market.path), *arguments, *chosen, PYTHONPATH=beside(site))
    refused(finished, "sleeper failed on BTC/USDT", "ValueError: a bad dream (plug_one.py:20)")


def test_a_demo_whose_strategy_fails_ends_and_says_why(oxbot: Oxbot, market: MarketFolder, site: Path) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER", source=NIGHTMARE)
    arguments = demo_arguments(market.path, ("BTC/USDT",), "--strategy", "sleeper", "--fleet", "x")
    finished = oxbot(*arguments, PYTHONPATH=beside(site))
    refused(finished, "bot x-1 was halted by strategy_failed: ValueError: a bad dream")
    listed = oxbot("bots", "list").stdout
    assert "x-1 was halted by strategy_failed: ValueError: a bad dream\n" in listed
