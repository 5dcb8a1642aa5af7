"""Every step of an order's life, legal or not, by name."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import product
from typing import Literal, get_args

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from msgspec.structs import replace

from events.bot import (
    OrderAccepted,
    OrderAmended,
    OrderAmendRequested,
    OrderCancelled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderInDoubt,
    OrderProgress,
    OrderRejected,
    OrderRequested,
    OrderSubmitted,
    OrderTriggered,
)
from events.identifiers import FillId
from oxbot.core.ledger import initial_margin
from oxbot.core.money import ZERO, exact
from oxbot.core.orders import (
    CLOSED,
    LEGAL,
    IllegalTransition,
    Order,
    OrderEvent,
    OrderStatus,
    event_of,
    progressed,
    refusal,
    requested,
)
from tests.core.scenario import BTC, filled, moment, order_id, protective

ONE = order_id(1)
FEE = Decimal("0.001")
PART = filled(1, at=1, quantity="1", price="100", fee="0.1", complete=False)
REST = filled(1, at=2, quantity="9", price="100", fee="0.9")
SENT = OrderSubmitted(order_id=ONE, at=moment(1), client_id="c1", expires_at=moment(2), quantity=Decimal(10), attempt=1)
FACTS: dict[OrderEvent, OrderProgress] = {
    "submitted": SENT,
    "amend_requested": OrderAmendRequested(order_id=ONE, at=moment(1), reason="more", quantity=Decimal(9)),
    "accepted": OrderAccepted(order_id=ONE, at=moment(1)),
    "rejected": OrderRejected(order_id=ONE, at=moment(1), reason="no"),
    "in_doubt": OrderInDoubt(order_id=ONE, at=moment(1), reason="no answer"),
    "triggered": OrderTriggered(order_id=ONE, at=moment(1)),
    "amended": OrderAmended(order_id=ONE, at=moment(1), reason="trail", trigger_price=Decimal(91)),
    "cancel_requested": OrderCancelRequested(order_id=ONE, at=moment(1), reason="no"),
    "cancel_rejected": OrderCancelRejected(order_id=ONE, at=moment(1), reason="no"),
    "filled_in_part": PART,
    "filled_in_full": REST,
    "cancelled": OrderCancelled(order_id=ONE, at=moment(1), reason="no"),
    "expired": OrderExpired(order_id=ONE, at=moment(1), reason="no"),
}
WAYS: dict[OrderStatus, Sequence[OrderProgress]] = {
    "requested": [],
    "submitted": [SENT],
    "accepted": [FACTS["accepted"]],
    "triggered": [FACTS["triggered"]],
    "partially_filled": [PART],
    "pending_cancel": [FACTS["cancel_requested"]],
    "in_doubt": [FACTS["in_doubt"]],
    "filled": [filled(1, at=1, quantity="1", price="100", fee="0.1")],
    "cancelled": [FACTS["cancelled"]],
    "rejected": [FACTS["rejected"]],
    "expired": [FACTS["expired"]],
}
"""The facts that bring a fresh order to each status."""

TABLE = """
                 submitted amend_requested  accepted         rejected in_doubt triggered        amended          cancel_requested cancel_rejected filled_in_part   filled_in_full cancelled expired
