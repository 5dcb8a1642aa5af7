"""Live trading end to end: a local exchange, ``oxbot up`` on it, books that agree to the last digit after crashes."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from events.identifiers import BotId, bot_stream
from oxbot.app.handle import fold_stream
from oxbot.cli.installation import open_installation
from oxbot.config import load_settings
from oxbot.core.bot import BotDecider
from oxbot.core.bot_state import BotState
from oxbot.core.strategies import built_in
from tests.e2e.conftest import COMMAND, Oxbot
from tests.exchange.running import free_port

DEADLINE_SECONDS = 120
AGREED_SECONDS = 60
SYMBOLS = "BTC/USDT,ETH/USDT,BTC/USDT:USDT"
SPEED = "30x"
CAPITAL = Decimal(10_000)
OPENED_WITH = {"USDT": Decimal(100_000), "BTC": Decimal(1)}
QUICK = ("--param", "fast=2", "--param", "slow=3", "--param", "lookback=3", "--param", "stop_fraction=0.001",
         "--param", "target_fraction=0.001")  # fmt: skip
WRONG = {"api_key": "planted-wrong-key", "secret": "planted-wrong-secret", "password": "planted-wrong-password"}


class Stage(NamedTuple):
    """An exchange, and an ``oxbot up`` that follows it, with everything that either has said."""

    home: Path
    said: Path
    ray: Path
    exchange: "Exchange"


class Exchange:
    """``oxbot exchange`` as a process that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, self._admin_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.said = folder / "exchange.txt"
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Return when it listens."""
        ports = ["--port", str(self._port), "--admin-port", str(self._admin_port)]
        chosen = ["--home", str(self._folder / "exchange"), "--symbols", "BTC/USDT,ETH/USDT", "--speed", SPEED]
        with self.said.open("w") as file:
            self._process = subprocess.Popen([str(COMMAND), "exchange", *ports, *chosen], stdout=file, stderr=file)
        until(lambda: "account live" in self.said.read_text())

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def keys(self) -> dict[str, str]:
        """Those of the live account that may trade."""
        found = re.search(
            r"account live: live\n +\S*trade +key (\S+) +secret (\S+) +passphrase (\S+)", self.said.read_text()
        )
        assert found is not None
        return {"api_key": found[1], "secret": found[2], "password": found[3]}

    def books(self) -> dict[str, Any]:
        """All that it knows of the account."""
        books: dict[str, Any] = self._ask("GET", "/books?account=live")
        return books

    def clock(self, **wanted: object) -> None:
        """Freeze or resume the market."""
        self._ask("POST", "/clock", wanted)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        answered = httpx.request(method, f"http://127.0.0.1:{self._admin_port}{path}", json=body, timeout=30)
        assert answered.status_code == 200, answered.text
        return answered.json()


@pytest.fixture
def stage(home: Path, tmp_path: Path) -> Iterator[Stage]:
    ray = Path(tempfile.mkdtemp(prefix="oxr", dir="/tmp"))
    exchange = Exchange(tmp_path)
    exchange.start()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OXBOT_", "RAY_"))}
    environment |= {"OXBOT_HOME": str(home), "OXBOT_API_PORT": "0", "COLUMNS": "200", "RAY_TMPDIR": str(ray)}
    said = tmp_path / "up.txt"
    arguments = ["--venue", "okx", "--venue-url", exchange.url, "--symbols", SYMBOLS, "--timeframe", "1m"]
    with said.open("w") as file:
        process = subprocess.Popen(
            [str(COMMAND), "up", *arguments, "--speed", SPEED], stdout=file, stderr=file, env=environment
        )
    try:
        until(lambda: "the API listens" in said.read_text())
        yield Stage(home, said, ray, exchange)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
        process.wait()
        exchange.kill()
        shutil.rmtree(ray, ignore_errors=True)


class Operator:
    """Somebody at the command line, and all that they were shown."""

    def __init__(self, oxbot: Oxbot, folder: Path) -> None:
        self.heard: list[str] = []
        self._oxbot = oxbot
        self._file = folder / "keys.json"

    def say(self, *arguments: str, status: int = 0) -> str:
        """Run a command; what it answers."""
        done = self._oxbot(*arguments)
        self.heard.extend((done.stdout, done.stderr))
        assert done.returncode == status, done.stderr
        return done.stderr if status else done.stdout

    def give(self, keys: dict[str, str]) -> None:
        """Set the account's keys."""
        self._file.write_text(json.dumps(keys))
        self._file.chmod(0o600)
        self.say("accounts", "keys", "main", "--from", str(self._file))
        self._file.unlink()

    def account(self) -> dict[str, Any]:
        """How the account stands."""
        shown: dict[str, Any] = json.loads(self.say("accounts", "show", "main", "--json"))
        return shown

    def make(self, name: str, symbols: str, *more: str) -> BotId:
        """A live bot that is armed and started."""
        created = self.say("bots", "create", name, "--symbols", symbols, "--account", "main", "--json", *QUICK, *more)
        assert "it is armed until 2" in self.say("bots", "arm", name, "--for", "8h")
        self.say("bots", "start", name)
        return BotId(json.loads(created)["bot_id"])


