"""What holds whatever the candles, the orders and the model are."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from hypothesis import given as forall
from hypothesis import strategies as st

from events.bot import OrderFilled, OrderRequested, PositionLiquidated
from events.values import Bracket, ScaleOut
from oxbot.core.candles import Candle
from oxbot.core.money import ZERO
from oxbot.core.paper_prices import Terms
from tests.core.paper_book import Book, ask, terms
from tests.core.scenario import candle, moment


@st.composite
def markets(draw: st.DrawFn) -> Terms:
    """Spot or perpetual, with and without costs, bounds on volume and latency."""
    return terms(
        kind=draw(st.sampled_from(["spot", "perpetual"])),
        half_spread=draw(st.sampled_from(["0", "0.0005", "0.01"])),
        slippage_factor=draw(st.sampled_from(["0", "0.1", "1"])),
        slippage_max=draw(st.sampled_from(["0", "0.005", "0.02"])),
        slippage_jitter=draw(st.sampled_from(["0", "0.5"])),
        participation_max=draw(st.sampled_from([None, "0.01", "0.5"])),
        latency_candles=draw(st.integers(0, 2)),
        seed=draw(st.integers(0, 3)),
    )


@st.composite
def candles(draw: st.DrawFn) -> list[Candle]:
    """Up to twelve candles of any shape between 80 and 120."""
    seen = []
    for number in range(1, draw(st.integers(2, 13))):
        prices = sorted(draw(st.lists(st.integers(800, 1200), min_size=4, max_size=4)))
        inner = draw(st.permutations(prices[1:3]))
        opened, high, low, closed = (Decimal(value) / 10 for value in (inner[0], prices[3], prices[0], inner[1]))
        volume = Decimal(draw(st.sampled_from([0, 5, 100, 10_000])))
        seen.append(Candle(moment(number), opened, high, low, closed, volume))
    return seen


BRACKETS = st.builds(
    Bracket,
    stop_fraction=st.sampled_from([ZERO, Decimal("0.02"), Decimal("0.1")]),
    target_fraction=st.sampled_from([ZERO, Decimal("0.03"), Decimal("0.1")]),
    trailing_fraction=st.sampled_from([None, Decimal("0.02")]),
    trailing_activation=st.sampled_from([ZERO, Decimal("0.02")]),
    scale_out=st.sampled_from([(), (ScaleOut(target_fraction=Decimal("0.01"), share=Decimal("0.4")),)]),
)


@st.composite
def requests(draw: st.DrawFn, kind: str) -> list[OrderRequested]:
    """One to three entries of one side, each with a bracket or none, some of them in one group."""
    side = "buy" if kind == "spot" else draw(st.sampled_from(["buy", "sell"]))
    wanted = []
    for number in range(1, draw(st.integers(2, 4))):
        kind = draw(st.sampled_from(["market", "limit", "stop", "stop_limit"]))
        price = str(draw(st.integers(85, 115)))
        fields: dict[str, object] = {"oco_group": draw(st.sampled_from(["", "g"]))}
        fields |= {"limit_price": price} if kind in {"limit", "stop_limit"} else {}
        fields |= {"trigger_price": price} if kind in {"stop", "stop_limit"} else {}
        fields |= {"time_in_force": draw(st.sampled_from(["gtc", "ioc", "fok"]))} if kind in {"market", "limit"} else {}
        size = str(draw(st.integers(1, 900)))
        fields |= {"notional": size} if draw(st.booleans()) else {"quantity": size}
        wanted.append(ask(number, kind, side, bracket=draw(st.none() | BRACKETS), **fields))  # type: ignore[arg-type]  # a side
    return wanted


@st.composite
def lives(draw: st.DrawFn) -> tuple[Terms, list[OrderRequested], list[Candle]]:
    """A market, orders and candles."""
    market = draw(markets())
    return market, draw(requests(market.instrument.kind)), draw(candles())


def fills_of(book: Book, seen: Sequence[Candle]) -> list[tuple[Candle, OrderFilled]]:
    return [(shown, fact) for shown in seen for fact in book.see(shown) if isinstance(fact, OrderFilled)]


@forall(life=lives())
def test_no_order_trades_more_than_it_asked_for_and_no_exit_more_than_is_held(
    life: tuple[Terms, list[OrderRequested], list[Candle]],
) -> None:
    """The orders' own table refuses the first; the position never changes its side and what is left is covered once."""
    market, wanted, seen = life
    book = Book(market, *wanted)
    side = "long" if wanted[0].side == "buy" else "short"
    for shown in seen:
        book.see(shown)
        held = book.held
        assert held is None or (held.side == side and held.quantity > 0)
        quantity = held.quantity if held else ZERO
        exits = [order for order in book.working if order.reduce_only]
        for protective in (True, False):
            legs = [order for order in exits if order.kind.startswith(("stop", "trail")) == protective]
            assert sum((order.quantity_open for order in legs), ZERO) <= quantity


