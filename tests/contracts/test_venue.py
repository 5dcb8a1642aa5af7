"""What the port to a venue promises, held against the venue in memory and against ccxt at the local exchange."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest

from oxbot.app.venue import (
    Refused,
    Sent,
    Taken,
    Unknown,
    VenueAmendment,
    VenueFill,
    VenueOrder,
    VenueOrderRef,
    VenueRequest,
    VenueUnfit,
)
from tests.contracts.venue_stages import PRICE, Stage, Terms, ccxt_stage, memory_stage, soon

pytestmark = pytest.mark.anyio

STAGES: dict[str, Callable[[], AbstractAsyncContextManager[Stage]]] = {"memory": memory_stage, "ccxt": ccxt_stage}
NUMBERS = count(1)


@pytest.fixture(params=STAGES)
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Each venue in turn, with an account that has traded nothing."""
    async with STAGES[request.param]() as opened:
        yield opened


def client_id() -> str:
    """A fresh client id of 32 characters."""
    return f"{next(NUMBERS):032x}"


async def limit(stage: Stage, terms: Terms, price: Decimal, **changes: object) -> VenueRequest:
    """A limit order to buy."""
    fields: dict[str, object] = {
        "client_id": client_id(),
        "symbol": terms.symbol,
        "side": "buy",
        "kind": "limit",
        "quantity": terms.quantity,
        "limit_price": price,
        "expires_at": soon(await stage.venue.now()),
    }
    return VenueRequest(**{**fields, **changes})  # type: ignore[arg-type]  # the fields of the test's own choice


async def market(stage: Stage, terms: Terms, **changes: object) -> VenueRequest:
    """A market order to buy."""
    return await limit(stage, terms, PRICE, **{"kind": "market", "limit_price": None, **changes})


async def oco(stage: Stage, terms: Terms, **changes: object) -> VenueRequest:
    """A stop 10 % below and a target 10 % above, to close what was bought."""
    fields = {
        "side": "sell",
        "kind": "oco",
        "limit_price": None,
        "trigger_price": PRICE * 9 / 10,
        "target_price": PRICE * 11 / 10,
        "reduce_only": True,
    }
    return await limit(stage, terms, PRICE, **{**fields, **changes})


def ref(request: VenueRequest, *, venue_order_id: str = "") -> VenueOrderRef:
    """How the order of that request is asked for."""
    at_trigger = request.kind not in ("market", "limit")
    return VenueOrderRef(
        client_id=request.client_id, symbol=request.symbol, at_trigger=at_trigger, venue_order_id=venue_order_id
    )


def taken(sent: Sent) -> str:
    """The venue's id of an order that it took."""
    assert isinstance(sent, Taken), sent
    return sent.venue_order_id


async def bought(stage: Stage, terms: Terms) -> VenueRequest:
    """A market order that has traded."""
    request = await market(stage, terms)
    taken(await stage.venue.place(request))
    return request


async def looked_up(stage: Stage, request: VenueRequest) -> VenueOrder:
    """What the venue says of an order that must exist."""
    found = await stage.venue.lookup(ref(request))
    assert found is not None
    return found


async def fills(stage: Stage, request: VenueRequest) -> list[VenueFill]:
    """The trades that are booked to an order."""
    since = await stage.venue.now() - timedelta(hours=1)
    return [fill for fill in await stage.venue.fills(since=since) if fill.client_id == request.client_id]


async def test_an_order_that_rests_is_open_until_it_is_cancelled(stage: Stage) -> None:
    for terms in (stage.spot, stage.perpetual):
        request = await limit(stage, terms, PRICE / 2)
        order_id = taken(await stage.venue.place(request))

        found = await looked_up(stage, request)
        assert (found.status, found.side) == ("open", "buy")
        assert (found.quantity, found.filled) == (terms.quantity, Decimal(0))
        assert (found.venue_order_id, found.symbol, found.at_trigger) == (order_id, terms.symbol, False)
        assert (found.limit_price, found.trigger_price, found.target_price) == (PRICE / 2, None, None)
        assert [order.client_id for order in await stage.venue.open_orders()] == [request.client_id]

        assert taken(await stage.venue.cancel(ref(request))) == order_id
        assert (await looked_up(stage, request)).status == "cancelled"
        assert await stage.venue.open_orders() == []