@pytest.mark.timeout(600)
def test_live_bots_trade_through_crashes_and_their_books_are_the_exchanges(
    stage: Stage, oxbot: Oxbot, tmp_path: Path
) -> None:
    operator, exchange = Operator(oxbot, tmp_path), stage.exchange
    bots = _begun(stage, operator)

    _trade(exchange, fills=4)
    os.kill(execution_of(stage.home), signal.SIGKILL)
    _trade(exchange, fills=2)
    exchange.kill()
    time.sleep(2)
    exchange.start()
    _trade(exchange, fills=2)
    exchange.clock(freeze=True)
    agreed(stage, bots)

    exchange.clock(resume=True)
    operator.say("accounts", "kill", "main", "--policy", "close", "--reason", "the test is over")
    until(lambda: operator.account()["killed"] is not None)
    killed = operator.account()["killed"]
    assert (killed["policy"], killed["left"]) == ("close", [])
    exchange.clock(freeze=True)
    agreed(stage, bots)
    books = exchange.books()
    assert [row for row in books["positions"] if Decimal(row["pos"] or 0)] == []
    assert [row for row in books["orders"] if row["state"] not in {"filled", "canceled"}] == []
    assert "0 differences" in operator.say("replay")

    planted = [value for keys in (WRONG, exchange.keys()) for name, value in keys.items() if name != "api_key"]
    texts = [*operator.heard, stage.said.read_text(), *events(stage.home)]
    assert shown_in(planted, texts, [stage.home, stage.ray]) == []


def _begun(stage: Stage, operator: Operator) -> list[BotId]:
    """An armed account with two armed bots, after its first keys were wrong."""
    operator.say("accounts", "open", "main", "--venue", "okx", "--url", stage.exchange.url)
    assert "has no keys" in operator.say("accounts", "arm", "main", "--for", "8h", status=2)
    operator.give(WRONG)
    operator.say("accounts", "arm", "main", "--for", "8h")
    margin = ("--set", "leverage=2", "--set", "limits.leverage_max=2")
    bots = [operator.make("spot", "BTC/USDT,ETH/USDT"), operator.make("swap", "BTC/USDT:USDT", *margin)]

    refused = "there is no such API key"
    until(lambda: any(refused in words for words in operator.account()["obstacles"]))
    assert refused in operator.say("bots", "list")
    until(lambda: refused in stage.said.read_text())
    assert stage.exchange.books()["orders"] == []
    operator.give(stage.exchange.keys())
    until(lambda: not operator.account()["obstacles"])
    return bots


def _trade(exchange: Exchange, *, fills: int) -> None:
    """Let so many more trades happen."""
    wanted = len(exchange.books()["fills"]) + fills
    until(lambda: len(exchange.books()["fills"]) >= wanted)


def agreed(stage: Stage, bots: list[BotId]) -> None:
    """Wait until the log says what the exchange says."""
    ends_at = time.monotonic() + AGREED_SECONDS
    while found := differences(stage.home, stage.exchange.books(), bots):
        assert time.monotonic() < ends_at, found
        time.sleep(1)


