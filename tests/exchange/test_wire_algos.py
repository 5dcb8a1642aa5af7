"""Algo orders at the local exchange through unmodified ccxt: stops, targets, both as one, triggers, trailing stops."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.exchange.clients import SPOT, SWAP, picked, rest_client
from tests.exchange.running import Venue, exchange_inside

pytestmark = pytest.mark.anyio

ISOLATED = {"marginMode": "isolated"}
EXIT = {**ISOLATED, "reduceOnly": True}
OCO = {**EXIT, "stopLossPrice": "49000", "takeProfitPrice": "52000", "algoClOrdId": "c" * 32}


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    async with exchange_inside(tmp_path, frozen=True) as venue:
        yield venue


@pytest.fixture
async def client(venue: Venue) -> AsyncIterator[Any]:
    async with rest_client(venue) as client:
        await client.create_order(SWAP, "market", "buy", "10", None, ISOLATED)
        yield client


async def test_an_oco_rests_under_its_own_client_id(client: Any) -> None:
    placed = await client.create_order(SWAP, "oco", "sell", "10", None, OCO)
    found = await client.fetch_order(placed["id"], SWAP, {"trigger": True})
    by_client_id = await client.fetch_order(None, SWAP, {"trigger": True, "clientOrderId": "c" * 32})
    assert by_client_id["id"] == found["id"] == placed["id"]
    assert picked(found, "status", "type", "stopLossPrice", "takeProfitPrice", "reduceOnly", "amount") == {
        "status": "open",
        "type": "oco",
        "stopLossPrice": "49000",
        "takeProfitPrice": "52000",
        "reduceOnly": True,
        "amount": "10",
    }
    assert found["info"]["algoClOrdId"] == "c" * 32
    pending = await client.fetch_open_orders(SWAP, None, None, {"ordType": "oco"})
    assert [row["id"] for row in pending] == [placed["id"]]


@pytest.mark.parametrize(
    ("price", "leg", "entry_less"), [("48900", "sl", "48900"), ("52100", "tp", "52100")], ids=["stop", "target"]
)
async def test_one_leg_of_an_oco_closes_the_position_and_ends_the_other(
    venue: Venue, client: Any, price: str, leg: str, entry_less: str
) -> None:
    placed = await client.create_order(SWAP, "oco", "sell", "10", None, OCO)
    await venue.admin.price("BTC-USDT-SWAP", price)
    info = (await client.fetch_order(placed["id"], SWAP, {"trigger": True}))["info"]
    child = await client.fetch_order(info["ordId"], SWAP)
    assert picked(info, "state", "actualSide", "actualSz") == {
        "state": "effective",
        "actualSide": leg,
        "actualSz": "10",
    }
    assert picked(child, "status", "average", "filled", "reduceOnly") == {
        "status": "closed",
        "average": entry_less,
        "filled": "10",
        "reduceOnly": True,
    }
    assert child["info"]["algoId"] == placed["id"]
    assert await client.fetch_positions([SWAP]) == []
    ended = await client.fetch_closed_orders(SWAP, None, None, {"ordType": "oco", "trigger": True})
    assert [row["id"] for row in ended] == [placed["id"]]


async def test_an_oco_moves_its_stop_and_its_size(client: Any) -> None:
    placed = await client.create_order(SWAP, "oco", "sell", "10", None, OCO)
    await client.private_post_trade_amend_algos(
        {
            "instId": "BTC-USDT-SWAP",
            "algoId": placed["id"],
            "newSz": "5",
            "newSlTriggerPx": "49500",
            "newSlOrdPx": "-1",
        }
    )
    found = await client.fetch_order(placed["id"], SWAP, {"trigger": True})
    assert picked(found, "amount", "stopLossPrice", "takeProfitPrice") == {
        "amount": "5",
        "stopLossPrice": "49500",
        "takeProfitPrice": "52000",
    }


async def test_a_stop_sells_spot_at_the_market(venue: Venue, client: Any) -> None:
    stop = {"stopLossPrice": "49000", "tdMode": "cash", "algoClOrdId": "s" * 32}
    placed = await client.create_order(SPOT, "conditional", "sell", "0.5", None, stop)
    await venue.admin.price("BTC-USDT", "48990")
    info = (await client.fetch_order(placed["id"], SPOT, {"trigger": True}))["info"]
    child = await client.fetch_order(info["ordId"], SPOT)
    assert picked(child, "status", "side", "filled", "average") == {
        "status": "closed",
        "side": "sell",
        "filled": "0.5",
        "average": "48990",
    }


async def test_a_trigger_becomes_a_limit_order(venue: Venue, client: Any) -> None:
    params = {**ISOLATED, "triggerPrice": "51000", "algoClOrdId": "t" * 32}
    placed = await client.create_order(SWAP, "limit", "buy", "2", "50900", params)
    await venue.admin.price("BTC-USDT-SWAP", "51000")
    info = (await client.fetch_order(placed["id"], SWAP, {"trigger": True}))["info"]
    child = await client.fetch_order(info["ordId"], SWAP)
    assert picked(child, "status", "type", "price") == {"status": "open", "type": "limit", "price": "50900"}


async def test_a_trailing_stop_follows_the_price_and_triggers_behind_it(venue: Venue, client: Any) -> None:
    params = {**EXIT, "trailingPercent": "1", "algoClOrdId": "m" * 32}
    placed = await client.create_order(SWAP, "market", "sell", "10", None, params)
    await venue.admin.price("BTC-USDT-SWAP", "52000")
    waiting = await client.fetch_order(placed["id"], SWAP, {"trailing": True})
    await venue.admin.price("BTC-USDT-SWAP", "51480")
    ended = await client.fetch_order(placed["id"], SWAP, {"trailing": True})
    assert (waiting["status"], waiting["info"]["moveTriggerPx"]) == ("open", "51480")
    assert ended["info"]["state"] == "effective"
    assert await client.fetch_positions([SWAP]) == []


async def test_an_algo_order_is_cancelled_once(client: Any) -> None:
    placed = await client.create_order(SWAP, "oco", "sell", "10", None, OCO)
    await client.cancel_order(placed["id"], SWAP, {"trigger": True})
    assert (await client.fetch_order(placed["id"], SWAP, {"trigger": True}))["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound, match="51401"):
        await client.cancel_order(placed["id"], SWAP, {"trigger": True})
    history = await client.fetch_canceled_orders(SWAP, None, None, {"ordType": "oco"})
    assert [row["id"] for row in history] == [placed["id"]]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"stopLossPrice": "51000"}, "51280"),
        ({"takeProfitPrice": "49000"}, "51279"),
        ({"algoClOrdId": "not-a-letter"}, "51000"),
        ({"sz": "10.001"}, "51121"),
    ],
)
async def test_an_oco_that_cannot_be_is_refused(client: Any, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ccxt.ExchangeError, match=code):
        await client.create_order(SWAP, "oco", "sell", "10", None, OCO | changes)


async def test_the_same_client_id_is_refused_while_it_is_known(client: Any) -> None:
    await client.create_order(SWAP, "oco", "sell", "10", None, OCO)
    with pytest.raises(ccxt.ExchangeError, match="51065"):
        await client.create_order(SWAP, "oco", "sell", "10", None, OCO)


async def test_histories_need_to_know_what_is_asked_for(client: Any) -> None:
    with pytest.raises(ccxt.ExchangeError, match="50015"):
        await client.private_get_trade_orders_algo_history({"ordType": "oco"})
    with pytest.raises(ccxt.BadRequest, match="50014"):
        await client.private_get_trade_orders_algo_pending()
    with pytest.raises(ccxt.OrderNotFound, match="51603"):
        await client.fetch_order("1", SWAP, {"trigger": True})
