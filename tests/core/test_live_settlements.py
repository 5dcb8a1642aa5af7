"""What a live bot's venue settles by itself: funding at its marks and liquidations, each booked once."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import FundingSettled, PositionLiquidated
from events.values import Bracket
from oxbot.core.bot import CommandRefused
from oxbot.core.live import SETTLEMENTS_KEPT
from tests.core.live import armed, clock, fill, report, said, see, submitted
from tests.core.lives import BTC_PERPETUAL, Life, Wish, at, creation, perpetual

NOW = clock(1)


def margined() -> Life:
    """A live bot that is long 30 at 100 on a margin of 1,000."""
    life = armed(creation(perpetual(), leverage="3"), at(0, Wish(size_fraction=Decimal("0.3")), symbol=BTC_PERPETUAL))
    see(life, 0, "100", BTC_PERPETUAL)
    report(life, submitted(1, "30", when=NOW), fill(1, "t1", "30", "100", when=NOW))
    return life


def funded(hours: int, amount: str = "-1") -> FundingSettled:
    return FundingSettled(
        symbol=BTC_PERPETUAL,
        at=clock(0, hours * 3600),
        rate=Decimal("0.0001"),
        mark=Decimal(100),
        quantity=Decimal(30),
        amount=Decimal(amount),
    )


def test_funding_is_booked_once_for_each_mark_in_whatever_order_it_comes() -> None:
    life = margined()
    for payment in (funded(16), funded(8), funded(16), funded(8), funded(24, "2")):
        report(life, payment)
    assert said(life.state.ledger.funding, life.state.ledger.cash) == (0, 10_000)
    assert len(life.state.settlements) == 3


def test_funding_from_before_all_that_is_remembered_is_refused() -> None:
    life = margined()
    report(life, *(funded(hours, "0.01") for hours in range(100, 100 + SETTLEMENTS_KEPT)))
    with pytest.raises(CommandRefused, match="too old to tell"):
        report(life, funded(99))
    assert report(life, funded(100, "0.01")) == []


def test_a_liquidation_ends_the_position_and_its_exits_once() -> None:
    life = margined()
    gone = PositionLiquidated(
        symbol=BTC_PERPETUAL, at=NOW, side="long", quantity=Decimal(30), price=Decimal(68), fee=Decimal(10)
    )
    facts = report(life, gone, gone)
    assert [fact for fact in facts if isinstance(fact, PositionLiquidated)] == [gone]
    assert life.state.ledger.cash == 10_000 - 32 * 30 - 10
    assert life.state.trades[-1].reason == "liquidation"
    with pytest.raises(CommandRefused, match="which is not what is held"):
        report(life, replace(gone, at=clock(2)))


def part(quantity: str, *, name: str, part: bool = True) -> PositionLiquidated:
    """A trade at 68 by which the venue closed so much of the long, at a moment that several may share."""
    return PositionLiquidated(
        symbol=BTC_PERPETUAL, at=NOW, side="long", quantity=Decimal(quantity), price=Decimal(68), fee=Decimal(1),
        part=part, fill_id=name,
    )  # fmt: skip


def test_a_liquidation_in_parts_comes_to_what_one_of_the_whole_comes_to() -> None:
    whole, parts = margined(), margined()
    report(whole, part("30", name="a", part=False))
    report(parts, part("10", name="b"))
    held = parts.state.ledger.positions[BTC_PERPETUAL]
    assert held.quantity == 20
    assert abs(held.margin - Decimal(2000) / 3) < Decimal("1e-9")
    report(parts, part("10", name="c"), part("10", name="c"), part("10", name="d", part=False))
    assert parts.state.ledger.positions == {}
    assert parts.state.ledger.cash == whole.state.ledger.cash - 2
    assert parts.state.ledger.imbalance() == 0
    assert parts.state.trades[-1].reason == "liquidation"


def test_a_liquidation_of_more_than_is_held_waits_for_what_is_missing() -> None:
    with pytest.raises(CommandRefused, match="which is not what is held"):
        report(margined(), part("31", name="a"))


def test_exits_shrink_to_what_a_liquidation_in_part_has_left() -> None:
    bracket = Bracket(stop_fraction=Decimal("0.1"), target_fraction=Decimal("0.2"))
    wish = Wish(size_fraction=Decimal("0.3"), bracket=bracket)
    life = armed(creation(perpetual(), leverage="3"), at(0, wish, symbol=BTC_PERPETUAL))
    see(life, 0, "100", BTC_PERPETUAL)
    report(life, submitted(1, "30", when=NOW), fill(1, "t1", "30", "100", when=NOW))
    report(life, part("10", name="b"))
    assert {order.quantity_wanted for order in life.state.orders.values()} == {Decimal(20)}
