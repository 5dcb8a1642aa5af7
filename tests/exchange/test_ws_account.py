"""An account's channels and order operations through unmodified ccxt.pro."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.exchange.clients import SPOT, SWAP, picked, pro_client, told
from tests.exchange.running import Venue, exchange_inside

pytestmark = pytest.mark.anyio

ID = "a" * 32
ISOLATED = {"marginMode": "isolated"}


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    async with exchange_inside(tmp_path, frozen=True) as venue:
        yield venue


@pytest.fixture
async def client(venue: Venue) -> AsyncIterator[Any]:
    async with pro_client(venue) as client:
        await client.load_markets()
        yield client


async def test_an_order_is_pushed_when_it_is_placed_filled_and_ended(venue: Venue, client: Any) -> None:
    placing = client.create_order(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": ID})
    # ccxt's rows change under its reader, so each is copied.
    placed = dict((await told(client.watch_orders(SPOT), placing))[0])
    [filled] = await told(client.watch_orders(SPOT), venue.admin.price("BTC-USDT", "48000"))
    assert picked(placed, "clientOrderId", "status", "filled") == {
        "clientOrderId": ID,
        "status": "open",
        "filled": "0",
    }
    assert picked(filled, "id", "status", "filled", "average", "fee") == {
        "id": placed["id"],
        "status": "closed",
        "filled": "0.01",
        "average": "49000",
        "fee": {"cost": "0.000008", "currency": "BTC"},
    }


async def test_a_trade_is_pushed_with_its_fee_whose_sign_ccxt_turns(client: Any) -> None:
    buying = client.create_order(SWAP, "market", "buy", "10", None, ISOLATED)
    [trade] = await told(client.watch_my_trades(SWAP), buying)
    [asked] = await client.fetch_my_trades(SWAP)
    assert picked(trade, "id", "order", "price", "amount", "takerOrMaker") == picked(
        asked, "id", "order", "price", "amount", "takerOrMaker"
    )
    assert (trade["fee"]["cost"], asked["fee"]["cost"]) == ("-2.500005", "2.500005")


async def test_balances_show_at_once_and_then_what_has_changed(client: Any) -> None:
    first = await told(client.watch_balance())
    placing = client.create_order(SPOT, "limit", "buy", "0.01", "49000")
    second = await told(client.watch_balance(), placing)
    assert (first["USDT"]["free"], first["BTC"]["total"]) == ("100000", "2")
    assert (second["USDT"]["free"], second["USDT"]["total"], second["BTC"]["total"]) == ("99510", "100000", "2")


async def test_positions_are_pushed_open_and_flat(client: Any) -> None:
    buying = client.create_order(SWAP, "market", "buy", "10", None, ISOLATED)
    await told(client.watch_positions())
    [opened] = await told(client.watch_positions(), buying)
    selling = client.create_order(SWAP, "market", "sell", "10", None, {**ISOLATED, "reduceOnly": True})
    flat = await told(client.watch_positions(), selling)
    assert picked(opened, "side", "contracts", "entryPrice") == {
        "side": "long",
        "contracts": "10",
        "entryPrice": "50000.1",
    }
    assert {row["contracts"] for row in flat} == {"0"}


async def test_algo_orders_are_pushed_on_the_business_side(venue: Venue, client: Any) -> None:
    await client.create_order(SWAP, "market", "buy", "10", None, ISOLATED)
    params = {**ISOLATED, "reduceOnly": True, "stopLossPrice": "49000", "takeProfitPrice": "52000"}
    placing = client.create_order(SWAP, "oco", "sell", "10", None, params)
    placed = dict((await told(client.watch_orders(SWAP, params={"trigger": True}), placing))[0])
    hit = venue.admin.price("BTC-USDT-SWAP", "48900")
    [ended] = await told(client.watch_orders(SWAP, params={"trigger": True}), hit)
    assert (placed["status"], ended["status"], ended["info"]["actualSide"]) == ("open", "closed", "sl")


async def test_orders_are_placed_changed_and_ended_over_the_socket(client: Any) -> None:
    placed = await told(client.create_order_ws(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": ID}))
    await told(client.edit_order_ws(placed["id"], SPOT, "limit", "buy", "0.02", "48500"))
    found = await client.fetch_order(placed["id"], SPOT)
    await told(client.cancel_order_ws(placed["id"], SPOT))
    assert picked(found, "clientOrderId", "amount", "price") == {
        "clientOrderId": ID,
        "amount": "0.02",
        "price": "48500",
    }
    assert (await client.fetch_order(placed["id"], SPOT))["status"] == "canceled"


async def test_an_order_that_is_refused_over_the_socket_is_an_error(client: Any) -> None:
    with pytest.raises(ccxt.InsufficientFunds, match="51008"):
        await told(client.create_order_ws(SPOT, "limit", "buy", "50", "49000"))


async def test_a_wrong_key_is_an_authentication_error_of_the_socket(venue: Venue) -> None:
    async with pro_client(venue, password="wrong") as client:  # noqa: S106 - a wrong one
        with pytest.raises(ccxt.AuthenticationError, match="60024"):
            await told(client.watch_balance())
