"""What a bot remembers of its closed trades: added up, found, forgotten, and never before it has happened."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.identifiers import Symbol
from events.values import Parameter
from oxbot.core.market_view import CandleWindow
from oxbot.core.memory import (
    INFLUENCE_MAX,
    INFLUENCE_MIN,
    NO_MEMORY,
    SAMPLE_MIN,
    Memory,
    MemoryPort,
    Outcome,
    Record,
)
from oxbot.core.money import ZERO, exact
from oxbot.core.strategy import Signal, Strategies, StrategyState
from tests.core.lives import BTC, ETH, WINDOW, Life, Wish, candle, creation, frame, spot

SETUPS = ("breakout", "pullback")
NETS = st.decimals(min_value=-(10**12), max_value=10**12, places=18)
COSTS = st.decimals(min_value=0, max_value=10**12, places=18)
OUTCOMES = st.lists(
    st.builds(Outcome, setup=st.sampled_from(SETUPS), symbol=st.sampled_from([BTC, ETH]), net=NETS, cost=COSTS),
    max_size=40,
)
KEYS = [(setup, symbol) for setup in SETUPS for symbol in (BTC, ETH)]


def outcome(net: str, *, setup: str = "pullback", symbol: Symbol = BTC, cost: str = "100") -> Outcome:
    return Outcome(setup=setup, symbol=symbol, net=Decimal(net), cost=Decimal(cost))


def remembering(*outcomes: Outcome, memory: Memory = NO_MEMORY) -> Memory:
    """The memory after these trades, in their order."""
    with exact():
        return reduce(Memory.remember, outcomes, memory)


def written(memory: Memory) -> bytes:
    return msgspec.msgpack.encode(memory)


def naive(trades: Sequence[tuple[Decimal, Decimal]]) -> Record:
    """All of it counted anew from a list of nets and costs."""
    nets = [net for net, _ in trades]
    with exact():
        return Record(
            trades=len(nets),
            wins=len([net for net in nets if net > 0]),
            net=sum(nets, ZERO),
            won=sum((net for net in nets if net > 0), ZERO),
            cost=sum((cost for _, cost in trades), ZERO),
        )


# What is remembered is recalled.


def test_a_record_counts_trades_and_wins_and_adds_up_money() -> None:
    record = remembering(outcome("5"), outcome("-2", cost="50"), outcome("0")).recall("pullback", BTC)
    assert record == Record(trades=3, wins=1, net=Decimal(3), won=Decimal(5), cost=Decimal(250))
    assert record.win_rate == Decimal("0.333333333333333333")
    assert record.expectancy == Decimal("0.012")


def test_without_a_symbol_all_of_them_are_recalled_as_one_record() -> None:
    memory = remembering(outcome("5"), outcome("-2", symbol=ETH), outcome("9", setup="breakout"))
    assert memory.recall("pullback") == Record(trades=2, wins=1, net=Decimal(3), won=Decimal(5), cost=Decimal(200))


def test_what_never_happened_has_an_empty_record_without_rates() -> None:
    memory = remembering(outcome("5"))
    for record in (NO_MEMORY.recall("pullback"), memory.recall("breakout"), memory.recall("pullback", ETH)):
        assert record == Record()
        assert (record.win_rate, record.expectancy) == (None, None)


def test_a_trade_of_base_that_cost_nothing_has_a_win_rate_but_no_expectancy() -> None:
    """Such as the sale of dust, which an earlier trip paid for."""
    record = remembering(outcome("0.8", cost="0")).recall("pullback", BTC)
    assert (record.win_rate, record.expectancy) == (Decimal(1), None)


def test_the_expectancy_of_a_loss_above_the_entry_cost_is_rounded_like_any_other() -> None:
    """A short may lose more than it sold for: -5 / 3 = -1.66..."""
    assert remembering(outcome("-5", cost="3")).recall("pullback").expectancy == Decimal("-1.666666666666666667")


@given(outcomes=OUTCOMES)
def test_a_recalled_record_is_that_of_the_list_of_its_trades(outcomes: list[Outcome]) -> None:
    memory = remembering(*outcomes)
    with exact():
        for setup, symbol in KEYS:
            own = [(each.net, each.cost) for each in outcomes if (each.setup, each.symbol) == (setup, symbol)]
            assert memory.recall(setup, symbol) == naive(own)
        for setup in SETUPS:
            assert memory.recall(setup) == naive([(each.net, each.cost) for each in outcomes if each.setup == setup])


@given(outcomes=OUTCOMES, data=st.data())
def test_the_order_of_closing_changes_no_record(outcomes: list[Outcome], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(outcomes))
    assert remembering(*shuffled) == remembering(*outcomes)


@given(outcomes=OUTCOMES)
def test_rates_are_within_what_they_can_be(outcomes: list[Outcome]) -> None:
    with exact():
        for _, _, record in remembering(*outcomes).search():
            assert record.win_rate is not None
            assert 0 <= record.win_rate <= 1
            assert record.net <= record.won
            assert (record.expectancy is None) == (record.cost == 0)


# Nothing is known before it has happened, and what is remembered changes no older memory.


@given(outcomes=OUTCOMES, later=OUTCOMES)
def test_a_memory_is_not_changed_by_what_closes_later(outcomes: list[Outcome], later: list[Outcome]) -> None:
    memory = remembering(*outcomes)
    before = written(memory)
    after = remembering(*later, memory=memory)
    assert written(memory) == before
    assert after == remembering(*outcomes, *later)
    assert written(NO_MEMORY) == written(Memory())


@given(outcomes=OUTCOMES, setup=st.sampled_from(SETUPS), symbol=st.sampled_from([None, BTC, ETH]))
def test_asking_and_forgetting_change_nothing_in_the_memory_asked(
    outcomes: list[Outcome], setup: str, symbol: Symbol | None
) -> None:
    memory = remembering(*outcomes)
    before = written(memory)
    with exact():
        memory.recall(setup, symbol)
        memory.search(symbol=symbol)
        memory.forget(setup, symbol)
        memory.influence(setup, symbol or BTC)
    assert written(memory) == before


@given(outcomes=OUTCOMES)
def test_a_memory_that_was_stored_goes_on_as_if_it_had_not_been(outcomes: list[Outcome]) -> None:
    memory = remembering(*outcomes)
    stored = msgspec.msgpack.decode(written(memory), type=Memory)
    assert stored == memory
    more = outcome("7", setup="breakout", symbol=ETH)
    assert written(remembering(more, memory=stored)) == written(remembering(more, memory=memory))


class Watching:
    """The strategy ``scripted``, which keeps what it is let see: the newest candle's open time and the memory."""

    name, version, window, size_fraction_max = "scripted", 1, WINDOW, ZERO

    def __init__(self) -> None:
        self.seen: list[tuple[datetime, Memory]] = []

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        assert not given
        return ()

    def bind(self, parameters: tuple[Parameter, ...]) -> "Watching":
        assert not parameters
        return self

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal:
        """In whenever it is flat, out as soon as something is held; the setup is the hour's."""
        assert window.last is not None
        opened, close = window.last.open_time, window.last.close
        self.seen.append((opened, state.memory))
        return Wish("enter_long" if state.holding is None else "exit", setup=SETUPS[opened.hour // 4 % 2]).signal(close)


Prices = Sequence[tuple[int, int | None]]
"""Of BTC and ETH, candle by candle; None where ETH did not trade."""


def lived(prices: Prices) -> tuple[Life, list[tuple[datetime, Memory]]]:
    """A bot's life in two symbols over these prices, and what its strategy was let see."""
    watching = Watching()
    life = Life(creation(spot(BTC), spot(ETH)), Strategies(watching))
    for number, (btc, eth) in enumerate(prices):
        life.see(frame(number, BTC=str(btc), **({} if eth is None else {"ETH": str(eth)})))
    return life, watching.seen


PRICES = st.lists(st.tuples(st.integers(50, 150), st.none() | st.integers(50, 150)), max_size=30)


@given(prices=PRICES)
def test_a_decision_sees_the_trades_that_closed_by_its_candle_and_no_later_one(prices: Prices) -> None:
    life, seen = lived(prices)
    for at, memory in seen:
        closed = [trade for trade in life.state.trades if trade.closed_at <= at]
        with exact():
            for setup, symbol in KEYS:
                own = [trade for trade in closed if (trade.setup, trade.symbol) == (setup, symbol)]
                assert memory.recall(setup, symbol) == naive([(trade.net, trade.entry_cost) for trade in own])


@given(past=PRICES, one=PRICES, other=PRICES)
def test_no_decision_sees_what_the_future_will_bring(past: Prices, one: Prices, other: Prices) -> None:
    (_, seen), (_, seen_too) = lived([*past, *one]), lived([*past, *other])
    begins = candle(len(past), "1").open_time
    assert [each for each in seen if each[0] < begins] == [each for each in seen_too if each[0] < begins]


def test_a_trade_is_known_at_the_close_of_the_candle_in_which_it_closed() -> None:
    """BTC is bought in candle 1 and sold in candle 2; at the close of that, ETH, bought in it, is looked at."""
    _, seen = lived([(100, None), (100, 100), (110, 100)])
    assert [memory.recall("breakout", BTC).trades for _, memory in seen] == [0, 0, 0, 1]
    assert seen[-1][0] == candle(2, "1").open_time


# Search and forgetting.


def test_a_search_finds_the_best_expectancy_first_then_by_name() -> None:
    memory = remembering(
        outcome("-1", setup="worst"),
        outcome("2", setup="pullback", symbol=ETH),
        outcome("1", setup="good", cost="10"),
        outcome("2", setup="pullback"),
        outcome("2", setup="breakout", symbol=ETH),
        outcome("5", setup="free", cost="0"),
    )
    assert [(setup, symbol) for setup, symbol, _ in memory.search()] == [
        ("good", BTC),
        ("breakout", ETH),
        ("pullback", BTC),
        ("pullback", ETH),
        ("free", BTC),
        ("worst", BTC),
    ]


def test_a_search_is_limited_to_a_symbol_and_to_records_of_enough_trades() -> None:
    memory = remembering(outcome("1"), outcome("1"), outcome("1", symbol=ETH), outcome("1", setup="breakout"))
    assert [entry[:2] for entry in memory.search(trades_min=2)] == [("pullback", BTC)]
    assert [entry[:2] for entry in memory.search(symbol=ETH)] == [("pullback", ETH)]
    assert memory.search(symbol=ETH, trades_min=2) == memory.search(trades_min=3) == NO_MEMORY.search() == ()


@given(outcomes=OUTCOMES, symbol=st.sampled_from([None, BTC, ETH]), least=st.integers(1, 12))
def test_a_search_finds_every_record_that_is_asked_for_once_and_in_order(
    outcomes: list[Outcome], symbol: Symbol | None, least: int
) -> None:
    memory = remembering(*outcomes)
    with exact():
        found = memory.search(symbol=symbol, trades_min=least)
        wanted = {key for key in KEYS if symbol in (None, key[1]) and memory.recall(*key).trades >= least}
        assert {entry[:2] for entry in found} == wanted
        assert len(found) == len(wanted)
        assert all(entry[2] == memory.recall(*entry[:2]) for entry in found)
        expectancies = [record.expectancy or ZERO for _, _, record in found]
        assert expectancies == sorted(expectancies, reverse=True)


@given(outcomes=OUTCOMES, setup=st.sampled_from(SETUPS), symbol=st.sampled_from([None, BTC, ETH]))
def test_what_is_forgotten_is_as_if_it_had_never_been(
    outcomes: list[Outcome], setup: str, symbol: Symbol | None
) -> None:
    kept = [each for each in outcomes if each.setup != setup or symbol not in (None, each.symbol)]
    forgetful = remembering(*outcomes).forget(setup, symbol)
    assert forgetful == remembering(*kept)
    assert forgetful.forget(setup, symbol) == forgetful
    assert forgetful.recall(setup, symbol) == Record()


def test_what_was_forgotten_can_be_learnt_anew() -> None:
    memory = remembering(outcome("5"), outcome("5", symbol=ETH)).forget("pullback", BTC)
    assert memory.recall("pullback").trades == 1
    assert remembering(outcome("-1"), memory=memory).recall("pullback", BTC) == naive([(Decimal(-1), Decimal(100))])


def test_a_memory_keeps_what_every_memory_promises() -> None:
    """Through the port alone, as another memory would be used."""
    port: MemoryPort = NO_MEMORY
    with exact():
        port = port.remember(outcome("5")).remember(outcome("-1", symbol=ETH))
        assert port.recall("pullback").trades == 2
        assert [symbol for _, symbol, _ in port.search(trades_min=1)] == [BTC, ETH]
        assert [symbol for _, symbol, _ in port.forget("pullback", BTC).search()] == [ETH]
        assert port.forget("pullback").search() == ()


# Influence.


def after(*, wins: int, losses: int, setup: str = "pullback", symbol: Symbol = BTC) -> Memory:
    nets = ["1"] * wins + ["-1"] * losses
    return remembering(*(outcome(net, setup=setup, symbol=symbol) for net in nets))


@pytest.mark.parametrize(
    ("wins", "losses", "expected"),
    [
        (0, 0, "1"),
        (SAMPLE_MIN - 1, 0, "1"),
        (SAMPLE_MIN, 0, "1.3"),
        (0, SAMPLE_MIN, "0.7"),
        (10, 10, "1"),
        (11, 9, "1.05"),
        (16, 4, "1.3"),
        (17, 3, "1.3"),
        (4, 16, "0.7"),
        (7, 14, "0.833333333333333333"),
    ],
)
def test_the_influence_is_the_win_rates_distance_from_one_half(wins: int, losses: int, expected: str) -> None:
    assert after(wins=wins, losses=losses).influence("pullback", BTC) == Decimal(expected)


def test_a_trade_that_earned_nothing_counts_as_no_win() -> None:
    memory = remembering(*[outcome("0")] * SAMPLE_MIN)
    assert memory.influence("pullback", BTC) == INFLUENCE_MIN


def test_the_influence_is_that_of_the_setup_in_the_symbol_alone() -> None:
    memory = after(wins=SAMPLE_MIN, losses=0)
    for setup, symbol in [key for key in KEYS if key != ("pullback", BTC)]:
        assert memory.influence(setup, symbol) == 1
    assert memory.forget("pullback", BTC).influence("pullback", BTC) == 1


@given(wins=st.integers(0, 60), losses=st.integers(0, 60))
def test_the_influence_is_within_its_bounds_and_one_until_enough_trades_have_closed(wins: int, losses: int) -> None:
    memory = after(wins=wins, losses=losses)
    with exact():
        influence = memory.influence("pullback", BTC)
        assert INFLUENCE_MIN <= influence <= INFLUENCE_MAX
        assert influence == 1 or wins + losses >= SAMPLE_MIN
        if wins + losses >= SAMPLE_MIN:
            assert (influence > 1, influence < 1) == (wins > losses, wins < losses)
            won = remembering(outcome("1"), memory=memory).influence("pullback", BTC)
            lost = remembering(outcome("-1"), memory=memory).influence("pullback", BTC)
            assert lost <= influence <= won


class Vandal:
    """Writes into the memory that it is shown."""

    name, version, window, size_fraction_max = "scripted", 1, WINDOW, Decimal(0)

    def __init__(self, write: str) -> None:
        self._write = write
        self.errors = list[Exception]()

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        assert not given
        return ()

    def bind(self, parameters: tuple[Parameter, ...]) -> "Vandal":
        assert not parameters
        return self

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:  # noqa: ARG002 - it looks elsewhere
        records = state.memory.records
        target = records if self._write == "setup" else next(iter(records.values()), records)
        try:
            target["planted"] = Record(trades=99, wins=99)  # type: ignore[index]  # what mypy refuses, a plug-in may do
        except TypeError as error:
            self.errors.append(error)
        return None


@pytest.mark.parametrize("write", ["setup", "symbol"])
def test_a_strategy_cannot_write_into_the_memory_that_it_is_shown(write: str) -> None:
    vandal = Vandal(write)
    life = Life(creation(), Strategies(vandal))
    life.state = msgspec.structs.replace(life.state, memory=Memory().remember(outcome("5")))
    known = life.state.memory
    life.see_candles([candle(number, "100") for number in range(4)])
    assert vandal.errors
    assert life.state.memory == known
    assert known.unwritable().recall("pullback") == known.recall("pullback")
