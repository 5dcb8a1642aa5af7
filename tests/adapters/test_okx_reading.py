"""What is read of an account at OKX: whether an order exists, every trade once, money and positions as they are."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from aiohttp import web

from events.identifiers import Symbol
from oxbot.app.venue import VenueAmendment, VenueOrderRef, VenueUnavailable, VenueUnfit
from tests.adapters.scripted_okx import Answer, ScriptedOkx, code, html, ok, opened

pytestmark = pytest.mark.anyio

SPOT, PERPETUAL = Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT")
CLIENT_ID = "c" * 32
REF = VenueOrderRef(client_id=CLIENT_ID, symbol=SPOT, at_trigger=False)
WAITING = VenueOrderRef(client_id=CLIENT_ID, symbol=PERPETUAL, at_trigger=True)
NOW = datetime.now(UTC).replace(microsecond=0)


def order(order_id: str, **fields: str) -> dict[str, str]:
    """An order's row."""
    row = {
        "instType": "SPOT", "instId": "BTC-USDT", "ordId": order_id, "clOrdId": CLIENT_ID, "side": "buy",
        "ordType": "limit", "px": "1", "sz": "0.5", "accFillSz": "0", "state": "live", "cTime": "1000", "uTime": "2000",
    }  # fmt: skip
    return {**row, **fields}


def algo(algo_id: str, **fields: object) -> dict[str, object]:
    """A row of an order at a trigger."""
    row: dict[str, object] = {
        "instType": "SWAP", "instId": "BTC-USDT-SWAP", "algoId": algo_id, "algoClOrdId": CLIENT_ID, "side": "sell",
        "ordType": "oco", "sz": "5", "state": "live", "ordIdList": [], "ordId": "", "actualSide": "", "failCode": "0",
        "reduceOnly": "true", "slTriggerPx": "45000", "tpTriggerPx": "55000", "cTime": "1000", "uTime": "2000",
    }  # fmt: skip
    return {**row, **fields}


def fill(number: int, **fields: str) -> dict[str, str]:
    """A trade's row."""
    row = {
        "instType": "SPOT", "instId": "BTC-USDT", "tradeId": str(number), "ordId": "7", "clOrdId": CLIENT_ID,
        "billId": str(number), "side": "buy", "fillPx": "50000.1", "fillSz": "0.01", "fee": "-0.00001",
        "feeCcy": "BTC", "execType": "T", "ts": str(int(NOW.timestamp() * 1000) + number),
    }  # fmt: skip
    return {**row, **fields}


def paged(rows: list[dict[str, str]], key: str) -> Answer:
    """A list that OKX gives newest first, 100 at a time; each time it is asked, one more has come on top of it."""
    asked: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(1)
        newest = sorted(rows, key=lambda row: int(row[key]), reverse=True)
        after = request.query.get("after")
        older = [row for row in newest if after is None or int(row[key]) < int(after)]
        return web.json_response({"code": "0", "msg": "", "data": older[: int(request.query["limit"])]})

    return answer


async def test_an_order_is_not_there_only_if_okx_says_so_by_code_and_no_list_shows_it() -> None:
    okx = ScriptedOkx()
    nothing, another = ok(), ok(order("1", clOrdId="another"))
    okx.says("trade/order", code("51603"))
    okx.says("trade/orders-pending", another)
    okx.says("trade/orders-history", another)
    async with opened(okx) as venue:
        assert await venue.lookup(REF) is None
        okx.says("trade/orders-history", ok(order("5", state="filled", accFillSz="0.5")))
        found = await venue.lookup(REF)
        assert found is not None
        assert (found.venue_order_id, found.status, found.filled) == ("5", "filled", Decimal("0.5"))
        okx.says("trade/orders-history", html(502))
        with pytest.raises(VenueUnavailable):
            await venue.lookup(REF)
        okx.says("trade/orders-pending", nothing)
        okx.says("trade/orders-history", nothing)
        okx.says("trade/order", nothing)
        assert await venue.lookup(REF) is None


async def test_of_several_orders_with_one_client_id_the_newest_is_meant() -> None:
    okx = ScriptedOkx()
    okx.says("trade/order", ok(order("1", cTime="1000"), order("3", cTime="3000"), order("2", cTime="2000")))
    async with opened(okx) as venue:
        found = await venue.lookup(REF)
    assert found is not None
    assert found.venue_order_id == "3"