async def test_of_two_requests_with_one_client_id_there_is_one_order_and_the_second_is_unknown(stage: Stage) -> None:
    for request in (await market(stage, stage.spot), await oco(stage, stage.spot, quantity=stage.spot.quantity)):
        taken(await stage.venue.place(request))
        again = await stage.venue.place(request)
        assert isinstance(again, Unknown), again
    assert len(await fills(stage, await market(stage, stage.spot))) == 0
    assert len(await stage.venue.fills(since=await stage.venue.now() - timedelta(hours=1))) == 1
    assert len(await stage.venue.open_orders()) == 1


async def test_what_reaches_the_venue_after_its_time_is_not_taken_and_is_not_there(stage: Stage) -> None:
    late = await stage.venue.now() - timedelta(seconds=2)
    for request in (
        await market(stage, stage.spot, expires_at=late),
        await limit(stage, stage.perpetual, PRICE / 2, expires_at=late),
        await oco(stage, stage.spot, expires_at=late),
    ):
        sent = await stage.venue.place(request)
        assert not isinstance(sent, Taken), sent
        assert await stage.venue.lookup(ref(request)) is None
    assert await stage.venue.open_orders() == []


async def test_a_market_order_trades_at_once_and_its_trades_add_up_to_it(stage: Stage) -> None:
    for terms in (stage.spot, stage.perpetual):
        request = await bought(stage, terms)
        found = await looked_up(stage, request)
        assert (found.status, found.filled) == ("filled", terms.quantity)

        booked = await fills(stage, request)
        assert sum(fill.quantity for fill in booked) == terms.quantity
        assert {fill.venue_order_id for fill in booked} == {found.venue_order_id}
        assert len({fill.fill_id for fill in booked}) == len(booked)
        assert all(fill.fee > 0 and fill.liquidity == "taker" and fill.side == "buy" for fill in booked)
        assert all(abs(fill.price - PRICE) <= PRICE / 100 for fill in booked)
    assert {fill.fee_currency for fill in await fills(stage, request)} == {"USDT"}


async def test_a_resting_order_that_the_price_goes_through_trades_as_maker_at_its_limit(stage: Stage) -> None:
    request = await limit(stage, stage.spot, PRICE * 99 / 100)
    taken(await stage.venue.place(request))
    await stage.move(stage.spot.symbol, PRICE * 98 / 100)

    assert (await looked_up(stage, request)).status == "filled"
    booked = await fills(stage, request)
    assert {(fill.price, fill.liquidity) for fill in booked} == {(PRICE * 99 / 100, "maker")}


async def test_balances_change_by_exactly_what_traded_and_its_fees(stage: Stage) -> None:
    before = {balance.currency: balance.total for balance in await stage.venue.balances()}
    request = await bought(stage, stage.spot)
    after = {balance.currency: balance.total for balance in await stage.venue.balances()}

    booked = await fills(stage, request)
    paid = {"USDT": Decimal(0), "BTC": Decimal(0)}
    for fill in booked:
        paid[fill.fee_currency] += fill.fee
    assert after["BTC"] - before["BTC"] == stage.spot.quantity - paid["BTC"]
    assert before["USDT"] - after["USDT"] == sum(fill.quantity * fill.price for fill in booked) + paid["USDT"]


async def test_what_an_order_holds_is_not_free(stage: Stage) -> None:
    request = await limit(stage, stage.spot, PRICE / 2)
    taken(await stage.venue.place(request))
    [usdt] = [balance for balance in await stage.venue.balances() if balance.currency == "USDT"]
    assert usdt.total - usdt.free >= request.quantity * PRICE / 2


async def test_an_order_that_nobody_placed_is_not_there(stage: Stage) -> None:
    for request in (await market(stage, stage.spot), await oco(stage, stage.perpetual)):
        assert await stage.venue.lookup(ref(request)) is None
        assert isinstance(await stage.venue.cancel(ref(request)), Refused)
        amendment = VenueAmendment(quantity=stage.spot.quantity)
        expires_at = soon(await stage.venue.now())
        assert isinstance(await stage.venue.amend(ref(request), amendment, expires_at=expires_at), Refused)


