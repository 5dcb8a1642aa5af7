"""What a venue reports of a live bot: taken over once, with what follows from it, or refused with all beside it."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import (
    BotFact,
    FundingSettled,
    OrderAccepted,
    OrderAmended,
    OrderAmendRequested,
    OrderCancelled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderInDoubt,
    OrderRejected,
    OrderRequested,
    OrderTriggered,
)
from events.values import Bracket, ScaleOut
from oxbot.core.bot import CommandRefused, ForceExit, RecordProgress
from oxbot.core.orders import Amendment, Order
from oxbot.core.reports import VenueReport
from tests.core.live import armed, bought, cancels, clock, fill, order_id, report, said, see, submitted
from tests.core.lives import (
    BRACKET,
    BTC,
    Life,
    Wish,
    Wishes,
    at,
    entered,
    requests,
)

ONE, TWO, THREE = order_id(1), order_id(2), order_id(3)
NOW = clock(1)


def entering(bracket: Bracket | None = BRACKET, *, limit: str | None = None) -> Life:
    """A live bot whose entry of 1,000 at 100 (order 1) was asked for at the close of candle 0."""
    life = armed(plan=at(0, Wish(bracket=bracket, limit=None if limit is None else Decimal(limit))))
    see(life, 0, "100")
    return life


def order(life: Life, number: int) -> Order:
    return life.state.orders.get(order_id(number)) or life.state.ended[order_id(number)]


def amends(facts: Sequence[BotFact]) -> list[tuple[object, ...]]:
    return [said(fact.order_id, fact.quantity) for fact in facts if isinstance(fact, OrderAmendRequested)]


def refused(life: Life, *reports: VenueReport, match: str) -> None:
    """Nothing of it is recorded."""
    before = life.state
    with pytest.raises(CommandRefused, match=match):
        report(life, *reports)
    assert life.state is before


# Submission.


def test_an_order_by_notional_has_a_quantity_from_its_submission_on_and_reserves_as_much_as_before() -> None:
    life = entering()
    assert said(order(life, 1).notional, order(life, 1).funds.mark) == (1000, 100)
    before = order(life, 1).reserved
    report(life, submitted(1, "9.9", when=NOW))
    sent = order(life, 1)
    assert (sent.status, sent.quantity, sent.notional, sent.client_id) == ("submitted", Decimal("9.9"), None, "client1")
    assert (sent.attempts, sent.submitted_at, sent.submission_expires_at) == (1, NOW, NOW + timedelta(seconds=5))
    assert abs(sent.reserved - before) < Decimal("1e-12")


def test_an_order_that_traded_above_its_notional_is_booked() -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW), fill(1, "t1", "10", "101", when=NOW))
    assert life.state.ledger.cash == 8990
    assert order(life, 1).status == "filled"


def test_a_venue_that_takes_more_than_there_is_breaks_no_books() -> None:
    life = armed(plan=at(0, Wish(size_fraction=Decimal("0.99"))))
    see(life, 0, "100")
    report(life, submitted(1, "99", when=NOW), fill(1, "t1", "99", "102", when=NOW))
    assert life.state.ledger.cash == -98
    assert life.state.free < 0


@pytest.mark.parametrize(
    ("before", "again", "match"),
    [
        ([], submitted(1, "10", when=NOW, attempt=2), "next is not attempt 2"),
        ([], submitted(1, "0", when=NOW), "not what was asked for"),
        ([submitted(1, "10", when=NOW)], submitted(1, "10", when=NOW), "submitted 1 times"),
        ([submitted(1, "10", when=NOW)], submitted(1, "11", when=NOW, attempt=2), "not what was asked for"),
        (
            [submitted(1, "10", when=NOW)],
            submitted(1, "10", when=NOW, attempt=2, client_id="another"),
            "submitted as client1",
        ),
        (
            [submitted(1, "10", when=NOW), OrderAccepted(order_id=ONE, at=NOW)],
            submitted(1, "10", when=NOW, attempt=2),
            "the venue has it already as client1",
        ),
        ([OrderCancelRequested(order_id=ONE, at=NOW, reason="no")], submitted(1, "10", when=NOW), "a cancel was asked"),
        (
            [
                submitted(1, "10", when=NOW),
                OrderInDoubt(order_id=ONE, at=NOW, reason="?"),
                OrderCancelRequested(order_id=ONE, at=NOW, reason="no"),
            ],
            submitted(1, "10", when=NOW, attempt=2),
            "a cancel was asked",
        ),
        ([OrderRejected(order_id=ONE, at=NOW, reason="no")], submitted(1, "10", when=NOW), "the venue refused it"),
    ],
)
def test_a_submission_that_nobody_may_send_is_refused(
    before: Sequence[VenueReport], again: VenueReport, match: str
) -> None:
    """So two that want to send the same order are never both told that they may."""
    life = entering()
    if before:
        report(life, *before)
    refused(life, again, match=match)


@pytest.mark.parametrize("doubt", [False, True])
def test_what_never_reached_the_venue_is_submitted_again_under_the_same_client_id(doubt: bool) -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW))
    if doubt:
        report(life, OrderInDoubt(order_id=ONE, at=NOW, reason="no answer"))
    report(life, submitted(1, "10", when=clock(1, 9), attempt=2))
    assert (order(life, 1).status, order(life, 1).attempts) == ("submitted", 2)
    assert order(life, 1).submission_expires_at == clock(1, 14)


def test_an_order_to_be_amended_may_be_replaced_under_another_client_id() -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW), fill(1, "t1", "4", "100", when=NOW))
    report(life, submitted(2, "4", when=NOW), OrderAccepted(order_id=TWO, at=NOW, venue_order_id="v2"))
    report(life, fill(1, "t2", "6", "100", when=NOW))
    report(life, submitted(2, "10", when=NOW, attempt=2, client_id="client2b"))
    replaced = order(life, 2)
    assert said(replaced.status, replaced.quantity, replaced.amending) == ("submitted", 10, None)
    assert (replaced.venue_order_id, replaced.accepted_at) == ("", None)
    report(life, OrderAccepted(order_id=TWO, at=NOW, venue_order_id="v2b"))
    assert (order(life, 2).status, order(life, 2).venue_order_id) == ("accepted", "v2b")


# What is new, and what is not.


@pytest.mark.parametrize(
    "twice",
    [
        OrderAccepted(order_id=ONE, at=NOW, venue_order_id="v1"),
        OrderInDoubt(order_id=ONE, at=NOW, reason="no answer"),
        OrderCancelRequested(order_id=ONE, at=NOW, reason="no"),
        OrderRejected(order_id=ONE, at=NOW, reason="no"),
        OrderCancelled(order_id=ONE, at=NOW, reason="no"),
        OrderExpired(order_id=ONE, at=NOW, reason="no"),
        fill(1, "t1", "4", "100", when=NOW),
        OrderAmended(order_id=ONE, at=NOW, reason="smaller", quantity=Decimal(9)),
        OrderAmendRequested(order_id=ONE, at=NOW, reason="smaller", quantity=Decimal(9)),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_what_is_on_record_already_is_dropped(twice: VenueReport) -> None:
    life = entering(bracket=None)
    report(life, submitted(1, "10", when=NOW))
    assert report(life, twice) == [twice]
    assert report(life, twice) == []
    assert report(life, replace(twice, at=clock(2)), twice) == []


@pytest.mark.parametrize("first", [OrderRejected, OrderCancelled, OrderExpired])
@pytest.mark.parametrize("then", [OrderRejected, OrderCancelled, OrderExpired, OrderInDoubt, OrderCancelRejected])
def test_nothing_but_a_fill_is_new_after_an_end(
    first: Callable[..., VenueReport], then: Callable[..., VenueReport]
) -> None:
    life = entering()
    report(life, first(order_id=ONE, at=NOW, reason="one"))
    assert report(life, then(order_id=ONE, at=NOW, reason="two")) == []
    assert report(life, OrderAccepted(order_id=ONE, at=NOW, venue_order_id="late")) == []


@pytest.mark.parametrize("end", [OrderRejected, OrderCancelled, OrderExpired])
def test_a_fill_after_an_end_is_booked_and_protected(end: Callable[..., VenueReport]) -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW), end(order_id=ONE, at=NOW, reason="no"))
    facts = report(life, fill(1, "late", "4", "100", when=NOW))
    assert life.state.ledger.positions[BTC].quantity == 4
    assert [said(request.reason, request.quantity, request.at) for request in requests(facts)] == [
        ("stop_loss", 4, NOW),
        ("take_profit", 4, NOW),
    ]
    assert life.state.trips[BTC].setup == "wish"


def test_a_fill_that_was_said_to_be_the_last_may_come_before_another() -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW), fill(1, "t2", "6", "100", when=NOW, complete=True))
    report(life, fill(1, "t1", "4", "101", when=NOW))
    assert life.state.ledger.positions[BTC].quantity == 10
    assert order(life, 1).status == "filled"
    refused(life, fill(1, "t3", "0.1", "100", when=NOW), match="asked for 10, but 10.1 would be filled")


def test_the_last_fill_completes_the_order_though_nobody_says_so() -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW))
    facts = report(life, fill(1, "t1", "4", "100", when=NOW), fill(1, "t2", "6", "100", when=NOW))
    assert [fact.complete for fact in facts if isinstance(fact, OrderFilled)] == [False, True]


def test_an_acceptance_that_tells_the_venues_number_is_new() -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW), OrderAccepted(order_id=ONE, at=NOW))
    assert len(report(life, OrderAccepted(order_id=ONE, at=NOW, venue_order_id="v1"))) == 1
    assert order(life, 1).venue_order_id == "v1"


@pytest.mark.parametrize("reached", [OrderTriggered(order_id=TWO, at=NOW)])
def test_a_trigger_is_reached_once(reached: OrderTriggered) -> None:
    life = bought()
    assert report(life, reached) == [reached]
    assert report(life, reached) == []
    assert order(life, 2).status == "triggered"


# What can only be our error.


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (OrderAccepted(order_id=order_id(99), at=NOW), "names an order that the bot does not have, .*: bot-1-99"),
        (fill(1, "t1", "0", "100", when=NOW), "a fill of 0 at 100 is none"),
        (fill(1, "t1", "11", "100", when=NOW), "would be filled"),
        (fill(1, "t1", "1e15", "100", when=NOW), "quantity is 1E\\+15, but must be below"),
        (fill(1, "t1", "1", "1e-19", when=NOW), "price is 1E-19, but may have at most 18 decimals"),
        (OrderTriggered(order_id=ONE, at=NOW), "a market order has no trigger"),
        (OrderAmended(order_id=ONE, at=NOW, reason="", quantity=Decimal(-1)), "must be above 0"),
        (OrderCancelRequested(order_id=ONE, at=NOW, reason="", at_close=True), "only the bot itself"),
        (
            FundingSettled(
                symbol=BTC, at=NOW, rate=Decimal(0), mark=Decimal(1), quantity=Decimal(1), amount=Decimal("1e16")
            ),
            "amount is 1E\\+16",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_all_that_came_with_it(wrong: VenueReport, match: str) -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW))
    refused(life, OrderAccepted(order_id=ONE, at=NOW), wrong, match=match)


def test_a_bot_on_paper_has_no_venue_that_reports() -> None:
    life = entered()
    for command in (RecordProgress((OrderAccepted(order_id=ONE, at=NOW),)), ForceExit(NOW)):
        with pytest.raises(CommandRefused, match="trades on paper"):
            life.tell(command)


def test_an_exit_that_trades_before_the_entry_is_on_record_waits_for_it() -> None:
    """In one command their order does not matter; alone it is refused until the entry's fill is there."""
    life = bought()
    sold = fill(2, "t2", "12", "98", when=NOW)
    refused(life, sold, match="order bot-1-2 traded 12 BTC/USDT, but 10 is held: the fill of an entry is missing")
    life = entering()
    report(life, submitted(1, "10", when=NOW), fill(1, "t1", "4", "100", when=NOW))
    facts = report(life, fill(2, "t3", "10", "98", when=NOW), fill(1, "t2", "6", "100", when=NOW))
    assert [fact.fill_id for fact in facts if isinstance(fact, OrderFilled)] == ["t2", "t3"]
    assert life.state.ledger.positions == {}


