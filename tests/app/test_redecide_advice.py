"""A life that was advised is decided again from its recorded answers: no difference, and every planted one is found."""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.advice import (
    AdviceAbstained,
    AdviceLapsed,
    AdviceReceived,
    AdviceRequested,
    AdviceTaken,
    Sentiment,
)
from events.bot import BotFact, BotStarted, DecisionMade
from events.codec import Codec
from events.identifiers import Symbol, bot_stream
from events.memory import MemoryEventLog
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.handle import handle
from oxbot.app.redecide import Redecided, redecide
from oxbot.core.advice import RecordAdvice
from oxbot.core.advice_snapshot import WINDOW
from oxbot.core.bot import BotCommand, BotDecider, CommandRefused, ObserveFrame, PauseBot, StartBot
from oxbot.core.candles import Frame
from oxbot.core.market_view import MarketView
from oxbot.core.state import INITIAL
from oxbot.core.strategies import built_in
from tests.app.fakes import UnsteadyLog, claimed, facts_in, market, stored, tell, write, written
from tests.core.advised_lives import Advisor, asked, opinion, received
from tests.core.scenario import BOT, BTC, DECIDER, ETH, START, created, deposited, instrument, moment
from tests.examples import some

pytestmark = pytest.mark.anyio

PAST = market(WINDOW - 1, seed=3)
EAGER = {"every": "1", "valid": "3", "confidence_min": "0", "size_fraction": "0.4"}


def bot(*symbols: Symbol, **parameters: str) -> list[BotFact]:
    """A running bot that is advised; without symbols on BTC/USDT alone."""
    advised = built_in().refer("model", {**EAGER, **parameters})
    creation = msgspec.structs.replace(created(*map(instrument, symbols)), strategy=advised)
    return [creation, deposited("10000"), BotStarted(effective_at=START)]


async def speak(log: MemoryEventLog, advisor: Advisor, view: MarketView) -> None:
    """Let the advisor answer what the log says was asked, as another process would."""
    for fact in advisor.speaks(await facts_in(log), view):
        await handle(log, DECIDER, bot_stream(BOT), RecordAdvice(fact), at=START)


async def say(log: MemoryEventLog, word: BotCommand) -> None:
    """Tell the bot, if it can be told."""
    try:
        await tell(log, word)
    except CommandRefused:
        return


class Busy(UnsteadyLog):
    """An unsteady log beside which an advisor speaks at any moment, also between the read and the append of a cycle."""

    def __init__(self, inner: MemoryEventLog, seed: int, advisor: Advisor, view: MarketView) -> None:
        super().__init__(inner, seed)
        self._advised = (inner, advisor, view)
        self.speaks = False

    async def _pause(self, number: int = 0, events: Sequence[object] = ()) -> None:
        del number, events
        inner, advisor, view = self._advised
        if self.speaks and self._chances.random() < 0.2:
            await speak(inner, advisor, view)


@given(
    seed=st.integers(0, 2**32),
    parameters=st.fixed_dictionaries(
        {
            "every": st.sampled_from("12"),
            "valid": st.sampled_from("135"),
            "template": st.sampled_from(["market", "trader"]),
        }
    ),
    words=st.lists(st.tuples(st.integers(0, 39), st.booleans(), st.none() | st.integers(-4, 4)), max_size=6),
    restarts=st.sets(st.integers(0, 39), max_size=3),
    refreshes=st.sets(st.integers(0, 39), max_size=8),
)
@some(30)
def test_whenever_answers_and_words_come_nothing_is_decided_otherwise(
    seed: int,
    parameters: dict[str, str],
    words: list[tuple[int, bool, int | None]],
    restarts: set[int],
    refreshes: set[int],
) -> None:
    """Answers come before, between and after the reads and appends of the bot, more than once, late or never.

    Words count at once, or from an earlier or a later candle on.
    """

    async def exercise() -> None:
        frames = market(WINDOW + 40, seed=seed % 1000, symbols=(BTC, ETH))
        inner, candles = await written(bot(BTC, ETH, **parameters)), await stored(frames)
        view = MarketView([BTC, ETH], capacity=1)
        view.push(frames[-1])
        log = Busy(inner, seed, Advisor(seed), view)
        incarnation = await claimed(log, candles)
        await incarnation.observe(frames[:WINDOW])
        log.speaks = True
        for number in range(40):
            for place, starts, delay in words:
                if place == number:
                    since = None if delay is None else moment(WINDOW + number + delay)
                    await say(inner, StartBot(since) if starts else PauseBot("", since))
            if number in refreshes:
                await incarnation.refresh()
            if number in restarts:
                incarnation = await claimed(log, candles)
            await incarnation.observe(frames[: WINDOW + number + 1])
        result = await redecide(BOT, log=inner, candles=candles, decider=DECIDER)
        assert result.difference is None

    asyncio.run(exercise())


async def lived() -> tuple[list[BotFact], list[Frame]]:
    """An advised life with an entry, a lapse, an abstention, and an answer that came too late."""
    frames = [*PAST, *market(WINDOW + 30, seed=3)[WINDOW - 1 :]]
    log, candles = await written(bot(valid="2")), await stored(frames)
    incarnation = await claimed(log, candles)
    for number in range(len(frames)):
        await incarnation.observe(frames[: number + 1])
        requests = asked(await facts_in(log))
        if requests and requests[-1].at == frames[number].open_time and len(requests) % 4:
            said = (
                AdviceAbstained(advice_id=requests[-1].advice_id, at=requests[-1].at, reason="timeout")
                if len(requests) % 4 == 2
                else received(requests[-1], opinion(BTC, "long" if len(requests) % 3 else "short", weight=9000))
            )
            await handle(log, DECIDER, bot_stream(BOT), RecordAdvice(said), at=START)
    return await facts_in(log), frames