requested        submitted requested        accepted         rejected in_doubt triggered        requested        pending_cancel   -               partially_filled filled         cancelled expired
submitted        submitted submitted        accepted         rejected in_doubt triggered        submitted        pending_cancel   -               partially_filled filled         cancelled expired
accepted         -         accepted         accepted         rejected in_doubt triggered        accepted         pending_cancel   -               partially_filled filled         cancelled expired
triggered        -         triggered        triggered        rejected in_doubt -                triggered        pending_cancel   -               partially_filled filled         cancelled expired
partially_filled -         partially_filled partially_filled rejected in_doubt partially_filled partially_filled pending_cancel   -               partially_filled filled         cancelled expired
pending_cancel   -         -                pending_cancel   rejected in_doubt pending_cancel   pending_cancel   -                accepted        pending_cancel   filled         cancelled expired
in_doubt         submitted in_doubt         accepted         rejected in_doubt -                -                in_doubt         -               partially_filled filled         cancelled expired
filled           -         -                -                -        -        -                -                -                filled          -                -              -         -
cancelled        -         -                -                -        -        -                -                -                -               cancelled        cancelled      -         -
rejected         -         -                -                -        -        -                -                -                rejected        -                -              -         -
expired          -         -                -                -        -        -                -                -                expired         expired          expired        -         -
"""  # noqa: E501  # the table as it is read
HEAD, *ROWS = (line.split() for line in TABLE.strip().splitlines())
EXPECTED = {(row[0], event): after for row in ROWS for event, after in zip(HEAD, row[1:], strict=True)}


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


@pytest.mark.parametrize("pair", [pytest.param(pair, id=" + ".join(pair)) for pair in product(WAYS, FACTS)])
def test_each_fact_leads_where_the_table_says_or_is_refused_with_its_reason(
    pair: tuple[OrderStatus, OrderEvent],
) -> None:
    status, event = pair
    order, fact = after(sell(), WAYS[status]), FACTS[event]
    if isinstance(fact, OrderSubmitted):
        fact = replace(fact, attempt=order.attempts + 1)
    assert (order.status, event_of(fact)) == pair
    if EXPECTED[pair] != "-":
        assert refusal(order, fact) is None
        assert progressed(order, fact).status == EXPECTED[pair]
        return
    reason = refusal(order, fact)
    words = f"order bot-1-1 is {status}; {type(fact).__name__} cannot follow: {reason}"
    assert reason
    with pytest.raises(IllegalTransition) as refused:
        progressed(order, fact)
    assert str(refused.value) == words


def test_the_table_has_every_status_and_every_fact() -> None:
    assert set(LEGAL) == set(WAYS) == set(get_args(OrderStatus)) == {row[0] for row in ROWS}
    assert set(HEAD) == set(FACTS) == set(get_args(OrderEvent))
    assert {type(fact) for fact in FACTS.values()} == set(get_args(OrderProgress))


def test_an_ended_order_keeps_its_status_whatever_comes_late() -> None:
    for status in CLOSED:
        assert set(LEGAL[status].values()) == {status}


def test_an_order_begins_as_it_was_requested() -> None:
    fact = protective(1, "take_profit", "take_profit", at=3, quantity="0.5", trigger="104", parent=7)
    order = requested(fact, taker_fee=FEE)
    shared = [name for name in fact.__struct_fields__ if name in order.__struct_fields__]
    assert set(fact.__struct_fields__) - set(shared) == {"at"}
    shared.remove("leverage")
    assert (fact.leverage, order.leverage) == (None, Decimal(1))
    assert [getattr(order, name) for name in shared] == [getattr(fact, name) for name in shared]
    assert (order.requested_at, order.status, order.reserved) == (moment(3), "requested", ZERO)


# Amendments.


def test_an_amendment_changes_what_it_names_and_leaves_the_rest() -> None:
    order = progressed(sell(), OrderAmended(order_id=ONE, at=moment(1), reason="r", quantity=Decimal(4)))
    assert (order.quantity, order.trigger_price) == (Decimal(4), Decimal(90))
    order = progressed(order, OrderAmended(order_id=ONE, at=moment(1), reason="r", trigger_price=Decimal(95)))
    assert (order.quantity, order.trigger_price) == (Decimal(4), Decimal(95))


def amended(quantity: str | None = None, *, limit: str | None = None, trigger: str | None = None) -> OrderAmended:
    quantity_, limit_, trigger_ = (None if text is None else Decimal(text) for text in (quantity, limit, trigger))
    return OrderAmended(
        order_id=ONE, at=moment(2), reason="r", quantity=quantity_, limit_price=limit_, trigger_price=trigger_
    )


@pytest.mark.parametrize(
    ("order", "fact", "reason"),
    [
        pytest.param(after(sell(), [PART]), amended("0.99"), "1 of it has traded, which is more than 0.99", id="less"),
        pytest.param(sell(), amended("0"), "what it is amended to must be above 0", id="nothing"),
        pytest.param(buy(), amended("1"), "it has no quantity, but a notional", id="by notional"),
        pytest.param(sell(), amended(limit="90"), "it has no limit", id="limit"),
        pytest.param(buy(), amended(trigger="90"), "a market order has no trigger", id="trigger"),
    ],
)
def test_an_amendment_that_makes_no_sense_is_refused(order: Order, fact: OrderAmended, reason: str) -> None:
    assert refusal(order, fact) == reason


def test_an_order_may_be_amended_to_what_has_traded() -> None:
    assert after(sell(), [PART, amended("1")]).quantity_open == 0


def test_only_an_order_with_a_trigger_can_be_triggered() -> None:
    assert refusal(buy(), FACTS["triggered"]) == "a market order has no trigger"


def test_a_triggered_order_knows_in_which_candle() -> None:
    order = after(sell(), [FACTS["triggered"], PART])
    assert (order.status, order.triggered_at) == ("partially_filled", moment(1))


# Cancels and doubts.


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ([], "accepted"),
        ([FACTS["accepted"]], "accepted"),
        ([FACTS["triggered"]], "triggered"),
        ([FACTS["triggered"], PART], "partially_filled"),
    ],
)
def test_a_cancel_that_the_venue_refuses_leaves_the_order_as_it_was(before: list[OrderProgress], then: str) -> None:
    order = after(sell(), [*before, FACTS["cancel_requested"], FACTS["cancel_rejected"]])
    assert (order.status, order.cancel_requested_at) == (then, None)


def test_a_fill_may_follow_a_request_to_cancel() -> None:
    order = after(sell(), [FACTS["cancel_requested"], PART])
    assert (order.status, order.filled_quantity) == ("pending_cancel", Decimal(1))
    assert progressed(order, REST).status == "filled"


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_a_fill_that_comes_after_the_end_counts(end: Literal["cancelled", "expired"]) -> None:
    order = after(sell(), [FACTS[end], PART])
    assert (order.status, order.filled_quantity) == (end, Decimal(1))
    assert (order.filled_notional, order.fees) == (Decimal(100), Decimal("0.1"))


def test_a_late_fill_beyond_what_was_ordered_is_refused() -> None:
    order = after(sell("9"), [PART, FACTS["cancelled"]])
    assert refusal(order, REST) == "order bot-1-1 asked for 9, but 10 would be filled"


def test_a_doubt_leads_back_to_the_cancel_that_was_asked_for() -> None:
    for asked in ([FACTS["cancel_requested"], FACTS["in_doubt"]], [FACTS["in_doubt"], FACTS["cancel_requested"]]):
        assert after(sell(), asked).status == "in_doubt"
        assert after(sell(), [*asked, FACTS["accepted"]]).status == "pending_cancel"


def test_a_doubt_keeps_its_cash_reserved() -> None:
    assert progressed(buy("1000"), FACTS["in_doubt"]).reserved == Decimal(1001)


def test_an_acceptance_gives_the_venue_s_own_id() -> None:
    order = progressed(sell(), OrderAccepted(order_id=ONE, at=moment(1), venue_order_id="x7"))
    assert progressed(order, FACTS["accepted"]).venue_order_id == "x7"


# What an order reserves.


def test_a_buy_by_notional_reserves_its_taker_fee_too() -> None:
    assert buy("1000").reserved == Decimal("1001")
    assert progressed(buy("1000"), FACTS["accepted"]).reserved == Decimal("1001")


@pytest.mark.parametrize("name", ["rejected", "cancelled", "expired", "filled_in_full"])
def test_an_order_that_ends_reserves_nothing(name: OrderEvent) -> None:
    assert progressed(buy(), FACTS[name]).reserved == 0


def test_a_buy_that_traded_in_part_reserves_only_the_rest() -> None:
    assert progressed(buy("1000"), PART).reserved == Decimal("900.9")


def entry(**fields: object) -> Order:
    kind = str(fields.pop("instrument", "spot"))
    mark = fields.pop("mark", None)
    given = {"order_id": ONE, "at": moment(0), "symbol": BTC, "side": "buy", "kind": "limit", "reason": "entry"}
    fact = OrderRequested(**{**given, **fields})  # type: ignore[arg-type]  # a table of fields
    with exact():
        return requested(
            fact,
            taker_fee=FEE,
            kind="perpetual" if kind == "perpetual" else "spot",
            mark=None if mark is None else Decimal(str(mark)),
        )


TWO = Decimal(2)


@pytest.mark.parametrize(
    ("order", "reserved"),
    [
        pytest.param(entry(quantity=TWO, limit_price=Decimal(50), mark=60), "100.1", id="limit"),
        pytest.param(entry(kind="stop", quantity=TWO, trigger_price=Decimal(70), mark=60), "140.14", id="trigger"),
        pytest.param(entry(kind="market", quantity=TWO, mark=60), "120.12", id="mark"),
        pytest.param(entry(kind="market", quantity=TWO), "0", id="no price"),
        pytest.param(
            entry(notional=Decimal(900), leverage=Decimal(5), instrument="perpetual"), "180.9", id="perpetual"
        ),
        pytest.param(
            entry(side="sell", notional=Decimal(900), leverage=Decimal(5), instrument="perpetual"), "180.9", id="short"
        ),
        pytest.param(
            entry(notional=Decimal(100), leverage=Decimal(3), instrument="perpetual"),
            "33.433333333333333334",
            id="margin is rounded up",
        ),
        pytest.param(entry(side="sell", quantity=TWO, limit_price=Decimal(50)), "0", id="spot sale"),
        pytest.param(entry(quantity=TWO, limit_price=Decimal(50), reduce_only=True), "0", id="reduces"),
    ],
)
def test_what_an_order_reserves(order: Order, reserved: str) -> None:
    assert order.reserved == Decimal(reserved)


def test_an_amended_entry_reserves_what_it_asks_for_now() -> None:
    order = entry(quantity=TWO, limit_price=Decimal(50))
    assert progressed(order, amended("3", limit="40")).reserved == Decimal("120.12")


@forall(notional=st.decimals("0.01", "1e9", places=18), leverage=st.decimals("1", "125", places=2))
def test_a_margin_is_never_less_than_its_share_and_at_most_one_unit_more(notional: Decimal, leverage: Decimal) -> None:
    with exact():
        margin = initial_margin(notional, leverage)
        assert notional <= margin * leverage < notional + leverage * Decimal("1e-18")


# Fills.


def test_fills_add_up() -> None:
    order = after(sell(), [PART, PART, filled(1, at=2, quantity="8", price="50", fee="0.4")])
    assert [order.filled_quantity, order.filled_notional, order.fills, order.fees] == [10, 600, 3, Decimal("0.6")]
    assert order.status == "filled"


def test_a_fee_in_base_lowers_what_is_received_and_counts_at_the_fill_s_price() -> None:
    fill = OrderFilled(
        order_id=ONE,
        fill_id=FillId("f"),
        at=moment(1),
        quantity=TWO,
        price=Decimal(100),
        fee=Decimal("0.002"),
        liquidity="taker",
        complete=True,
        fee_in="base",
    )
    order = progressed(buy(), fill)
    assert [order.received, order.base_fees, order.fees] == [Decimal("1.998"), Decimal("0.002"), Decimal("0.2")]


def test_more_than_the_ordered_quantity_cannot_trade() -> None:
    with pytest.raises(IllegalTransition, match=r"bot-1-1 asked for 10, but 10\.00000001 would be filled"):
        after(sell(), [PART, filled(1, at=2, quantity="9.00000001", price="1", fee="0")])


def test_more_than_the_ordered_notional_cannot_trade() -> None:
    with pytest.raises(IllegalTransition, match=r"bot-1-1 asked for 1000 in all, but 1000\.09 would trade"):
        after(buy(), [PART, filled(1, at=2, quantity="9", price="100.01", fee="0")])


@pytest.mark.parametrize(("quantity", "price"), [("0", "100"), ("-1", "100"), ("1", "0")])
def test_a_fill_of_nothing_is_refused(quantity: str, price: str) -> None:
    with pytest.raises(IllegalTransition, match="is none"):
        progressed(sell(), filled(1, at=1, quantity=quantity, price=price, fee="0"))


STEPS = st.lists(
    st.one_of(
        st.sampled_from([FACTS[name] for name in FACTS if not name.startswith("filled")]),
        st.tuples(st.integers(1, 40), st.integers(1, 300), st.booleans()).map(
            lambda piece: filled(1, at=1, quantity=str(piece[0]), price=str(piece[1]), fee="0", complete=piece[2])
        ),
        st.integers(1, 120).map(lambda quantity: amended(str(quantity))),
    ),
    max_size=20,
)


@forall(facts=STEPS, by_notional=st.booleans())
def test_whatever_a_venue_reports_no_order_trades_more_than_it_asked_for(
    facts: list[OrderProgress], by_notional: bool
) -> None:
    """A fact that cannot follow is refused and changes nothing; an ended order stays ended and reserves nothing."""
    order = buy() if by_notional else sell("100")
    for fact in facts:
        ended = order.status if order.status in CLOSED else None
        if refusal(order, fact) is not None:
            with pytest.raises(IllegalTransition):
                progressed(order, fact)
            continue
        order = progressed(order, fact)
        assert order.filled_quantity <= (order.quantity or order.filled_quantity)
        assert order.filled_notional <= (order.notional or order.filled_notional)
        assert ended is None or (order.status, order.reserved) == (ended, ZERO)
        assert order.reserved >= 0