@forall(life=lives())
def test_no_fill_is_outside_the_candle_but_for_its_costs(
    life: tuple[Terms, list[OrderRequested], list[Candle]],
) -> None:
    market, wanted, seen = life
    model, tick = market.model, market.instrument.tick
    cost = model.half_spread + model.slippage_max
    book = Book(market, *wanted)
    for shown, fill in fills_of(book, seen):
        order = book.orders[fill.order_id]
        if fill.liquidity == "maker":
            assert shown.low <= fill.price <= shown.high
        elif order.side == "buy":
            assert shown.low <= fill.price < shown.high * (1 + cost) + tick
        else:
            assert shown.low * (1 - cost) - tick < fill.price <= shown.high
        if order.kind in {"limit", "stop_limit"} and order.limit_price is not None:
            within = fill.price <= order.limit_price if order.side == "buy" else fill.price >= order.limit_price
            assert within


@forall(life=lives())
def test_a_candle_s_fills_stay_within_its_share_of_volume(
    life: tuple[Terms, list[OrderRequested], list[Candle]],
) -> None:
    market, wanted, seen = life
    share = market.model.participation_max
    book = Book(market, *wanted)
    for shown in seen:
        total = sum((fact.quantity for fact in book.see(shown) if isinstance(fact, OrderFilled)), ZERO)
        assert share is None or total <= shown.volume * share


@forall(life=lives())
def test_the_same_market_orders_and_candles_give_the_same_facts(
    life: tuple[Terms, list[OrderRequested], list[Candle]],
) -> None:
    market, wanted, seen = life
    assert Book(market, *wanted).see(*seen) == Book(market, *wanted).see(*seen)


@forall(life=lives())
def test_a_later_candle_changes_nothing_that_an_earlier_one_caused(
    life: tuple[Terms, list[OrderRequested], list[Candle]],
) -> None:
    market, wanted, seen = life
    before = Book(market, *wanted).see(*seen[:-1])
    assert Book(market, *wanted).see(*seen)[: len(before)] == before


@forall(life=lives())
def test_of_a_group_no_more_trades_than_its_largest_member_asked_for(
    life: tuple[Terms, list[OrderRequested], list[Candle]],
) -> None:
    """Members by notional end with the first fill beside them."""
    market, wanted, seen = life
    book = Book(market, *wanted)
    book.see(*seen)
    group = [book.orders[fact.order_id] for fact in wanted if fact.oco_group]
    traded = [order for order in group if order.filled_quantity]
    assert len([order for order in traded if order.status == "filled"]) <= 1
    if all(fact.quantity is not None for fact in wanted if fact.oco_group):
        largest = max((fact.quantity or ZERO for fact in wanted if fact.oco_group), default=ZERO)
        assert sum((order.filled_quantity for order in traded), ZERO) <= largest


@forall(life=lives())
def test_a_closed_position_leaves_no_exit_behind(life: tuple[Terms, list[OrderRequested], list[Candle]]) -> None:
    market, wanted, seen = life
    book = Book(market, *wanted)
    for shown in seen:
        book.see(shown)
        assert book.held is not None or not any(order.reduce_only for order in book.working)


@forall(quantity=st.integers(1, 5000), amounts=st.lists(st.integers(1, 900), min_size=1, max_size=30))
def test_an_order_split_over_candles_adds_up_to_what_it_asked_for(quantity: int, amounts: list[int]) -> None:
    """With a participation of a half it has traded the lesser of its quantity and half of the volume so far."""
    size = Decimal(quantity) / 1000
    book = Book(terms(participation_max="0.5"), ask(1, quantity=size))
    volumes = [Decimal(amount) / 1000 for amount in amounts]
    for number, amount in enumerate(volumes, start=1):
        book.see(msgspec.structs.replace(candle(number, "100"), volume=amount))
    lots = sum((amount / 2 // Decimal("0.001") * Decimal("0.001") for amount in volumes), ZERO)
    order = next(iter(book.orders.values()))
    assert order.filled_quantity == min(size, lots)
    assert (order.status == "filled") == (lots >= size)
    assert sum((fact.quantity for fact in book.facts if isinstance(fact, OrderFilled)), ZERO) == order.filled_quantity
    assert not any(isinstance(fact, PositionLiquidated) for fact in book.facts)
