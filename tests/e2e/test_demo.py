"""The main job, end to end through Ray and Postgres: same market, same result, whatever dies on the way."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from events.identifiers import BotId
from oxbot.adapters import embedded_postgres
from oxbot.adapters.database import open_pool
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.adapters.recorded_market import read_market
from oxbot.app.views import StoredRow, Target
from oxbot.core.candles import Candle
from oxbot.core.state import BotState
from oxbot.views.bot_views import BotBooks
from oxbot.views.rows import ViewName
from tests.core.reference_loop import run as run_reference
from tests.e2e.conftest import BEGINS_AT, REAL_MARKET, SYMBOLS, MarketFolder, demo_arguments, last_moment, run_oxbot

pytestmark = pytest.mark.anyio

DIGESTS = Path(__file__).parent / "state_digests.py"
CAPITAL = Decimal(10000)
RUNS_MAX = 5
KILLED = re.compile(r"killed the (\w+) process \d+ after (\d+)% of the market")
Json = dict[str, Any]


class Run(NamedTuple):
    """A finished demo: its result, and the home it left."""

    result: Json
    home: Path


@pytest.fixture(scope="module")
def undisturbed(market: MarketFolder, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The fleet ``one`` over the whole market."""
    home = tmp_path_factory.mktemp("undisturbed")
    return Run(_demo(home, market.path, "--fleet", "one"), home)


def test_trades_and_money_are_those_of_the_reference_loop(undisturbed: Run, market: MarketFolder) -> None:
    assert undisturbed.result["market"] == {
        "from": f"{BEGINS_AT:%Y-%m-%dT%H:%M:%SZ}",
        "to": f"{last_moment():%Y-%m-%dT%H:%M:%SZ}",
        "candles": sum(len(candles) for candles in market.candles.values()),
    }
    assert sum(len(bot["trades"]) for bot in undisturbed.result["bots"]) > 25
    for bot, symbol in zip(undisturbed.result["bots"], SYMBOLS, strict=True):
        assert bot["symbols"] == [symbol]
        _assert_equals_reference(bot, market.candles[symbol])


def test_a_fleet_of_its_own_gives_the_same_and_leaves_the_earlier_one_undisturbed(
    undisturbed: Run, market: MarketFolder
) -> None:
    again = _demo(undisturbed.home, market.path)
    assert again["bots"] == undisturbed.result["bots"]
    listed = run_oxbot(undisturbed.home, ["bots", "list", "--json"])
    bots = json.loads(listed.stdout)
    assert len(bots) == 6
    assert {bot["bot_id"] for bot in bots if bot["fleet"] == "one"} == {"one-1", "one-2", "one-3"}


async def test_acceptance_06_kill_9_of_a_bot_and_of_the_projector_changes_not_one_byte(
    undisturbed: Run, market: MarketFolder, home: Path
) -> None:
    """One more fact than without kills: the second incarnation's claim. A bot that had already lived to the end when it
    was killed needs none, so that such a run, of a machine that was busy elsewhere, is made again."""
    kills = ("--kill", "bot@10%", "--kill", "projector@20%")
    bots = [BotId("one-1"), BotId("one-2"), BotId("one-3")]
    for number in range(RUNS_MAX):
        place = home / str(number)
        place.mkdir(parents=True)
        disturbed, said = _demo_with_stderr(place, market.path, "--fleet", "one", *kills)
        killed = {victim: int(share) for victim, share in KILLED.findall(said)}
        assert killed.keys() == {"bot", "projector"}
        assert disturbed["bots"] == undisturbed.result["bots"]
        assert await _served(place, bots) == await _served(undisturbed.home, bots)
        more = disturbed["events"] - undisturbed.result["events"]
        if more == 1 and max(killed.values()) < 100:
            return
        assert more in {0, 1}
    pytest.fail("what was killed had always come to its end before")


def test_replay_finds_the_views_and_every_decision_again(undisturbed: Run) -> None:
    replayed = run_oxbot(undisturbed.home, ["replay", "--fleet", "one"])
    assert replayed.returncode == 0, replayed.stderr
    lines = replayed.stdout.splitlines()
    decisions = sum(bot["decisions"] for bot in [_count(undisturbed.result)])
    assert lines[-2].startswith("views: 18 rebuilt from ")
    assert lines[-2].endswith(", 0 differences")
    assert lines[-1].startswith(f"decisions: {decisions} of 3 bots decided again over ")
    assert lines[-1].endswith(", 0 differences")


def test_a_fleets_log_is_sealed_to_its_end(undisturbed: Run) -> None:
    """Through Ray, the embedded database and its roles: every event but the last checkpoint itself is sealed."""
    report = json.loads(run_oxbot(undisturbed.home, ["audit", "verify", "--json"]).stdout)
    assert report["problems"] == []
    assert report["checkpoints"] > 0
    assert report["signed"] == report["anchored"] == report["last"] - 1