# What follows from a fill.


def test_an_entrys_first_fill_asks_for_its_exits_at_the_time_of_the_fill() -> None:
    life = entering()
    facts = report(life, submitted(1, "10", when=NOW), fill(1, "t1", "4", "100", when=NOW))[2:]
    assert facts == [
        OrderRequested(
            order_id=order_id(number),
            at=NOW,
            symbol=BTC,
            side="sell",
            kind=kind,  # type: ignore[arg-type]  # a kind
            reason=reason,  # type: ignore[arg-type]  # a reason
            quantity=Decimal(4),
            trigger_price=Decimal(trigger),
            reduce_only=True,
            parent_id=ONE,
        )
        for number, kind, reason, trigger in ((2, "stop", "stop_loss", 98), (3, "take_profit", "take_profit", 104))
    ]


def test_a_later_fill_asks_for_larger_exits_once_and_the_venue_confirms_them() -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW), fill(1, "t1", "4", "100", when=NOW))
    assert amends(report(life, fill(1, "t2", "5", "100", when=NOW))) == [(TWO, 9), (THREE, 9)]
    assert said(order(life, 2).quantity, order(life, 2).quantity_wanted) == (4, 9)
    assert amends(report(life, fill(1, "t3", "1", "100", when=NOW))) == [(TWO, 10), (THREE, 10)]
    report(life, OrderAmended(order_id=TWO, at=NOW, reason="", quantity=Decimal(9)))
    assert order(life, 2).amending == Amendment(quantity=Decimal(10))
    report(life, OrderAmended(order_id=TWO, at=NOW, reason="", quantity=Decimal(10)))
    assert said(order(life, 2).quantity, order(life, 2).amending) == (10, None)


