"""What the local exchange refuses, with OKX's codes, and what unmodified ccxt makes of it."""

import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import msgspec
import pytest

from oxbot.exchange.auth import signature
from tests.exchange.clients import SPOT, SWAP, rest_client
from tests.exchange.running import DEMO, LIVE, Venue, exchange_inside, key_of

pytestmark = pytest.mark.anyio

ID = "a" * 32
BUY: dict[str, object] = {"tdMode": "cash", "side": "buy", "ordType": "limit"}
ORDER: dict[str, object] = {**BUY, "instId": "BTC-USDT", "sz": "0.01", "px": "49000"}


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    async with exchange_inside(tmp_path, frozen=True) as venue:
        yield venue


@pytest.fixture
async def client(venue: Venue) -> AsyncIterator[Any]:
    async with rest_client(venue) as client:
        await client.load_markets()
        yield client


@pytest.mark.parametrize(
    ("change", "code", "raised"),
    [
        ({"sz": "10", "px": "49000"}, "51008", ccxt.InsufficientFunds),
        ({"sz": "0.000001"}, "51121", ccxt.InvalidOrder),
        ({"sz": "0.010001"}, "51121", ccxt.InvalidOrder),
        ({"px": "49000.05"}, "51000", ccxt.BadRequest),
        ({"px": ""}, "51000", ccxt.BadRequest),
        ({"sz": "-1"}, "51000", ccxt.BadRequest),
        ({"sz": "much"}, "51000", ccxt.BadRequest),
        ({"sz": ""}, "50014", ccxt.BadRequest),
        ({"side": "hold"}, "51000", ccxt.BadRequest),
        ({"ordType": "wish"}, "51000", ccxt.BadRequest),
        ({"tdMode": "isolated"}, "51000", ccxt.BadRequest),
        ({"clOrdId": "has-a-dash"}, "51000", ccxt.BadRequest),
        ({"clOrdId": "a" * 33}, "51000", ccxt.BadRequest),
        ({"instId": "NO-SUCH"}, "51001", ccxt.BadSymbol),
        ({"attachAlgoOrds": [{"slTriggerPx": "1"}]}, "51000", ccxt.BadRequest),
    ],
)
async def test_an_order_that_cannot_be_is_refused_and_not_there(
    client: Any, change: dict[str, object], code: str, raised: type[Exception]
) -> None:
    order = {**ORDER, "clOrdId": ID, **change}
    with pytest.raises(raised, match=f'"sCode":"{code}"'):
        await client.private_post_trade_order(order)
    with pytest.raises(raised, match=f'"sCode":"{code}"'):
        await client.private_post_trade_batch_orders([order])
    assert await client.fetch_open_orders() == []


async def test_below_the_minimum_is_refused(client: Any) -> None:
    swap = {"instId": "BTC-USDT-SWAP", "tdMode": "isolated", "side": "buy", "ordType": "market", "sz": "0"}
    with pytest.raises(ccxt.BadRequest, match="51000"):
        await client.private_post_trade_order(swap)


async def test_reducing_what_is_not_there_is_refused(client: Any) -> None:
    with pytest.raises(ccxt.ExchangeError, match="51169"):
        await client.create_order(SWAP, "market", "sell", "1", None, {"marginMode": "isolated", "reduceOnly": True})


async def test_the_same_client_id_is_refused_while_it_is_known_and_after_a_day_names_the_newest(
    venue: Venue, client: Any
) -> None:
    first = await client.create_order(SPOT, "market", "buy", "0.01", None, {"clientOrderId": ID})
    with pytest.raises(ccxt.InvalidOrder, match="51016"):
        await client.create_order(SPOT, "market", "buy", "0.01", None, {"clientOrderId": ID})
    await venue.admin.post("/clock", advance_ms=86_400_000)
    second = await client.create_order(SPOT, "market", "buy", "0.01", None, {"clientOrderId": ID})
    found = await client.fetch_order(None, SPOT, {"clientOrderId": ID})
    assert found["id"] == second["id"] != first["id"]


async def test_cancels_of_what_is_not_there_say_why(client: Any) -> None:
    filled = await client.create_order(SPOT, "market", "buy", "0.01")
    ended = await client.create_order(SPOT, "limit", "buy", "0.01", "49000")
    await client.cancel_order(ended["id"], SPOT)
    for order_id, code in (("1", "51400"), (ended["id"], "51401"), (filled["id"], "51402")):
        with pytest.raises(ccxt.OrderNotFound, match=code):
            await client.cancel_order(order_id, SPOT)


