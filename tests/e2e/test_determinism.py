"""A fold is a pure function of the log: nothing of the process that folds it shows in the result."""

import os
import subprocess
import sys
from pathlib import Path

from oxbot.adapters import embedded_postgres
from tests.e2e.conftest import MarketFolder, demo_arguments, run_oxbot

SCRIPT = Path(__file__).parent / "state_digests.py"


def test_the_same_digests_at_every_mark_whatever_the_hash_seed_and_the_page_size(
    market: MarketFolder, home: Path
) -> None:
    """V8: replayed in processes of different PYTHONHASHSEED and page sizes, the digest is the same at every mark."""
    traded = run_oxbot(home, demo_arguments(market.path, ("BTC/USDT",)))
    assert traded.returncode == 0, traded.stderr
    dsn = embedded_postgres.start(home / "postgres")
    digests = {
        _digests(dsn, seed, page_size)
        for seed, page_size in (("0", "7"), ("1", "100"), ("4242", "33"), ("random", "1"))
    }
    assert len(digests) == 1
    assert len(digests.pop().splitlines()) > 3


def _digests(dsn: str, seed: str, page_size: str) -> str:
    command = [sys.executable, str(SCRIPT), dsn, page_size]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=True).stdout
