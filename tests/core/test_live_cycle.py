"""A live bot at a candle's close: what it asks its venue for, once, and that it decides as it does on paper."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from events.bot import (
    BotFact,
    Intent,
    OrderAccepted,
    OrderAmendRequested,
    OrderCancelled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderInDoubt,
    OrderRejected,
)
from events.identifiers import Symbol
from events.values import Bracket, FeeSchedule
from oxbot.core.bot import PauseBot, SetTradingState, StopBot
from oxbot.core.candles import Frame
from oxbot.core.creation import CreateBot
from oxbot.core.order_states import OrderStatus
from tests.core.life_strategies import brackets, chosen, leavings
from tests.core.live import (
    FOUR_HOURS,
    PaperLike,
    armed,
    asked,
    bought,
    cancels,
    clock,
    fill,
    order_id,
    report,
    said,
    see,
    show,
    submitted,
)
from tests.core.lives import (
    BTC,
    BTC_PERPETUAL,
    LOOSE,
    START,
    Life,
    Plan,
    Wish,
    Wishes,
    at,
    candle,
    creation,
    decisions,
    perpetual,
    requests,
    spot,
)

GONE = "the position is closed"
LIMITED = Wish(limit=Decimal("0.9"))


def ask_to_end(number: int, at_candle: int, reason: str) -> OrderCancelRequested:
    return OrderCancelRequested(
        order_id=order_id(number), at=START + at_candle * FOUR_HOURS, reason=reason, at_close=True
    )


# What no paper venue does for it.


def test_no_candle_trades_an_order_of_a_live_bot() -> None:
    life = armed(plan=at(0, Wish()))
    see(life, 0, "100")
    assert see(life, 1, "100 200 50 100") == []
    assert life.state.orders[order_id(1)].status == "requested"


def test_a_live_bots_stops_and_trails_are_left_to_the_venue() -> None:
    trailing = Bracket(stop_fraction=Decimal(0), target_fraction=Decimal(0), trailing_fraction=Decimal("0.1"))
    life = bought(bracket=trailing)
    assert see(life, 1, "100 150 100 150") == []
    assert see(life, 2, "150 150 10 10") == []
    assert life.state.orders[order_id(2)].trigger_price == 90


@pytest.mark.parametrize(
    ("command", "limited", "reason"),
    [
        (StopBot(), False, "the bot was stopped"),
        (StopBot(), True, "the bot was stopped"),
        (SetTradingState("reducing"), False, "the trading state is reducing"),
        (PauseBot(), True, "the bot was paused"),
    ],
)
def test_an_entry_that_must_be_withdrawn_is_asked_to_be_cancelled_once(
    command: StopBot | SetTradingState | PauseBot, limited: bool, reason: str
) -> None:
    life = armed(plan=at(0, LIMITED if limited else Wish()))
    see(life, 0, "100")
    life.tell(command)
    assert see(life, 1, "100") == [ask_to_end(1, 1, reason)]
    assert see(life, 2, "100") == []


def test_an_entry_with_a_limit_is_asked_to_end_when_its_time_has_run_out() -> None:
    """On paper it could trade in three candles; so it can here."""
    life = armed(plan=at(0, LIMITED))
    see(life, 0, "100")
    facts = [see(life, number, "100") for number in (1, 2, 3, 4)]
    assert facts == [[], [], [ask_to_end(1, 3, "its time ran out")], []]


@pytest.mark.parametrize("status", ["requested", "submitted", "accepted", "in_doubt"])
def test_the_cancel_is_asked_for_whatever_the_venue_knows_of_the_order(status: OrderStatus) -> None:
    life = armed(plan=at(0, LIMITED))
    see(life, 0, "100")
    ways: dict[OrderStatus, list[BotFact]] = {
        "requested": [],
        "submitted": [],
        "accepted": [OrderAccepted(order_id=order_id(1), at=clock(1))],
        "in_doubt": [OrderInDoubt(order_id=order_id(1), at=clock(1), reason="no answer")],
    }
    if status != "requested":
        report(life, submitted(1, "11", when=clock(1)), *ways[status])  # type: ignore[arg-type]  # they are reports
    assert life.state.orders[order_id(1)].status == status
    life.tell(StopBot())
    assert see(life, 1, "100") == [ask_to_end(1, 1, "the bot was stopped")]
    assert see(life, 2, "100") == []


def test_a_cancel_that_the_venue_refused_is_asked_for_again() -> None:
    life = armed(plan=at(0, LIMITED))
    see(life, 0, "100")
    life.tell(StopBot())
    see(life, 1, "100")
    report(life, OrderCancelRejected(order_id=order_id(1), at=clock(2), reason="busy"))
    assert see(life, 2, "100") == [ask_to_end(1, 2, "the bot was stopped")]


def test_exits_left_over_from_a_position_that_is_gone_are_asked_to_end_and_no_entry_is_made_beside_them() -> None:
    wanted = {START + number * FOUR_HOURS: Wish(setup="again") for number in (2, 3)}
    life = bought(plan={(BTC, when): Wishes(wish) for when, wish in wanted.items()})
    report(life, fill(2, "t2", "10", "98", when=clock(1, 60), complete=True))
    report(life, OrderCancelRejected(order_id=order_id(3), at=clock(1, 61), reason="busy"))
    assert see(life, 1, "98") == [ask_to_end(3, 1, GONE)]
    assert see(life, 2, "98") == []
    report(life, OrderCancelled(order_id=order_id(3), at=clock(3), reason="as asked"))
    assert [request.reason for request in requests(see(life, 3, "98"))] == ["entry"]


# Exits.


def test_an_exit_at_the_market_is_not_asked_for_again_while_it_is_under_way() -> None:
    leaving = Wishes(held=Wish("exit"))
    life = bought(plan={(BTC, START + number * FOUR_HOURS): leaving for number in range(1, 6)})
    assert [request.reason for request in requests(see(life, 1, "100"))] == ["exit_signal"]
    assert see(life, 2, "100") == []
    report(life, submitted(4, "10", when=clock(2)))
    assert see(life, 3, "100") == []
    report(life, OrderInDoubt(order_id=order_id(4), at=clock(4), reason="no answer"))
    assert see(life, 4, "100") == []


@pytest.mark.parametrize("end", [OrderRejected, OrderExpired, OrderCancelled])
def test_an_exit_that_the_venue_ended_is_asked_for_again_at_every_candle_until_it_trades(
    end: type[OrderRejected | OrderExpired | OrderCancelled],
) -> None:
    """The strategy wanted it at one candle only."""
    life = bought(plan=at(1, held=Wish("exit", setup="left")))
    first = requests(see(life, 1, "100"))[0]
    for number in range(2, 6):
        report(life, end(order_id=order_id(number + 2), at=clock(number), reason="no"))
        asked_for = see(life, number, "100")
        again = replace(first, order_id=order_id(number + 3), at=START + number * FOUR_HOURS)
        assert asked_for == [again]
    report(life, fill(8, "t8", "10", "100", when=clock(6), complete=True))
    assert life.state.owed == {}
    assert BTC not in life.state.ledger.positions


def test_only_what_is_left_of_an_exit_is_asked_for_again() -> None:
    life = bought(plan=at(1, held=Wish("reduce", reduce_fraction=Decimal("0.5"))))
    assert requests(see(life, 1, "100"))[0].quantity == 5
    report(
        life,
        fill(4, "t4", "2", "100", when=clock(2)),
        OrderCancelled(order_id=order_id(4), at=clock(2), reason="no volume"),
    )
    assert [said(request.reason, request.quantity) for request in requests(see(life, 2, "100"))] == [("exit_signal", 3)]


def test_a_halted_bot_asks_again_for_a_stop_and_for_a_signals_exit_when_it_may() -> None:
    life = bought(plan=at(1, held=Wish("exit")))
    see(life, 1, "100")
    life.tell(SetTradingState("halted"))
    report(life, *(OrderRejected(order_id=order_id(number), at=clock(2), reason="no") for number in (2, 4)))
    assert [request.reason for request in requests(see(life, 2, "100"))] == ["stop_loss"]
    life.tell(SetTradingState("reducing"))
    assert [request.reason for request in requests(see(life, 3, "100"))] == ["exit_signal"]


@pytest.mark.parametrize(("close", "kind", "trigger"), [("99", "stop", 98), ("98", "market", None)])
def test_a_stop_that_the_venue_refused_is_asked_for_again_or_goes_at_the_market_once_it_is_reached(
    close: str, kind: str, trigger: int | None
) -> None:
    life = bought()
    report(life, OrderRejected(order_id=order_id(2), at=clock(1, 5), reason="no"))
    request = requests(see(life, 1, f"100 100 {close} {close}"))[0]
    assert said(request.kind, request.trigger_price, request.quantity) == (kind, trigger, 10)
    assert (request.reason, request.parent_id, request.reduce_only) == ("stop_loss", order_id(1), True)
    assert see(life, 2, close) == []


def test_an_exit_that_somebody_asked_to_end_is_not_asked_for_again() -> None:
    life = bought()
    report(life, OrderCancelRequested(order_id=order_id(3), at=clock(1, 1), reason="by hand"))
    report(life, OrderCancelled(order_id=order_id(3), at=clock(1, 2), reason="as asked"))
    assert see(life, 1, "100") == []


# Time: the venue's clock is not the candles'.


def test_the_cursor_follows_the_bots_own_cycles_and_no_report_of_its_venue() -> None:
    life = armed(plan=at(0, Wish(bracket=BRACKET_OF_THREE)))
    see(life, 0, "100")
    assert life.state.cursor == START
    report(life, submitted(1, "10", when=clock(9)), fill(1, "t1", "4", "100", when=clock(9)))
    report(life, fill(1, "t2", "6", "100", when=clock(9, 1)), OrderAccepted(order_id=order_id(2), at=clock(9, 2)))
    report(life, fill(2, "t3", "10", "98", when=clock(9, 3)))
    assert life.state.cursor == START
    assert see(life, 1, "100") == []
    life.tell(StopBot())
    assert life.state.cursor == START


BRACKET_OF_THREE = Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal("0.04"), candles_max=3)


@pytest.mark.parametrize("seconds", [-0.2, 0.0, 0.3, 60.0])
def test_a_position_is_as_old_as_on_paper_whatever_the_venues_clock_says(seconds: float) -> None:
    """An order of a candle's close trades in the next candle at the soonest."""
    life = armed(plan=at(0, Wish(bracket=BRACKET_OF_THREE)))
    see(life, 0, "100")
    report(life, submitted(1, "10", when=clock(1, seconds)), fill(1, "t1", "10", "100", when=clock(1, seconds)))
    assert life.state.trips[BTC].opened_at == START + FOUR_HOURS
    assert life.state.ledger.positions[BTC].opened_at == clock(1, seconds)
    reasons = [[request.reason for request in requests(see(life, number, "100"))] for number in (1, 2, 3)]
    assert reasons == [[], [], ["time_limit"]]