async def test_amending_what_is_not_there_or_below_what_is_filled_is_refused(client: Any) -> None:
    filled = await client.create_order(SPOT, "market", "buy", "0.01")
    with pytest.raises(ccxt.OrderNotFound, match="51503"):
        await client.edit_order("1", SPOT, "limit", "buy", "0.02", "49000")
    with pytest.raises(ccxt.ExchangeError, match="51510"):
        await client.edit_order(filled["id"], SPOT, "limit", "buy", "0.02", "49000")


async def test_a_lookup_of_what_is_not_there_says_so(client: Any) -> None:
    with pytest.raises(ccxt.OrderNotFound, match="51603"):
        await client.fetch_order(None, SPOT, {"clientOrderId": ID})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"apiKey": "stranger"}, "50111"),
        ({"password": "wrong"}, "50105"),
        ({"secret": "wrong"}, "50113"),
    ],
)
async def test_a_wrong_key_is_an_authentication_error(venue: Venue, change: dict[str, Any], code: str) -> None:
    async with rest_client(venue, **change) as client:
        with pytest.raises(ccxt.AuthenticationError, match=code):
            await client.fetch_balance()


async def test_a_demo_key_without_the_demo_header_is_refused_and_the_other_way_round(venue: Venue) -> None:
    for funded, sandbox in ((DEMO, False), (LIVE, True)):
        async with rest_client(venue, funded) as client:
            client.set_sandbox_mode(sandbox)
            with pytest.raises(ccxt.AuthenticationError, match="50101"):
                await client.private_get_account_balance()


async def test_a_key_that_may_only_read_does_not_trade(venue: Venue) -> None:
    async with rest_client(venue, reading=True) as client:
        assert (await client.fetch_balance())["BTC"]["total"] == "2"
        with pytest.raises(ccxt.ExchangeError, match="50120"):
            await client.create_order(SPOT, "market", "buy", "0.01")


@pytest.mark.parametrize("skew_ms", [-31_000, 31_000])
async def test_a_clock_that_is_half_a_minute_off_is_an_invalid_nonce(venue: Venue, skew_ms: int) -> None:
    await venue.admin.post("/clock", skew_ms=skew_ms)
    async with rest_client(venue) as client:
        with pytest.raises(ccxt.InvalidNonce, match="50102"):
            await client.fetch_balance()
        await client.load_time_difference()
        client.options["timeDifference"] = await client.load_time_difference()
        assert (await client.fetch_balance())["BTC"]["total"] == "2"


async def test_a_request_without_headers_is_told_which(venue: Venue) -> None:
    assert await _raw(venue, "GET", "/api/v5/account/balance", headers={}) == (401, "50103")
    headers = {"OK-ACCESS-KEY": "k", "OK-ACCESS-PASSPHRASE": "p", "OK-ACCESS-SIGN": "s"}
    assert await _raw(venue, "GET", "/api/v5/account/balance", headers=headers) == (401, "50107")


async def test_a_body_that_is_no_json_or_no_object_is_refused(venue: Venue) -> None:
    for body in (b"{", b"[]", b'"x"', b"\xff"):
        assert (await _signed(venue, "trade/order", body))[1] == "50002"
    for body in (b"{}", b"[1]"):
        assert (await _signed(venue, "trade/batch-orders", body))[1] == "50002"
    assert (await _signed(venue, "trade/batch-orders", b"[" + b",".join([b"{}"] * 21) + b"]"))[1] == "51111"


async def test_an_order_past_its_deadline_is_not_placed_and_one_before_is(venue: Venue, client: Any) -> None:
    late, early = int(time.time() * 1000) - 1, int(time.time() * 1000) + 60_000
    body = msgspec.json.encode({**ORDER, "clOrdId": ID})
    assert await _signed(venue, "trade/order", body, expires=late) == (200, "51149")
    assert await client.fetch_open_orders() == []
    assert await _signed(venue, "trade/order", body, expires=early) == (200, "0")
    [placed] = await client.fetch_open_orders()
    amend = msgspec.json.encode({"instId": "BTC-USDT", "ordId": placed["id"], "newSz": "0.02"})
    assert await _signed(venue, "trade/amend-order", amend, expires=late) == (200, "51149")
    assert (await client.fetch_open_orders())[0]["amount"] == "0.01"


