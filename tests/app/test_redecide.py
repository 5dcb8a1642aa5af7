"""Deciding a recorded life again: an honest one comes out the same, and every planted change is found and named."""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.bot import (
    BotCreated,
    BotFact,
    BotNoticed,
    BotPaused,
    BotStarted,
    CapitalDeposited,
    DecisionMade,
    OrderCancelled,
    OrderDenied,
    OrderFilled,
    OrderRequested,
    TradingStateSet,
)
from events.codec import Codec
from events.identifiers import BotId, DecisionId, OrderId
from events.memory import MemoryEventLog
from events.values import Measurement, Parameter
from oxbot.app.redecide import Redecided, redecide
from oxbot.core.bot import BotCommand, ClaimBot, CommandRefused, SetTradingState, StopBot
from oxbot.core.candles import Candle, Frame
from oxbot.core.strategies import built_in
from tests.app.fakes import (
    UnsteadyLog,
    claimed,
    facts_in,
    lived,
    lived_with,
    market,
    stored,
    tell,
    written,
)
from tests.core import market_strategies as markets
from tests.core.scenario import BOT, BTC, DECIDER, STEP, moment, running
from tests.examples import some

pytestmark = pytest.mark.anyio

FRAMES = market(120, seed=7)
LIFE = asyncio.run(facts_in(asyncio.run(lived(FRAMES))))
"""What an undisturbed bot did in these frames."""


async def again(facts: Sequence[BotFact], frames: Sequence[Frame] = FRAMES) -> Redecided:
    """The facts as a log says them, decided again from the frames as a store holds them."""
    return await redecide(BOT, log=await written(facts), candles=await stored(frames), decider=DECIDER)


async def test_an_honest_life_is_decided_again_to_the_last_fact() -> None:
    result = await again(LIFE)

    cycles = [fact for fact in LIFE if hasattr(fact, "at") and fact.at is not None]
    assert result.difference is None
    assert (result.bot_id, result.facts) == (BOT, len(cycles))
    assert result.decisions == sum(isinstance(fact, DecisionMade) for fact in LIFE) > 5
    assert result.frames == (max(getattr(fact, "at", moment(0)) for fact in cycles) - moment(0)) // STEP + 1


@given(script=markets.scripts(), facts=markets.bots())
@some(60)
def test_a_life_with_pauses_resumes_deposits_and_claims_anywhere_has_no_difference(
    script: list[Frame | BotCommand], facts: list[BotFact]
) -> None:
    """The bot learns each word at once."""

    async def exercise() -> None:
        frames = [item for item in script if isinstance(item, Frame)]
        words: dict[int, list[BotCommand]] = {}
        number = 0
        for item in script:
            if isinstance(item, Frame):
                number += 1
            elif not isinstance(item, ClaimBot):
                words.setdefault(number, []).append(item)
        log = await lived_with(frames, words, facts)
        result = await redecide(BOT, log=log, candles=await stored(frames), decider=DECIDER)
        assert result.difference is None

    asyncio.run(exercise())


@given(
    frames=markets.frames(),
    facts=markets.bots(),
    words=st.lists(
        st.tuples(st.integers(0, 60), markets.commands() | st.just(StopBot()), st.none() | st.integers(-9, 9)),
        max_size=6,
    ),
    restarts=st.sets(st.integers(0, 60), max_size=4),
    refreshes=st.sets(st.integers(0, 60), max_size=10),
    seed=st.integers(0, 2**32),
)
@some(60)
def test_a_life_whose_words_were_learnt_late_or_by_a_restart_has_no_difference(  # noqa: PLR0917 - all by name
    frames: list[Frame],
    facts: list[BotFact],
    words: list[tuple[int, BotCommand, int | None]],
    restarts: set[int],
    refreshes: set[int],
    seed: int,
) -> None:
    """Words count at once, from some candles before the newest on, from the next one on, or from a later one on."""

    async def exercise() -> None:
        inner, candles = await written(facts), await stored(frames)
        log = UnsteadyLog(inner, seed)
        incarnation = await claimed(log, candles)
        for number, _ in enumerate(frames):
            for place, word, delay in words:
                if place == number and not isinstance(word, ClaimBot):
                    dated = markets.dated(word, None if delay is None else max(0, number + delay))
                    await _try_to_tell(inner, dated)
            if number in refreshes:
                await incarnation.refresh()
            if number in restarts:
                incarnation = await claimed(log, candles)
            await incarnation.observe(frames[: number + 1])
        result = await redecide(BOT, log=inner, candles=candles, decider=DECIDER)
        assert result.difference is None

    asyncio.run(exercise())


