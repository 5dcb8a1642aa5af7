"""Runs the program as its users do: the installed command, in a home of its own."""

import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from events.identifiers import Symbol
from oxbot.adapters import embedded_postgres
from oxbot.adapters.synthetic_market import SyntheticMarket
from oxbot.core.candles import Candle
from tests.e2e import warm

COMMAND = Path(sys.executable).parent / "oxbot"
REAL_MARKET = Path(os.environ.get("OXBOT_TEST_MARKET", Path(__file__).parents[3] / "shared" / "market"))
SYMBOLS = (Symbol("BTC/USDT"), Symbol("DOGE/USDT"), Symbol("ETH/USDT"))
BEGINS_AT = datetime(2024, 3, 1, tzinfo=UTC)
DAYS = 8
SECONDS_MAX = 240

Oxbot = Callable[..., "subprocess.CompletedProcess[str]"]


class MarketFolder(NamedTuple):
    """A recorded market made for the tests, and what is in it."""

    path: Path
    candles: dict[Symbol, list[Candle]]


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> MarketFolder:
    """Eight days of three synthetic symbols as files."""
    folder = tmp_path_factory.mktemp("market")
    candles: dict[Symbol, list[Candle]] = {symbol: [] for symbol in SYMBOLS}
    for frame in SyntheticMarket(11, SYMBOLS, "5m", BEGINS_AT).frames(DAYS * 288):
        for symbol, candle in frame.candles:
            candles[symbol].append(candle)
    for symbol, rows in candles.items():
        write_candles(folder / f"{symbol.replace('/', '-')}_5m.csv", rows)
    return MarketFolder(folder, candles)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty home; whatever Postgres was left running in it is stopped."""
    path = tmp_path / "home"
    yield path
    embedded_postgres.stop(path / "postgres")


@pytest.fixture
def oxbot(home: Path) -> Oxbot:
    """Runs ``oxbot`` with these arguments in the home, to its end."""
    return lambda *arguments, **settings: run_oxbot(home, arguments, settings)


def run_oxbot(
    home: Path, arguments: Sequence[str], settings: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run it to its end. What starts processes itself, or finds plug-ins on another path, is started from nothing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OXBOT_", "RAY_"))}
    environment |= {"OXBOT_HOME": str(home), "COLUMNS": "200", **(settings or {})}
    if arguments[0] in {"demo", "up", "compare"} or "PYTHONPATH" in (settings or {}):
        command = [str(COMMAND), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=SECONDS_MAX, check=False
        )
    with tempfile.TemporaryDirectory() as folder:
        return warm.run(arguments, environment, Path(folder), timeout=SECONDS_MAX)


def write_candles(path: Path, candles: Sequence[Candle]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("open_time", "open", "high", "low", "close", "volume"))
        for candle in candles:
            moment = candle.open_time.strftime("%Y-%m-%dT%H:%M:%SZ")
            writer.writerow((moment, candle.open, candle.high, candle.low, candle.close, candle.volume))


def demo_arguments(market: Path, symbols: Sequence[str], *more: str) -> list[str]:
    chosen = ["--market", str(market), "--symbols", ",".join(symbols), "--bots", str(len(symbols))]
    return ["demo", *chosen, "--timeframe", "5m", "--exit", "--json", *more]


def last_moment() -> datetime:
    return BEGINS_AT + timedelta(days=DAYS)
