"""Bad input: one clear line saying what and where, exit status 2, and nothing half-written."""

import subprocess
from pathlib import Path

import pytest

from oxbot.adapters import embedded_postgres
from oxbot.adapters.database import open_pool
from tests.e2e.conftest import SYMBOLS, MarketFolder, Oxbot, demo_arguments, write_candles

pytestmark = pytest.mark.anyio

BTC = ("BTC/USDT",)


@pytest.fixture
def spoilt(market: MarketFolder, tmp_path: Path) -> Path:
    """A folder with the first 400 candles of one symbol, to be spoilt by a test."""
    folder = tmp_path / "spoilt"
    folder.mkdir()
    write_candles(folder / "BTC-USDT_5m.csv", market.candles[SYMBOLS[0]][:400])
    return folder


def _spoil(folder: Path, line: int, replacement: str | None) -> None:
    path = folder / "BTC-USDT_5m.csv"
    lines = path.read_text().splitlines()
    lines[line - 1 : line] = [] if replacement is None else [replacement]
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("line", "replacement", "words"),
    [
        pytest.param(300, None, ["BTC-USDT_5m.csv:300", "2024-03-02T00:50:00Z"], id="gap"),
        pytest.param(17, "2024-03-01T01:15:00Z,1,2", ["BTC-USDT_5m.csv:17"], id="malformed"),
        pytest.param(17, "2024-03-01T01:15:00Z,NaN,2,1,1,5", ["BTC-USDT_5m.csv:17", "NaN"], id="NaN"),
        pytest.param(17, "2024-03-01T01:15:00Z,1,2,-1,1,5", ["BTC-USDT_5m.csv:17", "-1"], id="negative price"),
        pytest.param(17, "2024-03-01T00:00:00Z,1,2,1,1,5", ["BTC-USDT_5m.csv:17"], id="unsorted"),
        pytest.param(17, "2024-03-01T01:15:00Z,1,1,2,1,5", ["BTC-USDT_5m.csv:17"], id="high below low"),
        pytest.param(17, "2024-03-01T01:15:00Z,3,2,1,1,5", ["BTC-USDT_5m.csv:17"], id="open above high"),
        pytest.param(17, "2024-03-01T01:15:00Z,2,2,1,0.5,5", ["BTC-USDT_5m.csv:17"], id="close below low"),
    ],
)
def test_a_spoilt_file_is_named_with_its_line_and_nothing_is_written(
    *, oxbot: Oxbot, home: Path, spoilt: Path, line: int, replacement: str | None, words: list[str]
) -> None:
    _spoil(spoilt, line, replacement)
    importing = ["market", "import", str(spoilt), "--timeframe", "5m", "--symbols", ",".join(BTC)]
    for arguments in (demo_arguments(spoilt, BTC), importing):
        _assert_refused(oxbot(*arguments), words)
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--symbols", "SHIB/USDT"], ["SHIB/USDT"]),
        (["--timeframe", "5x"], ["5x"]),
        (["--from", "yesterday"], ["--from", "yesterday"]),
        (["--speed", "0x"], ["--speed", "0x"]),
        (["--kill", "everything@30%"], ["--kill", "everything"]),
        (["--capital", "NaN"], ["--capital", "NaN"]),
        (["--from", "2030-01-01"], ["no candle", "BTC-USDT_5m.csv"]),
    ],
)
def test_an_argument_that_cannot_be_is_named(
    oxbot: Oxbot, home: Path, spoilt: Path, arguments: list[str], words: list[str]
) -> None:
    _assert_refused(oxbot(*demo_arguments(spoilt, BTC), *arguments), words)
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--param", "size_fraction=0.9"], ["size_fraction 0.9", "position_fraction_max 0.25"]),
        (["--param", "speed=3"], ["ema_cross", "speed"]),
        (["--param", "fast=60"], ["ema_cross", "fast"]),
        (["--strategy", "astrology"], ["astrology", "ema_cross"]),
        (["--capital", "-5"], ["capital", "-5"]),
        (["--fleet", "No Such Name"], ["fleet", "No Such Name"]),
    ],
)
def test_a_bot_that_may_not_be_leaves_no_fact_and_no_candle(
    oxbot: Oxbot, home: Path, spoilt: Path, arguments: list[str], words: list[str]
) -> None:
    _assert_refused(oxbot(*demo_arguments(spoilt, BTC), *arguments), words)
    assert not home.exists()