def test_a_symbol_rests_as_long_as_on_paper_after_a_trade() -> None:
    limits = replace(LOOSE, cooldown_candles=2)
    wishes = {(BTC, START + number * FOUR_HOURS): Wishes(Wish(), Wish("exit")) for number in range(1, 9)}
    life = bought(plan=wishes, command=creation(limits=limits))
    see(life, 1, "100")
    report(life, fill(4, "t4", "10", "100", when=clock(2, -0.1), complete=True))
    for number in (2, 3):
        report(life, OrderCancelled(order_id=order_id(number), at=clock(2), reason="as asked"))
    kinds = [[type(fact).__name__ for fact in see(life, number, "100")] for number in (2, 3, 4)]
    assert kinds == [[], ["DecisionMade", "OrderDenied"], ["DecisionMade", "OrderRequested"]]


def test_what_was_closed_within_the_candle_is_not_entered_again_at_its_close() -> None:
    life = bought(plan=at(1, Wish()))
    report(life, fill(2, "t2", "10", "98", when=clock(1, 3600), complete=True))
    report(life, OrderCancelled(order_id=order_id(3), at=clock(1, 3601), reason="as asked"))
    assert see(life, 1, "98") == []


# Against the paper bot.

FREE = FeeSchedule(maker=Decimal("0.0002"), taker=Decimal("0.0005"))
CANDLES = st.tuples(*[st.integers(-60, 60)] * 4)