LIFE, FRAMES = asyncio.run(lived())
STORED: MemoryCandleStore = asyncio.run(stored(FRAMES))


async def again(facts: Sequence[BotFact]) -> Redecided:
    """The facts, decided again."""
    return await redecide(BOT, log=await written(facts), candles=STORED, decider=DECIDER)


def index_of(kind: type[BotFact], number: int = 0) -> int:
    """Where the life's fact of that kind and number (from 0) stands."""
    return [place for place, fact in enumerate(LIFE) if isinstance(fact, kind)][number]


async def test_an_honest_life_has_no_difference_and_holds_every_kind_of_fact() -> None:
    kinds = {type(fact) for fact in LIFE}
    assert kinds >= {AdviceRequested, AdviceReceived, AdviceAbstained, AdviceTaken, AdviceLapsed, DecisionMade}
    assert (await again(LIFE)).difference is None


async def test_an_answer_is_taken_by_the_first_candle_that_closes_after_it() -> None:
    """The bot looks for it before each candle, though nobody tells it to."""
    frames = market(WINDOW + 5, seed=3)
    log = await written(bot(every="300", valid="5"))
    incarnation = await claimed(log, await stored(frames))
    await incarnation.observe(frames[: WINDOW + 1])
    [request] = asked(await facts_in(log))
    assert not incarnation.state.ledger.positions
    await handle(log, DECIDER, bot_stream(BOT), RecordAdvice(received(request, opinion(BTC, weight=9000))), at=START)

    await incarnation.observe(frames[WINDOW + 1 : WINDOW + 2])

    taken = [fact for fact in await facts_in(log) if isinstance(fact, AdviceTaken)]
    assert [fact.at for fact in taken] == [moment(WINDOW + 1)]


def changed(**changes: object) -> Callable[[BotFact], BotFact]:
    """A change of some of a fact's fields."""
    return lambda fact: msgspec.structs.replace(fact, **changes)


@pytest.mark.parametrize(
    ("kind", "number", "change"),
    [
        (AdviceRequested, 1, changed(snapshot="0" * 32)),
        (AdviceRequested, 1, changed(template="trader")),
        (AdviceRequested, 1, changed(template_version=2)),
        (AdviceRequested, 1, changed(expires_at=START)),
        (AdviceRequested, 1, changed(model="another")),
        (AdviceTaken, 0, changed(stale=True)),
        (DecisionMade, 0, changed(advice_id=None)),
        (DecisionMade, 0, changed(advice_id="bot-1-a99")),
        (AdviceReceived, 0, changed(opinions=(opinion(BTC, "hold"),))),
        (AdviceReceived, 0, changed(opinions=())),
        (AdviceReceived, 0, changed(opinions=(opinion(BTC, "long", weight=100),))),
    ],
)
async def test_a_changed_fact_is_found(kind: type[BotFact], number: int, change: Callable[[BotFact], BotFact]) -> None:
    """What a model said counts as given; that it said something else shows in what was decided on it."""
    place = index_of(kind, number)
    planted = change(LIFE[place])
    assert planted != LIFE[place]
    assert (await again([*LIFE[:place], planted, *LIFE[place + 1 :]])).difference is not None


async def test_an_answer_that_was_left_out_is_found() -> None:
    """The log then says that it was taken, and nothing that had come."""
    facts = [fact for fact in LIFE if not isinstance(fact, AdviceReceived | AdviceTaken | AdviceAbstained)]
    assert (await again(facts)).difference is not None


@pytest.mark.parametrize("kind", [AdviceRequested, AdviceTaken, AdviceLapsed])
async def test_a_cycle_of_advice_that_was_left_out_is_found(kind: type[BotFact]) -> None:
    place = index_of(kind)
    gone = [fact for fact in LIFE if getattr(fact, "at", None) != getattr(LIFE[place], "at", None)]
    log = MemoryEventLog(Codec())
    await write(log, gone[: index_of(AdviceRequested, 1)])
    assert (await redecide(BOT, log=log, candles=STORED, decider=DECIDER)).difference is not None


async def test_what_news_said_when_it_was_asked_is_taken_from_the_log() -> None:
    """Nobody can make it again; it is in the digest of what the model was shown."""
    facts, view = bot(), MarketView.of(created().market, capacity=WINDOW)
    state = INITIAL
    for fact in facts:
        state = DECIDER.evolve(state, fact)
    for frame in FRAMES[:WINDOW]:
        view.push(frame)
    said = Sentiment(symbol=BTC, score=Decimal("1.5"), items=2, age_minutes=30)
    [request] = BotDecider(built_in()).decide(ObserveFrame(0, FRAMES[WINDOW - 1], view, sentiments={BTC: said}), state)
    [bare] = DECIDER.decide(ObserveFrame(0, FRAMES[WINDOW - 1], view), state)
    assert isinstance(request, AdviceRequested)
    assert isinstance(bare, AdviceRequested)
    assert request.sentiments == (said,)
    assert request.snapshot != bare.snapshot
    assert (await again([*facts, request])).difference is None
    assert (await again([*facts, msgspec.structs.replace(request, sentiments=())])).difference is not None
