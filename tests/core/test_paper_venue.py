"""What one candle does to the orders and the position of a symbol, in the order in which it does it."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from events.bot import (
    FundingSettled,
    OrderCancelRequested,
    OrderFilled,
    OrderInDoubt,
    OrderRequested,
    PositionLiquidated,
)
from events.values import FeeSchedule
from oxbot.core.candles import Candle
from oxbot.core.paper_margin import Held
from oxbot.core.paper_prices import Terms
from tests.core.paper_book import BRACKETED, Book, ask, terms, told
from tests.core.scenario import candle, moment, order_id

LONG, SHORT = Held("long", Decimal(5)), Held("short", Decimal(5))
STOP = ask(1, "stop", "sell", quantity="5", trigger_price="98", reduce_only=True, reason="stop_loss", parent_id="e")
TARGET = ask(2, "take_profit", "sell", quantity="5", trigger_price="104", reduce_only=True, parent_id="e")


def costly(tick: str = "0.01") -> Terms:
    return terms(tick=tick, half_spread="0.001", slippage_factor="0.1", slippage_max="0.004")


def volume(number: int, prices: str, amount: str) -> Candle:
    return msgspec.structs.replace(candle(number, prices), volume=Decimal(amount))


# Acceptance test 9: wicks, gaps and candles that touch both.


@pytest.mark.parametrize(
    ("prices", "trade"),
    [
        pytest.param("100 101 97 100", "1 5 @ 97.9 taker", id="a wick through the stop, at the stop less costs"),
        pytest.param("100 105 99 100", "2 5 @ 103.89 taker", id="a wick through the target, at the target less costs"),
        pytest.param("95 96 94 95", "1 5 @ 94.9 taker", id="a gap through the stop, at the open less costs"),
        pytest.param("107 109 106 108", "2 5 @ 106.89 taker", id="a gap through the target, at the open, not the high"),
        pytest.param("100 110 90 100", "1 5 @ 97.9 taker", id="both touched is the stop"),
        pytest.param("107 110 90 100", "1 5 @ 97.9 taker", id="both touched after a gap up is the stop"),
    ],
)
def test_acceptance_09_stop_and_target_in_one_candle(prices: str, trade: str) -> None:
    book = Book(terms(half_spread="0.001"), STOP, TARGET, held=LONG)
    other = 3 - int(trade[0])
    assert told(book.see(candle(1, prices))) == [trade, f"{other} cancelled"]
    assert (book.held, book.working) == (None, [])


@pytest.mark.parametrize(
    ("prices", "trade"),
    [
        ("100 103 99 100", "1 5 @ 102 taker"),
        ("100 110 90 100", "1 5 @ 102 taker"),
        ("105 106 90 99", "1 5 @ 105 taker"),
    ],
)
def test_acceptance_09_of_a_short_is_its_mirror_image(prices: str, trade: str) -> None:
    stop = ask(1, "stop", "buy", quantity="5", trigger_price="102", reduce_only=True)
    target = ask(2, "take_profit", "buy", quantity="5", trigger_price="96", reduce_only=True)
    book = Book(terms(kind="perpetual"), stop, target, held=SHORT)
    assert told(book.see(candle(1, prices))) == [trade, "2 cancelled"]


# Acceptance test 11: liquidation and funding.

LEVERED = Held("long", Decimal(5), cost=Decimal(500), margin=Decimal(10), liquidation_price=Decimal("98.5"))


def test_acceptance_11_liquidation_comes_before_a_stop_that_lies_beyond_it() -> None:
    book = Book(terms(kind="perpetual", liquidation_fee="0.001"), STOP, TARGET, held=LEVERED)
    fact = book.see(candle(1, "100 110 90 91"))[0]
    assert isinstance(fact, PositionLiquidated)
    assert [fact.side, fact.price, fact.fee, fact.covered] == ["long", Decimal("98.5"), Decimal("0.4925"), 0]
    assert told(book.facts[-2:]) == ["1 cancelled", "2 cancelled"]


def test_acceptance_11_a_stop_before_the_liquidation_price_comes_first() -> None:
    stop = ask(1, "stop", "sell", quantity="5", trigger_price="99", reduce_only=True)
    assert told(Book(terms(kind="perpetual"), stop, held=LEVERED).see(candle(1, "100 100 90 91"))) == ["1 5 @ 99 taker"]


def test_acceptance_11_a_gap_beyond_the_margin_is_covered_by_the_venue() -> None:
    book = Book(
        terms(kind="perpetual", liquidation_fee="0.001"), STOP, ask(3, "market", "sell", quantity="5"), held=LEVERED
    )
    fact = book.see(candle(1, "90 91 89 90"))[0]
    assert isinstance(fact, PositionLiquidated)
    assert [fact.price, fact.fee, fact.covered] == [90, Decimal("0.45"), Decimal("40.45")]


def test_an_exit_that_costs_would_take_beyond_the_liquidation_price_is_a_liquidation() -> None:
    stop = ask(1, "stop", "sell", quantity="5", trigger_price="98.6", reduce_only=True)
    book = Book(terms(kind="perpetual", half_spread="0.01"), stop, held=LEVERED)
    assert told(book.see(candle(1, "100 100 98.6 99"))) == ["liquidated 5 @ 98.5", "1 cancelled"]


def test_a_short_is_liquidated_on_the_way_up() -> None:
    held = Held("short", Decimal(5), cost=Decimal(500), margin=Decimal(10), liquidation_price=Decimal("101.5"))
    book = Book(terms(kind="perpetual"), held=held)
    assert told(book.see(candle(1, "100 101.49 50 60"))) == []
    assert told(book.see(candle(2, "100 101.5 50 60"))) == ["liquidated 5 @ 101.5"]


@pytest.mark.parametrize(("number", "paid"), [(95, []), (96, ["funding -5"]), (97, [])])
def test_acceptance_11_funding_is_settled_at_its_marks(number: int, paid: list[str]) -> None:
    """Candle 96 of five minutes opens at 08:00 UTC."""
    book = Book(terms(kind="perpetual", funding_rate="0.01"), held=LEVERED)
    assert told(book.see(candle(number, "100"))) == paid


@pytest.mark.parametrize(
    ("held", "rate", "amount"),
    [(LEVERED, "0.5", -10), (LEVERED, "-0.5", 250), (SHORT._replace(margin=Decimal(10)), "0.01", 5)],
)
def test_funding_takes_no_more_than_the_margin_and_pays_the_other_side(held: Held, rate: str, amount: int) -> None:
    fact = Book(terms(kind="perpetual", funding_rate=rate), held=held).see(candle(0, "100"))[0]
    assert isinstance(fact, FundingSettled)
    assert (fact.amount, fact.mark, abs(fact.quantity), fact.rate) == (
        Decimal(amount),
        Decimal(100),
        Decimal(5),
        Decimal(rate),
    )


def test_a_candle_of_a_day_settles_the_marks_since_the_one_before() -> None:
    market = terms(kind="perpetual", funding_rate="0.001", duration=timedelta(days=1))
    assert told(Book(market, held=LEVERED).see(candle(0, "100"))) == ["funding -1.5"]


def test_spot_and_flat_bots_pay_no_funding() -> None:
    assert Book(terms(funding_rate="0.01"), held=LONG).see(candle(0, "100")) == []
    assert Book(terms(kind="perpetual", funding_rate="0.01")).see(candle(0, "100")) == []


# Market orders.


def test_a_market_order_pays_half_the_spread_and_slippage_by_its_share_of_the_volume() -> None:
    """A share of 2 % times 0.1 is 0.002, with the half spread 0.003."""
    assert told(Book(costly(), ask(1, quantity="2")).see(volume(1, "100", "100"))) == ["1 2 @ 100.3 taker"]
    assert told(Book(costly(), ask(1, quantity="2")).see(volume(1, "100", "4"))) == ["1 2 @ 100.5 taker"]
    assert told(Book(costly(), ask(1, quantity="2")).see(volume(1, "100", "0"))) == ["1 2 @ 100.5 taker"]
    sale = ask(1, "market", "sell", quantity="2", reduce_only=True)
    assert told(Book(costly(), sale, held=LONG).see(volume(1, "100", "100"))) == ["1 2 @ 99.7 taker"]


def test_a_price_with_costs_is_rounded_to_the_tick_against_the_order() -> None:
    assert told(Book(costly(tick="0.25"), ask(1, quantity="2")).see(volume(1, "100", "100"))) == ["1 2 @ 100.5 taker"]


def test_a_buy_by_notional_spends_no_more_than_that_after_costs() -> None:
    fill = Book(costly(), ask(1, notional="1000")).see(volume(1, "100", "100"))[0]
    assert isinstance(fill, OrderFilled)
    assert (fill.quantity, fill.price) == (Decimal("9.95"), Decimal("100.5"))


def test_the_seed_varies_the_slippage_and_nothing_else_does() -> None:
    def price(seed: int) -> str:
        market = terms(slippage_factor="0.1", slippage_max="0.1", slippage_jitter="0.5", tick="0.000001", seed=seed)
        return told(Book(market, ask(1, quantity="10")).see(volume(1, "100", "100")))[0]

    prices = [price(seed) for seed in range(20)]
    assert prices == [price(seed) for seed in range(20)]
    assert len(set(prices)) == 20
    assert all(Decimal("100.5") <= Decimal(text.split()[3]) <= Decimal("101.5") for text in prices)


def test_an_order_trades_its_share_of_each_candle_until_it_is_done() -> None:
    book = Book(terms(participation_max="0.1"), ask(1, quantity="5"))
    assert told(book.see(volume(1, "100", "20"))) == ["1 2 @ 100 taker of more"]
    assert told(book.see(volume(2, "110", "0"))) == []
    assert told(book.see(volume(3, "120", "20"), volume(4, "130", "20"))) == [
        "1 2 @ 120 taker of more",
        "1 1 @ 130 taker",
    ]


def test_immediate_or_cancel_takes_what_there_is_and_fill_or_kill_all_or_nothing() -> None:
    market, thin = terms(participation_max="0.1"), volume(1, "100", "20")
    assert told(Book(market, ask(1, quantity="5", time_in_force="ioc")).see(thin)) == [
        "1 2 @ 100 taker of more",
        "1 cancelled",
    ]
    assert told(Book(market, ask(1, quantity="5", time_in_force="fok")).see(thin)) == ["1 cancelled"]
    assert told(Book(market, ask(1, quantity="2", time_in_force="fok")).see(thin)) == ["1 2 @ 100 taker"]
    assert told(Book(market, ask(1, quantity="2", time_in_force="ioc")).see(volume(1, "100", "0"))) == ["1 cancelled"]


@pytest.mark.parametrize(
    ("candles", "milliseconds", "first"), [(0, 0, 1), (2, 0, 3), (0, 1, 2), (0, 300_000, 2), (1, 300_001, 4)]
)
def test_an_order_reaches_the_venue_after_its_latency(candles: int, milliseconds: int, first: int) -> None:
    book = Book(terms(latency_candles=candles, latency_milliseconds=milliseconds), ask(1, quantity="5"))
    assert book.see(*(candle(number, "100") for number in range(1, first))) == []
    assert told(book.see(candle(first, "101"))) == ["1 5 @ 101 taker"]


def test_a_fee_in_base_is_a_share_of_what_is_bought() -> None:
    fees = FeeSchedule(maker=Decimal("0.001"), taker=Decimal("0.002"), buys_pay_in="base")
    book = Book(terms(fees=fees), ask(1, quantity="5", bracket=BRACKETED))
    fill = book.see(candle(1, "100"))[0]
    assert isinstance(fill, OrderFilled)
    assert (fill.fee, fill.fee_in) == (Decimal("0.01"), "base")
    assert [order.quantity for order in book.working] == [Decimal("4.990"), Decimal("4.990")]
    sale = book.see(candle(2, "98"))[0]
    assert isinstance(sale, OrderFilled)
    assert (sale.fee, sale.fee_in) == (Decimal("0.97804"), "quote")


def test_an_entry_whose_fee_would_leave_less_than_a_lot_expires() -> None:
    fees = FeeSchedule(maker=Decimal("0.001"), taker=Decimal("0.002"), buys_pay_in="base")
    assert told(Book(terms(fees=fees, lot="1"), ask(1, quantity="1")).see(candle(1, "100"))) == ["1 expired"]


@pytest.mark.parametrize(
    "asked", [ask(1, notional="0.09"), ask(1, notional="9.99", leverage="2"), ask(1, "market", "sell", quantity="1")]
)
def test_what_cannot_trade_expires(asked: OrderRequested) -> None:
    """Less than a lot, less than the smallest notional, and a sale on spot with nothing to sell."""
    assert told(Book(terms(minimum="10"), asked).see(candle(1, "100"))) == ["1 expired"]


def test_an_exit_sells_no_more_than_is_held_however_little_it_is() -> None:
    sale = ask(1, "market", "sell", quantity="9", reduce_only=True)
    assert told(Book(terms(minimum="1000"), sale, held=LONG).see(candle(1, "100"))) == ["1 5 @ 100 taker"]


def test_what_only_reduces_is_cancelled_when_there_is_nothing_to_reduce() -> None:
    assert told(Book(terms(), STOP).see(candle(1, "100"))) == ["1 cancelled"]
    assert told(Book(terms(kind="perpetual"), STOP, held=SHORT).see(candle(1, "100"))) == ["1 cancelled"]


# Limits.


@pytest.mark.parametrize(
    ("prices", "trades"),
    [
        pytest.param("100 101 98.01 99", [], id="not reached"),
        pytest.param("100 101 98 99", ["1 5 @ 98 maker"], id="at its price"),
        pytest.param("97 99 96 98", ["1 5 @ 97.1 taker"], id="on arrival at the open, with costs"),
        pytest.param("97.99 99 96 98", ["1 5 @ 98 taker"], id="on arrival never worse than the limit"),
    ],
)
def test_a_limit_buys_at_its_price_or_better(prices: str, trades: list[str]) -> None:
    book = Book(terms(half_spread="0.001"), ask(1, "limit", quantity="5", limit_price="98"))
    assert told(book.see(candle(1, prices))) == trades


def test_a_limit_that_rested_trades_as_maker_at_a_better_open() -> None:
    book = Book(terms(half_spread="0.001"), ask(1, "limit", quantity="5", limit_price="98"))
    assert told(book.see(candle(1, "100"), candle(2, "97"))) == ["1 5 @ 97 maker"]


def test_post_only_is_rejected_if_it_would_trade_on_arrival_and_rests_otherwise() -> None:
    order = ask(1, "limit", quantity="5", limit_price="98", post_only=True)
    assert told(Book(terms(), order).see(candle(1, "98"))) == ["1 rejected"]
    assert told(Book(terms(), order).see(candle(1, "98.01 99 98 98"))) == ["1 5 @ 98 maker"]
    assert told(Book(terms(), order).see(candle(1, "99"), candle(2, "97"))) == ["1 5 @ 97 maker"]


def test_a_limit_for_now_or_never_does_not_rest() -> None:
    for force in ("ioc", "fok"):
        order = ask(1, "limit", quantity="5", limit_price="98", time_in_force=force)
        assert told(Book(terms(), order).see(candle(1, "99 99 90 95"))) == ["1 cancelled"]
        assert told(Book(terms(), order).see(candle(1, "97"))) == ["1 5 @ 97 taker"]


def test_an_order_ends_at_the_open_at_which_its_time_has_run_out() -> None:
    order = ask(1, "limit", quantity="5", limit_price="98", expires_at=moment(3))
    book = Book(terms(), order)
    assert told(book.see(candle(1, "99"), candle(2, "99"), candle(3, "90"))) == ["1 expired"]


def test_a_cancel_reaches_the_venue_after_its_latency_and_fills_come_before_it() -> None:
    book = Book(terms(latency_candles=1), ask(1, "limit", quantity="5", limit_price="98"))
    book.see(candle(1, "99"), candle(2, "99"))
    book.apply(OrderCancelRequested(order_id=order_id(1), at=moment(2), reason="r"))
    assert told(book.see(candle(3, "99"))) == []
    late = Book(terms(latency_candles=1), ask(1, "limit", quantity="5", limit_price="98"))
    late.apply(OrderCancelRequested(order_id=order_id(1), at=moment(2), reason="r"))
    assert told(late.see(candle(3, "97"))) == ["1 5 @ 97 maker"]
    assert told(book.see(candle(4, "90"))) == ["1 cancelled"]


def test_an_order_in_doubt_does_not_trade() -> None:
    book = Book(terms(), ask(1, quantity="5"))
    book.apply(OrderInDoubt(order_id=order_id(1), at=moment(0), reason="r"))
    assert book.see(candle(1, "100")) == []


# Stops.


def test_a_stop_that_the_volume_cannot_fill_is_triggered_and_sells_the_rest_at_the_next_open() -> None:
    book = Book(terms(participation_max="0.1"), STOP, TARGET, held=LONG)
    assert told(book.see(volume(1, "100 100 97 99", "30"))) == [
        "1 triggered",
        "1 3 @ 98 taker of more",
        "2 amended 2",
    ]
    assert told(book.see(volume(2, "110", "30"))) == ["1 2 @ 110 taker", "2 cancelled"]


@pytest.mark.parametrize(
    ("prices", "facts", "later"),
    [
        pytest.param("100 100 97 99", ["1 triggered", "1 5 @ 98 taker", "2 cancelled"], [], id="trades at its trigger"),
        pytest.param("97.6 99 97 99", ["1 triggered", "1 5 @ 97.6 taker", "2 cancelled"], [], id="a gap, within limit"),
        pytest.param("97 99 96 99", ["1 triggered"], ["1 5 @ 97.5 maker", "2 cancelled"], id="a gap beyond the limit"),
    ],
)
def test_a_stop_limit_never_trades_beyond_its_limit(prices: str, facts: list[str], later: list[str]) -> None:
    stop = ask(1, "stop_limit", "sell", quantity="5", trigger_price="98", limit_price="97.5", reduce_only=True)
    book = Book(terms(), stop, TARGET, held=LONG)
    assert told(book.see(candle(1, prices))) == facts
    assert told(book.see(candle(2, "97 97.5 96 97"))) == later


def test_a_take_profit_with_a_limit_trades_as_maker() -> None:
    target = ask(2, "take_profit", "sell", quantity="5", trigger_price="104", limit_price="104", reduce_only=True)
    book = Book(terms(half_spread="0.001"), target, held=LONG)
    assert told(book.see(candle(1, "100 105 99 100"))) == ["2 triggered", "2 5 @ 104 maker"]


# Brackets within the candle.


def test_an_entry_at_the_open_is_protected_in_the_same_candle() -> None:
    book = Book(terms(), ask(1, quantity="5", bracket=BRACKETED))
    assert told(book.see(candle(1, "100 110 90 101"))) == [
        "1 5 @ 100 taker",
        "2 stop_loss 5 @ 98",
        "3 take_profit 5 @ 104",
        "2 5 @ 98 taker",
        "3 cancelled",
    ]


def test_an_entry_on_the_way_takes_no_profit_in_the_same_candle_but_can_lose() -> None:
    entry = ask(1, "limit", quantity="5", limit_price="97", bracket=BRACKETED)
    book = Book(terms(), entry)
    assert told(book.see(candle(1, "100 110 96 109")))[3:] == []
    assert told(book.see(candle(2, "109")))[:1] == ["3 5 @ 109 taker"]
    assert told(Book(terms(), entry).see(candle(1, "100 110 90 101")))[3:] == ["2 5 @ 95.06 taker", "3 cancelled"]


def test_a_break_out_that_falls_back_is_stopped_at_its_stop_and_not_at_the_open_before_it() -> None:
    entry = ask(1, "stop", quantity="5", trigger_price="110", bracket=BRACKETED)
    assert told(Book(terms(), entry).see(candle(1, "100 111 99 105")))[3] == "2 5 @ 107.8 taker"


def test_a_limit_sale_on_arrival_is_never_below_its_limit() -> None:
    order = ask(1, "limit", "sell", quantity="5", limit_price="102")
    assert told(Book(terms(kind="perpetual", half_spread="0.001"), order).see(candle(1, "102.05"))) == [
        "1 5 @ 102 taker"
    ]


def test_a_stop_of_an_entry_on_the_way_trails_the_close_and_not_an_earlier_best_price() -> None:
    trailing = msgspec.structs.replace(BRACKETED, trailing_fraction=Decimal("0.02"), target_fraction=Decimal(0))
    book = Book(terms(), ask(1, "limit", quantity="5", limit_price="97", bracket=trailing))
    assert told(book.see(candle(1, "100 110 96 98")))[1:] == ["2 trailing_stop 5 @ 95.06", "2 amended 96.04"]