def test_an_exit_that_trades_in_part_asks_for_smaller_others_and_for_the_end_of_the_entry() -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW), fill(1, "t1", "8", "100", when=NOW))
    facts = report(life, fill(2, "t2", "3", "98", when=NOW))
    assert amends(facts) == [(THREE, 5)]
    assert [said(fact.order_id, fact.reason) for fact in cancels(facts)] == [(ONE, "one of its exits has traded")]


def test_a_scale_out_leaves_less_for_the_stop_and_nothing_of_the_target_to_change() -> None:
    half = ScaleOut(target_fraction=Decimal("0.01"), share=Decimal("0.5"))
    life = bought(bracket=replace(BRACKET, scale_out=(half,)))
    facts = report(life, fill(3, "t2", "2", "101", when=NOW), fill(3, "t3", "3", "101", when=NOW))
    assert amends(facts) == [(TWO, 3)]
    assert [fact.order_id for fact in cancels(facts)] == [TWO]


def test_a_position_that_is_flat_asks_for_the_end_of_its_exits_and_of_the_rest_of_its_entry() -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW), fill(1, "t1", "8", "100", when=NOW))
    facts = report(life, fill(2, "t2", "8", "98", when=NOW))
    assert [(fact.order_id, fact.reason) for fact in cancels(facts)] == [
        (ONE, "the position is closed"),
        (THREE, "the position is closed"),
    ]
    assert not any(fact.at_close for fact in cancels(facts))
    assert report(life, OrderCancelled(order_id=THREE, at=NOW, reason="the stop was reached")) != []
    assert life.state.owed == {}


