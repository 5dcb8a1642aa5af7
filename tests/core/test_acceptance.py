"""Acceptance tests of a life, by what once went wrong elsewhere: dead feeds, wicks and gaps, several exits at once."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations

import pytest

from events.bot import OrderFilled
from events.values import FeeSchedule, PaperModel
from oxbot.core.bot import BotCommand, CommandRefused, DepositCapital, PauseBot, StopBot, WithdrawCapital
from oxbot.core.candles import Frame
from oxbot.core.creation import CreateBot
from tests.core.lives import (
    BRACKET,
    BTC,
    ETH,
    FEES,
    Life,
    Plan,
    Wish,
    at,
    candle,
    creation,
    denials,
    entered,
    fills,
    frame,
    requests,
    spot,
)

FREE = FeeSchedule(maker=Decimal(0), taker=Decimal(0))


# 3 and 4: whoever wants out, and whatever comes in between, a position is closed once.


EVERYONE: Sequence[BotCommand] = (StopBot(), PauseBot(), DepositCapital(Decimal(500)), WithdrawCapital(Decimal(300)))


@pytest.mark.parametrize("said", list(permutations(EVERYONE)))
def test_acceptance_03_stop_loss_exit_signal_stop_command_and_the_same_frame_twice_close_once(
    said: Sequence[BotCommand],
) -> None:
    life = entered(at(2, held=Wish("exit")))
    before = life.state.ledger.cash
    life.ask(said[0])
    life.ask(said[1])
    life.see(frame(2, BTC="100"))
    for command in said[2:]:
        life.ask(command)
    crash = frame(3, BTC="97 97 90 91")
    facts = [*life.see(crash).facts, *life.see(crash).facts, *life.see(frame(4, BTC="91")).facts]

    [fill] = fills(facts)
    [trade] = life.state.trades
    assert (fill.price, fill.complete, fill.quantity) == (Decimal(97), True, Decimal(10))
    assert (life.state.ledger.positions, life.state.orders) == ({}, {})
    assert life.state.ledger.cash == before + Decimal(200) + Decimal(970) - fill.fee
    assert life.state.ledger.cash == Decimal(10000) + trade.net + Decimal(200)


EVER_ANEW = {key: wish for number in range(2, 6) for key, wish in at(number, held=Wish("exit")).items()}


def without_volume(number: int, prices: str) -> Frame:
    """A candle in which nothing can trade."""
    shown = candle(number, prices, volume="0")
    return Frame(shown.open_time, ((BTC, shown),))


@pytest.mark.parametrize("word", [None, StopBot(), PauseBot()])
@pytest.mark.parametrize(("close", "price"), [("100", "99"), ("90", "91")], ids=["above the stop", "below it"])
def test_acceptance_03_an_exit_that_waits_is_asked_for_once_whoever_wants_it_again(
    word: BotCommand | None, close: str, price: str
) -> None:
    """The strategy wants out at every close, a person stops the bot, the stop is reached: nothing trades till later."""
    life = entered(EVER_ANEW, command=creation(paper=PaperModel(participation_max=Decimal("0.5"))))
    facts = list(life.see(without_volume(2, "100")).facts)
    assert [request.reason for request in requests(facts)] == ["exit_signal"]
    if word is not None:
        life.tell(word)
    for number in (3, 4):
        shown = without_volume(number, f"100 100 {close} {close}")
        facts += [*life.see(shown).facts, *life.see(shown).facts]
    facts += life.see(frame(5, BTC=price)).facts

    assert [request.reason for request in requests(facts)] == ["exit_signal"]
    [fill] = fills(facts)
    assert (fill.price, fill.quantity, fill.complete) == (Decimal(price), Decimal(10), True)
    assert len(life.state.trades) == 1
    assert (life.state.ledger.positions, life.state.orders) == ({}, {})


def test_acceptance_03_a_frame_that_comes_twice_changes_nothing() -> None:
    life = entered(at(2, held=Wish("exit")))
    again = frame(2, BTC="100")
    assert len(requests(life.see(again).facts)) == 1
    assert life.see(again).facts == []


# 8: one symbol's feed is dead.


def two_held() -> Life:
    both = {**at(0, Wish(bracket=BRACKET)), **at(0, Wish(bracket=BRACKET), symbol=ETH)}
    both |= {**at(3, Wish(bracket=BRACKET)), **at(4, Wish(bracket=BRACKET), symbol=ETH)}
    life = Life.of(creation(spot(BTC), spot(ETH)), both)
    life.see(frame(0, BTC="100", ETH="50"))
    life.see(frame(1, BTC="100", ETH="50"))
    assert set(life.state.ledger.positions) == {BTC, ETH}
    return life


def test_acceptance_08_without_one_symbol_s_candle_the_others_exits_run_and_its_own_orders_stand() -> None:
    life = two_held()
    waiting = life.state.working(ETH)

    facts = life.see(frame(2, BTC="99 99 97 98")).facts

    assert [fill.price for fill in fills(facts)] == [Decimal(98)]
    assert BTC not in life.state.ledger.positions
    assert life.state.working(ETH) == waiting
    assert len(waiting) == 2
    assert ETH in life.state.ledger.positions


def test_acceptance_08_after_a_hole_the_symbol_s_stop_trades_at_the_price_that_is_there() -> None:
    life = two_held()
    life.see(frame(2, BTC="100"))
    life.see(frame(3, BTC="100"))

    facts = life.see(frame(4, BTC="100", ETH="40 41 39 40")).facts

    assert [fill.price for fill in fills(facts)] == [Decimal(40)]
    assert ETH not in life.state.ledger.positions


def test_acceptance_08_after_a_hole_nothing_is_entered_and_the_reason_is_on_record() -> None:
    life = Life.of(creation(spot(ETH)), {**at(3, Wish(), symbol=ETH), **at(4, Wish(), symbol=ETH)})
    life.see_candles([candle(0, "50"), candle(1, "50")], ETH)
    after = life.see_candles([candle(3, "50"), candle(4, "50")], ETH)
    assert [denial.rule for denial in denials(after[0].facts)] == ["data_quality"]
    assert len(requests(after[1].facts, "entry")) == 1


# 9: what happens within a candle.


def exit_of(prices: str, *, paper: PaperModel | None = None) -> tuple[OrderFilled, Life]:
    """How the position that was bought at 100 is left in a candle, with a stop at 98 and a target at 104."""
    life = entered(command=creation(paper=paper or PaperModel()))
    [fill] = fills(life.see(frame(2, BTC=prices)).facts)
    assert BTC not in life.state.ledger.positions
    assert life.state.orders == {}
    return fill, life


@pytest.mark.parametrize(
    ("prices", "price"),
    [
        ("100 100.5 97 100", "98"),
        ("100 105 97 104.5", "98"),
        ("97 105 96 104.5", "97"),
        ("100 104 99 100", "104"),
        ("106 109 105 108", "106"),
        ("106 109 90 108", "98"),
    ],
    ids=[
        "a wick through the stop",
        "both touched",
        "a gap through the stop and then the target",
        "the target to the tick",
        "a gap through the target earns the open, not the high",
        "a gap through the target and the stop touched, too",
    ],
)
def test_acceptance_09_an_exit_trades_where_the_candle_s_path_first_reaches_it(prices: str, price: str) -> None:
    fill, _ = exit_of(prices)
    assert fill.price == Decimal(price)


def test_acceptance_09_a_stop_touched_by_a_wick_pays_the_spread_and_the_slippage() -> None:
    costs = PaperModel(half_spread=Decimal("0.001"), slippage_factor=Decimal(1), slippage_max=Decimal("0.004"))
    life = entered(command=creation(paper=costs))
    [stop] = requests(life.facts, "stop_loss")
    assert stop.trigger_price is not None

    [fill] = fills(life.see(Frame(candle(2, "1").open_time, ((BTC, candle(2, "101 101 98 101", volume="1")),))).facts)

    assert stop.trigger_price > fill.price >= stop.trigger_price * (1 - Decimal("0.005")) - Decimal("0.01")
    assert fill.price == Decimal("98.49") * (1 - Decimal("0.005")) // Decimal("0.01") * Decimal("0.01")


# 16: what came, what went and what was earned is what there is.


def results(life: Life) -> Decimal:
    return sum((trade.net for trade in life.state.trades), Decimal(0))


@pytest.mark.parametrize("command", [
    creation(fees=FeeSchedule(maker=Decimal("0.0007"), taker=Decimal("0.0013"), buys_pay_in="base")),
    creation(spot(tick="0.01", lot="0.003"), paper=PaperModel(participation_max=Decimal("0.02"))),
], ids=["fees in base", "in parts"])  # fmt: skip
def test_acceptance_16_when_flat_the_trades_results_and_what_came_and_went_are_the_cash(command: CreateBot) -> None:
    plan: Plan = {}
    for number in range(0, 40, 5):
        plan = {
            **plan,
            **at(number, Wish(size_fraction=Decimal("0.3"))),
            **at(number + 2, held=Wish("reduce", reduce_fraction=Decimal("0.37"))),
            **at(number + 3, held=Wish("exit")),
        }
    life = Life.of(command, plan)
    for number in range(41):
        life.see(frame(number, BTC=f"{100 + number % 7}.{number % 9 + 1}1"))
        life.ask(DepositCapital(Decimal("0.07")) if number % 2 else WithdrawCapital(Decimal("0.031")))
    state = life.state
    assert state.ledger.positions == {}
    assert len(state.trades) >= 5
    assert results(life) + state.ledger.deposits - state.ledger.withdrawals == state.ledger.cash


def test_acceptance_04_a_deposit_and_a_withdrawal_while_the_exit_is_at_work_both_count() -> None:
    life = entered(at(2, held=Wish("exit")))
    life.see(frame(2, BTC="100"))
    life.tell(DepositCapital(Decimal(1000)))
    life.tell(WithdrawCapital(Decimal(400)))
    life.see(frame(3, BTC="100"))
    assert life.state.ledger.cash == Decimal(10000) + Decimal(600) - 2 * Decimal(1000) * FEES.taker


def test_acceptance_02_more_than_is_free_cannot_be_withdrawn_while_an_entry_is_at_work() -> None:
    life = Life.of(creation(), at(0, Wish(size_fraction=Decimal("0.9"))))
    life.see(frame(0, BTC="100"))
    with pytest.raises(CommandRefused, match=r"bot-1 has 995\.5 free"):
        life.tell(WithdrawCapital(Decimal("995.51")))
