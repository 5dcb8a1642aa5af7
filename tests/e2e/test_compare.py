"""``oxbot compare``: a table or JSON on standard output, a bar on standard error, and nothing stored."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import MarketFolder, Oxbot, write_candles

RANGE = ("--timeframe", "5m", "--from", "2024-03-01", "--to", "2024-03-03")
CHOSEN = ("--symbols", "ETH/USDT,BTC/USDT", "--strategies", "ema_cross,regime", "--seeds", "12")


def test_every_symbol_has_a_line_for_each_strategy_and_for_the_baselines(
    oxbot: Oxbot, home: Path, market: MarketFolder
) -> None:
    finished = oxbot("compare", "--candles", str(market.path), *RANGE, *CHOSEN, "--jobs", "2")
    assert finished.returncode == 0, finished.stderr
    lines = [line.split("│")[1:-1] for line in finished.stdout.splitlines() if line.startswith("│")]
    names = [cells[1].strip() for cells in lines]
    expected = ["hodl", "random, median", "random, 5 %", "random, 95 %", "ema_cross", "regime"]
    assert names == expected * 2
    assert [cells[0].strip() for cells in lines if cells[0].strip()] == ["ETH/USDT", "BTC/USDT"]
    assert not home.exists()


def test_the_same_runs_come_out_however_many_processes_share_them(oxbot: Oxbot, market: MarketFolder) -> None:
    arguments = ("compare", "--candles", str(market.path), *RANGE, *CHOSEN, "--json")
    alone, shared = (oxbot(*arguments, "--jobs", jobs) for jobs in ("1", "3"))
    assert alone.returncode == 0, alone.stderr
    assert alone.stdout == shared.stdout
    result = json.loads(alone.stdout)
    assert (result["from"], result["to"]) == ("2024-03-01T00:00:00Z", "2024-03-03T00:00:00Z")
    assert len(result["runs"]) == 2 * (1 + 12 + 2)
    assert [row["runs"] for row in result["rows"]] == [1, 12, 1, 1] * 2
    assert set(result["runs"][0]["metrics"]) == {"trades", "equity", "profit_total", "exposure", "fees", "funding"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strategies", "astrology"], ["astrology", "ema_cross"]),
        (["--strategies", "fvg,fvg"], ["--strategies", "twice"]),
        (["--strategies", "fvg,"], ["--strategies", "empty"]),
        (["--capital", "-5"], ["capital", "-5"]),
        (["--candles", "/no/such/folder"], ["/no/such/folder", "no such folder"]),
    ],
)
def test_an_argument_that_cannot_be_is_named(
    oxbot: Oxbot, market: MarketFolder, arguments: list[str], words: list[str]
) -> None:
    given = ["--candles", str(market.path), "--symbols", "BTC/USDT", "--timeframe", "5m", *arguments]
    finished = oxbot("compare", *given)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr
    assert all(word in finished.stderr for word in words), finished.stderr


def test_a_malformed_file_is_named_with_its_line(oxbot: Oxbot, market: MarketFolder, tmp_path: Path) -> None:
    path = tmp_path / "BTC-USDT_5m.csv"
    write_candles(path, market.candles[next(iter(market.candles))][:50])
    lines = path.read_text().splitlines()
    lines[16] = lines[16].rpartition(",")[0] + ",NaN"
    path.write_text("\n".join(lines) + "\n")
    finished = oxbot("compare", "--candles", str(tmp_path), "--symbols", "BTC/USDT", "--timeframe", "5m")
    assert finished.returncode == 2
    assert "BTC-USDT_5m.csv:17" in finished.stderr
    assert "NaN" in finished.stderr