async def test_an_order_at_a_trigger_that_is_not_there_was_looked_for_in_every_list() -> None:
    okx = ScriptedOkx()
    okx.says("trade/order-algo", code("51603"))
    for path in ("trade/orders-algo-pending", "trade/orders-algo-history"):
        okx.says(path, ok(algo("1", algoClOrdId="another")))
    async with opened(okx) as venue:
        assert await venue.lookup(WAITING) is None
        asked = [request.query for request in okx.sent("trade/orders-algo-history")]
        assert {(query["ordType"], query["state"]) for query in asked} == {
            (kind, state)
            for kind in ("conditional,oco", "move_order_stop")
            for state in ("effective", "canceled", "order_failed")
        }
        okx.says("trade/orders-algo-history", ok(algo("9", state="canceled")))
        found = await venue.lookup(WAITING)
        assert found is not None
        assert (found.venue_order_id, found.status) == ("9", "cancelled")


async def test_a_reached_trigger_is_told_by_what_became_of_its_order() -> None:
    okx = ScriptedOkx()
    okx.says("trade/order-algo", ok(algo("9", state="effective", ordIdList=["71"], actualSide="sl")))
    async with opened(okx) as venue:
        for state, size, status in (
            ("live", "0", "triggered"),
            ("partially_filled", "2", "triggered"),
            ("filled", "5", "filled"),
            ("canceled", "2", "cancelled"),
        ):
            child = order("71", instId="BTC-USDT-SWAP", sz="5", accFillSz=size, state=state, clOrdId="")
            okx.says("trade/order", ok(child))
            found = await venue.lookup(WAITING)
            assert found is not None
            assert (found.status, found.filled) == (status, Decimal(size) / 100)
            assert (found.quantity, found.leg, found.child_id) == (Decimal("0.05"), "stop", "71")
        for path in ("trade/orders-pending", "trade/orders-history"):
            okx.says(path, ok())
        okx.says("trade/order", code("51603"))
        with pytest.raises(VenueUnavailable, match="71"):
            await venue.lookup(WAITING)


async def test_a_trigger_that_failed_is_a_rejected_order_with_okxs_code() -> None:
    okx = ScriptedOkx()
    okx.says("trade/order-algo", ok(algo("9", state="order_failed", failCode="51008")))
    async with opened(okx) as venue:
        found = await venue.lookup(WAITING)
    assert found is not None
    assert (found.status, "51008" in found.reason) == ("rejected", True)


async def test_a_target_alone_is_amended_as_a_target_and_a_trailing_stop_not_at_all() -> None:
    okx = ScriptedOkx()
    okx.says("trade/amend-algos", ok({"algoId": "9", "algoClOrdId": CLIENT_ID, "sCode": "0", "sMsg": ""}))
    amendment = VenueAmendment(trigger_price=Decimal(56_000), quantity=Decimal("0.03"))
    async with opened(okx) as venue:
        expires_at = NOW + timedelta(seconds=10)
        for row in (algo("9"), algo("9", slTriggerPx="", ordType="conditional"), algo("9", ordType="move_order_stop")):
            okx.says("trade/order-algo", ok(row))
            await venue.amend(WAITING, amendment, expires_at=expires_at)
    common = {"instId": "BTC-USDT-SWAP", "algoClOrdId": CLIENT_ID, "newSz": "3"}
    assert [asked.body for asked in okx.sent("trade/amend-algos")] == [
        {**common, "newSlTriggerPx": "56000"},
        {**common, "newTpTriggerPx": "56000"},
    ]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 300])
async def test_every_trade_is_read_once_oldest_first_however_many_pages_there_are(count: int) -> None:
    okx = ScriptedOkx()
    okx.says("trade/fills", paged([fill(number) for number in range(1, count + 1)], "billId"))
    async with opened(okx) as venue:
        found = await venue.fills(since=NOW - timedelta(hours=1))
    assert [each.fill_id for each in found] == [f"BTC-USDT:{number}:7" for number in range(1, count + 1)]


async def test_a_trade_is_read_exactly_and_its_fee_is_above_0_when_paid() -> None:
    okx = ScriptedOkx()
    rebate = fill(2, instId="BTC-USDT-SWAP", fillSz="1.3", fee="0.0000000003", feeCcy="USDT", execType="M")
    okx.says("trade/fills", ok(rebate, fill(1)))
    async with opened(okx) as venue:
        paid, received = await venue.fills(since=NOW - timedelta(hours=1))
    assert (paid.quantity, paid.price, paid.fee) == (Decimal("0.01"), Decimal("50000.1"), Decimal("0.00001"))
    assert (paid.fee_currency, paid.liquidity, paid.symbol) == ("BTC", "taker", SPOT)
    assert (received.quantity, received.fee) == (Decimal("0.013"), Decimal("-0.0000000003"))
    assert (received.liquidity, received.symbol) == ("maker", PERPETUAL)