async def test_what_cannot_be_paid_is_refused(stage: Stage) -> None:
    request = await market(stage, stage.spot, quantity=stage.spot.quantity * 10_000)
    assert isinstance(await stage.venue.place(request), Refused)
    assert await stage.venue.lookup(ref(request)) is None


async def test_what_is_off_the_steps_or_not_traded_is_refused_and_never_rounded(stage: Stage) -> None:
    for request in (
        await market(stage, stage.spot, quantity=stage.spot.quantity + Decimal("1e-15")),
        await limit(stage, stage.perpetual, PRICE + stage.perpetual.tick / 3),
        await oco(stage, stage.spot, target_price=PRICE * 2 + stage.spot.tick / 2),
        await market(stage, stage.spot, symbol="NOBODY/USDT"),
    ):
        assert isinstance(await stage.venue.place(request), Refused)
    assert await stage.venue.open_orders() == []


async def test_a_working_order_is_amended_where_it_stands(stage: Stage) -> None:
    request = await limit(stage, stage.perpetual, PRICE / 2)
    order_id = taken(await stage.venue.place(request))
    amendment = VenueAmendment(quantity=request.quantity * 2, limit_price=PRICE * 97 / 100)
    expires_at = soon(await stage.venue.now())
    assert taken(await stage.venue.amend(ref(request), amendment, expires_at=expires_at)) == order_id
    found = await looked_up(stage, request)
    assert (found.quantity, found.limit_price) == (request.quantity * 2, PRICE * 97 / 100)

    await stage.move(stage.perpetual.symbol, PRICE * 96 / 100)
    assert {fill.price for fill in await fills(stage, request)} == {PRICE * 97 / 100}


async def test_an_amendment_after_its_time_changes_nothing(stage: Stage) -> None:
    request = await limit(stage, stage.spot, PRICE / 2)
    taken(await stage.venue.place(request))
    late = await stage.venue.now() - timedelta(seconds=2)
    amendment = VenueAmendment(quantity=request.quantity * 2)
    assert not isinstance(await stage.venue.amend(ref(request), amendment, expires_at=late), Taken)
    assert (await looked_up(stage, request)).quantity == request.quantity


async def test_an_order_that_has_ended_is_neither_cancelled_nor_amended_and_a_lookup_tells_why(stage: Stage) -> None:
    request = await bought(stage, stage.spot)
    assert isinstance(await stage.venue.cancel(ref(request)), Refused)
    amendment = VenueAmendment(quantity=request.quantity * 2)
    expires_at = soon(await stage.venue.now())
    assert isinstance(await stage.venue.amend(ref(request), amendment, expires_at=expires_at), Refused)
    assert (await looked_up(stage, request)).status == "filled"


@pytest.mark.parametrize("side", ["stop", "target"])
async def test_the_leg_of_an_oco_that_is_reached_closes_the_position_and_ends_the_other(
    stage: Stage, side: str
) -> None:
    await bought(stage, stage.perpetual)
    request = await oco(stage, stage.perpetual)
    order_id = taken(await stage.venue.place(request))
    waiting = await looked_up(stage, request)
    assert (waiting.status, waiting.at_trigger, waiting.reduce_only) == ("open", True, True)
    assert (waiting.leg, waiting.child_id, waiting.venue_order_id) == ("", "", order_id)

    await stage.move(stage.perpetual.symbol, PRICE * (89 if side == "stop" else 111) / 100)
    reached = await looked_up(stage, request)
    assert (reached.status, reached.filled, reached.leg) == ("filled", request.quantity, side)

    booked = await fills(stage, request)
    assert {fill.venue_order_id for fill in booked} == {reached.child_id}
    assert sum(fill.quantity for fill in booked) == request.quantity
    assert (await stage.venue.positions(), await stage.venue.open_orders()) == ([], [])
    child = await stage.venue.lookup(
        VenueOrderRef(client_id="", symbol=request.symbol, at_trigger=False, venue_order_id=reached.child_id)
    )
    assert child is not None
    assert (child.client_id, child.status) == (request.client_id, "filled")