def differences(home: Path, books: dict[str, Any], bots: list[BotId]) -> list[str]:
    """What of orders, fills, positions and balances the log has otherwise than the exchange."""
    states = asyncio.run(folded(home, bots))
    found = []
    orders = [order for state in states for order in [*state.ended.values(), *state.orders.values()] if order.attempts]
    ours = {order.client_id for order in orders}
    theirs = {row["clOrdId"] for row in books["orders"] if row["clOrdId"]} | {
        row["algoClOrdId"] for row in books["algo_orders"]
    }
    if theirs - ours:
        found.append(f"orders that nobody asked for: {theirs - ours}")
    if {name for name in ours - theirs if any(order.client_id == name and order.fill_ids for order in orders)}:
        found.append(f"orders that the exchange has not: {ours - theirs}")
    if any(order.status in ("in_doubt", "submitted") for order in orders):
        found.append("orders in doubt")
    fills = {fill_id for order in orders for fill_id in order.fill_ids}
    booked = sum(len(order.fill_ids) for order in orders)
    traded = {f"{row['instId']}:{row['tradeId']}:{row['ordId']}" for row in books["fills"]}
    if fills != traded or booked != len(books["fills"]):
        found.append(f"fills: {sorted(fills)} and {sorted(traded)}")
    positions = {row["instId"]: Decimal(row["pos"] or 0) * Decimal("0.01") for row in books["positions"]}
    held = {symbol: position for state in states for symbol, position in state.ledger.positions.items()}
    swap = held.get("BTC/USDT:USDT")  # type: ignore[call-overload]  # a symbol
    if positions.get("BTC-USDT-SWAP", Decimal(0)) != (swap.signed_quantity if swap else 0):
        found.append(f"positions: {held} and {positions}")
    balances = {row["ccy"]: Decimal(row["cashBal"]) for row in books["balances"]}
    for currency in ("USDT", "BTC", "ETH"):
        owned = sum((holding(state, currency) for state in states), OPENED_WITH.get(currency, Decimal(0)))
        if balances.get(currency, Decimal(0)) != owned:
            found.append(f"{currency}: {owned} and {balances.get(currency)}")
    return found


def holding(state: BotState, currency: str) -> Decimal:
    """What of a currency a bot has gained since it began, or has."""
    if currency == "USDT":
        return state.ledger.cash - CAPITAL
    held = {name: each.quantity for name, each in state.ledger.positions.items() if each.kind == "spot"}
    owned = [*held.items(), *state.ledger.dust.items()]
    return sum((quantity for symbol, quantity in owned if symbol == f"{currency}/USDT"), Decimal(0))


async def folded(home: Path, bots: list[BotId]) -> list[BotState]:
    async with open_installation(load_settings({"OXBOT_HOME": str(home)}), name="test", connections=1) as installation:
        decider = BotDecider(built_in())
        return [(await fold_stream(installation.stores.log, decider, bot_stream(bot_id))).state for bot_id in bots]


def events(home: Path) -> list[str]:
    """The body of every event."""

    async def read() -> list[str]:
        async with open_installation(
            load_settings({"OXBOT_HOME": str(home)}), name="test", connections=1
        ) as installation:
            return [repr(event) for event in await installation.stores.log.read_all(limit=100_000)]

    return asyncio.run(read())


def execution_of(home: Path) -> int:
    """The process of the account's execution."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::ExecutionActor") and f"OXBOT_HOME={home}".encode() in environment:
            return int(process.name)
    raise AssertionError("no execution is at work")


def shown_in(planted: list[str], texts: list[str], folders: list[Path]) -> list[str]:
    """Where any of the secrets is: in a text, or in a file of the folders."""
    found = [text for text in texts if any(secret in text for secret in planted)]
    for path in (file for folder in folders for file in folder.rglob("*") if file.is_file() and not file.is_symlink()):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        found += [str(path) for secret in planted if secret.encode() in content]
    return found


def until(condition: Callable[[], object]) -> None:
    """Wait for it."""
    ends_at = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < ends_at, "waited too long"
        time.sleep(0.5)
