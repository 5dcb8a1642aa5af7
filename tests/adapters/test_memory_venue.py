"""The venue in memory: books that add up to the last unit, and faults where a test wants them."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.identifiers import Symbol
from events.values import Instrument
from oxbot.adapters.memory_venue import Effect, MemoryVenue, Moment, Step, VenueFault
from oxbot.adapters.memory_venue_books import MemoryBooks
from oxbot.app.venue import (
    Refused,
    Taken,
    Unknown,
    VenueHint,
    VenueOrderRef,
    VenueRefused,
    VenueRequest,
    VenueUnavailable,
)
from tests.app.fakes import SteppingClock

pytestmark = pytest.mark.anyio

SPOT, PERPETUAL = Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT")
STEP = Decimal("0.001")
BALANCES: Mapping[str, Decimal] = {"USDT": Decimal(10_000), "BTC": Decimal(1)}


def books_at(clock: SteppingClock) -> MemoryBooks:
    """Books with a spot pair and a perpetual at 100."""
    made = MemoryBooks(
        clock=clock,
        instruments=[
            Instrument(symbol=SPOT, tick=Decimal("0.01"), lot=STEP),
            Instrument(symbol=PERPETUAL, tick=Decimal("0.01"), lot=STEP, kind="perpetual", leverage_max=Decimal(10)),
        ],
        balances=BALANCES,
    )
    for symbol in (SPOT, PERPETUAL):
        made.set_price(symbol, Decimal(100))
    return made


def request(clock: SteppingClock, client_id: str = "a", **changes: object) -> VenueRequest:
    """A market order to buy."""
    fields: dict[str, object] = {
        "client_id": client_id,
        "symbol": SPOT,
        "side": "buy",
        "kind": "market",
        "quantity": Decimal(1),
        "expires_at": clock.now() + timedelta(seconds=10),
    }
    return VenueRequest(**{**fields, **changes})  # type: ignore[arg-type]  # the fields of the test's own choice


def ref(client_id: str = "a", *, at_trigger: bool = False) -> VenueOrderRef:
    """How an order is asked for."""
    return VenueOrderRef(client_id=client_id, symbol=SPOT, at_trigger=at_trigger)


@pytest.mark.parametrize(
    ("moment", "effect", "there"),
    [("before", "lost", False), ("after", "lost", True), ("before", "refused", False), ("after", "refused", True)],
)
async def test_a_fault_before_the_venue_hears_leaves_nothing_and_one_after_it_leaves_the_order(
    moment: Moment, effect: Effect, *, there: bool
) -> None:
    clock = SteppingClock()
    venue = MemoryVenue(books_at(clock))
    venue.faults.append(VenueFault("place", effect, moment, code="50011"))
    sent = await venue.place(request(clock))
    assert isinstance(sent, Refused if (moment, effect) == ("before", "refused") else Unknown)
    assert (await venue.lookup(ref()) is not None) == there
    assert isinstance(await venue.place(request(clock, "b")), Taken)


async def test_a_late_request_arrives_when_it_is_delivered_and_is_refused_if_its_time_is_over() -> None:
    for seconds, there in ((5, True), (11, False)):
        clock = SteppingClock()
        venue = MemoryVenue(books_at(clock))
        venue.faults.append(VenueFault("place", "late"))
        assert isinstance(await venue.place(request(clock)), Unknown)
        assert await venue.lookup(ref()) is None
        clock.advance(seconds)
        assert venue.books.deliver() == 1
        assert (await venue.lookup(ref()) is not None) == there


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_call_that_hangs_can_only_be_cancelled(moment: Moment) -> None:
    clock = SteppingClock()
    venue = MemoryVenue(books_at(clock))
    venue.faults.append(VenueFault("place", "hang", moment))
    hanging = asyncio.create_task(venue.place(request(clock)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not hanging.done()
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert (await venue.lookup(ref()) is not None) == (moment == "after")


QUESTIONS: list[Step] = ["now", "lookup", "open_orders", "fills", "funding", "positions", "balances"]


@pytest.mark.parametrize("step", QUESTIONS)
async def test_a_question_that_fails_raises_and_the_next_one_is_answered(step: Step) -> None:
    clock = SteppingClock()
    venue = MemoryVenue(books_at(clock))
    ask = {
        "now": venue.now,
        "lookup": lambda: venue.lookup(ref()),
        "open_orders": venue.open_orders,
        "fills": lambda: venue.fills(since=clock.now()),
        "funding": lambda: venue.funding(since=clock.now()),
        "positions": venue.positions,
        "balances": venue.balances,
    }[step]
    venue.faults += [VenueFault(step, "lost"), VenueFault(step, "refused")]
    with pytest.raises(VenueUnavailable):
        await ask()
    with pytest.raises(VenueRefused):
        await ask()
    await ask()
    assert venue.calls == [step] * 3


async def test_an_interruption_meets_every_call_before_and_after_the_books_hear_of_it() -> None:
    met: list[tuple[Step, Moment, int]] = []
    clock = SteppingClock()
    books = books_at(clock)

    async def interrupt(step: Step, moment: Moment) -> None:
        met.append((step, moment, len(books.orders())))

    venue = MemoryVenue(books, interrupt=interrupt)
    await venue.place(request(clock))
    await venue.fills(since=clock.now())
    assert met == [("place", "before", 0), ("place", "after", 1), ("fills", "before", 1), ("fills", "after", 1)]


async def test_a_client_id_is_free_again_long_after_its_order_ended_and_then_names_the_newest() -> None:
    clock = SteppingClock()
    venue = MemoryVenue(books_at(clock))
    await venue.place(request(clock))
    clock.advance(3600)
    assert isinstance(await venue.place(request(clock)), Unknown)
    clock.advance(90_000)
    second = await venue.place(request(clock, side="sell"))
    found = await venue.lookup(ref())
    assert isinstance(second, Taken)
    assert found is not None
    assert (found.venue_order_id, found.side) == (second.venue_order_id, "sell")


async def test_trades_that_are_not_shown_yet_are_there_later_with_their_own_time() -> None:
    clock = SteppingClock()
    venue = MemoryVenue(books_at(clock))
    venue.books.fills_shown_max = 0
    await venue.place(request(clock))
    traded_at = clock.now()
    clock.advance(60)
    assert await venue.fills(since=traded_at) == []
    venue.books.fills_shown_max = None
    assert [fill.at for fill in await venue.fills(since=traded_at)] == [traded_at]


async def test_a_bounded_volume_fills_in_parts() -> None:
    clock = SteppingClock()
    venue = MemoryVenue(books_at(clock))
    await venue.place(request(clock, kind="limit", limit_price=Decimal(90)))
    filled = []
    for price in (Decimal(89), Decimal(88), Decimal(95), Decimal(87)):
        venue.books.set_price(SPOT, price, volume=Decimal("0.4"))
        found = await venue.lookup(ref())
        assert found is not None
        filled.append((found.filled, found.status))
    parts = [Decimal("0.4"), Decimal("0.8"), Decimal("0.8"), Decimal(1)]
    assert filled == list(zip(parts, ["open", "open", "open", "filled"], strict=True))


async def test_a_market_order_beyond_the_volume_trades_in_part_and_ends() -> None:
    clock = SteppingClock()
    venue = MemoryVenue(books_at(clock))
    venue.books.set_price(SPOT, Decimal(100), volume=Decimal("0.25"))
    await venue.place(request(clock))
    found = await venue.lookup(ref())
    assert found is not None
    assert (found.filled, found.status) == (Decimal("0.25"), "cancelled")


@pytest.mark.parametrize(
    ("changes", "status", "filled"),
    [
        ({"post_only": True, "limit_price": Decimal(101)}, "cancelled", 0),
        ({"post_only": True, "limit_price": Decimal(99)}, "open", 0),
        ({"time_in_force": "ioc", "limit_price": Decimal(101)}, "cancelled", Decimal("0.5")),
        ({"time_in_force": "fok", "limit_price": Decimal(101)}, "cancelled", 0),
        ({"time_in_force": "fok", "limit_price": Decimal(101), "quantity": Decimal("0.5")}, "filled", Decimal("0.5")),
    ],
)
async def test_terms_of_a_limit_order_are_kept(changes: dict[str, object], status: str, filled: Decimal) -> None:
    clock = SteppingClock()
    venue = MemoryVenue(books_at(clock))
    venue.books.set_price(SPOT, Decimal(100), volume=Decimal("0.5"))
    await venue.place(request(clock, "a", **{"kind": "limit", **changes}))
    found = await venue.lookup(ref())
    assert found is not None
    assert (found.status, found.filled) == (status, filled)


async def test_hints_are_muted_repeated_and_collapsed_as_the_test_wants() -> None:
    clock = SteppingClock()
    venue = MemoryVenue(books_at(clock))
    venue.muted = True
    await venue.place(request(clock))
    venue.reconnect()
    venue.push(VenueHint("x"))
    hints = venue.hints()
    assert [await anext(hints) for _ in range(2)] == [VenueHint(reconnected=True), VenueHint("x")]


ORDERS = st.tuples(
    st.sampled_from([SPOT, PERPETUAL]),
    st.sampled_from(["buy", "sell"]),
    st.sampled_from(["market", "limit", "oco"]),
    st.integers(1, 3000),
    st.integers(80, 120),
    st.booleans(),
)
MOVES = st.tuples(st.sampled_from([SPOT, PERPETUAL]), st.integers(8000, 12_000), st.none() | st.integers(0, 2000))


@given(actions=st.lists(st.one_of(ORDERS, MOVES), max_size=40))
async def test_money_and_positions_are_what_the_trades_made_them_to_the_last_unit(
    actions: list[tuple[object, ...]],
) -> None:
    clock = SteppingClock()
    books = books_at(clock)
    for number, action in enumerate(actions):
        clock.advance(1)
        if len(action) == 3:
            symbol, cents, volume = action
            assert isinstance(cents, int)
            bound = None if not isinstance(volume, int) else STEP * volume
            books.set_price(Symbol(str(symbol)), Decimal(cents) / 100, volume=bound)
            continue
        symbol, side, kind, quantity, price, reduce_only = action
        assert isinstance(quantity, int)
        assert isinstance(price, int)
        books.place(
            request(
                clock,
                str(number),
                symbol=symbol,
                side=side,
                kind=kind,
                quantity=STEP * quantity,
                limit_price=Decimal(price) if kind == "limit" else None,
                trigger_price=Decimal(200 - price if side == "buy" else price) if kind == "oco" else None,
                target_price=Decimal(price if side == "buy" else 200 - price) if kind == "oco" else None,
                reduce_only=reduce_only,
            )
        )
    _agree(books, clock)


def _agree(books: MemoryBooks, clock: SteppingClock) -> None:
    """The books against what the trades alone say."""
    cash: dict[str, Decimal] = defaultdict(Decimal, BALANCES)
    position = cost = Decimal(0)
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for fill in books.fills(clock.now() - timedelta(days=1)):
        sign = 1 if fill.side == "buy" else -1
        cash[fill.fee_currency] -= fill.fee
        filled[fill.venue_order_id] += fill.quantity
        if fill.symbol == SPOT:
            cash["BTC"] += sign * fill.quantity
            cash["USDT"] -= sign * fill.quantity * fill.price
        else:
            position += sign * fill.quantity
            cost += sign * fill.quantity * fill.price
    held = books.wallet.holdings.get(PERPETUAL)
    assert (held.quantity if held else 0) == position
    assert books.wallet.cash["BTC"] == cash["BTC"]
    assert books.wallet.cash["USDT"] - (held.cost if held else 0) == cash["USDT"] - cost
    for order in books.orders():
        assert order.filled <= order.quantity
        # What waited for a trigger shows what its child traded.
        assert order.filled == filled[order.child_id or order.venue_order_id]
    assert books.wallet.cash["BTC"] >= 0
