"""Unmodified ccxt, pointed at a local exchange; it is loaded once per process, here."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import ccxt.async_support as ccxt_rest
import ccxt.pro as ccxt_pro

from oxbot.exchange.plan import Funded
from tests.exchange.running import DEMO, Venue, key_of, urls

SPOT = "BTC/USDT"
SWAP = "BTC/USDT:USDT"
WAIT_SECONDS = 10.0


@asynccontextmanager
async def rest_client(
    venue: Venue, funded: Funded = DEMO, *, reading: bool = False, **config: Any
) -> AsyncIterator[Any]:
    """``ccxt.async_support.okx`` with an account's key."""
    client = ccxt_rest.okx(_config(venue, funded, reading=reading) | config)
    async with _ready(client, funded):
        yield client


@asynccontextmanager
async def pro_client(venue: Venue, funded: Funded = DEMO, **config: Any) -> AsyncIterator[Any]:
    """``ccxt.pro.okx`` with an account's key."""
    client = ccxt_pro.okx(_config(venue, funded, reading=False) | config)
    async with _ready(client, funded):
        yield client


@asynccontextmanager
async def _ready(client: Any, funded: Funded) -> AsyncIterator[None]:
    client.number = str
    if funded.spec.demo:
        client.set_sandbox_mode(True)
    try:
        yield
    finally:
        await client.close()


def _config(venue: Venue, funded: Funded, *, reading: bool) -> dict[str, Any]:
    key = key_of(funded, reading=reading)
    return {
        "apiKey": key.key,
        "secret": key.secret,
        "password": key.passphrase,
        "timeout": 5000,
        "enableRateLimit": False,
        "urls": urls(venue),
        "options": {"fetchMarkets": {"types": ["spot", "swap"]}},
    }


def picked(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """Some fields."""
    return {name: row[name] for name in names}


async def told(watching: Coroutine[Any, Any, Any], by: Coroutine[Any, Any, Any] | None = None) -> Any:
    """What a watch_* call answers to what is done while it waits; a push that nobody waits for is lost in ccxt."""
    async with asyncio.timeout(WAIT_SECONDS):
        waiting = asyncio.ensure_future(watching)
        if by is not None:
            await asyncio.sleep(0.05)
            await by
        return await waiting