@st.composite
def plans(draw: st.DrawFn, symbol: Symbol) -> Plan:
    sides: Sequence[Intent] = ["enter_long"] if symbol == BTC else ["enter_long", "enter_short"]
    found: dict[tuple[Symbol, datetime], Wishes] = {}
    for number in draw(st.lists(st.integers(0, 24), min_size=3, max_size=20, unique=True)):
        entry = Wish(
            intent=draw(st.sampled_from(sides)),
            size_fraction=draw(chosen("0.1", "0.5")),
            bracket=draw(st.none() | brackets().map(_held_by_spot if symbol == BTC else _as_it_is)),
            setup=draw(st.sampled_from(["wish", ""])),
        )
        found[symbol, START + number * FOUR_HOURS] = Wishes(entry, draw(st.none() | leavings()))
    return found


def _as_it_is(bracket: Bracket) -> Bracket:
    return bracket


def _held_by_spot(bracket: Bracket) -> Bracket:
    """A spot venue holds one stop with one target; what it cannot hold is asked of it otherwise than on paper."""
    trailing = bracket.trailing_fraction is not None
    return replace(bracket, scale_out=(), target_fraction=Decimal(0) if trailing else bracket.target_fraction)


@st.composite
def markets(draw: st.DrawFn) -> list[str]:
    """25 candles that follow each other, of whole prices near 1,000."""
    found, close = [], 1000
    for body, up, down, jump in draw(st.lists(CANDLES, min_size=25, max_size=25)):
        opened = close + (jump if jump % 7 == 0 else 0)
        close = max(100, opened + body)
        found.append(f"{opened} {max(opened, close) + abs(up)} {min(opened, close) - abs(down) // 2} {close}")
    return found