async def _try_to_tell(log: MemoryEventLog, command: BotCommand) -> None:
    try:
        await tell(log, command)
    except CommandRefused:
        return


async def test_a_bot_without_a_cycle_or_without_a_stream_has_nothing_to_decide() -> None:
    assert await again(running()) == Redecided(BOT, 0, 0, 0, None)
    empty = await redecide(BotId("nobody"), log=MemoryEventLog(Codec()), candles=await stored(FRAMES), decider=DECIDER)
    assert empty == Redecided(BotId("nobody"), 0, 0, 0, None)


def index_of(kind: type[BotFact], number: int) -> int:
    """Where the life's fact of that kind and number (from 0) stands."""
    return [place for place, fact in enumerate(LIFE) if isinstance(fact, kind)][number]


def decision(**changes: object) -> Callable[[BotFact], BotFact]:
    """A change of some of a fact's fields."""
    return lambda fact: msgspec.structs.replace(fact, **changes)


def other_measurement(fact: BotFact) -> BotFact:
    """The last bit of the first measured number flipped."""
    assert isinstance(fact, DecisionMade)
    first, *rest = fact.measurements
    changed = Measurement(name=first.name, value=first.value * (1 + 2**-50))
    return msgspec.structs.replace(fact, measurements=(changed, *rest))


@pytest.mark.parametrize(
    ("kind", "number", "change"),
    [
        (DecisionMade, 3, other_measurement),
        (DecisionMade, 3, decision(equity=Decimal("10000.01"))),
        (DecisionMade, 3, decision(window_digest="0" * 64)),
        (DecisionMade, 3, decision(parameters=(Parameter(name="fast", value="3"),))),
        (DecisionMade, 3, decision(mark=Decimal(1))),
        (DecisionMade, 0, decision(strategy_version=2)),
        (OrderFilled, 4, decision(price=Decimal("1000.5"))),
        (OrderFilled, 4, decision(fee=Decimal(0))),
        (OrderFilled, 5, decision(quantity=Decimal("0.1"))),
        (OrderRequested, 5, decision(trigger_price=Decimal(1))),
        (OrderCancelled, 1, decision(reason="because")),
    ],
)
async def test_a_changed_fact_is_found_and_named(
    kind: type[DecisionMade | OrderFilled | OrderRequested | OrderCancelled],
    number: int,
    change: Callable[[BotFact], BotFact],
) -> None:
    place = index_of(kind, number)
    changed = change(LIFE[place])
    assert changed != LIFE[place]

    difference = (await again([*LIFE[:place], changed, *LIFE[place + 1 :]])).difference

    assert difference is not None
    assert changed in difference.recorded
    assert LIFE[place] in difference.decided
    assert difference.at == getattr(changed, "at", None)
    assert difference.bot_id == BOT


async def test_a_missing_fact_of_a_cycle_is_found() -> None:
    place = index_of(OrderRequested, 3)
    difference = (await again([*LIFE[:place], *LIFE[place + 1 :]])).difference
    assert difference is not None
    assert LIFE[place] in difference.decided
    assert LIFE[place] not in difference.recorded


ENTRY = index_of(DecisionMade, 2)
ENTERED = (msgspec.structs.asdict(LIFE[ENTRY])["at"] - moment(0)) // STEP


