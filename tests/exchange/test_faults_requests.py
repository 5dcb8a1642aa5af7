"""Faults of requests: what unmodified ccxt makes of each, and whether the order is there afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import pytest

from oxbot.exchange.faults import Fault, Faults
from tests.exchange.clients import SPOT, rest_client
from tests.exchange.running import DEMO, SECOND, Venue, exchange_inside

pytestmark = pytest.mark.anyio

ID = "a" * 32
PLACE = "POST trade/batch-orders"


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    async with exchange_inside(tmp_path, frozen=True) as venue:
        yield venue


@pytest.fixture
async def client(venue: Venue) -> AsyncIterator[Any]:
    async with rest_client(venue) as client:
        client.timeout = 700
        await client.load_markets()
        yield client


async def _place(client: Any) -> Any:
    return await client.create_order(SPOT, "limit", "buy", "0.01", "49000", {"clientOrderId": ID})


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ({"kind": "scode", "code": "51008"}, ccxt.InsufficientFunds),
        ({"kind": "scode", "code": "51119"}, ccxt.InsufficientFunds),
        ({"kind": "scode", "code": "51020"}, ccxt.InvalidOrder),
        ({"kind": "scode", "code": "51001"}, ccxt.BadSymbol),
        ({"kind": "scode", "code": "51149"}, ccxt.ExchangeError),
        ({"kind": "code", "code": "50011", "status": 429}, ccxt.RateLimitExceeded),
        ({"kind": "code", "code": "50061"}, ccxt.ExchangeError),
        ({"kind": "code", "code": "50001"}, ccxt.OnMaintenance),
        ({"kind": "code", "code": "50004"}, ccxt.RequestTimeout),
        ({"kind": "code", "code": "50013"}, ccxt.ExchangeNotAvailable),
        ({"kind": "code", "code": "50026"}, ccxt.ExchangeNotAvailable),
        ({"kind": "http", "status": 400}, ccxt.ExchangeNotAvailable),
        ({"kind": "http", "status": 401}, ccxt.AuthenticationError),
        ({"kind": "http", "status": 403}, ccxt.ExchangeNotAvailable),
        ({"kind": "http", "status": 404}, ccxt.ExchangeNotAvailable),
        ({"kind": "http", "status": 408}, ccxt.RequestTimeout),
        ({"kind": "http", "status": 429}, ccxt.ExchangeNotAvailable),
        ({"kind": "http", "status": 500}, ccxt.ExchangeNotAvailable),
        ({"kind": "http", "status": 502}, ccxt.ExchangeNotAvailable),
        ({"kind": "http", "status": 503}, ccxt.ExchangeNotAvailable),
        ({"kind": "http", "status": 504}, ccxt.RequestTimeout),
        ({"kind": "hang", "seconds": 5}, ccxt.RequestTimeout),
        ({"kind": "drop"}, ccxt.ExchangeNotAvailable),
        ({"kind": "truncate"}, ccxt.ExchangeError),
    ],
    ids=lambda value: " ".join(str(part) for part in value.values()) if isinstance(value, Mapping) else None,
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_fault_before_leaves_no_order_and_one_after_leaves_it(
    venue: Venue, client: Any, fault: dict[str, object], raised: type[Exception], when: str
) -> None:
    await venue.admin.post("/faults", endpoint=PLACE, when=when, **fault)
    with pytest.raises(raised) as failed:
        await _place(client)
    assert type(failed.value) is raised
    assert [row["clientOrderId"] for row in await client.fetch_open_orders()] == ([ID] if when == "after" else [])


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_page_with_status_200_is_an_order_without_an_id(venue: Venue, client: Any, when: str) -> None:
    await venue.admin.post("/faults", endpoint=PLACE, when=when, kind="html")
    assert (await _place(client))["id"] is None
    assert len(await client.fetch_open_orders()) == (when == "after")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_slow_answer_is_right_but_late(venue: Venue, client: Any, when: str) -> None:
    await venue.admin.post("/faults", endpoint=PLACE, when=when, kind="slow", seconds=0.3)
    began = time.monotonic()
    placed = await _place(client)
    assert time.monotonic() - began >= 0.3
    assert (await client.fetch_order(placed["id"], SPOT))["status"] == "open"


async def test_a_request_that_was_held_up_past_its_deadline_is_refused(venue: Venue, client: Any) -> None:
    await venue.admin.post("/faults", endpoint=PLACE, kind="slow", seconds=0.4)
    deadline = int(time.time() * 1000) + 200

    def sign(path: str, api: Any = "public", method: str = "GET", params: Any = None, *_: Any) -> Any:
        signed = type(client).sign(client, path, api, method, params or {})
        return {**signed, "headers": {**(signed["headers"] or {}), "expTime": str(deadline)}}

    client.sign = sign
    with pytest.raises(ccxt.ExchangeError, match="51149"):
        await _place(client)
    assert await client.fetch_open_orders() == []


@pytest.mark.parametrize(
    ("endpoint", "act"),
    [("POST trade/cancel-order", "cancel"), ("POST trade/amend-order", "amend"), ("GET trade/order", "get")],
)
async def test_faults_reach_every_endpoint_and_only_theirs(venue: Venue, client: Any, endpoint: str, act: str) -> None:
    placed = await _place(client)
    await venue.admin.post("/faults", endpoint=endpoint, when="after", kind="drop")
    if act == "cancel":
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await client.cancel_order(placed["id"], SPOT)
    elif act == "amend":
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await client.edit_order(placed["id"], SPOT, "limit", "buy", "0.02", "49000")
    else:
        # aiohttp sends a GET once more by itself when the connection it kept is reset.
        await venue.admin.post("/faults", endpoint=endpoint, when="after", kind="drop")
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await client.fetch_order(placed["id"], SPOT)
    found = await client.fetch_order(placed["id"], SPOT)
    assert (found["status"], found["amount"]) == (
        "canceled" if act == "cancel" else "open",
        "0.02" if act == "amend" else "0.01",
    )


async def test_a_fault_may_spare_the_first_and_hit_a_few(venue: Venue, client: Any) -> None:
    await venue.admin.post("/faults", endpoint="GET account/*", kind="code", code="50026", after=1, count=2)
    ends = []
    for _ in range(5):
        try:
            await client.fetch_balance()
            ends.append("ok")
        except ccxt.ExchangeNotAvailable:
            ends.append("fault")
    assert ends == ["ok", "fault", "fault", "ok", "ok"]


async def test_a_fault_may_be_of_one_account_or_instrument(venue: Venue, client: Any) -> None:
    await venue.admin.post("/faults", account="second", instrument="ETH-*", kind="scode", code="51008", count=None)
    async with rest_client(venue, SECOND) as second:
        await _place(client)
        await _place(second)
        with pytest.raises(ccxt.InsufficientFunds):
            await second.create_order("ETH/USDT", "limit", "buy", "0.01", "2000")
        await venue.admin.delete("/faults")
        await second.create_order("ETH/USDT", "limit", "buy", "0.01", "2000")


async def test_maintenance_is_for_everyone_until_it_is_over(venue: Venue, client: Any) -> None:
    await venue.admin.post("/maintenance", on=True)
    for ask in (client.fetch_ticker(SPOT), client.fetch_balance(), _place(client)):
        with pytest.raises(ccxt.OnMaintenance):
            await ask
    await venue.admin.post("/maintenance", on=False)
    assert await client.fetch_open_orders() == []


async def test_an_outage_drops_everything_and_ends(venue: Venue, client: Any) -> None:
    await venue.admin.post("/outage", seconds=0.5)
    with pytest.raises(ccxt.ExchangeNotAvailable):
        await client.fetch_balance()
    await asyncio.sleep(0.6)
    assert (await client.fetch_balance())["BTC"]["total"] == "2"


async def test_requests_are_counted_by_endpoint_minute_and_code(venue: Venue, client: Any) -> None:
    await venue.admin.delete("/requests")
    await client.fetch_balance()
    await _place(client)
    with pytest.raises(ccxt.InvalidOrder):
        await _place(client)
    counted = await venue.admin.get("/requests")
    assert counted["requests"] == {"GET account/balance": 1, PLACE: 2}
    assert sum(sum(minute.values()) for minute in counted["per_minute"].values()) == 3
    assert counted["codes"][PLACE] == {"0": 1, "51016": 1}


async def test_a_fault_that_is_not_understood_is_not_armed(venue: Venue) -> None:
    for body in (b'{"kind":"magic"}', b'{"kind":"drop","colour":1}', b"{"):
        async with (
            aiohttp.ClientSession() as session,
            session.post(venue.running.admin_url + "/faults", data=body) as answer,
        ):
            assert answer.status == 400
    assert await venue.admin.get("/faults") == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/clock", b'{"speed": -3}'),
        ("/clock", b'{"speed": 1e300}'),
        ("/clock", b'{"advance_ms": -5}'),
        ("/clock", b'{"skew_ms": 10000000000000}'),
        ("/outage", b'{"seconds": -1}'),
        ("/sockets/mute", b'{"seconds": -1}'),
        ("/path", b'{"instrument": "BTC-USDT", "steps": [{"price": "1", "after_ms": -1}]}'),
    ],
)
async def test_no_time_is_set_that_cannot_be(venue: Venue, path: str, body: bytes) -> None:
    before = await venue.admin.get("/clock")
    async with (
        aiohttp.ClientSession() as session,
        session.post(venue.running.admin_url + path, data=body) as answer,
    ):
        assert answer.status == 400
        assert "Expected" in (await answer.json())["error"]
    after = await venue.admin.get("/clock")
    assert after["skew_ms"] == before["skew_ms"]
    assert before["market_ms"] <= after["market_ms"] < before["market_ms"] + 60_000


def test_the_same_seed_draws_the_same_faults() -> None:
    def drawn(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.arm(Fault(kind="drop", probability=0.3, count=None))
        return [faults.draw("GET x", account="", instruments=()) is not None for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 30 < sum(drawn(1)) < 90


def test_the_demo_account_has_two_keys() -> None:
    assert [key.permissions for key in DEMO.spec.keys] == [("read_only", "trade"), ("read_only",)]