BAD_BOTS: list[tuple[list[str], list[str]]] = [
    (["--symbols", "SHIB/USDT"], ["SHIB/USDT", "BTC/USDT"]),
    (["--strategy", "astrology"], ["'astrology'", "ema_cross"]),
    (["--param", "fast=1"], ["ema_cross", ">= 2", "`$.fast`"]),
    (["--param", "fast=60"], ["ema_cross", "fast must be below slow"]),
    (["--param", "speed=1"], ["ema_cross", "`speed`"]),
    (["--param", "size_fraction=NaN"], ["ema_cross", "size_fraction"]),
    (["--strategy", "trinity", "--param", "size_fraction=0.2"], ["trinity", "size_fraction"]),
    (["--capital", "NaN"], ["--capital", "NaN"]),
    (["--set", "limits.drawdown_max=1.5"], ["limit drawdown_max must be above 0 and at most 1, not 1.5"]),
    (["--set", "limits.drawdown_mx=0.1"], ["`drawdown_mx`", "`$.limits`"]),
    (["--set", "leverage=5"], ["leverage 5", "leverage_max 1"]),
    (["--set", "sizing.risk_fraction=2"], ["sizing risk_fraction"]),
    (["--set", "paper.half_spread=0.2"], ["paper half_spread"]),
    (["--set", "instruments.ETH/USDT.kind=perpetual"], ["ETH/USDT"]),
    (["--set", "instruments.BTC/USDT.leverage_max=5"], ["BTC/USDT: spot has no leverage"]),
    (["--from", "/no/such/bot.json"], ["/no/such/bot.json"]),
]


async def test_a_command_to_no_bot_and_a_bot_that_cannot_be_leave_no_fact(oxbot: Oxbot, home: Path) -> None:
    assert oxbot("db", "migrate").returncode == 0
    _assert_refused(oxbot("bots", "start", "nobody"), ["no bot nobody"])
    for arguments, words in BAD_BOTS:
        given = [] if "--symbols" in arguments else ["--symbols", "BTC/USDT"]
        _assert_refused(oxbot("bots", "create", "x", *given, *arguments), words)
    dsn = embedded_postgres.start(home / "postgres")
    pool = await open_pool(dsn, size=1, application_name="test")
    async with pool:
        assert await pool.fetchval("select count(*) from log.events") == 0


def test_an_unknown_setting_is_named(oxbot: Oxbot, home: Path) -> None:
    _assert_refused(oxbot("bots", "list", OXBOT_COLOUR="blue"), ["OXBOT_COLOUR", "OXBOT_HOME"])
    _assert_refused(oxbot("bots", "list", OXBOT_API_PORT="many"), ["OXBOT_API_PORT"])
    assert not home.exists()


def test_a_postgres_that_is_down_is_named_without_its_password(oxbot: Oxbot, spoilt: Path) -> None:
    address = "postgresql://someone:hunter2secret@127.0.0.1:1/oxbot"
    for arguments in (["bots", "list"], ["db", "migrate"], demo_arguments(spoilt, BTC)):
        finished = oxbot(*arguments, OXBOT_DATABASE_URL=address)
        _assert_refused(finished, ["127.0.0.1:1", "refused"])
        assert "hunter2secret" not in finished.stderr + finished.stdout


def _assert_refused(finished: "subprocess.CompletedProcess[str]", words: list[str]) -> None:
    complaints = [line for line in finished.stderr.splitlines() if not line.startswith("oxbot: starting")]
    assert finished.returncode == 2, finished.stderr
    assert len(complaints) == 1, finished.stderr
    assert finished.stdout == ""
    for word in words:
        assert word in complaints[0]
