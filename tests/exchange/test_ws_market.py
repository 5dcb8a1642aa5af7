"""The market's channels through unmodified ccxt.pro: tickers, trades, books, candles, marks, funding."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.exchange.clients import SPOT, SWAP, picked, pro_client, told
from tests.exchange.running import Candles, Venue, exchange_inside

pytestmark = pytest.mark.anyio

BEGINS_AT = datetime(2026, 3, 2, tzinfo=UTC)
BEGIN_MS = int(BEGINS_AT.timestamp() * 1000)
MINUTE_MS = 60_000
ROWS = [(f"{50000 + n}", f"{50002 + n}", f"{49998 + n}", f"{50001 + n}", f"{n + 1}") for n in range(60)]


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    async with exchange_inside(tmp_path, frozen=True) as venue:
        yield venue


@pytest.fixture
async def client(venue: Venue) -> AsyncIterator[Any]:
    async with pro_client(venue) as client:
        await client.load_markets()
        yield client


async def test_a_ticker_follows_the_price(venue: Venue, client: Any) -> None:
    first = await told(client.watch_ticker(SPOT))
    second = await told(client.watch_ticker(SPOT), venue.admin.price("BTC-USDT", "50500"))
    assert (first["last"], second["last"], second["ask"]) == ("50000", "50500", "50500.1")


async def test_trades_are_pushed_as_they_happen(venue: Venue, client: Any) -> None:
    trading = venue.admin.post("/price", instrument="BTC-USDT", price="50100", volume="0.25")
    [trade] = await told(client.watch_trades(SPOT), trading)
    assert picked(trade, "price", "amount") == {"price": "50100", "amount": "0.25"}


@pytest.mark.parametrize(("limit", "levels"), [(None, 400), (5, 5), (1, 1)])
async def test_a_book_follows_the_price_and_equals_the_one_of_rest(
    venue: Venue, client: Any, limit: int | None, levels: int
) -> None:
    book = await told(client.watch_order_book(SPOT, limit))
    for price in ("50000.1", "49990", "50010.5"):
        book = await told(client.watch_order_book(SPOT, limit), venue.admin.price("BTC-USDT", price))
    asked = await client.fetch_order_book(SPOT, levels)
    assert len(book["bids"]) == levels
    assert [row[:2] for row in book["bids"]] == [row[:2] for row in asked["bids"]]
    assert [row[:2] for row in book["asks"]] == [row[:2] for row in asked["asks"]]


async def test_a_gap_in_a_book_is_seen_and_mended(venue: Venue, client: Any) -> None:
    await told(client.watch_order_book(SPOT))
    await venue.admin.post("/pushes", kind="skip", channel="books")
    await venue.admin.price("BTC-USDT", "50001")
    with pytest.raises(ccxt.InvalidNonce):
        await told(client.watch_order_book(SPOT), venue.admin.price("BTC-USDT", "50002"))
    mended = await told(client.watch_order_book(SPOT))
    assert mended["bids"][0][0] == 50002.0


async def test_candles_form_and_close_with_the_clock(tmp_path: Path) -> None:
    begins = BEGIN_MS + 10 * MINUTE_MS
    async with (
        exchange_inside(tmp_path, candles=Candles(BEGINS_AT, ROWS), frozen=True, start_ms=begins) as venue,
        pro_client(venue) as client,
    ):
        await told(client.watch_ohlcv(SPOT, "1m"))
        await told(client.watch_ohlcv(SPOT, "5m"))
        for _ in range(6):
            await told(client.watch_ohlcv(SPOT, "1m"), venue.admin.post("/clock", advance_ms=MINUTE_MS))
        await asyncio.sleep(0.1)
        minutes = {row[0]: row[1:] for row in client.ohlcvs[SPOT]["1m"]}
        [five] = [row for row in client.ohlcvs[SPOT]["5m"] if row[0] == begins]
    assert {at: row for at, row in minutes.items() if at < begins + 6 * MINUTE_MS} == {
        BEGIN_MS + n * MINUTE_MS: list(ROWS[n]) for n in range(10, 16)
    }
    assert five[1:] == ["50010", "50016", "50008", "50015", "65"]


async def test_marks_and_funding_are_pushed(venue: Venue, client: Any) -> None:
    assert (await told(client.watch_mark_price(SWAP)))["markPrice"] == "50000"
    moved = await told(client.watch_mark_price(SWAP), venue.admin.price("BTC-USDT-SWAP", "50777"))
    await told(client.watch_funding_rate(SWAP))
    setting = venue.admin.post("/funding", instrument="BTC-USDT-SWAP", rate="-0.0002")
    rate = await told(client.watch_funding_rate(SWAP), setting)
    assert (moved["markPrice"], rate["fundingRate"]) == ("50777", "-0.0002")
