"""What the local exchange says over a plain WebSocket: answers, refusals, logins, keepalive, order operations."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.exchange.clients import rest_client
from tests.exchange.running import DEMO, LIVE, SECOND, Venue, exchange_inside
from tests.exchange.sockets import connected

pytestmark = pytest.mark.anyio

BTC = "BTC-USDT"
ORDER = {"instId": BTC, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "49000"}


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    async with exchange_inside(tmp_path, frozen=True) as venue:
        yield venue


async def test_a_subscription_is_acknowledged_then_shows_the_present_and_ends_when_asked(venue: Venue) -> None:
    async with connected(venue, "public") as socket:
        ack = await socket.subscribe(channel="tickers", instId=BTC)
        present = await socket.hear()
        await venue.admin.price(BTC, "50500")
        pushed = await socket.hear()
        await socket.say({"op": "unsubscribe", "args": [{"channel": "tickers", "instId": BTC}]})
        ended = await socket.hear()
        await venue.admin.price(BTC, "50600")
        assert await socket.silent()
    assert (ack["event"], ack["arg"]) == ("subscribe", {"channel": "tickers", "instId": BTC})
    assert (present["arg"], present["data"][0]["last"]) == ({"channel": "tickers", "instId": BTC}, "50000")
    assert pushed["data"][0]["last"] == "50500"
    assert ended["event"] == "unsubscribe"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "60012"),
        ('"ping"', "60012"),
        ({"op": "dance"}, "60012"),
        ({"op": "subscribe"}, "60012"),
        ({"op": "subscribe", "args": ["tickers:BTC-USDT"]}, "60012"),
        ({"op": "subscribe", "args": [{"channel": "no-such", "instId": BTC}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "tickers", "instId": "NO-SUCH"}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "orders", "instType": "ANY"}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "candle1m", "instId": BTC}]}, "60018"),
        ({"op": "login", "args": []}, "60013"),
    ],
)
async def test_what_is_not_understood_is_refused_with_its_code(venue: Venue, message: object, code: str) -> None:
    async with connected(venue, "public") as socket:
        await socket.say(message)
        answer = await socket.hear()
        assert (answer["event"], answer["code"]) == ("error", code)
        await socket.say("ping")
        assert await socket.hear() == "pong"


async def test_private_channels_need_a_login(venue: Venue) -> None:
    async with connected(venue, "private") as socket:
        assert (await socket.subscribe(channel="account"))["code"] == "60011"
        assert (await socket.log_in())["event"] == "login"
        assert (await socket.subscribe(channel="account"))["event"] == "subscribe"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"apiKey": "stranger"}, "60005"),
        ({"timestamp": "noon"}, "60004"),
        ({"timestamp": "1500000000"}, "60006"),
        ({"passphrase": "wrong"}, "60024"),
        ({"sign": "wrong"}, "60007"),
    ],
)
async def test_a_wrong_login_is_refused_with_its_code(venue: Venue, changes: dict[str, Any], code: str) -> None:
    async with connected(venue, "private") as socket:
        answer = await socket.log_in(**changes)
        assert (answer["event"], answer["code"]) == ("error", code)
        assert (await socket.subscribe(channel="account"))["code"] == "60011"


async def test_a_demo_key_logs_in_to_the_demo_environment_alone(venue: Venue) -> None:
    for funded, demo, ok in ((DEMO, True, True), (DEMO, False, False), (LIVE, True, False), (LIVE, False, True)):
        async with connected(venue, "private", demo=demo) as socket:
            answer = await socket.log_in(funded)
            assert (answer["event"], answer["code"]) == (("login", "0") if ok else ("error", "50101"))


async def test_a_socket_without_traffic_is_closed(tmp_path: Path) -> None:
    async with exchange_inside(tmp_path, frozen=True, silence_seconds=0.3) as venue:
        async with connected(venue, "public") as socket:
            assert await socket.hear() is aiohttp.WSMsgType.CLOSE
            assert socket.socket.close_code == 4004
        async with connected(venue, "public") as socket:
            for _ in range(4):
                assert await socket.silent(0.15)
                await socket.say("ping")
                assert await socket.hear() == "pong"


async def test_orders_say_nothing_at_first_and_then_only_to_their_account(venue: Venue) -> None:
    async with connected(venue, "private") as first, connected(venue, "private") as second:
        await first.log_in()
        await second.log_in(SECOND)
        for socket in (first, second):
            await socket.subscribe(channel="orders", instType="SPOT")
        assert await first.silent()
        await first.say({"id": "1", "op": "order", "args": [ORDER | {"clOrdId": "a1"}]})
        heard = [await first.hear(), await first.hear()]
        assert await second.silent()
    [pushed] = [message["data"][0] for message in heard if "arg" in message]
    [answer] = [message for message in heard if "op" in message]
    assert (answer["id"], answer["code"], answer["data"][0]["sCode"]) == ("1", "0", "0")
    assert (pushed["clOrdId"], pushed["state"], pushed["tradeId"]) == ("a1", "live", "")


async def test_account_and_positions_show_the_present_when_subscribed(venue: Venue) -> None:
    async with connected(venue, "private") as socket:
        await socket.log_in()
        await socket.subscribe(channel="account")
        account = await socket.hear()
        await socket.subscribe(channel="positions", instType="SWAP")
        positions = await socket.hear()
        await socket.subscribe(channel="balance_and_position")
        both = await socket.hear()
    assert {row["ccy"]: row["cashBal"] for row in account["data"][0]["details"]} == {"USDT": "100000", "BTC": "2"}
    assert positions["data"] == []
    assert (both["data"][0]["eventType"], len(both["data"][0]["balData"])) == ("snapshot", 2)


async def test_fills_and_trailing_stops_have_channels_of_their_own(venue: Venue) -> None:
    buy = {"instId": "BTC-USDT-SWAP", "tdMode": "isolated", "side": "buy", "ordType": "market", "sz": "2"}
    trail = {**buy, "side": "sell", "ordType": "move_order_stop", "callbackRatio": "0.01", "reduceOnly": "true"}
    async with (
        connected(venue, "private") as private,
        connected(venue, "business") as business,
        rest_client(venue) as client,
    ):
        await private.log_in()
        await private.subscribe(channel="fills")
        await business.log_in()
        await business.subscribe(channel="algo-advance", instType="SWAP")
        await client.private_post_trade_order(buy)
        fill = await private.hear()
        placed = await client.private_post_trade_order_algo(trail)
        waiting = await business.hear()
    assert (fill["data"][0]["fillSz"], fill["data"][0]["fillPx"]) == ("2", "50000.1")
    assert (waiting["data"][0]["algoId"], waiting["data"][0]["state"]) == (placed["data"][0]["algoId"], "live")


async def test_order_operations_answer_as_rest_does(venue: Venue) -> None:
    async with connected(venue, "private") as socket:
        await socket.log_in()
        await socket.say({"id": "1", "op": "batch-orders", "args": [ORDER | {"clOrdId": "b1"}, ORDER | {"sz": "99"}]})
        mixed = await socket.hear()
        await socket.say({"id": "2", "op": "amend-order", "args": [{"instId": BTC, "clOrdId": "b1", "newSz": "0.02"}]})
        amended = await socket.hear()
        await socket.say({"id": "3", "op": "cancel-order", "args": [{"instId": BTC, "clOrdId": "b1"}]})
        ended = await socket.hear()
        await socket.say({"id": "4", "op": "cancel-order", "args": [{"instId": BTC, "clOrdId": "b1"}]})
        twice = await socket.hear()
    assert (mixed["code"], [row["sCode"] for row in mixed["data"]]) == ("2", ["0", "51008"])
    assert [(answer["id"], answer["code"]) for answer in (amended, ended, twice)] == [
        ("2", "0"),
        ("3", "0"),
        ("4", "1"),
    ]
    assert twice["data"][0]["sCode"] == "51401"
    [order] = (await venue.admin.books("demo"))["orders"]
    assert (order["sz"], order["state"]) == ("0.02", "canceled")


async def test_an_order_operation_past_its_deadline_is_refused_and_without_login_too(venue: Venue) -> None:
    async with connected(venue, "private") as socket:
        await socket.say({"id": "1", "op": "order", "args": [ORDER]})
        assert (await socket.hear())["code"] == "60011"
        await socket.log_in()
        await socket.say({"id": "2", "op": "order", "args": [ORDER], "expTime": "1500000000000"})
        assert (await socket.hear())["data"][0]["sCode"] == "51149"
    assert (await venue.admin.books("demo"))["orders"] == []


async def test_order_operations_share_the_limits_of_rest(venue: Venue) -> None:
    async with connected(venue, "private") as socket:
        await socket.log_in()
        for number in range(61):
            await socket.say({"id": str(number), "op": "order", "args": [ORDER | {"sz": "0.00001"}]})
        answers = [await socket.hear() for _ in range(61)]
    assert sorted(answer["code"] for answer in answers) == ["0"] * 60 + ["50011"]


async def test_sessions_are_closed_in_order_when_the_exchange_stops(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with exchange_inside(tmp_path, frozen=True) as venue:
            socket = await session.ws_connect(f"{venue.ws_url}/public")
        closing = await socket.receive(timeout=5)
    assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1001)
