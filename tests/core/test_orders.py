"""Every step of an order's life, legal or not, by name."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from events.bot import (
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRequested,
)
from oxbot.core.orders import CLOSED, IllegalTransition, Order, OrderProgress, OrderStatus, progressed, requested
from tests.core.scenario import BTC, filled, moment, order_id, protective

ONE = order_id(1)
FEE = Decimal("0.001")
PART = filled(1, at=1, quantity="1", price="100", fee="0.1", complete=False)
REST = filled(1, at=2, quantity="9", price="100", fee="0.9")
FACTS: dict[str, OrderProgress] = {
    "OrderAccepted": OrderAccepted(order_id=ONE, at=moment(1)),
    "OrderRejected": OrderRejected(order_id=ONE, at=moment(1), reason="no"),
    "OrderFilled in part": PART,
    "OrderFilled in full": REST,
    "OrderCancelled": OrderCancelled(order_id=ONE, at=moment(1), reason="no"),
    "OrderExpired": OrderExpired(order_id=ONE, at=moment(1), reason="no"),
}
FACT_NAMES = {name: type(fact).__name__ for name, fact in FACTS.items()}
WAYS: dict[OrderStatus, Sequence[OrderProgress]] = {
    "requested": [],
    "accepted": [FACTS["OrderAccepted"]],
    "partially_filled": [PART],
    "filled": [filled(1, at=1, quantity="1", price="100", fee="0.1")],
    "cancelled": [FACTS["OrderCancelled"]],
    "rejected": [FACTS["OrderRejected"]],
    "expired": [FACTS["OrderExpired"]],
}
"""The facts that bring a fresh order to each status."""

LEGAL: dict[tuple[OrderStatus, str], OrderStatus] = {
    ("requested", "OrderAccepted"): "accepted",
    ("requested", "OrderRejected"): "rejected",
    ("requested", "OrderFilled in part"): "partially_filled",
    ("requested", "OrderFilled in full"): "filled",
    ("requested", "OrderCancelled"): "cancelled",
    ("requested", "OrderExpired"): "expired",
    ("accepted", "OrderAccepted"): "accepted",
    ("accepted", "OrderRejected"): "rejected",
    ("accepted", "OrderFilled in part"): "partially_filled",
    ("accepted", "OrderFilled in full"): "filled",
    ("accepted", "OrderCancelled"): "cancelled",
    ("accepted", "OrderExpired"): "expired",
    ("partially_filled", "OrderAccepted"): "partially_filled",
    ("partially_filled", "OrderRejected"): "rejected",
    ("partially_filled", "OrderFilled in part"): "partially_filled",
    ("partially_filled", "OrderFilled in full"): "filled",
    ("partially_filled", "OrderCancelled"): "cancelled",
    ("partially_filled", "OrderExpired"): "expired",
}


def sell(quantity: str = "10") -> Order:
    return requested(protective(1, "stop", "stop_loss", at=0, quantity=quantity, trigger="90", parent=7), taker_fee=FEE)


def buy(notional: str = "1000") -> Order:
    return requested(
        OrderRequested(
            order_id=ONE,
            at=moment(0),
            symbol=BTC,
            side="buy",
            kind="market",
            reason="entry",
            notional=Decimal(notional),
        ),
        taker_fee=FEE,
    )


def after(order: Order, facts: Sequence[OrderProgress]) -> Order:
    for fact in facts:
        order = progressed(order, fact)
    return order


@pytest.mark.parametrize(
    ("status", "name"),
    [
        pytest.param(
            *pair,
            id=f"{pair[0]} + {pair[1]}",
        )
        for pair in LEGAL
    ],
)
def test_a_legal_step_leads_to_its_status(status: OrderStatus, name: str) -> None:
    order = after(sell(), WAYS[status])
    assert order.status == status
    assert progressed(order, FACTS[name]).status == LEGAL[status, name]


@pytest.mark.parametrize(
    ("status", "name"),
    [pytest.param(*pair, id=f"{pair[0]} + {pair[1]}") for pair in product(WAYS, FACTS) if pair not in LEGAL],
)
def test_an_illegal_step_is_refused(status: OrderStatus, name: str) -> None:
    order = after(sell(), WAYS[status])
    with pytest.raises(IllegalTransition, match=f"order bot-1-1 is {status}; {FACT_NAMES[name]} cannot follow"):
        progressed(order, FACTS[name])


def test_the_closed_statuses_are_those_that_nothing_follows() -> None:
    assert {status for status, _ in LEGAL} == set(WAYS) - CLOSED


def test_an_order_begins_as_it_was_requested() -> None:
    fact = protective(1, "take_profit", "take_profit", at=3, quantity="0.5", trigger="104", parent=7)
    order = requested(fact, taker_fee=FEE)
    assert (order.order_id, order.symbol, order.side, order.kind, order.reason) == (
        ONE,
        BTC,
        "sell",
        "take_profit",
        "take_profit",
    )
    assert (order.quantity, order.notional, order.trigger_price) == (Decimal("0.5"), None, Decimal(104))
    assert (order.parent_id, order.reduce_only, order.status) == (order_id(7), True, "requested")
    assert order.reserved == 0


def test_a_buy_by_notional_reserves_its_taker_fee_too() -> None:
    assert buy("1000").reserved == Decimal("1001")
    assert progressed(buy("1000"), FACTS["OrderAccepted"]).reserved == Decimal("1001")


@pytest.mark.parametrize("name", ["OrderRejected", "OrderCancelled", "OrderExpired", "OrderFilled in full"])
def test_an_order_that_ends_reserves_nothing(name: str) -> None:
    assert progressed(buy(), FACTS[name]).reserved == 0


def test_a_buy_that_traded_in_part_reserves_only_the_rest() -> None:
    assert progressed(buy("1000"), PART).reserved == Decimal("900.9")


def test_fills_add_up() -> None:
    order = after(sell(), [PART, PART, filled(1, at=2, quantity="8", price="50", fee="0.4")])
    assert [order.filled_quantity, order.filled_notional] == [10, 600]
    assert order.status == "filled"


def test_more_than_the_ordered_quantity_cannot_trade() -> None:
    with pytest.raises(IllegalTransition, match=r"bot-1-1 asked for 10, but 10\.00000001 would be filled"):
        after(sell(), [PART, filled(1, at=2, quantity="9.00000001", price="1", fee="0")])


def test_more_than_the_ordered_notional_cannot_trade() -> None:
    with pytest.raises(IllegalTransition, match=r"bot-1-1 asked for 1000 in all, but 1000\.09 would trade"):
        after(buy(), [PART, filled(1, at=2, quantity="9", price="100.01", fee="0")])


PIECES = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 300), st.booleans()).map(
        lambda piece: filled(1, at=1, quantity=str(piece[0]), price=str(piece[1]), fee="0", complete=piece[2])
    ),
    max_size=12,
)


@forall(fills=PIECES, by_notional=st.booleans())
def test_never_more_is_filled_than_was_ordered(fills: list[OrderFilled], by_notional: bool) -> None:
    """Whatever a venue reports, a fill too many is refused and changes nothing."""
    order = buy() if by_notional else sell("100")
    for fill in fills:
        try:
            order = progressed(order, fill)
        except IllegalTransition:
            continue
        assert order.filled_quantity <= (order.quantity or order.filled_quantity)
        assert order.filled_notional <= (order.notional or order.filled_notional)
