"""A trailing stop that a candle's own best price has moved: it trades in that candle where the close is beyond it."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from events.bot import OrderAmended, OrderFilled, OrderRequested
from events.values import Bracket, Side
from oxbot.core.candles import Candle
from oxbot.core.money import ZERO
from oxbot.core.paper_margin import Held
from tests.core.lives import FEES, Life, Wish, at, creation, fills, frame, spot
from tests.core.paper_book import Book, ask, terms, told
from tests.core.scenario import candle, moment

LONG, SHORT = Held("long", Decimal(5)), Held("short", Decimal(5))


def trailing(number: int, side: Side, trigger: str, fraction: str = "0.05", **fields: object) -> OrderRequested:
    """A trailing stop of a position of five."""
    named = {"quantity": "5", "trigger_price": trigger, "trailing_fraction": fraction, "reduce_only": True, **fields}
    return ask(number, "trailing_stop", side, **named)  # type: ignore[arg-type]  # fields by name


def volume(number: int, prices: str, amount: str) -> Candle:
    return msgspec.structs.replace(candle(number, prices), volume=Decimal(amount))


def test_a_trailing_stop_that_the_close_is_not_beyond_follows_the_best_price_from_the_next_candle_on() -> None:
    trail = trailing(1, "sell", "95")
    book = Book(terms(), trail, held=LONG)
    assert told(book.see(candle(1, "100 110 96 109"))) == ["1 amended 104.5"]
    assert told(book.see(candle(2, "109 110.1 105 106"))) == []
    assert told(book.see(candle(3, "106 120 104.5 119"))) == ["1 5 @ 104.5 taker"]


def test_a_trailing_stop_of_a_short_follows_downwards() -> None:
    trail = trailing(1, "buy", "105")
    book = Book(terms(kind="perpetual"), trail, held=SHORT)
    assert told(book.see(candle(1, "100 104 90 91"), candle(2, "91 94.5 90 94"))) == [
        "1 amended 94.5",
        "1 5 @ 94.5 taker",
    ]


@pytest.mark.parametrize("trigger", [None, Decimal(90)])
def test_a_trailing_stop_waits_for_its_activation(trigger: Decimal | None) -> None:
    trail = ask(
        1,
        "trailing_stop",
        "sell",
        quantity="5",
        activation_price="105",
        trailing_fraction="0.01",
        reduce_only=True,
        trigger_price=trigger,
    )
    book = Book(terms(), trail, held=LONG)
    assert told(book.see(candle(1, "100 104.99 100 104"))) == []
    assert told(book.see(candle(2, "104 105 104 105"), candle(3, "104.5 104.6 104 104"))) == ["1 amended 103.95"]
    assert told(book.see(candle(4, "104 104.2 103.9 104"))) == ["1 5 @ 103.95 taker"]


@pytest.mark.parametrize(
    ("prices", "facts"),
    [
        pytest.param("100 120 100 101", ["1 amended 114", "1 5 @ 114 taker"], id="the close is beyond the new trigger"),
        pytest.param("100 120 100 114", ["1 amended 114", "1 5 @ 114 taker"], id="the close is at it"),
        pytest.param("100 120 100 114.01", ["1 amended 114"], id="the close is short of it"),
        pytest.param("119 120 100 101", ["1 amended 114", "1 5 @ 114 taker"], id="the open is not beyond it, either"),
        pytest.param("100 120 95 101", ["1 5 @ 95 taker"], id="the old trigger is touched first"),
        pytest.param("100 100.05 99 95.01", [], id="what is not moved is not crossed"),
    ],
)
def test_a_long_s_trailing_stop_sells_in_the_candle_whose_close_is_beyond_where_its_high_put_it(
    prices: str, facts: list[str]
) -> None:
    assert told(Book(terms(), trailing(1, "sell", "95"), held=LONG).see(candle(1, prices))) == facts


@pytest.mark.parametrize(
    ("prices", "facts"),
    [
        ("100 100 80 99", ["1 amended 84", "1 5 @ 84 taker"]),
        ("100 100 80 84", ["1 amended 84", "1 5 @ 84 taker"]),
        ("100 100 80 83.99", ["1 amended 84"]),
        ("100 105 80 99", ["1 5 @ 105 taker"]),
    ],
)
def test_a_short_s_trailing_stop_is_its_mirror_image(prices: str, facts: list[str]) -> None:
    book = Book(terms(kind="perpetual"), trailing(1, "buy", "105"), held=SHORT)
    assert told(book.see(candle(1, prices))) == facts


def test_both_facts_are_of_the_candle_and_the_position_s_other_exits_go() -> None:
    target = ask(2, "take_profit", "sell", quantity="5", trigger_price="150", reduce_only=True)
    book = Book(terms(), trailing(1, "sell", "95"), target, held=LONG)
    amended, fill = book.see(candle(1, "100 120 100 101"))[:2]
    assert (type(amended), type(fill)) == (OrderAmended, OrderFilled)
    assert (getattr(amended, "at", None), getattr(fill, "at", None)) == (moment(1), moment(1))
    assert told(book.facts[-1:]) == ["2 cancelled"]
    assert (book.held, book.working) == (None, [])


def test_what_a_target_has_taken_on_the_way_up_is_not_sold_again_on_the_way_down() -> None:
    target = ask(2, "take_profit", "sell", quantity="2", trigger_price="110", reduce_only=True)
    book = Book(terms(), trailing(1, "sell", "95"), target, held=LONG)
    assert told(book.see(candle(1, "100 120 100 101"))) == [
        "2 2 @ 110 taker",
        "1 amended 3",
        "1 amended 114",
        "1 3 @ 114 taker",
    ]


def test_it_pays_the_spread_and_the_slippage_of_any_stop() -> None:
    market = terms(half_spread="0.001", slippage_factor="0.1", slippage_max="0.004")
    book = Book(market, trailing(1, "sell", "95"), held=LONG)
    assert told(book.see(volume(1, "100 120 100 101", "100"))) == ["1 amended 114", "1 5 @ 113.43 taker"]


def test_it_sells_its_share_of_the_volume_and_the_rest_at_the_next_open() -> None:
    book = Book(terms(participation_max="0.1"), trailing(1, "sell", "95"), held=LONG)
    assert told(book.see(volume(1, "100 120 100 101", "30"))) == [
        "1 amended 114",
        "1 triggered",
        "1 3 @ 114 taker of more",
    ]
    assert told(book.see(volume(2, "90", "30"))) == ["1 2 @ 90 taker"]


def test_without_volume_it_is_triggered_and_sells_at_the_next_open() -> None:
    book = Book(terms(participation_max="0.1"), trailing(1, "sell", "95"), held=LONG)
    assert told(book.see(volume(1, "100 120 100 101", "0"))) == ["1 amended 114", "1 triggered"]
    assert told(book.see(volume(2, "130", "100"))) == ["1 5 @ 130 taker"]


LEVERED = LONG._replace(cost=Decimal(500), margin=Decimal(10), liquidation_price=Decimal("98.5"))


def test_the_liquidation_that_the_way_against_the_position_reaches_comes_before_it() -> None:
    book = Book(terms(kind="perpetual"), trailing(1, "sell", "90"), held=LEVERED)
    assert told(book.see(candle(1, "100 120 98 101"))) == ["liquidated 5 @ 98.5", "1 cancelled"]


def test_costs_that_would_take_it_beyond_the_liquidation_price_make_it_a_liquidation() -> None:
    trail = trailing(1, "sell", "95", "0.01")
    book = Book(terms(kind="perpetual", half_spread="0.02"), trail, held=LEVERED)
    assert told(book.see(candle(1, "99 101 98.6 99"))) == ["1 amended 99.99", "liquidated 5 @ 98.5", "1 cancelled"]


@pytest.mark.parametrize("trigger", [None, "90"])
def test_one_that_the_candle_itself_activates_trades_in_it(trigger: str | None) -> None:
    trail = trailing(1, "sell", "1", activation_price="110", trigger_price=trigger)
    assert told(Book(terms(), trail, held=LONG).see(candle(1, "100 109.99 100 101"))) == []
    assert told(Book(terms(), trail, held=LONG).see(candle(1, "100 110 100 101"))) == [
        "1 amended 104.5",
        "1 5 @ 104.5 taker",
    ]


@pytest.mark.parametrize(
    ("side", "prices", "fills"),
    [
        ("sell", "100 120 100 101", ["2 2 @ 118.8 taker", "1 3 @ 114 taker"]),
        ("buy", "100 100 80 99", ["2 2 @ 80.8 taker", "1 3 @ 84 taker"]),
    ],
)
def test_of_two_the_nearer_to_the_best_price_trades_first(side: Side, prices: str, fills: list[str]) -> None:
    far, near = (
        trailing(number, side, "95" if side == "sell" else "105", fraction, quantity=quantity)
        for number, fraction, quantity in ((1, "0.05", "3"), (2, "0.01", "2"))
    )
    book = Book(terms(kind="perpetual"), far, near, held=LONG if side == "sell" else SHORT)
    assert [text for text in told(book.see(candle(1, prices))) if "@" in text] == fills


TRAILING = Bracket(stop_fraction=ZERO, target_fraction=ZERO, trailing_fraction=Decimal("0.05"))


def test_one_that_comes_with_an_entry_at_the_open_trades_in_the_same_candle() -> None:
    book = Book(terms(), ask(1, quantity="5", bracket=TRAILING))
    assert told(book.see(candle(1, "100 120 100 101")))[1:] == [
        "2 trailing_stop 5 @ 95",
        "2 amended 114",
        "2 5 @ 114 taker",
    ]


def test_one_that_comes_with_an_entry_on_the_way_follows_the_close_and_never_trades_in_the_same_candle() -> None:
    """The best price may have come before the entry; a wide tick can put the trigger at the close itself."""
    entry = ask(1, "limit", quantity="5", limit_price="100", bracket=TRAILING)
    assert told(Book(terms(), entry).see(candle(1, "110 130 100 106")))[1:] == [
        "2 trailing_stop 5 @ 95",
        "2 amended 100.7",
    ]
    near = msgspec.structs.replace(TRAILING, trailing_fraction=Decimal("0.005"), trailing_activation=Decimal("0.05"))
    entry = ask(1, "limit", quantity="5", limit_price="100", bracket=near)
    book = Book(terms(tick="1"), entry)
    assert told(book.see(candle(1, "110 130 100 106")))[1:] == ["2 trailing_stop 5", "2 amended 106"]
    assert told(book.see(candle(2, "106 107 105 106"))) == ["2 5 @ 106 taker"]


@st.composite
def moves(draw: st.DrawFn) -> tuple[Side, str, str, list[Decimal]]:
    """A side, the way it trails, a tick, and open, high, low and close, on that tick or off it."""
    low, *inner, high = sorted(draw(st.lists(st.integers(900, 1100), min_size=4, max_size=4)))
    opened, closed = draw(st.permutations(inner))
    fraction = draw(st.sampled_from(["0.001", "0.01", "0.05", "0.3"]))
    tick = draw(st.sampled_from(["0.1", "0.7", "5"]))
    side: Side = draw(st.sampled_from(["sell", "buy"]))
    return side, fraction, tick, [Decimal(value) / 10 for value in (opened, high, low, closed)]


@forall(move=moves())
def test_it_never_trades_better_than_at_its_trigger_nor_outside_the_candle(
    move: tuple[Side, str, str, list[Decimal]],
) -> None:
    """And it is crossed exactly where the close is not on the position's side of what the best price made of it."""
    side, fraction, tick, (opened, high, low, closed) = move
    sells = side == "sell"
    trail = trailing(1, side, "80" if sells else "120", fraction)
    book = Book(terms(kind="perpetual", tick=tick), trail, held=LONG if sells else SHORT)
    facts = book.see(Candle(moment(1), opened, high, low, closed, Decimal(1)))
    amended = [fact.trigger_price for fact in facts if isinstance(fact, OrderAmended)]
    traded = [fact.price for fact in facts if isinstance(fact, OrderFilled)]
    assert len(amended) <= 1
    [trigger] = amended or [Decimal(80 if sells else 120)]
    assert trigger is not None
    assert bool(traded) == (closed <= trigger if sells else closed >= trigger)
    for price in traded:
        assert low <= price <= high
        assert price <= trigger if sells else price >= trigger
        assert price in (trigger, high if sells else low)


def test_through_the_bot_the_trade_is_closed_by_the_trailing_stop_of_the_same_candle() -> None:
    life = Life.of(creation(spot()), at(0, Wish(bracket=TRAILING)))
    life.see(frame(0, BTC="100"))
    life.see(frame(1, BTC="100"))
    facts = life.see(frame(2, BTC="100 120 100 101")).facts
    assert [type(fact) for fact in facts] == [OrderAmended, OrderFilled]
    [fill] = fills(facts)
    assert (fill.price, fill.fee) == (Decimal(114), fill.quantity * 114 * FEES.taker)
    [trade] = life.state.trades
    assert (trade.reason, life.state.ledger.positions) == ("trailing_stop", {})
