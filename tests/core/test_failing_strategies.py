"""Acceptance test 7, of the strategy itself: while it raises, protections fire, and nothing is entered."""

from collections.abc import Callable, Mapping
from decimal import Decimal

import pytest

from events.bot import BotHalted, BotStarted, OrderCancelled, OrderFilled
from events.values import Parameter
from oxbot.core.bot import BotDecider, StartBot
from oxbot.core.market_view import CandleWindow
from oxbot.core.strategy import Signal, Strategies, StrategyState
from tests.core.lives import (
    BRACKET,
    BTC,
    ETH,
    WINDOW,
    Life,
    Plan,
    Telling,
    Wish,
    at,
    candle,
    creation,
    entered,
    fills,
    frame,
    requests,
    spot,
)


class Unspeakable(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")


class Moody:
    """Says what it was told, but raises whatever ``moods`` hold for a candle's number."""

    name, version, window, size_fraction_max = "scripted", 1, WINDOW, Decimal(0)

    def __init__(self, plan: Plan, moods: Mapping[int, Exception]) -> None:
        self.moods = {candle(number, "1").open_time: error for number, error in moods.items()}
        self.asked = 0
        self._telling = Telling(plan)

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        assert not given
        return ()

    def bind(self, parameters: tuple[Parameter, ...]) -> "Moody":
        assert not parameters
        return self

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        self.asked += 1
        last = window.last
        if last is not None and last.open_time in self.moods and window.symbol == BTC:
            raise self.moods[last.open_time]
        return self._telling.observe(window, state)


HOLDS = at(0, Wish(bracket=BRACKET))
DREAM = ValueError("a bad dream\nof a second line")


def moody(plan: Plan, *failing: int, error: Exception = DREAM) -> tuple[Life, Moody]:
    strategy = Moody(plan, dict.fromkeys(failing, error))
    return Life(creation(spot(BTC), spot(ETH)), Strategies(strategy)), strategy


def held(*failing: int) -> tuple[Life, Moody]:
    """A bot that bought at 100 in candle 1 with a stop at 98 and a target at 104, and fails at these candles."""
    life, strategy = moody(HOLDS, *failing)
    life.see_candles([candle(0, "100"), candle(1, "100")])
    assert life.state.ledger.positions
    return life, strategy


def halted(number: int, reason: str = "ValueError: a bad dream") -> BotHalted:
    return BotHalted(rule="strategy_failed", reason=reason, at=candle(number, "1").open_time)


def test_a_strategy_that_raises_halts_its_bot_by_a_fact_that_says_why() -> None:
    life, _ = held(2)
    [step] = life.see_candles([candle(2, "100")])
    assert step.facts == [halted(2)]
    assert (step.after.status, step.after.halted) == ("halted", "strategy_failed: ValueError: a bad dream")
    assert step.after.cursor == candle(2, "1").open_time


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("x"), "KeyError: 'x'"),
        (ZeroDivisionError(), "ZeroDivisionError:"),
        (Unspeakable(), "Unspeakable:"),
        (ValueError("\n  one\ttwo\x00\ud800 \nthree"), "ValueError: one two"),
        (ValueError("x" * 1000), "ValueError: " + "x" * 288),
    ],
    ids=lambda each: type(each).__name__,
)
def test_the_reason_is_the_type_and_the_first_line_such_as_any_log_and_view_can_hold(
    error: Exception, reason: str
) -> None:
    life, _ = moody({}, 0, error=error)
    assert life.see_candles([candle(0, "100")])[0].facts == [halted(0, reason)]


@pytest.mark.parametrize(("prices", "reason"), [("100 101 97 98", "stop_loss"), ("100 105 99 104", "take_profit")])
def test_protections_fire_while_the_strategy_is_down(prices: str, reason: str) -> None:
    life, strategy = held(*range(2, 99))
    life.see_candles([candle(2, "100")])
    asked = strategy.asked
    life.see_candles([candle(3, "100"), candle(4, prices), candle(5, "100")])
    assert [trade.reason for trade in life.state.trades] == [reason]
    assert strategy.asked == asked