def test_the_same_digests_at_every_mark_whatever_the_hash_seed_and_the_page_size(undisturbed: Run) -> None:
    """V8: a fold is a pure function of the log: nothing of the process that folds it shows in the result."""
    dsn = embedded_postgres.start(undisturbed.home / "postgres")
    try:
        digests = {
            _digests(dsn, seed, page_size)
            for seed, page_size in (("0", "7"), ("1", "100"), ("4242", "33"), ("random", "1"))
        }
    finally:
        embedded_postgres.stop(undisturbed.home / "postgres")
    assert len(digests) == 1
    assert len(digests.pop().splitlines()) > 3


@pytest.mark.skipif(not REAL_MARKET.is_dir(), reason="no folder of real candles; set OXBOT_TEST_MARKET")
def test_a_fortnight_of_the_real_market_is_traded_as_the_reference_loop_trades_it(home: Path) -> None:
    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "DOGE/USDT")
    result = _demo(home, REAL_MARKET, "--from", "2024-01-01", "--to", "2024-01-15", symbols=symbols)
    recorded = read_market(
        REAL_MARKET,
        timeframe="5m",
        symbols=symbols,  # type: ignore[arg-type]  # plain text is what people type
        begins_at=datetime.fromisoformat("2024-01-01T00:00:00Z"),
        ends_before=datetime.fromisoformat("2024-01-15T00:00:00Z"),
    )
    candles = dict(recorded.candles)
    assert [bot["symbols"] for bot in result["bots"]] == [[symbol] for symbol in symbols]
    for bot in result["bots"]:
        _assert_equals_reference(bot, candles[bot["symbols"][0]])


def _demo(home: Path, market: Path, *more: str, symbols: Sequence[str] = SYMBOLS) -> Json:
    return _demo_with_stderr(home, market, *more, symbols=symbols)[0]


def _demo_with_stderr(home: Path, market: Path, *more: str, symbols: Sequence[str] = SYMBOLS) -> tuple[Json, str]:
    finished = run_oxbot(home, demo_arguments(market, symbols, *more))
    assert finished.returncode == 0, finished.stderr
    result: Json = json.loads(finished.stdout)
    return result, finished.stderr


def _assert_equals_reference(bot: Json, candles: Sequence[Candle]) -> None:
    reference = run_reference(candles, CAPITAL)
    assert [_trade(trade) for trade in bot["trades"]] == list(map(tuple, reference.trades))
    assert Decimal(bot["cash"]) == reference.cash
    assert Decimal(bot["equity"]) == reference.equity
    net = sum(Decimal(trade["net"]) for trade in bot["trades"])
    opened = bot["open"]
    if not opened:
        assert Decimal(bot["cash"]) - CAPITAL == net
    marked = sum(Decimal(position["quantity"]) * Decimal(position["mark_price"]) for position in opened)
    assert Decimal(bot["equity"]) == Decimal(bot["cash"]) + marked
    assert Decimal(bot["equity"]) - CAPITAL == net + sum(Decimal(position["unrealised"]) for position in opened)


def _trade(trade: Json) -> tuple[object, ...]:
    assert trade["side"] == "long"
    return (
        Decimal(trade["quantity"]),
        datetime.fromisoformat(trade["entry_time"]),
        Decimal(trade["entry_price"]),
        datetime.fromisoformat(trade["exit_time"]),
        Decimal(trade["exit_price"]),
        Decimal(trade["fees"]),
        Decimal(trade["net"]),
        trade["reason"],
    )


def _count(result: Json) -> dict[str, int]:
    """Every entry is a decision; so is every exit that the strategy wanted."""
    trades = [trade for bot in result["bots"] for trade in bot["trades"]]
    exits = sum(trade["reason"] == "exit_signal" for trade in trades)
    return {"decisions": len(trades) + exits + sum(len(bot["open"]) for bot in result["bots"])}


async def _served(home: Path, bots: Sequence[BotId]) -> tuple[dict[ViewName, list[StoredRow]], dict[BotId, bytes]]:
    """The bots' rows of every view, and their whole state but for how often they were claimed."""
    dsn = embedded_postgres.start(home / "postgres")
    try:
        pool = await open_pool(dsn, size=2, application_name="test")
        async with pool:
            views = PostgresViews(pool)
            async with views.snapshot() as snapshot:
                rows = await snapshot.everything()
            remembered = await views.books(Target("bots"), bots)
            books = {BotId(bot): msgspec.msgpack.decode(body, type=BotBooks) for bot, body in remembered.items()}
    finally:
        embedded_postgres.stop(home / "postgres")
    of_the_bots = {view: [row for row in stored if row.bot_id in bots] for view, stored in rows.items()}
    unclaimed = {
        bot: msgspec.msgpack.encode(msgspec.structs.replace(book, state=_unclaimed(book.state)))
        for bot, book in books.items()
    }
    return of_the_bots, unclaimed


def _digests(dsn: str, seed: str, page_size: str) -> str:
    command = [sys.executable, str(DIGESTS), dsn, page_size]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=True).stdout


def _unclaimed(state: BotState) -> BotState:
    return msgspec.structs.replace(state, epoch=0)