async def test_an_oco_is_amended_and_cancelled(stage: Stage) -> None:
    await bought(stage, stage.perpetual)
    request = await oco(stage, stage.perpetual)
    taken(await stage.venue.place(request))
    amendment = VenueAmendment(trigger_price=PRICE * 95 / 100, target_price=PRICE * 105 / 100)
    taken(await stage.venue.amend(ref(request), amendment, expires_at=soon(await stage.venue.now())))
    [waiting] = await stage.venue.open_orders()
    for found in (waiting, await looked_up(stage, request)):
        assert (found.trigger_price, found.target_price) == (PRICE * 95 / 100, PRICE * 105 / 100)
        assert (found.limit_price, found.trailing_fraction) == (None, None)
    await stage.move(stage.perpetual.symbol, PRICE * 106 / 100)
    assert (await looked_up(stage, request)).leg == "target"

    await bought(stage, stage.perpetual)
    another = await oco(stage, stage.perpetual)
    taken(await stage.venue.place(another))
    taken(await stage.venue.cancel(ref(another)))
    assert ((await looked_up(stage, another)).status, await stage.venue.open_orders()) == ("cancelled", [])


@pytest.mark.parametrize("kind", ["stop", "take_profit"])
async def test_a_stop_or_a_target_alone_triggers_and_its_trigger_can_be_amended(stage: Stage, kind: str) -> None:
    await bought(stage, stage.perpetual)
    sign = -1 if kind == "stop" else 1
    request = await oco(
        stage, stage.perpetual, kind=kind, target_price=None, trigger_price=PRICE * (100 + sign * 20) / 100
    )
    taken(await stage.venue.place(request))
    amendment = VenueAmendment(trigger_price=PRICE * (100 + sign * 5) / 100)
    taken(await stage.venue.amend(ref(request), amendment, expires_at=soon(await stage.venue.now())))
    waiting = await looked_up(stage, request)
    assert (waiting.trigger_price, waiting.target_price) == (PRICE * (100 + sign * 5) / 100, None)
    await stage.move(stage.perpetual.symbol, PRICE * (100 + sign * 6) / 100)

    found = await looked_up(stage, request)
    assert (found.status, found.leg) == ("filled", "stop" if kind == "stop" else "target")
    assert await stage.venue.positions() == []


async def test_a_trailing_stop_follows_the_price_and_triggers_on_its_way_back(stage: Stage) -> None:
    await bought(stage, stage.perpetual)
    request = await oco(
        stage,
        stage.perpetual,
        kind="trailing_stop",
        trigger_price=None,
        target_price=None,
        trailing_fraction=Decimal("0.05"),
    )
    taken(await stage.venue.place(request))
    await stage.move(stage.perpetual.symbol, PRICE * 120 / 100)
    waiting = await looked_up(stage, request)
    assert (waiting.status, waiting.trailing_fraction) == ("open", Decimal("0.05"))
    await stage.move(stage.perpetual.symbol, PRICE * 113 / 100)
    assert (await looked_up(stage, request)).status == "filled"
    assert await stage.venue.positions() == []


async def test_a_position_is_in_base_currency_and_is_netted(stage: Stage) -> None:
    assert await stage.venue.positions() == []
    await bought(stage, stage.perpetual)
    [position] = await stage.venue.positions()
    assert (position.symbol, position.side, position.quantity) == (
        stage.perpetual.symbol,
        "long",
        stage.perpetual.quantity,
    )
    assert abs(position.entry_price - PRICE) <= PRICE / 100

    selling = await market(stage, stage.perpetual, side="sell", quantity=stage.perpetual.quantity * 3)
    taken(await stage.venue.place(selling))
    [turned] = await stage.venue.positions()
    assert (turned.side, turned.quantity) == ("short", stage.perpetual.quantity * 2)


async def test_an_order_that_may_only_reduce_needs_a_position_to_reduce(stage: Stage) -> None:
    request = await market(stage, stage.perpetual, side="sell", reduce_only=True)
    assert isinstance(await stage.venue.place(request), Refused)
    await bought(stage, stage.perpetual)
    taken(await stage.venue.place(request))
    assert await stage.venue.positions() == []


