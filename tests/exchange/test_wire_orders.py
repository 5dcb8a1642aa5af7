"""Orders at the local exchange through unmodified ccxt: every call, exact values."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.exchange.clients import SPOT, SWAP, picked, rest_client
from tests.exchange.running import LIVE, Venue, exchange_inside

pytestmark = pytest.mark.anyio

ID_A, ID_B = "a" * 32, "b" * 32


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    async with exchange_inside(tmp_path, frozen=True) as venue:
        yield venue


@pytest.fixture
async def client(venue: Venue) -> AsyncIterator[Any]:
    async with rest_client(venue) as client:
        yield client


async def test_an_order_rests_with_its_client_id_and_holds_its_money(client: Any) -> None:
    placed = await client.create_order(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": ID_A})
    found = await client.fetch_order(placed["id"], SPOT)
    balance = await client.fetch_balance()
    assert placed["clientOrderId"] == ID_A
    assert picked(found, "id", "clientOrderId", "status", "type", "side", "price", "amount", "filled", "remaining") == {
        "id": placed["id"],
        "clientOrderId": ID_A,
        "status": "open",
        "type": "limit",
        "side": "buy",
        "price": "49000",
        "amount": "0.01",
        "filled": "0",
        "remaining": "0.01",
    }
    assert balance["USDT"] == {"free": "99510", "used": "490", "total": "100000"}


async def test_a_lookup_by_client_id_finds_the_same_order(client: Any) -> None:
    placed = await client.create_order(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": ID_A})
    found = await client.fetch_order(None, SPOT, {"clientOrderId": ID_A})
    assert found["id"] == placed["id"]


async def test_a_resting_order_is_filled_as_maker_when_the_price_goes_through_it(venue: Venue, client: Any) -> None:
    placed = await client.create_order(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": ID_A})
    await venue.admin.price("BTC-USDT", "48000")
    found = await client.fetch_order(placed["id"], SPOT)
    trades = await client.fetch_my_trades(SPOT)
    assert picked(found, "status", "filled", "average", "cost", "fee") == {
        "status": "closed",
        "filled": "0.01",
        "average": "49000",
        "cost": "490",
        "fee": {"cost": "0.000008", "currency": "BTC"},
    }
    assert [picked(trade, "order", "price", "amount", "cost", "takerOrMaker", "side", "fee") for trade in trades] == [
        {
            "order": placed["id"],
            "price": "49000",
            "amount": "0.01",
            "cost": "490",
            "takerOrMaker": "maker",
            "side": "buy",
            "fee": {"cost": "0.000008", "currency": "BTC"},
        }
    ]
    assert trades[0]["info"]["clOrdId"] == ID_A
    balance = await client.fetch_balance()
    assert (balance["USDT"]["total"], balance["BTC"]["total"]) == ("99510", "2.009992")


async def test_a_market_order_takes_the_best_price_and_pays_its_fee(client: Any) -> None:
    bought = await client.create_order(SPOT, "market", "buy", "0.02", None, {"clientOrderId": ID_A})
    sold = await client.create_order(SPOT, "market", "sell", "0.01", None, {"clientOrderId": ID_B})
    buy, sell = [await client.fetch_order(order["id"], SPOT) for order in (bought, sold)]
    assert picked(buy, "status", "average", "filled", "fee") == {
        "status": "closed",
        "average": "50000.1",
        "filled": "0.02",
        "fee": {"cost": "0.00002", "currency": "BTC"},
    }
    assert picked(sell, "status", "average", "filled", "fee") == {
        "status": "closed",
        "average": "50000",
        "filled": "0.01",
        "fee": {"cost": "0.5", "currency": "USDT"},
    }
    balance = await client.fetch_balance()
    assert (balance["USDT"]["total"], balance["BTC"]["total"]) == ("99499.498", "2.00998")


async def test_a_market_buy_may_be_sized_by_its_cost(client: Any) -> None:
    placed = await client.create_market_buy_order_with_cost(SPOT, "1000", {"clientOrderId": ID_A})
    found = await client.fetch_order(placed["id"], SPOT)
    assert (found["status"], found["filled"], found["info"]["tgtCcy"]) == ("closed", "0.01999", "quote_ccy")


async def test_an_order_that_would_take_is_ended_if_it_must_only_make(client: Any) -> None:
    placed = await client.create_order(SPOT, "limit", "buy", "0.01", "51000", {"postOnly": True, "clientOrderId": ID_A})
    found = await client.fetch_order(placed["id"], SPOT)
    assert picked(found, "status", "filled", "postOnly") == {"status": "canceled", "filled": "0", "postOnly": True}


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
async def test_an_order_that_may_not_rest_ends_at_once(client: Any, time_in_force: str) -> None:
    below = {"timeInForce": time_in_force, "clientOrderId": ID_A}
    above = {"timeInForce": time_in_force, "clientOrderId": ID_B}
    missed = await client.create_order(SPOT, "limit", "buy", "0.01", "49000", below)
    taken = await client.create_order(SPOT, "limit", "buy", "0.01", "51000", above)
    assert [(await client.fetch_order(row["id"], SPOT))["status"] for row in (missed, taken)] == ["canceled", "closed"]


async def test_an_order_changes_its_size_and_price_and_keeps_its_id(client: Any) -> None:
    placed = await client.create_order(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": ID_A})
    edited = await client.edit_order(placed["id"], SPOT, "limit", "buy", "0.03", "48000.5")
    found = await client.fetch_order(placed["id"], SPOT)
    assert edited["id"] == placed["id"]
    assert picked(found, "amount", "price", "status") == {"amount": "0.03", "price": "48000.5", "status": "open"}


async def test_a_cancelled_order_is_ended_and_its_money_is_free(client: Any) -> None:
    placed = await client.create_order(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": ID_A})
    await client.cancel_order(None, SPOT, {"clientOrderId": ID_A})
    assert (await client.fetch_order(placed["id"], SPOT))["status"] == "canceled"
    assert (await client.fetch_balance())["USDT"]["free"] == "100000"
    assert [row["id"] for row in await client.fetch_canceled_orders(SPOT)] == [placed["id"]]


async def test_a_batch_says_of_each_order_what_became_of_it(client: Any) -> None:
    rows = await client.create_orders(
        [
            {"symbol": SPOT, "type": "limit", "side": "buy", "amount": "0.01", "price": "49000"},
            {"symbol": SPOT, "type": "limit", "side": "buy", "amount": "50", "price": "49000"},
        ]
    )
    assert [row["status"] for row in rows] == [None, "rejected"]
    assert rows[1]["info"]["sCode"] == "51008"
    assert len(await client.fetch_open_orders(SPOT)) == 1


async def test_several_orders_are_cancelled_in_one_request(client: Any) -> None:
    placed = [await client.create_order(SPOT, "limit", "buy", "0.01", str(49000 + n)) for n in range(3)]
    ended = await client.cancel_orders([row["id"] for row in placed[:2]], SPOT)
    assert [row["id"] for row in ended] == [row["id"] for row in placed[:2]]
    assert [row["id"] for row in await client.fetch_open_orders(SPOT)] == [placed[2]["id"]]


async def test_several_orders_are_amended_in_one_request(client: Any) -> None:
    placed = [await client.create_order(SPOT, "limit", "buy", "0.01", str(49000 + n)) for n in range(2)]
    rows = [{"instId": "BTC-USDT", "ordId": row["id"], "newSz": "0.02"} for row in placed]
    answer = await client.private_post_trade_amend_batch_orders([*rows, {**rows[0], "ordId": "1"}])
    assert (answer["code"], [row["sCode"] for row in answer["data"]]) == ("2", ["0", "0", "51503"])
    assert [row["amount"] for row in await client.fetch_open_orders(SPOT)] == ["0.02", "0.02"]


async def test_open_and_closed_orders_are_told_apart_and_by_instrument(client: Any) -> None:
    filled = await client.create_order(SPOT, "market", "buy", "0.01")
    resting = await client.create_order(SPOT, "limit", "buy", "0.01", "49000")
    swap = await client.create_order(SWAP, "limit", "buy", "1", "49000", {"marginMode": "isolated"})
    assert [row["id"] for row in await client.fetch_closed_orders(SPOT)] == [filled["id"]]
    assert [row["id"] for row in await client.fetch_open_orders(SPOT)] == [resting["id"]]
    assert {row["id"] for row in await client.fetch_open_orders()} == {resting["id"], swap["id"]}
    assert await client.fetch_closed_orders(SWAP) == []


async def test_fills_are_paged_by_their_bills_none_missed_none_twice(client: Any) -> None:
    for _ in range(5):
        await client.create_order(SPOT, "market", "buy", "0.001")
    pages, after = [], ""
    while True:
        query = {"instType": "SPOT", "limit": "2"} | ({"after": after} if after else {})
        page = (await client.private_get_trade_fills_history(query))["data"]
        if not page:
            break
        pages.append(len(page))
        after = page[-1]["billId"]
    assert pages == [2, 2, 1]
    assert len(await client.fetch_order_trades((await client.fetch_my_trades(SPOT))[0]["order"], SPOT)) == 1


async def test_a_swap_position_opens_with_its_margin_and_closes_with_its_profit(venue: Venue, client: Any) -> None:
    await client.set_leverage(10, SWAP, {"marginMode": "isolated"})
    await client.create_order(SWAP, "market", "buy", "10", None, {"marginMode": "isolated"})
    [position] = await client.fetch_positions([SWAP])
    await venue.admin.price("BTC-USDT-SWAP", "51000")
    reduce = {"marginMode": "isolated", "reduceOnly": True}
    await client.create_order(SWAP, "market", "sell", "10", None, reduce)
    trades = await client.fetch_my_trades(SWAP)
    assert picked(position, "side", "contracts", "contractSize", "entryPrice", "leverage", "marginMode", "hedged") == {
        "side": "long",
        "contracts": "10",
        "contractSize": "0.01",
        "entryPrice": "50000.1",
        "leverage": "10",
        "marginMode": "isolated",
        "hedged": False,
    }
    assert position["initialMargin"] == "500.001"
    assert [trade["info"]["fillPnl"] for trade in trades] == ["0", "99.99"]
    assert await client.fetch_positions([SWAP]) == []
    # 99.99 less fees of 5000.01 x 0.0005 and 5100 x 0.0005
    assert (await client.fetch_balance())["USDT"]["total"] == "100094.939995"


async def test_the_dead_mans_switch_ends_the_orders_when_it_is_not_called_again(venue: Venue, client: Any) -> None:
    placed = await client.create_order(SPOT, "limit", "buy", "0.01", "49000")
    armed = await client.cancel_all_orders_after(10_000)
    await venue.admin.post("/clock", advance_ms=9_000)
    still = (await client.fetch_order(placed["id"], SPOT))["status"]
    await venue.admin.post("/clock", advance_ms=1_000)
    assert int(armed["data"][0]["triggerTime"]) > 0
    assert (still, (await client.fetch_order(placed["id"], SPOT))["status"]) == ("open", "canceled")


async def test_accounts_do_not_see_each_other(venue: Venue, client: Any) -> None:
    placed = await client.create_order(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": ID_A})
    async with rest_client(venue, LIVE) as other:
        assert await other.fetch_open_orders() == []
        with pytest.raises(ccxt.OrderNotFound):
            await other.fetch_order(placed["id"], SPOT)
        await other.create_order(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": ID_A})


async def test_the_exchanges_own_books_are_what_ccxt_sees(venue: Venue, client: Any) -> None:
    await client.create_order(SPOT, "market", "buy", "0.01")
    await client.create_order(SPOT, "limit", "buy", "0.01", "49000")
    await client.create_order(SWAP, "market", "sell", "3", None, {"marginMode": "isolated"})
    books = await venue.admin.books("demo")
    assert [row["state"] for row in books["orders"]] == ["filled", "live", "filled"]
    trades = [*await client.fetch_my_trades(SPOT), *await client.fetch_my_trades(SWAP)]
    assert [row["tradeId"] for row in books["fills"]] == [trade["id"] for trade in trades]
    assert [row["pos"] for row in books["positions"]] == ["-3"]
    balance = await client.fetch_balance()
    assert {row["ccy"]: row["eq"] for row in books["balances"]} == {
        name: balance[name]["total"] for name in ("BTC", "USDT")
    }
