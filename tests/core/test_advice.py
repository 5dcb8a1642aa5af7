"""What a bot asks, when it asks it, and what becomes of what it is told."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from events.advice import (
    AdviceAbstained,
    AdviceClass,
    AdviceLapsed,
    AdviceReceived,
    AdviceRequested,
    AdviceTaken,
    Opinion,
    Sentiment,
)
from events.bot import BotFact, DecisionMade, OrderDenied, TradingState
from events.identifiers import AdviceId, Symbol
from events.values import Instrument
from oxbot.core.advice import LAPSED_KEPT, RecordAdvice
from oxbot.core.advice_bounds import SYMBOLS_MAX
from oxbot.core.advice_snapshot import digest, snapshot
from oxbot.core.bot import CommandRefused, ObserveFrame, PauseBot, SetTradingState, StopBot
from oxbot.core.candles import Candle, Frame
from oxbot.core.live import of_cycle
from oxbot.core.money import exact
from oxbot.core.state import BrokenStream, fold
from tests.core.advised_lives import abstained, advised, advised_life, answer, asked, opinion, received
from tests.core.lives import BTC, ETH, LOOSE, START, Life, creation, decisions, denials, perpetual, spot

STEP = timedelta(minutes=5)
OFTEN = {"every": "1", "valid": "2", "confidence_min": "60"}


def bot(*instruments: Instrument, confidence_limit: str | None = None, **parameters: str) -> Life:
    """An advised bot at five-minute candles whose market has a past around 1,000."""
    limits = msgspec.structs.replace(LOOSE, confidence_min=Decimal(confidence_limit) if confidence_limit else None)
    command = creation(*(instruments or (spot(),)), timeframe="5m", limits=limits)
    known = dict.fromkeys((each.symbol for each in command.market.instruments), 100_000)
    return advised_life(advised(command, {**OFTEN, **parameters}), known)


def frame(number: int, price: str = "1000", *symbols: Symbol) -> Frame:
    """Candle ``number`` of the symbols, or of BTC/USDT alone, that goes nowhere."""
    at, value = START + number * STEP, Decimal(price)
    candles = [(symbol, Candle(at, value, value, value, value, Decimal(1000))) for symbol in symbols or (BTC,)]
    return Frame(at, tuple(sorted(candles)))


def see(life: Life, number: int, price: str = "1000") -> list[BotFact]:
    """Show the next candle."""
    return life.see(frame(number, price)).facts


def told(life: Life, *opinions: Opinion) -> None:
    """Answer what the bot waits for."""
    assert life.state.advice.pending is not None
    answer(life, received(life.state.advice.pending, *opinions))


def entered(*instruments: Instrument, **parameters: str) -> Life:
    """A bot that bought in candle 2, on an answer to what it asked in candle 0."""
    life = bot(*instruments, confidence_limit=None, **parameters)
    [request] = asked(see(life, 0))
    answer(life, received(request, opinion(BTC)))
    see(life, 1)
    see(life, 2)
    assert life.state.ledger.positions
    return life


# Asking.


def test_a_request_names_all_that_a_model_is_to_be_asked_with() -> None:
    life = bot(model="deep-1", template="trader")
    step = life.see(frame(0))
    [request] = step.facts
    with exact():
        shown = snapshot(step.before, life.view, [BTC], "trader", (), version=1)
    assert request == AdviceRequested(
        advice_id=AdviceId("bot-1-a1"),
        at=START,
        model="deep-1",  # type: ignore[arg-type]  # its name
        template="trader",
        template_version=1,
        snapshot=digest(shown),
        symbols=(BTC,),
        advice_class="paper",
        expires_at=START + 3 * STEP,
    )


def test_it_asks_at_every_so_manieth_candle_since_its_market_began() -> None:
    life = bot(every="3", valid="1")
    numbers = [number for number in range(12) if asked(see(life, number))]
    assert numbers == [2, 5, 8, 11]


def test_a_candle_that_is_missing_moves_no_other_request() -> None:
    life = bot(every="3", valid="1")
    numbers = [number for number in (0, 1, 3, 4, 5, 6, 8) if asked(see(life, number))]
    assert numbers == [5, 8]


def test_it_asks_nothing_while_an_answer_may_come() -> None:
    life = bot(valid="4")
    assert [len(asked(see(life, number))) for number in range(5)] == [1, 0, 0, 0, 1]


def test_it_asks_nothing_before_enough_candles_are_known() -> None:
    life = bot(window="302")
    assert [bool(asked(see(life, number))) for number in range(3)] == [False, True, False]


def test_a_symbol_without_a_candle_at_that_moment_is_not_asked_about() -> None:
    life = bot(spot(BTC), spot(ETH))
    [request] = asked(life.see(frame(0, "1000", ETH)).facts)
    assert request.symbols == (ETH,)


def test_of_many_symbols_each_request_asks_about_the_next_part() -> None:
    symbols = sorted(Symbol(f"C{number}/USDT") for number in range(SYMBOLS_MAX + 2))
    life = bot(*map(spot, symbols), valid="1")
    parts = []
    for number in range(3):
        [request] = asked(life.see(frame(number, "1000", *symbols)).facts)
        answer(life, received(request))
        parts.append(list(request.symbols))
    assert parts == [symbols[:SYMBOLS_MAX], symbols[SYMBOLS_MAX:], symbols[:SYMBOLS_MAX]]


@pytest.mark.parametrize("state", ["reducing", "halted"])
def test_a_flat_bot_that_may_not_enter_asks_nothing(state: TradingState) -> None:
    life = bot()
    life.tell(SetTradingState(state))
    assert asked(see(life, 0)) == []


def test_a_bot_that_was_not_started_or_is_paused_or_stopped_asks_nothing() -> None:
    for word in (PauseBot(), StopBot()):
        life = bot()
        life.tell(word)
        assert asked(see(life, 0)) == []


@pytest.mark.parametrize(
    ("word", "asks"),
    [
        (PauseBot(), True),
        (SetTradingState("reducing"), True),
        (SetTradingState("halted"), False),
        (StopBot(), False),
    ],
)
def test_a_bot_that_holds_something_asks_as_long_as_it_could_exit(
    word: PauseBot | SetTradingState | StopBot, asks: bool
) -> None:
    life = entered(valid="1")
    life.tell(word)
    assert bool(asked(see(life, 3))) is asks


def test_a_bot_that_holds_something_asks_for_exits() -> None:
    classes: list[AdviceClass] = [request.advice_class for request in asked(entered(valid="1").facts)]
    assert classes[0] == "paper"
    assert classes[-1] == "exit"


def test_what_news_say_of_what_it_asks_about_is_in_the_request() -> None:
    life = bot()
    life.view.push(frame(0))
    said = {name: Sentiment(symbol=name, score=Decimal(1), items=1, age_minutes=5) for name in (BTC, ETH)}
    [request] = life.tell(ObserveFrame(life.state.epoch, frame(0), life.view, sentiments=said))
    assert isinstance(request, AdviceRequested)
    assert request.sentiments == (said[BTC],)


# Hearing.


def test_an_answer_is_taken_by_the_next_candle_before_anything_is_decided() -> None:
    life = bot()
    [request] = asked(see(life, 0))
    assert answer(life, received(request, opinion(BTC))) == [received(request, opinion(BTC))]

    facts = see(life, 1)

    assert facts[0] == AdviceTaken(advice_id=request.advice_id, at=START + STEP)
    [decision] = decisions(facts)
    assert (decision.intent, decision.advice_id) == ("enter_long", request.advice_id)


def test_the_answer_moves_the_bot_no_candle_on() -> None:
    life = bot()
    [request] = asked(see(life, 0))
    before = life.state.cursor
    answer(life, received(request, opinion(BTC)))
    assert life.state.cursor == before


def test_the_same_answer_is_recorded_once_whoever_brings_it() -> None:
    life = bot()
    [request] = asked(see(life, 0))
    answer(life, abstained(request))
    assert answer(life, abstained(request)) == []
    assert answer(life, received(request, opinion(BTC))) == []
    see(life, 1)
    assert answer(life, received(request, opinion(BTC))) == []


def test_an_answer_to_what_nobody_asked_is_none() -> None:
    life = bot()
    [request] = asked(see(life, 0))
    stranger = msgspec.structs.replace(request, advice_id=AdviceId("bot-1-a9"))
    assert answer(life, received(stranger, opinion(BTC))) == []


@pytest.mark.parametrize(
    "opinions",
    [
        [opinion(ETH)],
        [opinion(BTC), opinion(BTC)],
        [opinion(BTC, weight=10_001)],
        [opinion(BTC, weight=-1)],
        [opinion(BTC, confidence=101)],
    ],
)
def test_opinions_that_no_request_leads_to_are_refused(opinions: Sequence[Opinion]) -> None:
    life = bot()
    [request] = asked(see(life, 0))
    with pytest.raises(CommandRefused):
        answer(life, received(request, *opinions))


def test_a_request_lapses_at_the_last_candle_that_could_have_known_of_an_answer() -> None:
    life = bot(valid="2")
    [request] = asked(see(life, 0))
    assert see(life, 1) == []
    lapsed, again = see(life, 2)
    assert lapsed == AdviceLapsed(advice_id=request.advice_id, at=START + 2 * STEP)
    assert isinstance(again, AdviceRequested)
    assert again.advice_id == AdviceId("bot-1-a2")


def test_an_answer_after_that_is_put_on_record_once_and_counts_for_nothing() -> None:
    life = bot(valid="1", every="2")
    see(life, 0)
    [request] = asked(see(life, 1))
    assert isinstance(see(life, 2)[0], AdviceLapsed)
    late = received(request, opinion(BTC))
    assert answer(life, late) == [late]
    assert answer(life, late) == []
    assert [decisions(see(life, number)) for number in range(3, 6)] == [[], [], []]


def test_only_the_newest_lapsed_requests_are_remembered() -> None:
    life = bot(valid="1")
    for number in range(LAPSED_KEPT + 5):
        see(life, number)
    requested = asked(life.facts)
    assert len(life.state.advice.lapsed) == LAPSED_KEPT
    assert answer(life, abstained(requested[0])) == []
    assert len(answer(life, abstained(requested[-3]))) == 1


def test_an_answer_that_waited_over_a_gap_is_taken_as_stale() -> None:
    life = bot(valid="2")
    [request] = asked(see(life, 0))
    answer(life, received(request, opinion(BTC)))
    facts = see(life, 7)
    assert facts[0] == AdviceTaken(advice_id=request.advice_id, at=START + 7 * STEP, stale=True)
    assert not decisions(facts)
    assert life.state.advice.misses == 1


def test_three_misses_in_a_row_show_until_an_answer_comes() -> None:
    life = bot(valid="2", every="3")
    modes = []
    for number in range(14):
        for request in asked(see(life, number)):
            if request.advice_id == "bot-1-a2":
                answer(life, abstained(request))
            elif request.advice_id == "bot-1-a4":
                answer(life, received(request))
        modes.append((life.state.advice.misses, life.state.advice.safe_mode))
    assert modes[4] == (1, False)
    assert modes[7] == (2, False)
    assert modes[10] == (3, True)
    assert modes[12] == (0, False)


def test_of_a_live_bot_too_only_its_own_cycle_asks_takes_and_gives_up() -> None:
    life = bot()
    [request] = asked(see(life, 0))
    own: list[BotFact] = [
        request,
        AdviceTaken(advice_id=request.advice_id, at=START),
        AdviceLapsed(advice_id=request.advice_id, at=START),
    ]
    assert all(map(of_cycle, own))
    told_it: list[BotFact] = [received(request), abstained(request)]
    assert not any(map(of_cycle, told_it))


# What an opinion may lead to.


def test_an_opinion_counts_only_as_long_as_it_is_fresh() -> None:
    life = bot(valid="3", every="300")
    life.view.push(frame(0))
    request = AdviceRequested(
        advice_id=AdviceId("bot-1-a1"),
        at=START,
        model="scripted",  # type: ignore[arg-type]  # its name
        template="market",
        template_version=1,
        snapshot="",
        symbols=(BTC,),
        advice_class="paper",
        expires_at=START + 4 * STEP,
    )
    life.state = fold(
        [request, received(request, opinion(BTC)), AdviceTaken(advice_id=request.advice_id, at=START)], life.state
    )
    book = life.state.advice
    assert book.usable(BTC, START + 3 * STEP, held=False) is not None
    assert book.usable(BTC, START + 4 * STEP, held=False) is None
    assert book.usable(ETH, START + STEP, held=False) is None


def test_an_opinion_whose_entry_was_refused_enters_nothing_later() -> None:
    """Not even once whatever stood against it is gone."""
    life = bot(confidence_limit="0.9", valid="5", every="5")
    for number in range(4):
        see(life, number)
    [request] = asked(see(life, 4))
    answer(life, received(request, opinion(BTC)))
    assert len(denials(see(life, 5))) == 1
    assert [fact for number in range(6, 9) for fact in see(life, number)] == []


def test_each_refused_opinion_is_on_record_however_alike() -> None:
    life = bot(confidence_limit="0.9", valid="1")
    for number in range(5):
        for request in asked(see(life, number)):
            answer(life, received(request, opinion(BTC)))
    denied = [fact for fact in life.facts if isinstance(fact, OrderDenied)]
    assert len(denied) == 4
    assert len({fact.advice_id for fact in life.facts if isinstance(fact, DecisionMade)}) == 4


def test_a_position_that_was_stopped_out_is_not_entered_again_on_the_same_opinion() -> None:
    """Nor on a newer one that came while it was held."""
    life = entered(valid="9")
    told(life, opinion(BTC))
    assert decisions(see(life, 3)) == []
    see(life, 4, "500")
    assert not life.state.ledger.positions
    assert [decisions(see(life, number, "500")) for number in range(5, 8)] == [[], [], []]


def test_an_opinion_against_what_is_held_turns_it_around() -> None:
    """Out first; in on the other side once that has traded."""
    life = entered(perpetual(BTC), allow_short="true", valid="9")
    told(life, opinion(BTC, "short"))
    intents = [[decision.intent for decision in decisions(see(life, number))] for number in range(3, 8)]
    assert intents == [["exit"], [], ["enter_short"], [], []]


def test_an_opinion_takes_half_off_once() -> None:
    life = entered(valid="9")
    told(life, opinion(BTC, "reduce"))
    intents = [decision.intent for number in range(3, 8) for decision in decisions(see(life, number))]
    assert intents == ["reduce"]


def test_what_an_answer_leaves_out_has_no_opinion_any_more() -> None:
    life = entered(valid="9")
    assert BTC in life.state.advice.opinions
    told(life)
    see(life, 3)
    assert life.state.advice.opinions == {}


def test_an_abstention_leaves_an_older_opinion_that_is_fresh() -> None:
    life = entered(valid="9")
    assert life.state.advice.pending is not None
    answer(life, abstained(life.state.advice.pending))
    see(life, 3)
    assert BTC in life.state.advice.opinions
    assert life.state.advice.misses == 1


# Facts that cannot follow.


@pytest.mark.parametrize(
    "fact",
    [
        AdviceTaken(advice_id=AdviceId("bot-1-a1"), at=START),
        AdviceLapsed(advice_id=AdviceId("bot-1-a1"), at=START),
    ],
)
def test_what_was_never_asked_cannot_be_taken_or_lapse(fact: BotFact) -> None:
    with pytest.raises(BrokenStream):
        fold([fact], bot().state)


def test_a_second_request_cannot_come_before_the_first_is_done_with() -> None:
    life = bot()
    [request] = asked(see(life, 0))
    with pytest.raises(BrokenStream):
        fold([msgspec.structs.replace(request, advice_id=AdviceId("bot-1-a2"))], life.state)


def test_a_fact_that_nobody_waits_for_changes_nothing() -> None:
    life = bot()
    [request] = asked(see(life, 0))
    answer(life, abstained(request))
    facts: list[AdviceReceived | AdviceAbstained] = [received(request, opinion(BTC)), abstained(request)]
    assert fold(facts, life.state) == life.state
    assert life.decider.decide(RecordAdvice(facts[0]), life.state) == []
