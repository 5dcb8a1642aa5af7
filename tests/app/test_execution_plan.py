"""The terms of live orders, their pairs, and what the venue's trades are booked as."""

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import OrderAccepted, OrderFilled, OrderReason, OrderRequested, OrderSubmitted
from events.identifiers import AccountName, BotId, OrderId
from events.values import Instrument, OrderKind, Side
from oxbot.app.execution_plan import ENTRY_LATE_MAX, Terms, client_id, key_of, lines, step, terms, too_late
from oxbot.app.execution_report import Look, seen
from oxbot.app.venue import VenueFill, VenueOrder
from oxbot.core.orders import Order, requested
from oxbot.core.state import fold
from tests.core.scenario import BTC, START, STEP, created, deposited

SPOT = Instrument(symbol=BTC, tick=Decimal("0.5"), lot=Decimal("0.001"), minimum_notional=Decimal(10))
SWAP = replace(SPOT, kind="perpetual", lot=Decimal("0.01"), contract_size=Decimal("0.1"))


def asked(
    side: Side = "buy",
    kind: OrderKind = "market",
    *,
    notional: str | None = None,
    quantity: str | None = None,
    limit: str | None = None,
    trigger: str | None = None,
    mark: str | None = "40000",
    exits: bool = False,
    reason: OrderReason = "entry",
    number: int = 1,
) -> Order:
    fact = OrderRequested(
        order_id=OrderId(f"b-{number}"),
        at=START,
        symbol=BTC,
        side=side,
        kind=kind,
        reason=reason,
        notional=None if notional is None else Decimal(notional),
        quantity=None if quantity is None else Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        trigger_price=None if trigger is None else Decimal(trigger),
        reduce_only=exits,
        parent_id=OrderId("b-0") if exits else None,
        at_close=True,
    )
    return requested(fact, taker_fee=Decimal(0), mark=None if mark is None else Decimal(mark), live=True)


def agreed(order: Order, instrument: Instrument = SPOT, *, held: str = "0") -> Terms:
    found = terms(order, instrument, held=Decimal(held))
    assert isinstance(found, Terms), found
    return found


def test_an_entry_by_notional_never_costs_more_than_it_at_the_price_of_its_decision() -> None:
    assert agreed(asked(notional="999")).quantity == Decimal("0.024")


def test_an_entry_in_a_perpetual_is_of_whole_contracts() -> None:
    assert agreed(asked(notional="9999"), SWAP).quantity == Decimal("0.2")
    assert isinstance(terms(asked(notional="3999"), SWAP), str)


def test_a_limit_is_never_worse_than_what_was_asked_for() -> None:
    assert agreed(asked("buy", "limit", notional="999", limit="40000.4")).limit_price == Decimal("40000.0")
    assert agreed(asked("sell", "limit", notional="999", limit="40000.1")).limit_price == Decimal("40000.5")


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "placed"),
    [
        ("sell", "stop", "39000.1", "39000.5"),
        ("buy", "stop", "41000.4", "41000.0"),
        ("sell", "take_profit", "41000.4", "41000.0"),
        ("buy", "take_profit", "39000.1", "39000.5"),
    ],
)
def test_a_trigger_is_rounded_to_where_it_is_reached_sooner(
    side: Side, kind: OrderKind, trigger: str, placed: str
) -> None:
    order = asked(side, kind, quantity="1", trigger=trigger, exits=True)
    assert agreed(order, held="1").trigger_price == Decimal(placed)


def test_what_the_venue_would_not_take_is_refused_with_words() -> None:
    assert "less than the smallest quantity" in str(terms(asked(notional="39"), SPOT))
    dear = replace(SPOT, minimum_notional=Decimal(100))
    assert "below the smallest order of 100" in str(terms(asked(notional="90"), dear))
    assert "nobody knows its price" in str(terms(asked(notional="90", mark=None), SPOT))


def test_an_exit_at_the_market_takes_no_more_than_is_held() -> None:
    order = asked("sell", quantity="1", exits=True, reason="exit_signal")
    assert agreed(order, held="0.4567").quantity == Decimal("0.456")
    assert isinstance(terms(order, SPOT, held=Decimal(0)), str)


