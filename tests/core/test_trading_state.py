"""What a trip, a halt, a stop and a pause leave of each other and of the entries that wait."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from msgspec.structs import replace

from events.bot import (
    BotFact,
    BotPaused,
    BotStarted,
    BotStopped,
    OrderCancelled,
    TradingState,
    TradingStateSet,
    TradingStateTripped,
)
from oxbot.core.bot import BotCommand, PauseBot, SetTradingState, StartBot, StopBot
from oxbot.core.state import fold
from tests.core import scenario
from tests.core.lives import BRACKET, LOOSE, Life, Wish, at, candle, creation, denials, entered, fills, requests

STRICTNESS: Sequence[TradingState] = ("active", "reducing", "halted")
FALLEN = replace(LOOSE, drawdown_max=Decimal("0.05"))


def opens(number: int) -> datetime:
    return candle(number, "1").open_time


def tripped_after(command: BotCommand) -> Life:
    """A bot that holds, is told that, and falls through its drawdown limit in candle 2."""
    life = Life.of(creation(limits=FALLEN), at(0, Wish(size_fraction=Decimal("0.9"))))
    life.see_candles([candle(0, "100"), candle(1, "100")])
    life.tell(command)
    [step] = life.see_candles([candle(2, "100 100 80 80")])
    assert [type(fact) for fact in step.facts] == [TradingStateTripped]
    return life


def test_a_halt_that_counts_from_a_later_candle_outlives_a_trip_before_it() -> None:
    life = tripped_after(SetTradingState("halted", "news", scope="fleet", effective_at=opens(4)))
    assert life.state.trading == "halted"
    assert [life.state.standing_at(opens(number)).trading for number in (3, 4, 9)] == ["reducing", "halted", "halted"]


def test_a_stop_that_counts_from_a_later_candle_is_neither_hastened_nor_lost_by_a_trip() -> None:
    life = tripped_after(StopBot(effective_at=opens(4)))
    before, then = life.see_candles([candle(3, "80"), candle(4, "80")])
    assert before.facts == []
    assert [order.reason for order in requests(then.facts)] == ["bot_stopped"]


@pytest.mark.parametrize(("pause_at", "status"), [(3, "paused"), (4, "running")])
def test_a_pause_dated_ahead_keeps_its_candle_through_a_trip(pause_at: int, status: str) -> None:
    life = tripped_after(PauseBot(effective_at=opens(pause_at)))
    assert life.state.standing_at(opens(3)).status == status
    assert life.state.standing_at(opens(4)).status == "paused"


WORDS = st.lists(
    st.builds(
        lambda word, number: replace(word, effective_at=None if number is None else scenario.moment(number)),
        st.sampled_from(
            [BotStarted(), BotPaused(), BotStopped(), *(TradingStateSet(state=state) for state in STRICTNESS)]
        ),
        st.none() | st.integers(1, 9),
    ),
    max_size=8,
)


@forall(words=WORDS, tripped=st.sampled_from(STRICTNESS))
def test_a_trip_lets_no_candle_do_more_than_before_and_leaves_every_status(
    words: list[BotFact], tripped: TradingState
) -> None:
    before = fold([*scenario.running(), *words])
    trip = TradingStateTripped(
        at=scenario.moment(0), state=tripped, rule="drawdown_max", limit=Decimal(1), value=Decimal(2)
    )
    after = fold([trip], before)
    assert after.status == before.status
    assert after.trading == stricter(before.trading, tripped)
    for number in range(1, 11):
        was, now = before.standing_at(scenario.moment(number)), after.standing_at(scenario.moment(number))
        assert (now.status, now.trading) == (was.status, stricter(was.trading, tripped))


def stricter(one: TradingState, other: TradingState) -> TradingState:
    return STRICTNESS[max(STRICTNESS.index(one), STRICTNESS.index(other))]


# What each state lets through, at the close of a candle and within it.


@pytest.mark.parametrize(("state", "leaves"), [("active", True), ("reducing", True), ("halted", False)])
def test_a_strategy_leaves_in_every_state_but_a_halt(state: TradingState, *, leaves: bool) -> None:
    """In a halt its exit waits, without a word in the log; let on, it leaves at the next close at which it wants to."""
    life = entered({**at(2, held=Wish("exit")), **at(4, held=Wish("exit"))})
    life.tell(SetTradingState(state, "news"))
    facts = [fact for step in life.see_candles([candle(2, "100"), candle(3, "100")]) for fact in step.facts]
    assert [order.reason for order in requests(facts)] == (["exit_signal"] if leaves else [])
    assert bool(fills(facts)) is leaves
    assert bool(facts) is leaves
    life.tell(SetTradingState("active", "over"))
    life.see_candles([candle(4, "100"), candle(5, "100")])
    assert [trade.reason for trade in life.state.trades] == ["exit_signal"]


@pytest.mark.parametrize("state", ["reducing", "halted"])
@pytest.mark.parametrize(("prices", "reason"), [("100 101 97 98", "stop_loss"), ("100 105 99 104", "take_profit")])
def test_stop_and_target_trade_in_every_state(state: TradingState, prices: str, reason: str) -> None:
    life = entered()
    life.tell(SetTradingState(state, "news"))
    life.see_candles([candle(2, prices)])
    assert [trade.reason for trade in life.state.trades] == [reason]


@pytest.mark.parametrize("state", ["reducing", "halted"])
def test_nothing_is_entered_unless_the_state_is_active(state: TradingState) -> None:
    life = Life.of(creation(), at(0, Wish()))
    life.tell(SetTradingState(state, "news"))
    [step] = life.see_candles([candle(0, "100")])
    assert requests(step.facts) == []
    assert [denial.rule for denial in denials(step.facts)] == ["trading_state"]


@pytest.mark.parametrize("state", ["reducing", "halted"])
def test_an_entry_that_waits_is_taken_back_once_the_state_is_not_active(state: TradingState) -> None:
    life = Life.of(creation(), at(0, Wish(limit=Decimal("0.98"))))
    life.see_candles([candle(0, "100")])
    life.tell(SetTradingState(state, "news"))
    [step] = life.see_candles([candle(1, "100 100 97 98")])
    assert [type(fact) for fact in step.facts] == [OrderCancelled]


# What a pause takes back.


def test_a_pause_takes_back_an_entry_that_waits_at_a_limit() -> None:
    life = Life.of(creation(), at(0, Wish(limit=Decimal("0.98"), bracket=BRACKET)))
    life.see_candles([candle(0, "100")])
    [entry] = requests(life.facts, "entry")
    life.tell(PauseBot())

    first, second = life.see_candles([candle(1, "100"), candle(2, "100 100 97 98")])

    assert first.facts == [OrderCancelled(order_id=entry.order_id, at=opens(1), reason="the bot was paused")]
    assert second.facts == []
    life.tell(StartBot())
    assert life.see_candles([candle(3, "98 98 90 90")])[0].facts == []


def test_a_pause_takes_back_no_limit_before_the_candle_it_counts_from() -> None:
    life = Life.of(creation(), at(0, Wish(limit=Decimal("0.98"), bracket=BRACKET)))
    life.see_candles([candle(0, "100")])
    life.tell(PauseBot(effective_at=opens(2)))
    assert len(fills(life.see_candles([candle(1, "100 100 97.9 98")])[0].facts)) == 1


def test_a_pause_leaves_an_entry_at_the_market_alone() -> None:
    life = Life.of(creation(), at(0, Wish(bracket=BRACKET)))
    life.see_candles([candle(0, "100")])
    life.tell(PauseBot())
    [step] = life.see_candles([candle(1, "100")])
    assert len(fills(step.facts)) == 1
    assert {order.reason for order in life.state.orders.values()} == {"stop_loss", "take_profit"}
