"""Our account over real ccxt at the local exchange, while everything that can go wrong does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from oxbot.app.venue import (
    Refused,
    Taken,
    Unknown,
    Venue,
    VenueOrderRef,
    VenueRefused,
    VenueRequest,
    VenueUnavailable,
)
from tests.contracts.venue_stages import PERPETUAL, PRICE, SPOT, opened_at
from tests.exchange.running import Venue as Exchange
from tests.exchange.running import exchange_inside

pytestmark = pytest.mark.anyio

ALGO = "POST trade/order-algo"
ORDER = "POST trade/order"


@asynccontextmanager
async def connected(home: Path, *, timeout_seconds: float = 5.0) -> AsyncIterator[tuple[Exchange, Venue]]:
    """A fresh exchange and our account there."""
    async with exchange_inside(home) as exchange, opened_at(exchange, timeout_seconds=timeout_seconds) as venue:
        yield exchange, venue


async def request(
    venue: Venue, number: int, *, seconds: float = 10, algo: bool = False, **changes: object
) -> VenueRequest:
    """A resting order to buy, or one that waits for a trigger."""
    fields: dict[str, object] = {
        "client_id": f"{number:032x}",
        "symbol": SPOT,
        "side": "buy",
        "kind": "stop" if algo else "limit",
        "quantity": Decimal("0.01"),
        "limit_price": None if algo else PRICE / 2,
        "trigger_price": PRICE * 2 if algo else None,
        "expires_at": await venue.now() + timedelta(seconds=seconds),
    }
    return VenueRequest(**{**fields, **changes})  # type: ignore[arg-type]  # the fields of the test's own choice


def ref(sent: VenueRequest) -> VenueOrderRef:
    """How it is asked for."""
    return VenueOrderRef(client_id=sent.client_id, symbol=sent.symbol, at_trigger=sent.kind != "limit")


FAULTS: list[dict[str, object]] = [
    {"kind": "hang", "seconds": 2},
    {"kind": "drop"},
    {"kind": "truncate"},
    {"kind": "html"},
    {"kind": "http", "status": 502},
    {"kind": "http", "status": 429},
    {"kind": "code", "code": "50026"},
    {"kind": "code", "code": "50004"},
    {"kind": "scode", "code": "51149"},
]


@pytest.mark.parametrize("algo", [False, True], ids=["order", "at a trigger"])
async def test_after_every_fault_a_lookup_tells_whether_the_order_exists(tmp_path: Path, *, algo: bool) -> None:
    async with connected(tmp_path, timeout_seconds=0.5) as (exchange, venue):
        expected = {}
        for number, fault in enumerate(FAULTS):
            for when in ("before", "after"):
                order = await request(venue, 2 * number + (when == "after"), algo=algo)
                await exchange.admin.post("/faults", endpoint=ALGO if algo else ORDER, when=when, **fault)
                sent = await venue.place(order)
                assert isinstance(sent, Unknown), (fault, when, sent)
                found = await venue.lookup(ref(order))
                assert (found is not None) == (when == "after"), (fault, when, found)
                expected[order.client_id] = when == "after"
        working = {each.client_id for each in await venue.open_orders()}
        assert working == {client_id for client_id, there in expected.items() if there}


@pytest.mark.parametrize("algo", [False, True], ids=["order", "at a trigger"])
async def test_a_request_that_arrives_after_its_deadline_never_becomes_an_order(tmp_path: Path, *, algo: bool) -> None:
    async with connected(tmp_path, timeout_seconds=0.3) as (_, venue):
        in_time, late = await request(venue, 1, algo=algo), await request(venue, 2, seconds=-0.5, algo=algo)
        assert isinstance(await venue.place(in_time), Taken)
        assert not isinstance(await venue.place(late), Taken)
        assert await venue.lookup(ref(late)) is None
        assert [each.client_id for each in await venue.open_orders()] == [in_time.client_id]


async def test_a_cancel_whose_answer_is_lost_has_cancelled(tmp_path: Path) -> None:
    async with connected(tmp_path, timeout_seconds=0.5) as (exchange, venue):
        for algo in (False, True):
            order = await request(venue, 1, algo=algo)
            await venue.place(order)
            endpoint = "POST trade/cancel-algos" if algo else "POST trade/cancel-order"
            await exchange.admin.post("/faults", endpoint=endpoint, when="after", kind="drop")
            assert isinstance(await venue.cancel(ref(order)), Unknown)
            found = await venue.lookup(ref(order))
            assert found is not None
            assert found.status == "cancelled"


async def test_a_burst_of_orders_and_questions_stays_within_every_limit(tmp_path: Path) -> None:
    async with connected(tmp_path) as (exchange, venue):
        orders = [await request(venue, number, seconds=60, quantity=Decimal("0.0001")) for number in range(66)]
        orders += [
            await request(venue, 1000 + number, seconds=60, symbol=PERPETUAL, quantity=Decimal("0.0001"))
            for number in range(66)
        ]
        sent = await asyncio.gather(*(venue.place(order) for order in orders))
        looked = await asyncio.gather(*(venue.lookup(ref(order)) for order in orders))
        assert [each for each in sent if not isinstance(each, Taken)] == []
        assert all(found is not None for found in looked)
        assert len(await venue.open_orders()) == len(orders)
        counted = await exchange.admin.get("/requests")
        assert counted["too_many_requests"] == 0
        assert counted["requests"][ORDER] == len(orders)


async def test_an_outage_is_survived_by_the_pushes_and_said_by_everything_else(tmp_path: Path) -> None:
    async with connected(tmp_path, timeout_seconds=1) as (exchange, venue), asyncio.timeout(60):
        hints = venue.hints()
        for _ in range(2):
            assert (await anext(hints)).reconnected
        order = await request(venue, 1, seconds=30)
        await exchange.admin.post("/outage", seconds=2)
        assert isinstance(await venue.place(order), Unknown)
        with pytest.raises(VenueUnavailable):
            await venue.positions()
        while not (await anext(hints)).reconnected:
            pass
        assert await venue.lookup(ref(order)) is None
        again = await request(venue, 2)
        assert isinstance(await venue.place(again), Taken)
        while (await anext(hints)).client_id != again.client_id:
            pass


async def test_a_clock_too_far_off_is_said_so(tmp_path: Path) -> None:
    async with connected(tmp_path) as (exchange, venue):
        await exchange.admin.post("/clock", skew_ms=60_000)
        with pytest.raises(VenueRefused, match="clock of this machine"):
            await venue.balances()
        sent = await venue.place(await request(venue, 1))
        assert isinstance(sent, Refused)
        assert sent.code == "50102"


async def test_the_books_of_the_exchange_are_what_we_read(tmp_path: Path) -> None:
    async with connected(tmp_path) as (exchange, venue):
        for number, symbol in enumerate((SPOT, PERPETUAL, SPOT)):
            await venue.place(await request(venue, number, kind="market", limit_price=None, symbol=symbol))
        books = await exchange.admin.books("demo")
        fills = await venue.fills(since=await venue.now() - timedelta(hours=1))
        assert {fill.fill_id.split(":")[1] for fill in fills} == {fill["tradeId"] for fill in books["fills"]}
        read = {balance.currency: balance.total for balance in await venue.balances()}
        assert read.keys() == {"USDT", "BTC"}
