"""The exits that come with a filled entry, and what their fills do to each other."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from events.bot import OrderRequested
from events.values import Bracket, ScaleOut, Side
from oxbot.core.brackets import children, time_is_up
from oxbot.core.money import exact
from oxbot.core.orders import requested
from tests.core.paper_book import Book, BookFact, ask, terms, told
from tests.core.scenario import BRACKET, FEES, STEP, candle, filled, moment, order_id, protective
from tests.core.test_paper_venue import volume

HALVES = (ScaleOut(target_fraction=Decimal("0.01"), share=Decimal("0.5")),)


def bracket(
    *,
    stop: str = "0.02",
    target: str = "0.04",
    stop_price: str | None = None,
    target_price: str | None = None,
    trailing: str | None = None,
    activation: str = "0",
    scale_out: tuple[ScaleOut, ...] = (),
) -> Bracket:
    stop_, target_, trailing_ = (
        None if text is None else Decimal(text) for text in (stop_price, target_price, trailing)
    )
    return Bracket(
        stop_fraction=Decimal(stop),
        target_fraction=Decimal(target),
        stop_price=stop_,
        target_price=target_,
        trailing_fraction=trailing_,
        trailing_activation=Decimal(activation),
        scale_out=scale_out,
    )


def exits(
    wanted: Bracket | None, *, side: Side = "buy", price: str = "100", held: str = "5"
) -> Sequence[OrderRequested]:
    order = requested(ask(1, side=side, quantity="5", bracket=wanted), taker_fee=FEES.taker)
    fill = filled(1, at=4, quantity="5", price=price, fee="0")
    instrument = terms(tick="0.05").instrument
    with exact():
        return children(
            order, fill, held=Decimal(held), instrument=instrument, numbers=lambda number: order_id(1 + number)
        )


def test_fractions_alone_give_a_stop_and_a_target_rounded_towards_the_fill() -> None:
    """98.0294 and 104.0312 are not on a tick of 0.05."""
    assert exits(BRACKET, price="100.03") == [
        protective(2, "stop", "stop_loss", at=4, quantity="5", trigger="98.05", parent=1),
        protective(3, "take_profit", "take_profit", at=4, quantity="5", trigger="104.00", parent=1),
    ]


@pytest.mark.parametrize(
    ("wanted", "legs"),
    [
        pytest.param(bracket(stop="0", target="0"), [], id="none"),
        pytest.param(None, [], id="no bracket"),
        pytest.param(bracket(stop="0"), ["2 take_profit 5 @ 104"], id="no stop"),
        pytest.param(bracket(target="0"), ["2 stop_loss 5 @ 98"], id="no target"),
        pytest.param(
            bracket(stop_price="97.01", target_price="111.09"),
            ["2 stop_loss 5 @ 97.05", "3 take_profit 5 @ 111.05"],
            id="levels take the place of fractions",
        ),
        pytest.param(bracket(target="0", trailing="0.03"), ["2 trailing_stop 5 @ 98"], id="the tighter is the stop"),
        pytest.param(bracket(target="0", trailing="0.01"), ["2 trailing_stop 5 @ 99"], id="the tighter is the trail"),
        pytest.param(
            bracket(target="0", trailing="0.01", activation="0.05"), ["2 trailing_stop 5 @ 98"], id="not yet active"
        ),
        pytest.param(
            bracket(stop="0", target="0", trailing="0.01", activation="0.05"), ["2 trailing_stop 5"], id="no stop yet"
        ),
        pytest.param(
            bracket(scale_out=(*HALVES, ScaleOut(target_fraction=Decimal("0.02"), share=Decimal("0.3001")))),
            ["2 stop_loss 5 @ 98", "3 scale_out 2.5 @ 101", "4 scale_out 1.5 @ 102", "5 take_profit 1 @ 104"],
            id="shares in lots, the target what they leave",
        ),
    ],
)
def test_what_a_bracket_places(wanted: Bracket | None, legs: list[str]) -> None:
    assert told(exits(wanted)) == legs


def test_a_short_s_exits_are_mirrored() -> None:
    legs = exits(bracket(scale_out=HALVES), side="sell", price="100.03")
    assert told(legs) == ["2 stop_loss 5 @ 102", "3 scale_out 2.5 @ 99.05", "4 take_profit 2.5 @ 96.05"]
    assert {leg.side for leg in legs} == {"buy"}
    (trail,) = exits(bracket(target="0", trailing="0.01", activation="0.05"), side="sell")
    assert (trail.trigger_price, trail.activation_price, trail.trailing_fraction) == (
        Decimal(102),
        Decimal(95),
        Decimal("0.01"),
    )


def test_the_exits_cover_whole_lots_of_what_is_held_and_less_than_a_lot_has_none() -> None:
    assert told(exits(bracket(target="0"), held="4.9999")) == ["2 stop_loss 4.999 @ 98"]
    assert exits(BRACKET, held="0.0009") == []


@pytest.mark.parametrize(("number", "up"), [(4, False), (5, False), (6, True), (9, True)])
def test_time_is_up_at_the_close_of_the_last_candle_that_may_hold(number: int, up: bool) -> None:
    """Opened in candle 4 for three candles: it closes at the open of candle 7."""
    limited = Bracket(stop_fraction=Decimal(0), target_fraction=Decimal(0), candles_max=3)
    assert time_is_up(limited, opened_at=moment(4), candle_open=moment(number), duration=STEP) is up
    for unlimited in (BRACKET, None):
        assert not time_is_up(unlimited, opened_at=moment(4), candle_open=moment(999), duration=STEP)


def test_time_counts_by_the_clock_where_candles_are_missing() -> None:
    limited = Bracket(stop_fraction=Decimal(0), target_fraction=Decimal(0), candles_max=12)
    late = moment(0) + timedelta(minutes=55)
    assert time_is_up(limited, opened_at=moment(0), candle_open=late, duration=STEP)


# What one exit's fill does to the others.


def entered(wanted: Bracket) -> Book:
    book = Book(terms(), ask(1, quantity="5", bracket=wanted))
    book.see(volume(1, "100", "50"))
    return book


def test_a_scale_out_takes_its_share_and_the_stop_shrinks_to_what_is_held() -> None:
    book = entered(bracket(scale_out=HALVES))
    assert told(book.see(candle(2, "100 101.5 99 101"))) == ["3 2.5 @ 101 taker", "2 amended 2.5"]
    assert told(book.see(candle(3, "100 101.5 97 101"))) == ["2 2.5 @ 98 taker", "4 cancelled"]
    assert book.held is None


def test_a_stop_closes_all_that_scale_outs_have_not() -> None:
    book = entered(bracket(scale_out=HALVES))
    assert told(book.see(candle(2, "100 101.5 97 101"))) == ["2 5 @ 98 taker", "3 cancelled", "4 cancelled"]


def test_a_scale_out_and_the_target_may_trade_in_one_candle() -> None:
    book = entered(bracket(scale_out=HALVES))
    assert told(book.see(candle(2, "100 105 99 101"))) == [
        "3 2.5 @ 101 taker",
        "2 amended 2.5",
        "4 2.5 @ 104 taker",
        "2 cancelled",
    ]


def test_an_entry_that_fills_in_parts_is_protected_from_the_first_and_adds_to_the_same_exits() -> None:
    book = Book(terms(participation_max="0.1"), ask(1, quantity="5", bracket=bracket(scale_out=HALVES)))
    assert told(book.see(volume(1, "100", "20"))) == [
        "1 2 @ 100 taker of more",
        "2 stop_loss 2 @ 98",
        "3 scale_out 1 @ 101",
        "4 take_profit 1 @ 104",
    ]
    assert told(book.see(volume(2, "100.5", "40"))) == [
        "1 3 @ 100.5 taker",
        "2 amended 5",
        "3 amended 2.5",
        "4 amended 2.5",
    ]


def test_the_rest_of_an_entry_goes_once_one_of_its_exits_has_traded() -> None:
    entry = ask(1, "limit", quantity="5", limit_price="100", bracket=bracket(scale_out=HALVES))
    book = Book(terms(participation_max="0.1"), entry)
    book.see(volume(1, "100", "20"))
    assert told(book.see(volume(2, "101 102 100.5 101", "20"))) == [
        "3 1 @ 101 taker",
        "1 cancelled",
        "2 amended 1",
    ]


def test_the_rest_of_an_entry_goes_with_its_position() -> None:
    entry = ask(1, "limit", quantity="5", limit_price="100", bracket=BRACKET)
    book = Book(terms(participation_max="0.1"), entry)
    book.see(volume(1, "100", "20"))
    assert told(book.see(volume(2, "105", "20"))) == ["3 2 @ 105 taker", "1 cancelled", "2 cancelled"]


def test_a_partial_exit_by_the_strategy_shrinks_stop_and_target() -> None:
    book = entered(BRACKET)
    book.apply(ask(9, "market", "sell", at=1, quantity="2", reduce_only=True))
    assert told(book.see(candle(2, "100"))) == ["9 2 @ 100 taker", "2 amended 3", "3 amended 3"]


def test_two_entries_have_exits_of_their_own_and_a_target_shrinks_the_stop_beside_it() -> None:
    near = bracket(target="0.01")
    book = Book(terms(), ask(1, quantity="5", bracket=near), ask(2, quantity="3", bracket=BRACKET))
    assert told(book.see(candle(1, "100"))) == [
        "1 5 @ 100 taker",
        "3 stop_loss 5 @ 98",
        "4 take_profit 5 @ 101",
        "2 3 @ 100 taker",
        "5 stop_loss 3 @ 98",
        "6 take_profit 3 @ 104",
    ]
    assert told(book.see(candle(2, "100 102 99 101"))) == ["4 5 @ 101 taker", "3 cancelled"]


def oco(size: str) -> list[OrderRequested]:
    return [
        ask(1, "limit", quantity=size, limit_price="98", oco_group="g"),
        ask(2, "stop", quantity=size, trigger_price="105", oco_group="g"),
    ]


@pytest.mark.parametrize(
    ("prices", "facts"),
    [
        ("100 101 97 99", ["1 5 @ 98 maker", "2 cancelled"]),
        ("100 106 99 105", ["2 5 @ 105 taker", "1 cancelled"]),
        ("100 106 97 105", ["1 5 @ 98 maker", "2 cancelled"]),
    ],
)
def test_of_two_entries_in_one_group_only_one_trades(prices: str, facts: list[str]) -> None:
    assert told(Book(terms(), *oco("5")).see(candle(1, prices))) == facts


def test_a_part_that_one_of_a_group_trades_is_taken_from_the_others() -> None:
    book = Book(terms(participation_max="0.1"), *oco("5"))
    facts: Sequence[BookFact] = book.see(volume(1, "100 101 97 99", "20"))
    assert told(facts) == ["1 2 @ 98 maker of more", "2 amended 3"]