async def test_the_trades_of_what_a_trigger_made_are_booked_to_the_order_that_waited() -> None:
    okx = ScriptedOkx()
    okx.says("trade/fills", ok(fill(3, ordId="71", clOrdId=""), fill(2, ordId="71", clOrdId=""), fill(1)))
    okx.says("trade/order", ok(order("71", clOrdId="", algoId="9", algoClOrdId="a" * 32)))
    async with opened(okx) as venue:
        found = await venue.fills(since=NOW - timedelta(hours=1))
        again = await venue.fills(since=NOW - timedelta(hours=1))
    assert [each.client_id for each in found] == [CLIENT_ID, "a" * 32, "a" * 32]
    assert again == found
    assert len(okx.sent("trade/order")) == 1


@pytest.mark.parametrize("category", ["full_liquidation", "partial_liquidation", "adl"])
async def test_a_trade_of_an_order_that_okx_placed_itself_is_a_liquidation(category: str) -> None:
    okx = ScriptedOkx()
    okx.says("trade/fills", ok(fill(1, ordId="71", clOrdId="")))
    okx.says("trade/order", ok(order("71", clOrdId="", category=category)))
    async with opened(okx) as venue:
        [found] = await venue.fills(since=NOW - timedelta(hours=1))
    assert (found.client_id, found.liquidation) == ("", True)


async def test_a_trade_by_hand_is_no_liquidation_and_an_order_not_found_yet_is_asked_for_again() -> None:
    okx = ScriptedOkx()
    okx.says("trade/fills", ok(fill(1, ordId="71", clOrdId="")))
    okx.says("trade/order", ok())
    async with opened(okx) as venue:
        [early] = await venue.fills(since=NOW - timedelta(hours=1))
        okx.says("trade/order", ok(order("71", clOrdId="", algoId="9", algoClOrdId="a" * 32, category="normal")))
        [found] = await venue.fills(since=NOW - timedelta(hours=1))
    assert [(each.client_id, each.liquidation) for each in (early, found)] == [("", False), ("a" * 32, False)]


async def test_older_trades_are_read_from_the_longer_list_of_each_kind() -> None:
    okx = ScriptedOkx()
    spot, swap = fill(1), fill(2, instId="BTC-USDT-SWAP")

    async def history(request: web.Request) -> web.StreamResponse:
        rows = [spot] if request.query["instType"] == "SPOT" else [swap]
        return web.json_response({"code": "0", "msg": "", "data": rows})

    okx.says("trade/fills-history", history)
    async with opened(okx) as venue:
        found = await venue.fills(since=NOW - timedelta(days=5))
    assert {each.symbol for each in found} == {SPOT, PERPETUAL}
    assert okx.sent("trade/fills") == []


async def test_funding_is_read_from_the_statement_with_its_sign() -> None:
    okx = ScriptedOkx()
    at = str(int(NOW.timestamp() * 1000))
    rows = [
        {"billId": "2", "instId": "BTC-USDT-SWAP", "balChg": "-0.5", "pnl": "-0.5", "px": "40000", "ts": at},
        {"billId": "1", "instId": "BTC-USDT-SWAP", "balChg": "0", "posBalChg": "0.25", "pnl": "0", "ts": at},
    ]
    okx.says("account/bills", paged(rows, "billId"))
    async with opened(okx) as venue:
        found = await venue.funding(since=NOW - timedelta(hours=1))
    assert {(each.funding_id, each.amount, each.mark, each.rate) for each in found} == {
        ("1", Decimal("0.25"), None, None),
        ("2", Decimal("-0.5"), Decimal(40_000), None),
    }
    assert {asked.query["type"] for asked in okx.sent("account/bills")} == {"8"}


async def test_positions_are_in_base_currency_with_their_side() -> None:
    okx = ScriptedOkx()
    row = {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "posSide": "net", "avgPx": "50000", "lever": "3"}
    okx.says("account/positions", ok({**row, "pos": "-1.3"}, {**row, "pos": "0"}))
    async with opened(okx) as venue:
        [found] = await venue.positions()
    assert (found.symbol, found.side, found.quantity) == (PERPETUAL, "short", Decimal("0.013"))
    assert (found.entry_price, found.leverage) == (Decimal(50_000), Decimal(3))


async def test_an_account_in_long_short_mode_is_unfit() -> None:
    okx = ScriptedOkx()
    okx.says("account/positions", ok({"instId": "BTC-USDT-SWAP", "posSide": "long", "pos": "1"}))
    async with opened(okx) as venue:
        with pytest.raises(VenueUnfit, match="long/short"):
            await venue.positions()
    okx.says("account/config", ok({"posMode": "long_short_mode"}))
    with pytest.raises(VenueUnfit, match="long/short"):
        async with opened(okx):
            pass


