"""However a venue's reports come - twice, late, in any order - a live bot's books end as those of the ordered ones."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.bot import FundingSettled, OrderAccepted, OrderAmended, OrderCancelled, OrderFilled, OrderRequested
from events.identifiers import Symbol
from oxbot.core.bot import CommandRefused
from oxbot.core.money import exact
from oxbot.core.reports import VenueReport
from oxbot.core.state import fold
from tests.core.live import armed, clock, fill, order_id, report, see, submitted
from tests.core.lives import BRACKET, BTC, BTC_PERPETUAL, Life, Wish, at, creation, encoded, perpetual, spot

PIECES = st.integers(1, 40).map(lambda count: Decimal(count) * Decimal("0.05"))
PRICES = st.integers(9_000, 11_000).map(lambda cents: Decimal(cents) / 100)
FEES = st.integers(-3, 40).map(lambda count: Decimal(count) * Decimal("0.00005"))
MARKS = (Decimal(50), Decimal(100), Decimal("123.45"))


class Story(NamedTuple):
    """What truly happened at the venue, in order, and how it is told."""

    symbol: Symbol
    happened: tuple[VenueReport, ...]
    told: tuple[tuple[VenueReport, ...], ...]


def opened(symbol: Symbol) -> Life:
    """A live bot whose entry of some 2,500 at 100 is at the venue."""
    command = creation(spot()) if symbol == BTC else creation(perpetual(), leverage="2")
    life = armed(command, at(0, Wish(size_fraction=Decimal("0.25"), bracket=BRACKET), symbol=symbol))
    see(life, 0, "100", symbol)
    report(life, submitted(1, "25", when=clock(1)))
    return life


@st.composite
def stories(draw: st.DrawFn, symbol: Symbol) -> Story:
    bought = draw(st.lists(st.tuples(PIECES, PRICES, FEES), min_size=1, max_size=6))
    in_base = symbol == BTC and draw(st.booleans())
    happened: list[VenueReport] = [OrderAccepted(order_id=order_id(1), at=clock(1, 1), venue_order_id="v1")]
    held = Decimal(0)
    for number, (quantity, price, fee) in enumerate(bought):
        happened.append(
            fill(
                1,
                f"b{number}",
                str(quantity),
                str(price),
                when=clock(1, 2 + number),
                fee=str(quantity * fee if in_base else fee),
                fee_in="base" if in_base else "quote",
            )
        )
        held += quantity - (quantity * fee if in_base else 0)
    if symbol == BTC_PERPETUAL:
        happened.append(
            FundingSettled(
                symbol=symbol,
                at=clock(1, 9),
                rate=Decimal("0.001"),
                mark=Decimal(100),
                quantity=held,
                amount=-held / 10,
            )
        )
    parts = draw(st.lists(st.integers(1, 9), min_size=0, max_size=5))
    left = held // Decimal("0.001") * Decimal("0.001")
    for number, tenths in enumerate([*parts, 10] if draw(st.sampled_from([True, True, False])) else parts):
        quantity = left if tenths == 10 else left * tenths / 10 // Decimal("0.001") * Decimal("0.001")
        left -= quantity
        if quantity > 0:
            happened.append(fill(2, f"s{number}", str(quantity), str(draw(PRICES)), when=clock(1, 20 + number)))
    happened += [
        OrderCancelled(order_id=order_id(1), at=clock(1, 30), reason="as asked"),
        OrderCancelled(order_id=order_id(3), at=clock(1, 31), reason="as asked"),
    ]
    retold = [*happened, *draw(st.lists(st.sampled_from(happened), max_size=8))]
    shuffled = draw(st.permutations(retold))
    cuts = sorted(draw(st.sets(st.integers(1, len(shuffled) - 1), max_size=6)))
    told = [tuple(shuffled[a:b]) for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    return Story(symbol, tuple(happened), tuple(told))


def tell(life: Life, told: Sequence[Sequence[VenueReport]]) -> int:
    """Say all of it, and what is refused again, one by one, until nothing is new; answers how often it was refused."""
    refused, waiting = 0, [*told]
    while waiting:
        still: list[Sequence[VenueReport]] = []
        for reports in waiting:
            try:
                report(life, *reports)
            except CommandRefused as error:
                still += [[each] for each in reports]
                words = str(error)
        refused += len(still)
        assert len(still) < len(waiting) or any(len(reports) > 1 for reports in waiting), words
        waiting = still
    return refused


def held_of(life: Life, symbol: Symbol) -> Decimal:
    position = life.state.ledger.positions.get(symbol)
    return (position.signed_quantity if position else Decimal(0)) + life.state.ledger.dust.get(symbol, Decimal(0))


@pytest.mark.parametrize("symbol", [BTC, BTC_PERPETUAL])
def test_the_books_are_those_of_the_ordered_reports(symbol: Symbol) -> None:
    seen = {"refused": 0, "flat": 0, "reports": 0}

    @given(story=stories(symbol))
    @settings(max_examples=150, deadline=None)
    def check(story: Story) -> None:
        ordered, other = opened(symbol), opened(symbol)
        for each in story.happened:
            tell(ordered, [[each]])
        seen["refused"] += tell(other, story.told)
        seen["reports"] += sum(map(len, story.told))
        books, others = ordered.state.ledger, other.state.ledger
        assert held_of(other, symbol) == held_of(ordered, symbol)
        assert (others.fees, others.funding) == (books.fees, books.funding)
        with exact():
            assert books.imbalance() == others.imbalance() == 0
            for mark in MARKS:
                assert others.equity({symbol: mark}) == books.equity({symbol: mark})
        if not books.positions:
            seen["flat"] += 1
            assert others.positions == {}
            assert others.cash == books.cash
            assert others.realised == books.realised
        recorded = [fact for fact in other.facts if isinstance(fact, OrderFilled)]
        assert len(recorded) == len({fact.fill_id for fact in recorded})
        assert len(recorded) == sum(isinstance(each, OrderFilled) for each in story.happened)
        assert encoded(fold(other.facts)) == encoded(other.state)

    check()
    assert seen["refused"] > 20
    assert seen["flat"] > 5


@given(story=stories(BTC))
@settings(max_examples=150, deadline=None)
def test_what_is_held_is_never_without_a_stop_that_stands_or_is_asked_for(story: Story) -> None:
    """After every report: the stops together are to cover all that is held, and nothing is asked of an order twice."""
    life = opened(BTC)
    for reports in story.told:
        for each in reports:
            try:
                report(life, each)
            except CommandRefused:
                continue
            position = life.state.ledger.positions.get(BTC)
            working = [order for order in life.state.working(BTC) if order.cancel_requested_at is None]
            stops = [order for order in working if order.kind == "stop"]
            owed = [order.quantity_open for order in life.state.owed.values() if order.kind == "stop"]
            covered = sum([(order.quantity_wanted or Decimal(0)) - order.filled_quantity for order in stops] + owed)
            if position is not None:
                assert 0 <= position.quantity - covered < Decimal("0.00001")
    asked = [fact.order_id for fact in life.facts if isinstance(fact, OrderRequested)]
    assert len(asked) == len(set(asked))


def test_amendments_that_are_confirmed_late_leave_the_books_alone() -> None:
    life = opened(BTC)
    report(life, fill(1, "b0", "2", "100", when=clock(1)), fill(1, "b1", "3", "101", when=clock(1)))
    before = life.state.ledger
    for number in (2, 3):
        report(life, OrderAmended(order_id=order_id(number), at=clock(2), reason="as asked", quantity=Decimal(5)))
    assert life.state.ledger == before
    assert all(order.amending is None for order in life.state.orders.values())