@pytest.mark.parametrize(("resumed", "lasts"), [(ENTERED - 1, True), (ENTERED, True), (ENTERED + 1, False)])
async def test_a_status_counts_from_its_candle_on_when_it_is_decided_again(resumed: int, lasts: bool) -> None:
    """A pause just before an entry is said to have ended before the entry's candle, with it, or after it."""
    words: list[BotFact] = [BotPaused(effective_at=moment(ENTERED - 1)), BotStarted(effective_at=moment(resumed))]

    difference = (await again([*LIFE[:ENTRY], *words, *LIFE[ENTRY:]])).difference

    if lasts:
        assert difference is None
    else:
        assert difference is not None
        assert (difference.at, difference.decided) == (moment(ENTERED), ())


@pytest.mark.parametrize(("ended", "lasts"), [(ENTERED - 1, True), (ENTERED, True), (ENTERED + 1, False)])
async def test_what_a_person_lets_through_counts_from_its_candle_on_when_it_is_decided_again(
    ended: int, lasts: bool
) -> None:
    """Trading was halted just before an entry, and let go on before the entry's candle, with it, or after it."""
    words: list[BotFact] = [
        TradingStateSet(state="halted", effective_at=moment(ENTERED - 1)),
        TradingStateSet(state="active", effective_at=moment(ended)),
    ]

    difference = (await again([*LIFE[:ENTRY], *words, *LIFE[ENTRY:]])).difference

    if lasts:
        assert difference is None
    else:
        assert difference is not None
        assert difference.at == moment(ENTERED)
        assert [fact.rule for fact in difference.decided if isinstance(fact, OrderDenied)] == ["trading_state"]


async def test_a_life_in_which_trading_was_halted_and_let_go_on_has_no_difference() -> None:
    """The bot learns of both at once: of one by its candle, of the other without one."""
    words: dict[int, Sequence[BotCommand]] = {
        20: [SetTradingState("halted", "news", effective_at=moment(21))],
        60: [SetTradingState("active")],
    }
    log = await lived_with(FRAMES, words, running())

    result = await redecide(BOT, log=log, candles=await stored(FRAMES), decider=DECIDER)

    assert result.difference is None
    told = [fact for fact in await facts_in(log) if isinstance(fact, TradingStateSet | OrderDenied)]
    assert [type(fact) for fact in told[:2]] == [TradingStateSet, OrderDenied]


@pytest.mark.parametrize(
    ("words", "noticed_at_once"),
    [
        ([BotStarted(effective_at=moment(0))], True),
        ([BotStarted()], False),
        ([BotStarted(effective_at=moment(0)), BotNoticed(at=moment(60))], False),
    ],
    ids=["dated", "undated", "learnt late"],
)
async def test_only_a_status_that_may_have_come_later_excuses_a_candle(
    words: list[BotFact], noticed_at_once: bool
) -> None:
    """The first entry was never recorded; only what the bot may not have known of can excuse that."""
    first, second = (LIFE[index_of(kind, 0)].at for kind in (DecisionMade, OrderFilled))  # type: ignore[union-attr]
    later = [fact for fact in LIFE[3:] if getattr(fact, "at", second) != first]

    difference = (await again([*LIFE[:2], *words, *later])).difference

    assert difference is not None
    assert (difference.at == first) is noticed_at_once


async def test_a_cycle_that_is_missing_whole_is_found() -> None:
    """The second entry, with its decision, was never recorded; everything after it was."""
    place = index_of(DecisionMade, 2)
    gone = [fact for fact in LIFE if getattr(fact, "at", None) == getattr(LIFE[place], "at", None)]
    difference = (await again([fact for fact in LIFE if fact not in gone])).difference
    assert difference is not None
    assert (difference.recorded, difference.decided) == ((), tuple(gone))


def quiet_frame() -> int:
    """A frame of which no fact tells, between the life's cycles."""
    told = {getattr(fact, "at", None) for fact in LIFE}
    return next(number for number in range(50, 100) if moment(number) not in told)


@pytest.mark.parametrize("between_candles", [False, True])
async def test_an_extra_cycle_is_found(between_candles: bool) -> None:
    """A denial that no candle led to, dated to a quiet candle or to a moment at which none opened."""
    at = moment(quiet_frame()) + (STEP / 2 if between_candles else 0 * STEP)
    place = next(number for number, fact in enumerate(LIFE) if getattr(fact, "at", moment(0)) > at)
    extra = OrderDenied(
        decision_id=_last_decision(place), at=at, symbol=BTC, rule="x", limit=Decimal(1), value=Decimal(2)
    )

    difference = (await again([*LIFE[:place], extra, *LIFE[place:]])).difference

    assert difference is not None
    assert (difference.at, difference.recorded, difference.decided) == (at, (extra,), ())