async def test_balances_are_the_cash_and_what_of_it_is_free() -> None:
    okx = ScriptedOkx()
    details = [
        {"ccy": "USDT", "cashBal": "100.5", "eq": "120", "availBal": "60.25", "availEq": "80"},
        {"ccy": "BTC", "cashBal": "0", "eq": "0", "availBal": "0"},
    ]
    okx.says("account/balance", ok({"details": details}))
    async with opened(okx) as venue:
        [found] = await venue.balances()
    assert (found.currency, found.total, found.free) == ("USDT", Decimal("100.5"), Decimal("60.25"))


@pytest.mark.parametrize(
    ("cash", "equity", "unrealised"), [("900", "1005", "5"), ("1000", "1005", "5"), ("900", "980", "-20")]
)
async def test_a_total_has_isolated_margin_in_it_and_no_unrealised_result(
    cash: str, equity: str, unrealised: str
) -> None:
    okx = ScriptedOkx()
    detail = {"ccy": "USDT", "cashBal": cash, "eq": equity, "upl": unrealised, "isoEq": "105", "availBal": "900"}
    okx.says("account/balance", ok({"details": [detail]}))
    async with opened(okx) as venue:
        [found] = await venue.balances()
    assert (found.total, found.free) == (Decimal(1000), Decimal(900))


async def test_leverage_is_set_in_isolated_margin_and_what_is_read_back_counts() -> None:
    okx = ScriptedOkx()
    okx.says("account/set-leverage", ok({"lever": "5"}))
    okx.says("account/leverage-info", ok({"instId": "BTC-USDT-SWAP", "mgnMode": "isolated", "lever": "3"}))
    async with opened(okx) as venue:
        assert await venue.configure(PERPETUAL, Decimal(5)) == 3
    [asked] = okx.sent("account/set-leverage")
    assert asked.body == {"instId": "BTC-USDT-SWAP", "mgnMode": "isolated", "lever": "5"}


@pytest.mark.parametrize(("seconds", "told"), [(0, "0"), (5, "10"), (60, "60"), (500, "120")])
async def test_the_dead_mans_switch_is_set_within_what_okx_takes(seconds: int, told: str) -> None:
    okx = ScriptedOkx()
    okx.says("trade/cancel-all-after", ok({"triggerTime": "0", "ts": "1"}))
    async with opened(okx) as venue:
        await venue.cancel_all_after(seconds)
    [asked] = okx.sent("trade/cancel-all-after")
    assert asked.body == {"timeOut": told, "tag": "oxbotEntry"}


async def test_open_orders_are_those_of_every_list_whoever_placed_them() -> None:
    okx = ScriptedOkx()
    okx.says("trade/orders-pending", ok(order("2", clOrdId=""), order("1")))

    async def waiting(request: web.Request) -> web.StreamResponse:
        kind = request.query["ordType"]
        if kind == "chase":
            return await code("51000")(request)
        rows = {"conditional,oco": [algo("9")], "move_order_stop": [algo("8", ordType="move_order_stop")]}
        rows["twap"] = [algo("7", ordType="twap", algoClOrdId="", slTriggerPx="", tpTriggerPx="")]
        return web.json_response({"code": "0", "msg": "", "data": rows.get(kind, [])})

    okx.says("trade/orders-algo-pending", waiting)
    async with opened(okx) as venue:
        found = await venue.open_orders()
    assert {(each.venue_order_id, each.client_id, each.at_trigger) for each in found} == {
        ("1", CLIENT_ID, False), ("2", "", False), ("9", CLIENT_ID, True), ("8", CLIENT_ID, True), ("7", "", True),
    }  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [
        [order("1", state="flying")],
        [order("1", sz="NaN")],
        [order("1", sz="much")],
        [{"ordId": "1"}],
    ],
    ids=["an unknown state", "no finite number", "no number", "fields missing"],
)
async def test_what_cannot_be_read_is_no_answer(rows: list[dict[str, str]]) -> None:
    okx = ScriptedOkx()
    okx.says("trade/order", ok(*rows))
    async with opened(okx) as venue:
        with pytest.raises(VenueUnavailable):
            await venue.lookup(REF)


async def test_the_venues_clock_is_its_own_and_many_who_ask_at_once_ask_it_once() -> None:
    okx = ScriptedOkx()
    okx.says("public/time", ok({"ts": "1700000000123"}))
    told = datetime.fromtimestamp(1700000000.123, UTC)
    async with opened(okx) as venue:
        times = await asyncio.gather(*(venue.now() for _ in range(50)))
    assert all(told <= time < told + timedelta(seconds=1) for time in times)
    assert len(okx.sent("public/time")) == 1


async def test_a_clock_that_cannot_be_read_is_never_guessed() -> None:
    okx = ScriptedOkx()
    okx.says("public/time", html(502))
    async with opened(okx) as venue:
        for _ in range(2):
            with pytest.raises(VenueUnavailable):
                await venue.now()
