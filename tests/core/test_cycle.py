"""One candle in the life of a bot: what fills, what is decided at its close, and what is not."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from events.bot import (
    BotFact,
    BotHalted,
    BotPaused,
    BotStarted,
    BotStopped,
    DecisionMade,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRequested,
)
from oxbot.core.candles import Candle, Frame, window_digest
from tests.core.scenario import (
    BRACKET,
    BTC,
    DECIDER,
    ETH,
    FEES,
    SMALL,
    Given,
    bought,
    candle,
    created,
    filled,
    flat_candles,
    given,
    instrument,
    moment,
    observe,
    order_id,
    protective,
    running,
)

RISING: Sequence[Candle] = flat_candles(["102", "101", "100", "101.5"])
"""The averages cross upwards at candle 3; under ``QUIET`` they stay apart at candle 4."""

QUIET = candle(4, "100 102 99 101.8")
ENTERING: list[BotFact] = [*running(), *given(running()).when(observe(RISING)).facts]
HOLDING: list[BotFact] = [*ENTERING, *given(ENTERING).when(observe([*RISING, QUIET])).facts]
"""5 BTC bought at 100 at the open of candle 4, a stop at 98 and a target at 104 at work."""

ENTRY = filled(1, at=4, quantity="5", price="100", fee="0.5")
STOP = protective(2, "stop", "stop_loss", at=4, quantity="5", trigger="98", parent=1)
TARGET = protective(3, "take_profit", "take_profit", at=4, quantity="5", trigger="104", parent=1)
FALLING = candle(5, "101.8 101.8 98.5 98.5")
LEAVING: list[BotFact] = [*HOLDING, *given(HOLDING).when(observe([*RISING, QUIET, FALLING])).facts]
"""The averages crossed downwards at candle 5 and the sale is at work."""


def shown(facts: Sequence[BotFact], *candles: Candle) -> list[BotFact]:
    """What a bot answers to the last candle after ``RISING`` and the others."""
    return given(facts).when(observe([*RISING, *candles])).facts


def cancelled(number: int, *, at: int, reason: str = "the position is closed") -> OrderCancelled:
    return OrderCancelled(order_id=order_id(number), at=moment(at), reason=reason)


def sale(number: int, *, at: int) -> OrderRequested:
    """What a stopped bot asks for."""
    return OrderRequested(
        order_id=order_id(number),
        at=moment(at),
        symbol=BTC,
        side="sell",
        kind="market",
        reason="bot_stopped",
        quantity=Decimal(5),
        reduce_only=True,
    )


def test_a_decision_says_what_it_saw_and_asks_for_an_order() -> None:
    decision, order = given(running()).when(observe(RISING)).facts
    assert isinstance(decision, DecisionMade)
    assert (decision.decision_id, decision.at, decision.intent) == ("bot-1-d1", moment(3), "enter_long")
    assert (decision.venue, decision.symbol, decision.timeframe) == ("test", BTC, "5m")
    assert (decision.window, decision.window_digest) == (4, window_digest(RISING))
    assert (decision.strategy, decision.strategy_version) == ("ema_cross", 1)
    assert decision.parameters == created().strategy.parameters
    assert len(decision.measurements) == 4
    assert (decision.mark, decision.equity) == (Decimal("101.5"), Decimal(10_000))
    assert order == OrderRequested(
        order_id=order_id(1),
        at=moment(3),
        symbol=BTC,
        side="buy",
        kind="market",
        reason="entry",
        notional=Decimal(500),
        bracket=BRACKET,
        decision_id=decision.decision_id,
    )


def test_the_digest_covers_the_window_and_no_older_candle() -> None:
    candles = [candle(number, price) for number, price in enumerate(["7", "102", "101", "100", "101.5"])]
    decision = given(running()).when(observe(candles)).facts[0]
    assert isinstance(decision, DecisionMade)
    assert decision.window_digest == window_digest(candles[1:])


def test_an_entry_fills_at_the_next_open_and_places_its_bracket() -> None:
    assert shown(ENTERING, QUIET) == [ENTRY, STOP, TARGET]


@pytest.mark.parametrize(
    ("prices", "facts"),
    [
        pytest.param(
            "100 101 98 101.8",
            [filled(2, at=4, quantity="5", price="98", fee="0.49"), cancelled(3, at=4)],
            id="stop",
        ),
        pytest.param(
            "100 104 99 101.8",
            [filled(3, at=4, quantity="5", price="104", fee="0.52"), cancelled(2, at=4)],
            id="target",
        ),
        pytest.param(
            "100 110 90 101.8",
            [filled(2, at=4, quantity="5", price="98", fee="0.49"), cancelled(3, at=4)],
            id="both",
        ),
    ],
)
def test_the_bracket_is_live_in_the_candle_of_the_entry(prices: str, facts: list[BotFact]) -> None:
    assert shown(ENTERING, candle(4, prices)) == [ENTRY, STOP, TARGET, *facts]


@pytest.mark.parametrize(
    ("prices", "number", "price", "fee"),
    [
        pytest.param("101 102 98 101.8", 2, "98", "0.49", id="stop"),
        pytest.param("97 102 96 101.8", 2, "97", "0.485", id="gap through the stop"),
        pytest.param("101 104 99 101.8", 3, "104", "0.52", id="target"),
        pytest.param("106 107 99 101.8", 3, "106", "0.53", id="gap through the target"),
        pytest.param("101 104 98 101.8", 2, "98", "0.49", id="both"),
        pytest.param("106 107 98 101.8", 2, "98", "0.49", id="gap through the target, then the stop"),
    ],
)
def test_the_bracket_closes_the_position(prices: str, number: int, price: str, fee: str) -> None:
    assert shown(HOLDING, QUIET, candle(5, prices)) == [
        filled(number, at=5, quantity="5", price=price, fee=fee),
        cancelled(5 - number, at=5),
    ]


def test_an_order_to_buy_more_outlives_the_position() -> None:
    waiting = OrderRequested(
        order_id=order_id(4), at=moment(4), symbol=BTC, side="buy", kind="limit", reason="entry", notional=Decimal(1)
    )
    facts = shown([*HOLDING, waiting], QUIET, candle(5, "101 102 98 101.8"))
    assert facts == [filled(2, at=5, quantity="5", price="98", fee="0.49"), cancelled(3, at=5)]


def test_a_candle_within_the_bracket_changes_nothing() -> None:
    assert shown(HOLDING, QUIET, candle(5, "101.8 103.99 98.01 102")) == []


def test_a_cross_downwards_asks_to_sell_what_is_held() -> None:
    decision, order = shown(HOLDING, QUIET, FALLING)
    assert isinstance(decision, DecisionMade)
    assert (decision.intent, decision.mark, decision.equity) == ("exit", Decimal("98.5"), Decimal("9992"))
    assert order == OrderRequested(
        order_id=order_id(4),
        at=moment(5),
        symbol=BTC,
        side="sell",
        kind="market",
        reason="exit_signal",
        quantity=Decimal(5),
        reduce_only=True,
        decision_id=decision.decision_id,
    )


@pytest.mark.parametrize("prices", ["99 110 90 98.5", "90 91 89 90", "110 111 109 110"])
def test_an_exit_at_the_open_comes_before_the_bracket_of_that_candle(prices: str) -> None:
    opened = prices.split(maxsplit=1)[0]
    fee = str(5 * Decimal(opened) * FEES.taker)
    facts = shown(LEAVING, QUIET, FALLING, candle(6, prices))
    assert facts == [filled(4, at=6, quantity="5", price=opened, fee=fee), cancelled(2, at=6), cancelled(3, at=6)]


def test_no_entry_is_decided_in_the_candle_in_which_the_position_closed() -> None:
    """The same candles make a bot enter that was flat, and this one enter at the next cross."""
    candles = [QUIET, FALLING, candle(6, "99 120 99 120")]
    facts = shown(LEAVING, *candles)
    assert not any(isinstance(fact, DecisionMade) for fact in facts)
    assert [type(fact) for fact in shown(running(), *candles)] == [DecisionMade, OrderRequested]
    after = [*LEAVING, *facts]
    again = [*candles, candle(7, "80"), candle(8, "79"), candle(9, "78"), candle(10, "99")]
    assert [type(fact) for fact in shown(after, *again)] == [DecisionMade, OrderRequested]


def test_a_round_trip_leaves_its_result_in_cash() -> None:
    life = [*HOLDING, *shown(HOLDING, QUIET, candle(5, "101 104 99 101.8"))]
    ledger = given(life).state.ledger
    assert (ledger.cash, ledger.realised, ledger.fees) == (Decimal("10018.98"), Decimal("18.98"), Decimal("1.02"))
    assert (ledger.positions, given(life).state.orders) == ({}, {})


def test_a_flat_round_trip_of_a_coin_of_0_000021_costs_exactly_its_fees() -> None:
    coin = running(instrument(lot="0.1"))
    candles = flat_candles(["0.000024", "0.000022", "0.000020", "0.000022"])
    for opened, closed in (("0.000021", "0.0000217"), ("0.0000217", "0.0000206"), ("0.000021", "0.000021")):
        coin += given(coin).when(observe(candles)).facts
        low, high = sorted([opened, closed])
        candles = [*candles, candle(len(candles), f"{opened} {high} {low} {closed}")]
    coin += given(coin).when(observe(candles)).facts
    ledger = given(coin).state.ledger
    assert [fact.quantity for fact in coin if isinstance(fact, OrderFilled)] == [Decimal("23809523.8")] * 2
    assert ledger.positions == {}
    assert ledger.fees == 2 * Decimal("23809523.8") * Decimal("0.000021") * Decimal("0.001")
    assert ledger.cash == 10_000 - ledger.fees


def test_the_bracket_is_rounded_to_the_tick_towards_the_fill() -> None:
    """98.0294 and 104.0312 are not on a tick of 0.05."""
    coarse = running(instrument(tick="0.05"))
    coarse += given(coarse).when(observe(RISING)).facts
    facts = shown(coarse, candle(4, "100.03 102 99 101.8"))
    triggers = [fact.trigger_price for fact in facts if isinstance(fact, OrderRequested)]
    assert triggers == [Decimal("98.05"), Decimal("104.00")]


@pytest.mark.parametrize(
    ("lot", "minimum", "price", "quantity"),
    [
        pytest.param("10", "0", "100", "0", id="less than a lot"),
        pytest.param("1e-8", "500", "102.3", "4.88758553", id="the lots are worth less than the smallest notional"),
    ],
)
def test_an_entry_that_buys_too_little_expires_and_frees_its_cash(
    lot: str, minimum: str, price: str, quantity: str
) -> None:
    facts = running(instrument(lot=lot, minimum=minimum))
    facts += given(facts).when(observe(RISING)).facts
    assert given(facts).state.reserved == Decimal("500.5")
    expired = shown(facts, candle(4, f"{price} 103 99 101.8"))
    assert expired == [
        OrderExpired(order_id=order_id(1), at=moment(4), reason=f"{Decimal(quantity)} is too little to trade")
    ]
    assert given([*facts, *expired]).state.reserved == 0


PAUSED = BotPaused()
HALTED = BotHalted(rule="drawdown", reason="too much")
neither_enters = pytest.mark.parametrize("status", [PAUSED, HALTED], ids=["paused", "halted"])


@neither_enters
def test_a_bot_that_may_not_enter_ignores_a_cross_upwards(status: BotFact) -> None:
    assert shown([*running(), status]) == []


@neither_enters
def test_acceptance_07_a_bot_that_may_not_enter_still_manages_stop_and_target(status: BotFact) -> None:
    held = [*HOLDING, status]
    for prices in ("101 102 98 101.8", "97 102 96 101.8", "101 104 99 101.8"):
        end = candle(5, prices)
        assert shown(held, QUIET, end) == shown(HOLDING, QUIET, end) != []


def test_a_paused_bot_still_follows_exit_signals() -> None:
    assert shown([*HOLDING, PAUSED], QUIET, FALLING) == shown(HOLDING, QUIET, FALLING)


def test_a_halted_bot_asks_its_strategy_nothing() -> None:
    assert shown(HOLDING, QUIET, FALLING) != []
    assert shown([*HOLDING, HALTED], QUIET, FALLING) == []


@neither_enters
def test_an_exit_that_was_asked_for_before_trades_in_a_bot_that_may_not_enter(status: BotFact) -> None:
    end = candle(6, "99 110 90 98.5")
    assert shown([*LEAVING, status], QUIET, FALLING, end) == shown(LEAVING, QUIET, FALLING, end)


def test_a_pause_does_not_take_back_an_entry_that_was_requested() -> None:
    assert shown([*ENTERING, PAUSED], QUIET) == [ENTRY, STOP, TARGET]


def test_stopping_cancels_an_entry_that_is_at_work() -> None:
    facts = [*ENTERING, BotStopped()]
    ended = shown(facts, QUIET)
    assert ended == [cancelled(1, at=4, reason="the bot was stopped")]
    assert given([*facts, *ended]).state.idle_at(moment(9))


def test_halting_cancels_an_entry_that_is_at_work_and_leaves_a_bot_that_can_be_started_again() -> None:
    facts = [*ENTERING, HALTED]
    ended = shown(facts, QUIET)
    assert ended == [cancelled(1, at=4, reason="the bot was halted")]
    assert not given([*facts, *ended]).state.idle_at(moment(9))


def test_acceptance_07_a_stopped_bot_sells_at_the_next_open_and_is_done() -> None:
    """Whatever the averages say, and with no decision by a strategy."""
    facts, candles = [*HOLDING, BotStopped()], [QUIET, candle(5, "101.8 103 99 102")]
    asked = shown(facts, *candles)
    assert asked == [sale(4, at=5)]
    facts, candles = [*facts, *asked], [*candles, candle(6, "103 110 90 102")]
    sold = shown(facts, *candles)
    assert sold == [filled(4, at=6, quantity="5", price="103", fee="0.515"), cancelled(2, at=6), cancelled(3, at=6)]
    assert given([*facts, *sold]).state.idle_at(moment(9))
    assert shown([*facts, *sold], *candles, candle(7, "50"), candle(8, "200")) == []


def test_a_stopped_bot_whose_stop_is_reached_asks_for_nothing_more() -> None:
    facts = [*HOLDING, BotStopped()]
    ended = shown(facts, QUIET, candle(5, "101 102 98 101.8"))
    assert ended == [filled(2, at=5, quantity="5", price="98", fee="0.49"), cancelled(3, at=5)]
    assert given([*facts, *ended]).state.idle_at(moment(9))


def test_a_bot_that_is_stopped_while_leaving_leaves() -> None:
    end = candle(6, "99 110 90 98.5")
    assert shown([*LEAVING, BotStopped()], QUIET, FALLING, end) == shown(LEAVING, QUIET, FALLING, end)


def test_a_stopped_bot_that_is_flat_does_nothing() -> None:
    assert shown([*running(), BotStopped()]) == []


NEW: list[BotFact] = running()[:2]


@pytest.mark.parametrize(("effective", "decided"), [(4, 0), (3, 2), (0, 2)])
def test_a_start_lets_no_candle_enter_before_the_one_it_counts_from(effective: int, decided: int) -> None:
    assert len(shown([*NEW, BotStarted(effective_at=moment(effective))])) == decided


@pytest.mark.parametrize("word", [BotPaused, BotStopped])
@pytest.mark.parametrize(("effective", "decided"), [(4, 2), (3, 0), (0, 0)])
def test_a_pause_or_a_stop_lets_every_candle_enter_before_the_one_it_counts_from(
    word: type[BotPaused | BotStopped], effective: int, decided: int
) -> None:
    assert len(shown([*running(), word(effective_at=moment(effective))])) == decided


def test_a_stop_leaves_an_entry_alone_that_fills_before_it_counts() -> None:
    assert shown([*ENTERING, BotStopped(effective_at=moment(5))], QUIET) == [ENTRY, STOP, TARGET]
    stopped = [cancelled(1, at=4, reason="the bot was stopped")]
    assert shown([*ENTERING, BotStopped(effective_at=moment(4))], QUIET) == stopped


def test_a_stop_sells_at_the_first_candle_for_which_it_counts_and_none_before() -> None:
    facts: list[BotFact] = [*HOLDING, BotStopped(effective_at=moment(6))]
    candles = [QUIET, candle(5, "101.8 103 99 102"), candle(6, "102 103 99 102.1")]
    assert shown(facts, *candles[:2]) == []
    assert shown(facts, *candles) == [sale(4, at=6)]


@pytest.mark.parametrize("word", [BotPaused, BotStopped])
def test_exits_are_managed_before_and_after_a_status_counts(word: type[BotPaused | BotStopped]) -> None:
    end = candle(5, "101 104 98 101.8")
    for effective in (5, 6):
        held: list[BotFact] = [*HOLDING, word(effective_at=moment(effective))]
        assert shown(held, QUIET, end) == shown(HOLDING, QUIET, end) != []


def two_symbols(size_fraction: str) -> Given:
    """A bot of BTC and ETH with so much of its equity for each entry."""
    return given(running(instrument(BTC), instrument(ETH), parameters={**SMALL, "size_fraction": size_fraction}))


def test_two_symbols_that_cross_at_once_are_decided_in_alphabetical_order() -> None:
    facts = two_symbols("0.05").when(observe({ETH: RISING, BTC: RISING})).facts
    decided = [(type(fact), fact.symbol) for fact in facts if isinstance(fact, DecisionMade | OrderRequested)]
    assert decided == [(DecisionMade, BTC), (OrderRequested, BTC), (DecisionMade, ETH), (OrderRequested, ETH)]
    assert [fact.order_id for fact in facts if isinstance(fact, OrderRequested)] == [order_id(1), order_id(2)]


def test_the_second_entry_of_a_frame_cannot_spend_the_cash_of_the_first() -> None:
    """Half for each fits the exposure limit, but the fees no longer fit the cash."""
    facts = two_symbols("0.5").when(observe({BTC: RISING, ETH: RISING})).facts
    assert [type(fact) for fact in facts] == [DecisionMade, OrderRequested, DecisionMade, OrderDenied]
    denial = facts[-1]
    assert isinstance(denial, OrderDenied)
    assert (denial.symbol, denial.rule) == (ETH, "free_cash")
    assert [denial.limit, denial.value] == [4995, 5005]


def test_equity_is_marked_at_the_newest_close_of_every_symbol() -> None:
    """1,000 of cash was spent on 10 ETH, which are worth 120 each at the close of the frame."""
    facts = [*running(instrument(BTC), instrument(ETH)), *bought(ETH, 1, quantity="10", price="100")]
    others = [*flat_candles(["100"] * 3), candle(3, "100 125 100 120")]
    decision = given(facts).when(observe({BTC: RISING, ETH: others})).facts[0]
    assert isinstance(decision, DecisionMade)
    assert decision.equity == Decimal(10_200)


def test_a_symbol_that_the_bot_does_not_follow_changes_nothing() -> None:
    alone = observe(RISING)
    beside = Frame(moment(3), ((BTC, RISING[-1]), (ETH, candle(3, "1"))))
    with_other = type(alone)(alone.epoch, beside, alone.view)
    assert DECIDER.decide(with_other, given(running()).state) == given(running()).when(alone).facts
