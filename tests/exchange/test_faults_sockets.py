"""Faults of WebSockets and how unmodified ccxt.pro comes through them: kicks, silence, lost and doubled pushes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.exchange.clients import SPOT, pro_client, told
from tests.exchange.running import Candles, Venue, exchange_inside
from tests.exchange.sockets import connected

pytestmark = pytest.mark.anyio

BTC = "BTC-USDT"
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


@pytest.mark.parametrize("code", [None, 1012, 4001])
async def test_after_a_kick_ccxt_connects_and_subscribes_again(venue: Venue, client: Any, code: int | None) -> None:
    await told(client.watch_ticker(SPOT))
    await told(client.watch_balance())
    for path, watch in (("public", client.watch_ticker(SPOT)), ("private", client.watch_orders(SPOT))):
        with pytest.raises(ccxt.NetworkError):
            await told(watch, venue.admin.post("/sockets/kick", path=path, code=code))
    assert (await told(client.watch_ticker(SPOT)))["last"] == "50000"
    [order] = await told(client.watch_orders(SPOT), client.create_order(SPOT, "limit", "buy", "0.01", "49000"))
    assert order["status"] == "open"


async def test_what_was_filled_while_disconnected_is_never_pushed_and_only_rest_knows(
    venue: Venue, client: Any
) -> None:
    placed = await client.create_order(SPOT, "limit", "buy", "0.01", "49000")
    with pytest.raises(ccxt.NetworkError):
        await told(client.watch_orders(SPOT), venue.admin.post("/sockets/kick", path="private"))
    await venue.admin.price(BTC, "48000")
    [seen] = await told(client.watch_orders(SPOT), client.create_order(SPOT, "limit", "buy", "0.01", "47000"))
    assert seen["id"] != placed["id"]
    assert [trade["order"] for trade in await client.fetch_my_trades(SPOT)] == [placed["id"]]


async def test_a_mute_socket_says_nothing_not_even_pong_until_it_is_over(venue: Venue) -> None:
    async with connected(venue, "public") as socket:
        await socket.subscribe(channel="tickers", instId=BTC)
        await socket.hear()
        assert await venue.admin.post("/sockets/mute", path="public", seconds=0.5) == {"sessions": 1}
        await socket.say("ping")
        await venue.admin.price(BTC, "50100")
        assert await socket.silent(0.3)
        await asyncio.sleep(0.3)
        await venue.admin.price(BTC, "50200")
        assert (await socket.hear())["data"][0]["last"] == "50200"


async def test_a_mute_socket_is_a_timeout_for_ccxt(venue: Venue) -> None:
    async with pro_client(venue, streaming={"keepAlive": 200, "maxPingPongMisses": 2}) as client:
        await told(client.watch_ticker(SPOT))
        with pytest.raises(ccxt.RequestTimeout):
            await told(client.watch_ticker(SPOT), venue.admin.post("/sockets/mute", seconds=5))


@pytest.mark.parametrize(
    ("kind", "heard"),
    [
        ("skip", ["50002", "50003"]),
        ("duplicate", ["50001", "50001", "50002", "50003"]),
        ("reorder", ["50002", "50001", "50003"]),
    ],
)
async def test_pushes_are_lost_doubled_or_late(venue: Venue, kind: str, heard: list[str]) -> None:
    async with connected(venue, "public") as socket:
        await socket.subscribe(channel="tickers", instId=BTC)
        await socket.hear()
        await venue.admin.post("/pushes", kind=kind, channel="tickers")
        for price in ("50001", "50002", "50003"):
            await venue.admin.price(BTC, price)
        assert [(await socket.hear())["data"][0]["last"] for _ in heard] == heard
        assert await socket.silent()


async def test_push_faults_may_spare_the_first_and_reach_one_account(venue: Venue) -> None:
    async with connected(venue, "private") as demo:
        await demo.log_in()
        await demo.subscribe(channel="orders", instType="ANY")
        await venue.admin.post("/pushes", kind="skip", channel="orders", account="second")
        await venue.admin.post("/pushes", kind="skip", channel="orders", account="demo", after=1)
        order = {"instId": BTC, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "49000"}
        ids = []
        for name in ("a1", "a2", "a3"):
            await demo.say({"id": name, "op": "order", "args": [order | {"clOrdId": name}]})
        for _ in range(5):
            message = await demo.hear()
            if "arg" in message:
                ids.append(message["data"][0]["clOrdId"])
    assert ids == ["a1", "a3"]


async def test_a_hung_or_dropped_order_over_the_socket_may_be_there_all_the_same(venue: Venue) -> None:
    order = {"instId": BTC, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "49000"}
    for kind, name in (("hang", "h1"), ("drop", "d1")):
        await venue.admin.post("/faults", endpoint="WS order", kind=kind, when="after")
        async with connected(venue, "private") as socket:
            await socket.log_in()
            await socket.say({"id": "1", "op": "order", "args": [order | {"clOrdId": name}]})
            if kind == "hang":
                assert await socket.silent()
            else:
                assert not isinstance(await socket.hear(), dict)
    assert [row["clOrdId"] for row in (await venue.admin.books("demo"))["orders"]] == ["h1", "d1"]


async def test_streams_survive_an_outage_and_rest_has_every_candle_of_it(tmp_path: Path) -> None:
    """One minute of the market passes in 0.1 s, so an outage of 2 s is one of twenty candles."""
    async with (
        exchange_inside(
            tmp_path, candles=Candles(BEGINS_AT, ROWS), start_ms=BEGIN_MS + 5 * MINUTE_MS, speed=600.0
        ) as venue,
        pro_client(venue) as client,
    ):
        seen = {row[0]: list(row[1:]) for row in await told(client.watch_ohlcv(SPOT, "1m"))}
        await venue.admin.post("/outage", seconds=2)
        missed, ends_at = 0, BEGIN_MS + 40 * MINUTE_MS
        while max(seen) < ends_at:
            try:
                seen |= {row[0]: list(row[1:]) for row in await told(client.watch_ohlcv(SPOT, "1m"))}
            except ccxt.NetworkError:
                missed += 1
                await asyncio.sleep(0.2)
        for row in await client.fetch_ohlcv(SPOT, "1m", since=BEGIN_MS + 5 * MINUTE_MS, limit=300):
            seen[row[0]] = row[1:]
    assert missed > 0
    assert {at: row for at, row in seen.items() if at < ends_at} == {
        BEGIN_MS + n * MINUTE_MS: list(ROWS[n]) for n in range(5, 40)
    }


async def test_a_price_path_is_followed_step_by_step_and_pushed(tmp_path: Path) -> None:
    async with exchange_inside(tmp_path) as venue, connected(venue, "public") as socket:
        await socket.subscribe(channel="tickers", instId=BTC)
        await socket.hear()
        steps = [{"price": str(50000 + n), "after_ms": 50 * n} for n in (1, 2, 3)]
        await venue.admin.post("/path", instrument=BTC, steps=steps)
        assert [(await socket.hear())["data"][0]["last"] for _ in steps] == ["50001", "50002", "50003"]
