"""A process loads the exchange that it speaks to and not all of ccxt; what it gets is ccxt's own all the same."""

import json
import subprocess
import sys

import ccxt.pro
import pytest

from oxbot.adapters.ccxt_loading import close_exchange, open_exchange

pytestmark = pytest.mark.anyio

OPENED = """
import asyncio, sys
from oxbot.adapters.ccxt_loading import close_exchange, error_kind, open_exchange
base = error_kind("BaseError")
exchange = open_exchange("okx")
asyncio.run(close_exchange(exchange))
exchanges = {name.rpartition(".")[2] for name in sys.modules if name.count(".") == 2 and name.startswith("ccxt.pro.")}
"""


def prints(script: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", OPENED + script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_one_exchange_is_loaded_and_no_other() -> None:
    assert prints("print(*exchanges)") == "okx"


def test_everything_else_of_ccxt_is_there_for_whoever_asks() -> None:
    """Its classes are found by either name, and are the same ones."""
    script = """
import ccxt, ccxt.async_support, ccxt.pro
from ccxt.async_support.kraken import kraken
assert ccxt.async_support.kraken is kraken
assert issubclass(ccxt.pro.kraken, kraken)
assert issubclass(ccxt.pro.binanceusdm, ccxt.pro.binance)
assert isinstance(exchange, ccxt.async_support.okx)
assert issubclass(ccxt.okx, ccxt.Exchange)
assert ccxt.RateLimitExceeded is error_kind("RateLimitExceeded")
assert not hasattr(ccxt.pro, "mtgox")
print("there")
"""
    assert prints(script) == "there"


async def test_what_an_exchange_says_of_itself_is_what_all_of_ccxt_has_it_say() -> None:
    """This process has loaded all of ccxt, and keeps it; an exchange opened the same way describes itself the same."""
    exchange = open_exchange("okx")
    assert isinstance(exchange, ccxt.pro.okx)
    lean = prints("import json\nprint(json.dumps(exchange.describe(), default=str, sort_keys=True))")
    assert lean == json.dumps(exchange.describe(), default=str, sort_keys=True)
    assert len(vars(ccxt.pro)) > 50
    await close_exchange(exchange)
