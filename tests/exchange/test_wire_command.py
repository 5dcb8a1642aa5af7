"""``oxbot exchange`` as a process: it says where it is, serves its market, and remembers it."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

COMMAND = [sys.executable, "-c", "from oxbot.cli.main import main; main()", "exchange"]
ROOT = Path(__file__).parents[2]


@contextmanager
def _running(home: Path, *options: str) -> Iterator[str]:
    """What it printed; ended by SIGTERM, which has to be in order, also for what a script started in the background."""
    arguments = [*COMMAND, "--home", str(home), "--port", "0", "--admin-port", "0", *options]
    in_background = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *arguments]
    process = subprocess.Popen(in_background, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        said = ""
        while "set_sandbox_mode" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield said
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
        process.wait()


def _get(said: str, path: str) -> Any:
    address = re.search(r"REST +(http://127\.0\.0\.1:\d+)", said)
    assert address is not None
    return httpx.get(address[1] + path, timeout=10).json()["data"]


def test_it_serves_its_market_prints_its_keys_and_goes_on_with_both_after_a_restart(tmp_path: Path) -> None:
    candles = "/api/v5/market/history-candles?instId=BTC-USDT&limit=3&after=1772323200000"
    options = ("--symbols", "BTC/USDT", "--start", "2026-03-01T12:00:00Z", "--seed", "5")
    with _running(tmp_path, *options) as said:
        kinds = [row["instId"] for row in _get(said, "/api/v5/public/instruments?instType=SWAP")]
        first, keys = _get(said, candles), re.findall(r"key (\S+)  secret", said)
    with _running(tmp_path, *options) as said:
        assert (_get(said, candles), re.findall(r"key (\S+)  secret", said)) == (first, keys)
    assert kinds == ["BTC-USDT-SWAP"]
    assert [len(first), len(keys)] == [3, 4]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an exchange that has been at work; one that is refused leaves it as it is."""
    home = tmp_path_factory.mktemp("begun")
    with _running(home, "--symbols", "BTC/USDT", "--seed", "5"):
        pass
    return home


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--seed", "6"), "give another --home"),
        (("--symbols", "ETH/USDT"), "give another --home"),
        (("--speed", "max"), "--speed of oxbot exchange"),
        (("--market", "/nowhere"), "/nowhere"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(begun: Path, options: tuple[str, ...], words: str) -> None:
    arguments = [*COMMAND, "--home", str(begun), "--symbols", "BTC/USDT", "--seed", "5", *options]
    refused = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert words in refused.stderr
