"""What protects a live bot's position: the rest of an exit that was reached, and exits that a spot venue can hold."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from events.bot import BotFact, OrderAmended, OrderCancelled, OrderRejected, OrderTriggered
from events.values import Bracket, ScaleOut
from oxbot.core.bot import ForceExit
from tests.core.live import armed, bought, clock, fill, order_id, report, said, see, submitted
from tests.core.lives import BRACKET, BTC, BTC_PERPETUAL, Life, Wish, at, creation, perpetual, requests

NOW = clock(1)
ONE, TWO, THREE = order_id(1), order_id(2), order_id(3)
HALF = ScaleOut(target_fraction=Decimal("0.01"), share=Decimal("0.5"))
QUARTER = ScaleOut(target_fraction=Decimal("0.02"), share=Decimal("0.25"))
STEPS = replace(BRACKET, scale_out=(HALF, QUARTER))
TRAIL = Bracket(
    stop_fraction=Decimal(0), target_fraction=Decimal("0.04"), trailing_fraction=Decimal("0.02"), scale_out=(HALF,)
)


def one_at_the_venue(*, held: str, sent: str) -> Life:
    """A bot that holds more than the stop (2) and the target (3), one order at the venue, were sent for."""
    life = armed(plan=at(0, Wish(bracket=BRACKET)))
    see(life, 0, "100")
    report(life, submitted(1, "10", when=NOW), fill(1, "t1", sent, "100", when=NOW))
    report(life, *(submitted(number, sent, when=NOW, client_id="pair") for number in (2, 3)))
    report(life, fill(1, "t2", str(Decimal(held) - Decimal(sent)), "100", when=NOW))
    return life


def asked(facts: Sequence[BotFact]) -> list[tuple[object, ...]]:
    return [said(each.kind, each.reason, each.quantity) for each in requests(facts)]


@pytest.mark.parametrize(("reached", "other", "reason"), [(2, 3, "stop_loss"), (3, 2, "take_profit")])
def test_an_exit_reached_at_its_old_size_leaves_the_rest_at_the_market_at_once(
    reached: int, other: int, reason: str
) -> None:
    life = one_at_the_venue(held="10", sent="4")
    facts = report(
        life,
        OrderTriggered(order_id=order_id(reached), at=NOW),
        fill(reached, "t3", "4", "99", when=NOW),
        OrderCancelled(order_id=order_id(other), at=NOW, reason="the other was reached"),
        OrderCancelled(order_id=order_id(reached), at=NOW, reason="the venue's order was smaller"),
    )
    assert asked(facts) == [("market", reason, 6)]
    report(life, submitted(4, "6", when=NOW), fill(4, "t4", "6", "98", when=NOW))
    assert (life.state.ledger.positions, life.state.owed) == ({}, {})


def test_a_stop_that_was_reached_and_failed_goes_at_the_market_at_once() -> None:
    life = one_at_the_venue(held="10", sent="4")
    facts = report(life, OrderTriggered(order_id=TWO, at=NOW), OrderRejected(order_id=TWO, at=NOW, reason="51008"))
    assert asked(facts) == [("market", "stop_loss", 10)]


def test_an_exit_at_the_market_that_fails_waits_for_the_next_candle_and_is_no_loop() -> None:
    life = one_at_the_venue(held="10", sent="4")
    report(life, OrderTriggered(order_id=TWO, at=NOW), OrderRejected(order_id=TWO, at=NOW, reason="51008"))
    assert asked(report(life, OrderRejected(order_id=order_id(4), at=NOW, reason="51008"))) == []
    assert ("market", "stop_loss", 10) in asked(see(life, 1, "98"))


def test_a_stop_that_somebody_took_off_unreached_is_not_left_at_the_market() -> None:
    life = one_at_the_venue(held="10", sent="4")
    assert asked(report(life, OrderCancelled(order_id=TWO, at=NOW, reason="by hand"))) == []
    assert ("stop", "stop_loss", 10) in asked(see(life, 1, "100"))


def test_what_another_stop_still_covers_is_no_rest() -> None:
    """Of a spot bracket in pairs, one pair's stop was reached and failed; the other pairs' go on."""
    life = bought("8", bracket=STEPS)
    facts = report(life, OrderTriggered(order_id=TWO, at=NOW), OrderRejected(order_id=TWO, at=NOW, reason="51008"))
    assert asked(facts) == [("market", "stop_loss", 4)]


def pairs(life: Life) -> dict[str, list[Decimal]]:
    found: dict[str, list[Decimal]] = {}
    for order in life.state.working(BTC):
        if order.reduce_only and order.cancel_requested_at is None:
            left = (order.quantity_wanted or Decimal(0)) - order.filled_quantity
            found.setdefault(order.oco_group, []).append(left)
    return found


def test_each_scale_out_of_a_spot_position_is_paired_with_a_stop_for_its_own_part() -> None:
    life = bought("8", bracket=STEPS)
    assert [said(each.kind, each.reason, each.quantity, each.oco_group) for each in requests(life.facts)[1:]] == [
        ("stop", "stop_loss", 4, f"{ONE}/1"),
        ("take_profit", "scale_out", 4, f"{ONE}/1"),
        ("stop", "stop_loss", 2, f"{ONE}/2"),
        ("take_profit", "scale_out", 2, f"{ONE}/2"),
        ("stop", "stop_loss", 2, f"{ONE}/0"),
        ("take_profit", "take_profit", 2, f"{ONE}/0"),
    ]
    assert len({each.order_id for each in requests(life.facts)}) == 7


def test_a_perpetual_has_one_stop_for_all_since_its_venue_only_reduces() -> None:
    command = creation(perpetual(), leverage="2")
    life = armed(command, at(0, Wish(bracket=STEPS), symbol=BTC_PERPETUAL))
    see(life, 0, "100", BTC_PERPETUAL)
    report(life, submitted(1, "8", when=NOW), fill(1, "t1", "8", "100", when=NOW))
    assert [said(each.kind, each.quantity) for each in requests(life.facts)[1:]] == [
        ("stop", 8), ("take_profit", 4), ("take_profit", 2), ("take_profit", 2),
    ]  # fmt: skip


@given(
    entered=st.lists(st.integers(1, 400), min_size=1, max_size=5),
    left=st.lists(st.tuples(st.integers(2, 7), st.integers(1, 400)), max_size=6),
    cut=st.integers(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_what_may_be_reached_together_on_spot_is_never_more_than_is_held_and_stops_cover_it(
    entered: list[int], left: list[tuple[int, int]], cut: int
) -> None:
    """Whatever fills of the entry and of its exits come in between each other; of a pair only one leg is reached."""
    legs: dict[str, int] = {}
    life = armed(plan=at(0, Wish(bracket=STEPS)))
    see(life, 0, "100")
    report(life, submitted(1, "20", when=NOW))
    buys = [(1, Decimal(each) / 100) for each in entered]
    exits = [(number, Decimal(each) / 100) for number, each in left]
    for count, (number, wanted) in enumerate([buys[0], *exits[:cut], *buys[1:], *exits[cut:]]):
        order = life.state.orders.get(order_id(number))
        if order is None or (number != 1 and legs.setdefault(order.oco_group, number) != number):
            continue
        quantity = wanted if number == 1 else min(wanted, (order.quantity_wanted or Decimal(0)) - order.filled_quantity)
        if quantity <= 0 or (number != 1 and BTC not in life.state.ledger.positions):
            continue
        report(life, fill(number, f"f{count}", str(quantity), "100", when=NOW))
        position = life.state.ledger.positions.get(BTC)
        standing = pairs(life)
        held = position.quantity if position is not None else Decimal(0)
        assert sum((max(each) for each in standing.values()), Decimal(0)) == held
        assert all(len(set(each)) == 1 for each in standing.values())


def test_beside_a_trailing_stop_no_target_goes_to_a_spot_venue() -> None:
    life = bought("8", bracket=TRAIL)
    working = [order for order in life.state.working(BTC) if order.reduce_only]
    assert [said(order.kind, order.quantity) for order in working] == [("trailing_stop", 8)]


def test_a_target_that_a_spot_venue_could_not_hold_goes_at_the_market_once_a_candle_closes_beyond_it() -> None:
    life = bought("8", bracket=TRAIL)
    assert requests(see(life, 1, "100")) == []
    assert asked(see(life, 2, "101.5")) == [("market", "scale_out", 4)]
    report(life, submitted(5, "4", when=clock(3)), fill(5, "t2", "4", "101.5", when=clock(3)))
    assert asked(see(life, 3, "103")) == []
    assert asked(see(life, 4, "105")) == [("market", "take_profit", 4)]


def test_a_pair_that_grows_is_amended_on_both_its_sides() -> None:
    life = armed(plan=at(0, Wish(bracket=STEPS)))
    see(life, 0, "100")
    report(life, submitted(1, "20", when=NOW), fill(1, "t1", "8", "100", when=NOW))
    report(life, fill(1, "t2", "4", "100", when=NOW))
    assert pairs(life) == {f"{ONE}/1": [6, 6], f"{ONE}/2": [3, 3], f"{ONE}/0": [3, 3]}
    facts = report(life, OrderAmended(order_id=THREE, at=NOW, reason="as asked", quantity=Decimal(6)))
    assert [type(fact) for fact in facts] == [OrderAmended]


def test_no_rest_is_asked_for_beside_an_exit_at_the_market_that_is_under_way() -> None:
    life = one_at_the_venue(held="10", sent="4")
    life.tell(ForceExit(NOW))
    facts = report(life, OrderTriggered(order_id=TWO, at=NOW), OrderRejected(order_id=TWO, at=NOW, reason="51008"))
    assert asked(facts) == []