def test_the_candle_in_which_it_fails_still_fills_what_was_at_work() -> None:
    life, _ = held(2)
    [step] = life.see_candles([candle(2, "100 101 97 98")])
    assert [type(fact) for fact in step.facts][:1] == [OrderFilled]
    assert [trade.reason for trade in life.state.trades] == ["stop_loss"]
    life, _ = moody({}, 1)
    assert life.see_candles([candle(0, "100"), candle(1, "100")])[1].facts == [halted(1)]


def test_a_time_limit_is_kept_while_the_strategy_is_down() -> None:
    plan = at(0, Wish(bracket=BRACKET.__class__(stop_fraction=Decimal(0), target_fraction=Decimal(0), candles_max=3)))
    life, _ = moody(plan, 2)
    life.see_candles([candle(number, "100") for number in range(5)])
    assert [trade.reason for trade in life.state.trades] == ["time_limit"]


def test_entries_at_work_are_withdrawn_at_once_those_of_the_same_candle_too() -> None:
    plan = {**at(0, Wish(limit=Decimal("0.9"))), **at(2, Wish(), symbol=ETH), **at(3, Wish(), symbol=ETH)}
    life, _ = moody(plan, 2)
    life.see(frame(0, BTC="100", ETH="50"))
    life.see(frame(1, BTC="100", ETH="50"))
    # BTC comes before ETH, so its failure keeps ETH's strategy from being asked.
    facts = life.see(frame(2, BTC="100", ETH="50")).facts
    opened = candle(2, "1").open_time
    [waiting] = requests(life.facts, "entry")
    assert facts == [halted(2), OrderCancelled(order_id=waiting.order_id, at=opened, reason="the bot was halted")]
    assert life.see(frame(3, BTC="100", ETH="50")).facts == []


def test_an_entry_that_another_symbol_asked_for_at_the_same_close_goes_too() -> None:
    ada = spot(type(BTC)("ADA/USDT"))
    strategy = Moody(at(0, Wish(), symbol=ada.symbol), {0: DREAM})
    life = Life(creation(ada, spot(BTC)), Strategies(strategy))
    facts = life.see(frame(0, ADA="1", BTC="100")).facts
    assert [type(fact).__name__ for fact in facts] == ["DecisionMade", "OrderRequested", "BotHalted", "OrderCancelled"]
    assert fills(life.see(frame(1, ADA="1", BTC="100")).facts) == []


def test_started_by_a_person_it_asks_its_strategy_again() -> None:
    life, strategy = held(2)
    life.see_candles([candle(2, "100"), candle(3, "100")])
    assert life.tell(StartBot()) == [BotStarted()]
    asked = strategy.asked
    life.see_candles([candle(4, "100")])
    assert (life.state.status, life.state.halted, strategy.asked) == ("running", "", asked + 1)


def test_one_that_fails_again_is_halted_again() -> None:
    life, _ = held(2, 3)
    life.see_candles([candle(2, "100")])
    life.tell(StartBot())
    assert life.see_candles([candle(3, "100")])[0].facts == [halted(3)]


@pytest.mark.parametrize("error", [MemoryError("full"), KeyboardInterrupt()])
def test_what_is_no_fault_of_the_strategy_halts_nobody(error: BaseException) -> None:
    life, strategy = held()
    strategy.moods = {candle(2, "1").open_time: error}  # type: ignore[dict-item]  # no Exception, on purpose
    with pytest.raises(type(error)):
        life.see_candles([candle(2, "100")])
    assert life.state.status == "running"


def test_a_decider_that_halts_nobody_lets_through_what_the_strategy_raised() -> None:
    life, strategy = held(2)
    life.decider = BotDecider(Strategies(strategy), halts=False)
    with pytest.raises(ValueError, match="a bad dream") as raised:
        life.see_candles([candle(2, "100")])
    assert raised.value is DREAM
    assert raised.traceback[-1].name == "observe"


def test_a_fault_of_ours_halts_nobody() -> None:
    """What the strategy says is looked at outside: here it answers with what is no signal."""
    life = entered()
    broken: Callable[[CandleWindow, StrategyState], object] = lambda window, state: 5  # noqa: ARG005, E731
    strategy = Moody({}, {})
    strategy.observe = broken  # type: ignore[method-assign, assignment]  # what a plug-in could do
    life.decider = BotDecider(Strategies(strategy))
    with pytest.raises(AttributeError):
        life.see_candles([candle(2, "100")])