async def test_leverage_is_read_back_as_it_was_set(stage: Stage) -> None:
    for leverage in (Decimal(5), Decimal(2)):
        assert await stage.venue.configure(stage.perpetual.symbol, leverage) == leverage
    await bought(stage, stage.perpetual)
    [position] = await stage.venue.positions()
    assert position.leverage == 2


async def test_an_account_has_a_name_that_stays(stage: Stage) -> None:
    assert await stage.venue.identity() == await stage.venue.identity() != ""


async def test_more_leverage_than_there_is_is_a_definite_no_in_the_venues_words(stage: Stage) -> None:
    with pytest.raises(VenueUnfit, match="59102"):
        await stage.venue.configure(stage.perpetual.symbol, Decimal(101))


async def test_trades_are_listed_once_oldest_first_and_only_since_then(stage: Stage) -> None:
    begun = await stage.venue.now() - timedelta(hours=1)
    for _ in range(3):
        await bought(stage, stage.spot)
        await stage.wait(1)
    since = max(fill.at for fill in await stage.venue.fills(since=begun)) + timedelta(milliseconds=1)
    for _ in range(2):
        await bought(stage, stage.perpetual)
        await stage.wait(1)

    everything = await stage.venue.fills(since=begun)
    assert len({fill.fill_id for fill in everything}) == len(everything) == 5
    assert [fill.at for fill in everything] == sorted(fill.at for fill in everything)
    assert {fill.symbol for fill in await stage.venue.fills(since=since)} == {stage.perpetual.symbol}
    assert await stage.venue.fills(since=begun + timedelta(hours=2)) == []


async def test_funding_is_listed_with_its_sign(stage: Stage) -> None:
    since = await stage.venue.now() - timedelta(minutes=1)
    assert await stage.venue.funding(since=since) == []
    await bought(stage, stage.perpetual)
    await stage.pay_funding()
    [payment] = await stage.venue.funding(since=since)
    assert (payment.symbol, payment.amount < 0) == (stage.perpetual.symbol, True)


async def test_the_dead_mans_switch_ends_resting_orders_unless_it_hears_again_in_time(stage: Stage) -> None:
    request = await limit(stage, stage.spot, PRICE / 2)
    taken(await stage.venue.place(request))
    await stage.venue.cancel_all_after(10)
    await stage.wait(6)
    await stage.venue.cancel_all_after(10)
    await stage.wait(6)
    assert (await looked_up(stage, request)).status == "open"
    await stage.wait(6)
    assert (await looked_up(stage, request)).status == "cancelled"

    another = await limit(stage, stage.spot, PRICE / 2)
    taken(await stage.venue.place(another))
    await stage.venue.cancel_all_after(10)
    await stage.venue.cancel_all_after(0)
    await stage.wait(12)
    assert (await looked_up(stage, another)).status == "open"


async def test_the_dead_mans_switch_ends_entries_of_ours_and_leaves_exits_and_what_others_placed(stage: Stage) -> None:
    await bought(stage, stage.perpetual)
    ours = await limit(stage, stage.spot, PRICE / 2)
    leaving = await limit(stage, stage.perpetual, PRICE * 2, side="sell", reduce_only=True)
    for request in (ours, leaving):
        taken(await stage.venue.place(request))
    await stage.rest_by_hand("byhand")
    await stage.venue.cancel_all_after(10)
    await stage.wait(12)
    assert (await looked_up(stage, ours)).status == "cancelled"
    left = {order.client_id for order in await stage.venue.open_orders()}
    assert left == {leaving.client_id, "byhand"}


async def test_what_happens_to_an_order_is_a_reason_to_look_at_it_also_after_the_connection_was_lost(
    stage: Stage,
) -> None:
    async with asyncio.timeout(60):
        hints = stage.venue.hints()
        first = asyncio.ensure_future(anext(hints))
        await asyncio.sleep(0.1)
        for _ in range(2):
            request = await bought(stage, stage.spot)
            hint = await first
            while hint.client_id != request.client_id:
                hint = await anext(hints)
            assert hint.symbol == stage.spot.symbol

            await stage.lose_connection()
            while not hint.reconnected:
                hint = await anext(hints)
            first = asyncio.ensure_future(anext(hints))
            await asyncio.sleep(0.1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