@pytest.mark.parametrize("symbol", [BTC, BTC_PERPETUAL])
def test_a_live_bot_whose_venue_trades_as_paper_does_decides_and_asks_as_a_paper_bot_does(symbol: Symbol) -> None:
    command = creation(spot(), fees=FREE) if symbol == BTC else creation(perpetual(), fees=FREE, leverage="2")
    seen = {"decisions": 0, "fills": 0}

    @given(plan=plans(symbol), prices=markets())
    @settings(max_examples=60, deadline=None, phases=[Phase.generate])
    def check(plan: Plan, prices: Sequence[str]) -> None:
        paper, alive = Life.of(command, plan), armed(command, plan)
        venue = PaperLike(alive)
        for number, text in enumerate(prices):
            each = candle(number, text)
            frame = Frame(each.open_time, ((symbol, each),))
            paper.see(frame)
            show(alive, venue, frame)
        assert decisions(alive.facts) == decisions(paper.facts)
        assert asked(alive.facts) == requests(paper.facts)
        assert (alive.state.ledger.cash, alive.state.ledger.fees) == (paper.state.ledger.cash, paper.state.ledger.fees)
        assert [trade.net for trade in alive.state.trades] == [trade.net for trade in paper.state.trades]
        assert [trade.closed_at for trade in alive.state.trades] == [trade.closed_at for trade in paper.state.trades]
        seen["decisions"] += len(decisions(alive.facts))
        seen["fills"] += sum(isinstance(fact, OrderFilled) for fact in alive.facts)

    check()
    assert min(seen.values()) > 100


def test_a_live_bot_of_a_symbol_in_two_lives_leaves_the_other_alone() -> None:
    """What is said of one symbol's order asks nothing of another's."""
    eth = Symbol("ETH/USDT")
    command: CreateBot = creation(spot(), spot(eth))
    life = armed(command, {**at(0, Wish(bracket=BRACKET_OF_THREE)), **at(0, Wish(), symbol=eth)})
    frames = ((BTC, candle(0, "100")), (eth, candle(0, "50")))
    life.see(Frame(START, frames))
    report(life, submitted(1, "10", when=clock(1)), fill(1, "t1", "10", "100", when=clock(1)))
    report(life, fill(3, "t2", "10", "98", when=clock(1, 9)))
    assert [fact.order_id for fact in cancels(life.facts)] == [order_id(4)]
    assert life.state.orders[order_id(2)].symbol == eth
    assert not [fact for fact in life.facts if isinstance(fact, OrderAmendRequested)]