async def test_the_deadline_is_the_servers_clock_even_while_the_market_stands_still(venue: Venue, client: Any) -> None:
    soon = int(time.time() * 1000) + 5_000
    await venue.admin.post("/clock", skew_ms=6_000)
    assert (await _signed(venue, "trade/order", msgspec.json.encode(ORDER), expires=soon))[1] == "51149"
    assert await client.fetch_open_orders() == []


async def test_the_sixty_first_order_within_two_seconds_is_too_many_and_of_another_instrument_is_not(
    venue: Venue, client: Any
) -> None:
    for number in range(60):
        await client.create_order(SPOT, "limit", "buy", "0.00001", str(40_000 + number))
    with pytest.raises(ccxt.RateLimitExceeded, match="50011"):
        await client.create_order(SPOT, "limit", "buy", "0.00001", "39000")
    await client.create_order("ETH/USDT", "limit", "buy", "0.0001", "2000")
    assert len(await client.fetch_open_orders()) == 61
    counted = await venue.admin.get("/requests")
    assert (counted["too_many_requests"], counted["requests"]["POST trade/batch-orders"]) == (1, 62)


async def test_a_batch_counts_each_of_its_orders(client: Any) -> None:
    for _ in range(15):
        await client.private_post_trade_batch_orders(_rows("BTC-USDT"))
    with pytest.raises(ccxt.RateLimitExceeded, match="50011"):
        await client.private_post_trade_batch_orders(_rows("BTC-USDT"))


async def test_too_many_requests_are_answered_429(venue: Venue) -> None:
    answers = [await _raw(venue, "GET", "/api/v5/public/time", headers={}) for _ in range(11)]
    assert answers == [(200, "0")] * 10 + [(429, "50011")]


async def test_an_account_places_a_thousand_orders_in_two_seconds_at_most(tmp_path: Path) -> None:
    names = ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP", "ETH-USDT-SWAP")
    async with exchange_inside(tmp_path, frozen=True) as venue, rest_client(venue) as client:
        for number in range(50):
            await client.private_post_trade_batch_orders(_rows(names[number % 4]))
        with pytest.raises(ccxt.ExchangeError, match="50061") as refused:
            await client.private_post_trade_batch_orders(_rows("BTC-USDT"))
    assert type(refused.value) is ccxt.ExchangeError


def _rows(name: str) -> list[dict[str, object]]:
    """Twenty small orders; new ones each time, because ccxt writes into them."""
    mode = "isolated" if name.endswith("SWAP") else "cash"
    return [{**BUY, "instId": name, "tdMode": mode, "sz": "0.01", "px": "1"} for _ in range(20)]


async def _signed(venue: Venue, path: str, body: bytes, *, expires: int | None = None) -> tuple[int, str]:
    key = key_of(DEMO)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    full = f"/api/v5/{path}"
    skewed = await venue.admin.get("/clock")
    assert abs(skewed["skew_ms"]) < 20_000
    headers = {
        "OK-ACCESS-KEY": key.key,
        "OK-ACCESS-PASSPHRASE": key.passphrase,
        "OK-ACCESS-TIMESTAMP": stamp,
        "OK-ACCESS-SIGN": signature(key.secret, f"{stamp}POST{full}{body.decode(errors='replace')}"),
        "x-simulated-trading": "1",
    }
    if expires is not None:
        headers["expTime"] = str(expires)
    return await _raw(venue, "POST", full, headers=headers, body=body)


async def _raw(
    venue: Venue, method: str, path: str, *, headers: dict[str, str], body: bytes | None = None
) -> tuple[int, str]:
    """Status, and the row's code if there is one, else the envelope's."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, venue.rest_url + path, headers=headers, data=body) as answer,
    ):
        content = msgspec.json.decode(await answer.read())
        rows = content["data"]
        code = rows[0]["sCode"] if rows and "sCode" in rows[0] else content["code"]
        return answer.status, code


def test_numbers_are_written_plainly() -> None:
    from oxbot.exchange.wire import say

    numbers = [Decimal("1E+3"), Decimal("0.10"), Decimal("1E-8"), Decimal("-0.0"), None]
    assert [say(number) for number in numbers] == ["1000", "0.1", "0.00000001", "0", ""]
