"""What a bot was told and what its fleet was are two layers; at each candle the stricter holds, and neither is lost."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from msgspec.structs import replace

from events.bot import (
    BotFact,
    BotNoticed,
    BotPaused,
    BotStarted,
    HighWaterRaised,
    TradingState,
    TradingStateSet,
    TradingStateTripped,
)
from oxbot.core.bot import SetTradingState
from oxbot.core.state import BotState, fold
from tests.core import scenario
from tests.core.lives import LOOSE, Life, Wish, at, candle, creation
from tests.core.scenario import moment

STATES: Sequence[TradingState] = ("active", "reducing", "halted")
LAST = 10


def stricter(*states: TradingState) -> TradingState:
    return max(states, key=STATES.index)


def told(state: TradingState, scope: Literal["bot", "fleet"], since: int | None = None) -> TradingStateSet:
    return TradingStateSet(state=state, scope=scope, effective_at=None if since is None else moment(since))


def trip(at: int, state: TradingState = "reducing") -> TradingStateTripped:
    return TradingStateTripped(at=moment(at), state=state, rule="drawdown_max", limit=Decimal(1), value=Decimal(2))


SINCE = st.none() | st.integers(0, LAST)
WORDS = st.lists(
    st.builds(told, st.sampled_from(STATES), st.sampled_from(["bot", "fleet"]), SINCE)
    | st.builds(lambda since: BotPaused(effective_at=None if since is None else moment(since)), SINCE)
    | st.builds(lambda since: BotStarted(effective_at=None if since is None else moment(since)), SINCE)
    | st.builds(lambda at: BotNoticed(at=moment(at)), st.integers(0, LAST))
    | st.builds(trip, st.integers(0, LAST), st.sampled_from(STATES)),
    max_size=12,
)


def layer(facts: Sequence[BotFact], scope: str, number: int) -> TradingState:
    """What the words to one layer say of a candle: the last that counts for it, and no trip since is undone."""
    holds: TradingState = "active"
    for fact in facts:
        if isinstance(fact, TradingStateSet) and fact.scope == scope:
            counts = fact.effective_at is None or fact.effective_at <= moment(number)
            holds = fact.state if counts else holds
        elif isinstance(fact, TradingStateTripped) and scope == "bot":
            holds = stricter(holds, fact.state)
    return holds


def status(facts: Sequence[BotFact], number: int) -> str:
    holds = "running"
    for fact in facts:
        if isinstance(fact, BotPaused | BotStarted):
            counts = fact.effective_at is None or fact.effective_at <= moment(number)
            holds = ("paused" if isinstance(fact, BotPaused) else "running") if counts else holds
    return holds


def in_order(facts: Sequence[BotFact]) -> list[BotFact]:
    """Without what no bot records: a notice or a trip of a candle before one that it has acted on."""
    kept, cursor = list[BotFact](), moment(0) - scenario.STEP
    for fact in facts:
        if isinstance(fact, BotNoticed | TradingStateTripped):
            if fact.at <= cursor:
                continue
            cursor = fact.at
        kept.append(fact)
    return kept


@forall(words=WORDS)
def test_at_each_candle_the_stricter_of_the_two_layers_newest_words_that_count_there_holds(
    words: list[BotFact],
) -> None:
    facts = in_order(words)
    state = fold([*scenario.running(), *facts])
    for number in range(LAST + 2):
        if state.cursor is not None and moment(number) <= state.cursor:
            continue
        standing = state.standing_at(moment(number))
        layers = layer(facts, "bot", number), layer(facts, "fleet", number)
        assert (standing.own, standing.fleet) == layers
        assert standing.trading == stricter(*layers)
        assert standing.status == status(facts, number)
    assert state.trading == stricter(state.own_trading, state.fleet_trading)
    assert len(state.standings) <= 1 + len(facts)


def equipped(*facts: BotFact) -> BotState:
    return fold([*scenario.running(), HighWaterRaised(at=moment(0), equity=Decimal(10_500)), *facts])


def test_lifting_the_fleets_switch_restores_the_bots_own_state_and_accepts_no_drawdown() -> None:
    state = equipped(trip(1), told("halted", "fleet", 2), told("active", "fleet", 4))
    assert [state.standing_at(moment(number)).trading for number in (2, 3, 4)] == ["halted", "halted", "reducing"]
    assert (state.trading, state.high_water) == ("reducing", Decimal(10_500))


def test_only_active_to_the_bot_itself_accepts_its_drawdown() -> None:
    assert equipped(told("active", "bot")).high_water is None
    assert equipped(told("reducing", "bot")).high_water == Decimal(10_500)
    assert equipped(told("active", "fleet")).high_water == Decimal(10_500)


@pytest.mark.parametrize("scope", ["bot", "fleet"])
def test_a_word_is_recorded_if_its_own_layer_stands_otherwise(scope: Literal["bot", "fleet"]) -> None:
    other: Literal["bot", "fleet"] = "fleet" if scope == "bot" else "bot"
    halted = [*scenario.running(), told("halted", other)]
    given = scenario.given(halted)
    assert given.when(SetTradingState("active", scope=scope)).facts == []
    assert given.when(SetTradingState("halted", "x", scope=scope)).facts == [
        TradingStateSet(state="halted", reason="x", scope=scope)
    ]


def test_a_bot_that_is_halted_with_its_fleet_trips_and_stays_reducing_once_the_fleet_goes_on() -> None:
    limits = replace(LOOSE, drawdown_max=Decimal("0.05"))
    life = Life.of(creation(limits=limits), {**at(0, Wish(size_fraction=Decimal("0.9"))), **at(4, Wish())})
    life.see_candles([candle(0, "100"), candle(1, "100")])
    life.tell(SetTradingState("halted", scope="fleet"))
    [step] = life.see_candles([candle(2, "100 100 80 80")])
    assert [type(fact) for fact in step.facts] == [TradingStateTripped]
    assert step.after.trading == "halted"
    life.tell(SetTradingState("active", scope="fleet"))
    assert life.state.trading == "reducing"


def test_what_older_programs_said_as_the_fleet_to_a_bot_is_its_fleets_word() -> None:
    """Their newcomers were told as bots; a person has to tell these again."""
    assert fold([*scenario.running(), told("halted", "fleet"), told("active", "bot")]).trading == "halted"
    newcomer = TradingStateSet(state="halted", reason="as its fleet")
    assert fold([*scenario.running(), newcomer, told("active", "fleet")]).trading == "halted"