def test_an_entry_that_trades_on_after_the_position_was_closed_is_protected_anew() -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW), fill(1, "t1", "8", "100", when=NOW), fill(2, "t2", "8", "98", when=NOW))
    facts = report(life, fill(1, "t3", "2", "101", when=NOW))
    assert [said(request.order_id, request.quantity) for request in requests(facts)] == [
        (order_id(4), 2),
        (order_id(5), 2),
    ]
    assert order(life, 4).trigger_price == Decimal("98.98")


def test_an_exit_made_larger_and_traded_before_that_was_heard_is_booked() -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW), fill(1, "t1", "4", "100", when=NOW), fill(1, "t2", "6", "100", when=NOW))
    report(life, fill(2, "t3", "10", "98", when=NOW))
    assert life.state.ledger.positions == {}
    assert said(order(life, 2).status, order(life, 2).quantity) == ("filled", 10)


def test_what_an_exit_was_to_become_when_it_had_traded_already_goes_at_the_market_at_once() -> None:
    life = entering()
    report(life, submitted(1, "10", when=NOW), fill(1, "t1", "4", "100", when=NOW), fill(1, "t2", "6", "100", when=NOW))
    facts = report(life, fill(2, "t3", "4", "98", when=NOW, complete=True))
    assert [said(request.reason, request.kind, request.quantity) for request in requests(facts)] == [
        ("stop_loss", "market", 6)
    ]
    assert requests(see(life, 1, "99")) == []


