"""An account at the local exchange through unmodified ccxt: settings, leverage, bills, funding, fees, sizes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.exchange.clients import SPOT, SWAP, picked, rest_client
from tests.exchange.running import LIVE, Venue, exchange_inside

pytestmark = pytest.mark.anyio

BEGIN_MS = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000)
ISOLATED = {"marginMode": "isolated"}


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    async with exchange_inside(tmp_path, frozen=True, start_ms=BEGIN_MS) as venue:
        yield venue


@pytest.fixture
async def client(venue: Venue) -> AsyncIterator[Any]:
    async with rest_client(venue) as client:
        yield client


async def test_the_configuration_names_the_account_and_its_mode(client: Any) -> None:
    [account] = await client.fetch_accounts()
    mode = await client.fetch_position_mode()
    assert picked(account["info"], "acctLv", "posMode", "perm") == {
        "acctLv": "2",
        "posMode": "net_mode",
        "perm": "read_only,trade",
    }
    assert mode["hedged"] is False


async def test_the_position_mode_is_set_and_read_back(client: Any) -> None:
    await client.set_position_mode(hedged=True)
    assert (await client.fetch_position_mode())["hedged"] is True
    with pytest.raises(ccxt.ExchangeError, match="51000"):
        await client.create_order(SWAP, "market", "buy", "1", None, ISOLATED)


async def test_leverage_is_set_and_read_back_for_its_margin_mode_alone(client: Any) -> None:
    await client.set_leverage(7, SWAP, ISOLATED)
    isolated = await client.fetch_leverage(SWAP, ISOLATED)
    cross = await client.fetch_leverage(SWAP, {"marginMode": "cross"})
    assert picked(isolated, "symbol", "marginMode", "longLeverage", "shortLeverage") == {
        "symbol": SWAP,
        "marginMode": "isolated",
        "longLeverage": 7,
        "shortLeverage": 7,
    }
    assert cross["longLeverage"] == 3


@pytest.mark.parametrize("leverage", [101, 125])
async def test_more_leverage_than_the_instrument_has_is_refused(client: Any, leverage: int) -> None:
    with pytest.raises(ccxt.ExchangeError, match="59102"):
        await client.set_leverage(leverage, SWAP, ISOLATED)


async def test_funding_shows_in_the_bills_and_as_funding_history(venue: Venue, client: Any) -> None:
    await client.create_order(SWAP, "market", "buy", "10", None, ISOLATED)
    await venue.admin.post("/clock", advance_ms=8 * 3_600_000)
    [paid] = await client.fetch_funding_history(SWAP)
    assert picked(paid, "symbol", "code", "amount", "timestamp") == {
        "symbol": SWAP,
        "code": "USDT",
        "amount": "-0.5",
        "timestamp": BEGIN_MS + 8 * 3_600_000,
    }
    assert (await client.fetch_positions([SWAP]))[0]["info"]["fundingFee"] == "-0.5"


async def test_every_change_of_cash_is_a_bill_and_they_add_up(client: Any) -> None:
    await client.create_order(SPOT, "market", "buy", "0.01")
    await client.create_order(SWAP, "market", "sell", "5", None, ISOLATED)
    await client.create_order(SWAP, "market", "buy", "5", None, {**ISOLATED, "reduceOnly": True})
    bills = (await client.private_get_account_bills({"ccy": "USDT"}))["data"]
    total = sum(Decimal(bill["balChg"]) for bill in bills)
    ledger = await client.fetch_ledger("USDT", params={"type": "spot"})
    held = (await client.fetch_balance())["USDT"]["total"]
    assert (str(total), bills[0]["bal"]) == (held, held)
    assert [entry["amount"] for entry in ledger] == ["-500.001"]


async def test_bills_are_paged_and_filtered(client: Any) -> None:
    for _ in range(3):
        await client.create_order(SPOT, "market", "buy", "0.001")
    first = (await client.private_get_account_bills({"ccy": "BTC", "limit": "2"}))["data"]
    rest = (await client.private_get_account_bills({"ccy": "BTC", "after": first[-1]["billId"]}))["data"]
    assert [bill["type"] for bill in [*first, *rest]] == ["2", "2", "2", "1"]
    assert [bill["type"] for bill in (await client.private_get_account_bills({"type": "1"}))["data"]] == ["1", "1"]


async def test_fees_are_the_accounts(client: Any) -> None:
    spot, swap = await client.fetch_trading_fee(SPOT), await client.fetch_trading_fee(SWAP)
    assert picked(spot, "maker", "taker") == {"maker": "0.0008", "taker": "0.001"}
    assert picked(swap, "maker", "taker") == {"maker": "0.0002", "taker": "0.0005"}


async def test_how_much_could_be_traded_follows_from_what_is_free(client: Any) -> None:
    query = {"instId": "BTC-USDT", "tdMode": "cash"}
    [most] = (await client.private_get_account_max_size(query))["data"]
    [free] = (await client.private_get_account_max_avail_size(query))["data"]
    assert (most["maxSell"], free["availBuy"], free["availSell"]) == ("2", "100000", "2")
    assert most["maxBuy"] == "1.99999"


async def test_money_that_is_paid_in_is_there(venue: Venue, client: Any) -> None:
    await venue.admin.post("/deposit", account="demo", currency="ETH", amount="3.5")
    assert (await client.fetch_balance())["ETH"] == {"free": "3.5", "used": "0", "total": "3.5"}


async def test_an_instrument_that_is_suspended_takes_no_orders(venue: Venue, client: Any) -> None:
    await venue.admin.post("/instrument", instrument="BTC-USDT", state="suspend")
    with pytest.raises(ccxt.ExchangeError, match="51022"):
        await client.create_order(SPOT, "market", "buy", "0.01")
    assert (await client.load_markets(reload=True))[SPOT]["active"] is False


async def test_a_live_account_is_asked_without_the_demo_header(venue: Venue) -> None:
    async with rest_client(venue, LIVE) as client:
        assert (await client.fetch_balance())["USDT"]["total"] == "100000"