def test_a_stop_and_a_target_of_one_parent_and_one_quantity_are_one_line() -> None:
    stop = asked("sell", "stop", quantity="1", trigger="39000", exits=True, reason="stop_loss", number=2)
    target = asked("sell", "take_profit", quantity="1", trigger="42000", exits=True, reason="take_profit", number=3)
    (line,) = lines([target, stop])
    assert (line.lead, line.target) == (stop, target)
    assert len(lines([stop, replace(target, quantity=Decimal("0.5"))])) == 2
    assert key_of(BotId("b"), stop) == key_of(BotId("b"), target)


def test_a_trailing_stop_and_a_scale_out_are_lines_of_their_own() -> None:
    trailing = asked("sell", "trailing_stop", quantity="1", exits=True, reason="trailing_stop", number=2)
    target = asked("sell", "take_profit", quantity="1", trigger="42000", exits=True, reason="scale_out", number=3)
    assert [line.target for line in lines([trailing, target])] == [None, None]


def test_an_order_withdrawn_before_it_was_sent_is_never_sent() -> None:
    order = replace(asked(notional="999"), cancel_requested_at=START, status="pending_cancel")
    assert [step(line) for line in lines([order])] == ["withdraw"]


def test_an_entry_may_come_late_by_so_much_and_an_exit_for_ever() -> None:
    order = asked(notional="999")
    closed = START + STEP
    assert too_late(order, now=closed + ENTRY_LATE_MAX, candle=STEP) is None
    assert too_late(order, now=closed + ENTRY_LATE_MAX + timedelta(seconds=1), candle=STEP)
    assert too_late(replace(order, expires_at=closed), now=closed, candle=STEP)
    exit_order = asked("sell", quantity="1", exits=True)
    assert too_late(exit_order, now=closed + timedelta(days=9), candle=STEP) is None


def test_client_ids_follow_from_the_order_and_its_revision_alone() -> None:
    ids = {client_id(OrderId(f"b-{number}"), revision) for number in range(1, 50) for revision in (1, 2, 3)}
    assert len(ids) == 49 * 3
    assert all(len(each) == 32 and set(each) <= set("0123456789abcdef") for each in ids)
    assert client_id(OrderId("b-1")) == client_id(OrderId("b-1"), 1)


@pytest.mark.parametrize(
    ("currency", "booked"),
    [("USDT", (Decimal(2), "quote", None, "")), ("BTC", (Decimal(2), "base", None, "")),
     ("OKB", (Decimal(0), "quote", Decimal(2), "OKB"))],
)  # fmt: skip
def test_a_fee_is_booked_in_the_currency_in_which_it_was_taken(
    currency: str, booked: tuple[Decimal, str, Decimal | None, str]
) -> None:
    fill = filled_entry(currency)
    assert (fill.fee, fill.fee_in, fill.other_fee, fill.other_fee_currency) == booked


def filled_entry(currency: str) -> OrderFilled:
    """What is booked of an entry that has traded with a fee of 2 of a currency."""
    order_id, one = OrderId("b-1"), Decimal(1)
    creation = replace(created(SPOT), account=AccountName("main"))
    entry = OrderRequested(
        order_id=order_id, at=START, symbol=BTC, side="buy", kind="market", reason="entry", quantity=one, at_close=True
    )
    submitted = OrderSubmitted(
        order_id=order_id, at=START, client_id=client_id(order_id), expires_at=START, quantity=one
    )
    state = fold([creation, deposited("100000"), entry, submitted, OrderAccepted(order_id=order_id, at=START)])
    (line,) = lines(state.orders.values())
    name = line.lead.client_id
    trade = VenueFill(
        fill_id="t",
        venue_order_id="1",
        client_id=name,
        symbol=BTC,
        side="buy",
        quantity=one,
        price=Decimal(40_000),
        fee=Decimal(2),
        fee_currency=currency,
        liquidity="taker",
        at=START,
    )
    shown = VenueOrder(
        client_id=name,
        venue_order_id="1",
        symbol=BTC,
        side="buy",
        status="filled",
        quantity=one,
        filled=one,
        at_trigger=False,
        updated_at=START,
    )
    (fact,) = seen(line, Look(name, START, shown, [trade]))(state)
    assert isinstance(fact, OrderFilled)
    assert fact.complete
    return fact
