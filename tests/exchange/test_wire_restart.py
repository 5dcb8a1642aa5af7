"""A local exchange that dies and comes back is the one that it was: nothing that it told is forgotten."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import ccxt
import pytest

from tests.exchange.clients import SPOT, SWAP, rest_client
from tests.exchange.running import Apart, Venue, exchange_apart, exchange_inside

pytestmark = pytest.mark.anyio

ISOLATED = {"marginMode": "isolated"}


@pytest.fixture
async def apart(tmp_path: Path) -> AsyncIterator[Apart]:
    async with exchange_apart(tmp_path) as apart:
        yield apart


async def _trade(venue: Venue) -> None:
    async with rest_client(venue) as client:
        await client.create_order(SPOT, "market", "buy", "0.01")
        await client.create_order(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": "a" * 32})
        await client.create_order(SWAP, "market", "sell", "3", None, ISOLATED)


async def test_after_a_kill_it_has_everything_that_it_answered(apart: Apart) -> None:
    await apart.venue.admin.post("/clock", freeze=True)
    await _trade(apart.venue)
    before = await apart.venue.admin.books("demo")
    digest = await apart.venue.admin.get("/digest")
    await apart.kill()
    await apart.start()
    assert await apart.venue.admin.books("demo") == before
    assert await apart.venue.admin.get("/digest") == digest
    async with rest_client(apart.venue) as client:
        with pytest.raises(ccxt.InvalidOrder, match="51016"):
            await client.create_order(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": "a" * 32})


async def test_it_can_be_told_to_kill_itself(apart: Apart) -> None:
    await _trade(apart.venue)
    with pytest.raises(aiohttp.ClientError):
        await apart.venue.admin.post("/crash")
    assert await apart.gone() == -9
    await apart.start()
    assert len((await apart.venue.admin.books("demo"))["orders"]) == 3


async def test_it_ends_in_order_when_it_is_told_to(apart: Apart) -> None:
    await _trade(apart.venue)
    assert await apart.stop() == 0


async def test_one_inside_another_process_does_not_kill_it(tmp_path: Path) -> None:
    async with (
        exchange_inside(tmp_path) as venue,
        aiohttp.ClientSession() as session,
        session.post(venue.running.admin_url + "/crash") as answer,
    ):
        assert answer.status == 409


async def test_the_markets_clock_goes_on_from_where_it_was(tmp_path: Path) -> None:
    async with exchange_inside(tmp_path, start_ms=1_700_000_000_000, frozen=True) as venue:
        await venue.admin.post("/clock", advance_ms=90_000)
    async with exchange_inside(tmp_path) as venue:
        assert (await venue.admin.get("/clock"))["market_ms"] == 1_700_000_090_000