def test_an_order_made_as_small_as_what_has_traded_of_it_has_ended() -> None:
    life = bought()
    report(life, fill(3, "t2", "6", "104", when=NOW))
    assert amends([life.facts[-1]]) == [(TWO, 4)]
    report(life, fill(2, "t3", "4", "98", when=NOW, complete=False))
    assert life.state.ledger.positions == {}
    facts = report(life, OrderAmended(order_id=THREE, at=NOW, reason="as asked", quantity=Decimal(6)))
    assert [type(fact) for fact in facts] == [OrderAmended, OrderCancelled]
    assert order(life, 3).status == "cancelled"


# Fees.


def test_fees_in_quote_in_base_and_in_a_third_currency_are_booked_exactly() -> None:
    life = entering(bracket=None)
    other = replace(
        fill(1, "t3", "1", "100", when=NOW), other_fee=Decimal("0.0123"), other_fee_currency="OKB", complete=True
    )
    report(
        life,
        submitted(1, "10", when=NOW),
        fill(1, "t1", "4", "100", when=NOW, fee="0.4"),
        fill(1, "t2", "5", "100", when=NOW, fee="0.005", fee_in="base"),
        other,
    )
    ledger, entry = life.state.ledger, order(life, 1)
    assert ledger.cash == Decimal("10000") - 1000 - Decimal("0.4")
    assert ledger.fees == Decimal("0.4") + Decimal("0.5")
    assert ledger.positions[BTC].quantity == Decimal("9.995")
    assert (entry.fees, entry.base_fees, entry.other_fees) == (
        Decimal("0.9"),
        Decimal("0.005"),
        {"OKB": Decimal("0.0123")},
    )
    assert ledger.imbalance() == 0


def test_a_rebate_is_a_fee_below_nothing() -> None:
    life = entering(bracket=None)
    report(life, submitted(1, "10", when=NOW), fill(1, "t1", "10", "100", when=NOW, fee="-0.1"))
    assert (life.state.ledger.cash, life.state.ledger.fees) == (Decimal("9000.1"), Decimal("-0.1"))


# Leaving everything.


def test_a_forced_exit_cancels_entries_and_leaves_every_position_once() -> None:
    life = entering(limit="0.9")
    assert [fact.order_id for fact in cancels(life.tell(ForceExit(NOW, "the account was killed")))] == [ONE]
    life = bought(plan=at(1, held=Wish("reduce", reduce_fraction=Decimal("0.3"))))
    see(life, 1, "100")
    facts = life.tell(ForceExit(NOW, "the account was killed"))
    assert [said(request.reason, request.kind, request.quantity) for request in requests(facts)] == [
        ("force_exit", "market", 7)
    ]
    assert life.tell(ForceExit(NOW)) == []
    report(life, OrderRejected(order_id=order_id(5), at=NOW, reason="no"))
    report(life, fill(4, "t4", "3", "100", when=NOW))
    assert [said(request.reason, request.quantity) for request in requests(see(life, 2, "100"))] == [("force_exit", 7)]


def test_a_forced_exit_moves_no_cursor() -> None:
    life = bought(plan={(BTC, clock(1, 0)): Wishes(held=Wish("exit"))})
    life.tell(ForceExit(clock(30)))
    assert life.state.cursor == clock(0, 0)