def _last_decision(place: int) -> DecisionId:
    return next(fact.decision_id for fact in reversed(LIFE[:place]) if isinstance(fact, DecisionMade))


async def test_an_extra_cycle_at_the_end_is_found() -> None:
    for at in (moment(119), moment(119) + STEP / 2, moment(500)):
        extra = OrderCancelled(order_id=OrderId("bot-1-1"), at=at, reason="x")
        difference = (await again([*LIFE, extra])).difference
        assert difference is not None
        assert difference.recorded[-1:] == (extra,)


async def test_an_extra_fact_in_a_cycle_is_found() -> None:
    place = index_of(OrderFilled, 2) + 1
    filled = LIFE[place - 1]
    assert isinstance(filled, OrderFilled)
    at = filled.at
    extra = OrderCancelled(order_id=OrderId("bot-1-1"), at=at, reason="x")
    difference = (await again([*LIFE[:place], extra, *LIFE[place:]])).difference
    assert difference is not None
    assert extra in difference.recorded


async def test_an_extra_deposit_shows_at_the_next_decision() -> None:
    place = index_of(DecisionMade, 4)
    difference = (await again([*LIFE[:place], CapitalDeposited(amount=Decimal(1)), *LIFE[place:]])).difference
    assert difference is not None
    assert LIFE[place] in difference.recorded


async def test_a_changed_parameter_of_the_bot_is_found() -> None:
    creation, *rest = LIFE
    assert isinstance(creation, BotCreated)
    slower = built_in().refer("ema_cross", {"fast": "2", "slow": "3", "lookback": "4"})
    difference = (await again([msgspec.structs.replace(creation, strategy=slower), *rest])).difference
    assert difference is not None


@given(number=st.integers(0, 119))
def test_a_changed_candle_that_a_decision_saw_is_found(number: int) -> None:
    """Whether one of a candle's prices alone, or its volume, which no average knows but the digest does."""
    place, told = _seen_by(number)
    if place is None:
        return
    difference = asyncio.run(again(LIFE, _with_another_volume(number))).difference
    assert difference is not None
    assert difference.at == told


def _seen_by(number: int) -> tuple[int | None, object]:
    """The first decision whose window holds the candle."""
    for place, fact in enumerate(LIFE):
        if isinstance(fact, DecisionMade) and 0 <= (fact.at - moment(number)) // STEP < fact.window:
            return place, fact.at
    return None, None


def _with_another_volume(number: int) -> list[Frame]:
    return _with(number, lambda candle: msgspec.structs.replace(candle, volume=Decimal("1.5")))


def _with(number: int, change: Callable[[Candle], Candle]) -> list[Frame]:
    [(symbol, candle)] = FRAMES[number].candles
    changed = Frame(moment(number), ((symbol, change(candle)),))
    return [*FRAMES[:number], changed, *FRAMES[number + 1 :]]


async def test_a_changed_open_that_an_order_filled_at_is_found() -> None:
    place = index_of(OrderFilled, 0)
    fill = LIFE[place]
    assert isinstance(fill, OrderFilled)
    number = (fill.at - moment(0)) // STEP
    frames = _with(number, lambda candle: msgspec.structs.replace(candle, open=candle.open + 1, high=candle.high + 1))
    difference = (await again(LIFE, frames)).difference
    assert difference is not None
    assert fill in difference.recorded


async def test_a_candle_that_is_missing_from_the_store_is_found() -> None:
    at = LIFE[index_of(DecisionMade, 3)].at  # type: ignore[union-attr]  # a decision
    frames = [frame for frame in FRAMES if frame.open_time != at]
    difference = (await again(LIFE, frames)).difference
    assert difference is not None
    assert (difference.at, difference.decided) == (at, ())
