"""An entry at the market that fills over many candles: whatever wants to leave takes back its rest and leaves."""

from decimal import Decimal

import pytest

from events.bot import OrderCancelled, OrderRequested
from events.values import Bracket, PaperModel
from tests.core.lives import BTC, Life, Plan, Wish, at, candle, creation, decisions, fills, requests

SCARCE = PaperModel(participation_max=Decimal("0.01"))
"""Of a candle's volume of 1000 it trades ten: the ninety that are wanted take nine candles."""

FAR = Bracket(stop_fraction=Decimal("0.5"), target_fraction=Decimal(0))


def filling(wish: Wish, more: Plan) -> Life:
    """A bot that wants ninety, and of those has bought ten in candle 1 and ten in candle 2."""
    life = Life.of(creation(paper=SCARCE), {**at(0, wish), **more})
    life.see_candles([candle(number, "100", volume="1000") for number in range(3)])
    assert life.state.ledger.positions[BTC].quantity == 20
    return life


WANTED = Wish(size_fraction=Decimal("0.9"), bracket=FAR)
UNTIL_THREE = WANTED._replace(bracket=Bracket(stop_fraction=Decimal("0.5"), target_fraction=Decimal(0), candles_max=3))


@pytest.mark.parametrize(
    ("wish", "more", "reason"),
    [(WANTED, at(3, None, Wish("exit")), "exit_signal"), (UNTIL_THREE, {}, "time_limit")],
    ids=["exit signal", "time limit"],
)
def test_an_exit_takes_back_the_rest_of_the_entry_and_sells_what_was_bought(
    wish: Wish, more: Plan, reason: str
) -> None:
    life = filling(wish, more)
    [entry] = requests(life.facts, "entry")

    [step] = life.see_candles([candle(3, "100", volume="1000")])

    cancelled, leaving = [fact for fact in step.facts if isinstance(fact, OrderCancelled | OrderRequested)][-2:]
    assert isinstance(cancelled, OrderCancelled)
    assert (cancelled.order_id, cancelled.reason) == (entry.order_id, "its position is being left")
    assert isinstance(leaving, OrderRequested)
    assert (leaving.reason, leaving.quantity, leaving.reduce_only) == (reason, Decimal(30), True)


def test_what_is_left_of_the_entry_never_buys_back_what_was_sold() -> None:
    life = filling(WANTED, at(3, None, Wish("exit")))
    life.see_candles([candle(number, "100", volume="1000") for number in range(3, 12)])
    [entry] = requests(life.facts, "entry")
    assert sum(fill.quantity for fill in fills(life.facts) if fill.order_id == entry.order_id) == 30
    assert (life.state.ledger.positions, life.state.orders) == ({}, {})
    assert life.state.reserved == 0


def test_an_exit_that_is_under_way_is_not_asked_for_again() -> None:
    more = {key: wish for number in range(3, 7) for key, wish in at(number, None, Wish("exit")).items()}
    life = filling(WANTED, more)
    life.see_candles([candle(number, "100", volume="1000") for number in range(3, 12)])
    assert len(requests(life.facts, "exit_signal")) == 1


def test_a_part_that_is_taken_off_ends_the_entry_too() -> None:
    life = filling(WANTED, at(3, None, Wish("reduce", reduce_fraction=Decimal("0.5"))))
    life.see_candles([candle(number, "100", volume="1000") for number in range(3, 8)])
    assert life.state.ledger.positions[BTC].quantity == 15


def test_a_closed_trade_is_remembered_by_the_decision_that_entered_it() -> None:
    life = filling(WANTED, at(3, None, Wish("exit")))
    life.see_candles([candle(number, "100", volume="1000") for number in range(3, 12)])
    entering, leaving = decisions(life.facts)
    [trade] = life.state.trades
    assert trade.decision_id == entering.decision_id != leaving.decision_id
