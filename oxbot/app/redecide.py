"""Decides every recorded cycle of a bot again, from the candles in the store, and compares fact by fact."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import reduce
from itertools import groupby
from typing import NamedTuple

from events.advice import AdviceAbstained, AdviceReceived, AdviceRequested, Sentiment
from events.bot import (
    BotArchived,
    BotArmed,
    BotClaimed,
    BotConfigured,
    BotCreated,
    BotDisarmed,
    BotFact,
    BotHalted,
    BotNoticed,
    BotPaused,
    BotStarted,
    BotStopped,
    CapitalDeposited,
    CapitalWithdrawn,
    DecisionMade,
    ExitOrdered,
    TradingStateSet,
)
from events.identifiers import BotId, Symbol, bot_stream
from events.log import EventLog
from events.system import StreamEnded
from oxbot.app.candle_store import CandleStore
from oxbot.app.stored_frames import StoredFrames
from oxbot.core.bot import BotDecider, ObserveFrame
from oxbot.core.candles import Frame, timeframe_duration
from oxbot.core.entry import Fleet
from oxbot.core.live import of_cycle
from oxbot.core.market_view import MarketView
from oxbot.core.money import ZERO
from oxbot.core.state import BotState
from oxbot.core.trips import ENTRY_INTENTS

_GIVEN = (
    BotCreated,
    BotClaimed,
    BotNoticed,
    BotStarted,
    BotPaused,
    BotStopped,
    BotArchived,
    BotArmed,
    BotDisarmed,
    BotConfigured,
    ExitOrdered,
    TradingStateSet,
    CapitalDeposited,
    CapitalWithdrawn,
    AdviceReceived,
    AdviceAbstained,
)
"""Facts that people or processes caused; all others are what a cycle decides."""

_OF_NO_CANDLE = (CapitalDeposited, CapitalWithdrawn, AdviceReceived, AdviceAbstained, BotConfigured, ExitOrdered)
"""Those that came between two candles without saying so; the bot knew of them at its next append, if not before."""


class Difference(NamedTuple):
    """The first place where the log and the decision made again part."""

    bot_id: BotId
    at: datetime
    recorded: tuple[BotFact, ...]
    decided: tuple[BotFact, ...]


class Redecided(NamedTuple):
    """What was decided again for one bot.

    Of a live bot only the candles that left facts were: what its venue says comes between two candles at times that no
    log of decisions holds, so that nobody can claim what it would have done on the others.
    """

    bot_id: BotId
    decisions: int
    facts: int
    frames: int
    difference: Difference | None
    live: bool = False


class _Span(NamedTuple):
    """Facts that others appended, then the one cycle that followed them (empty at the end of the stream)."""

    given: tuple[BotFact, ...]
    cycle: tuple[BotFact, ...]


async def redecide(bot_id: BotId, *, log: EventLog, candles: CandleStore, decider: BotDecider) -> Redecided:
    """Live the bot's recorded life again, up to its newest recorded cycle.

    Every cycle must lead to exactly the facts on record, and every candle between two cycles to none; of a live bot
    those between are not decided on. A status counts from the candle that its fact names. Where a notice says that the
    bot learnt of it later, or where an older fact names no candle and would have made the bot act on one that left no
    fact, it may have come just after that candle. So may money that came or went, what a model answered,
    other terms, and the order to leave a position.
    """
    events = await log.read_stream(bot_stream(bot_id))
    facts: list[BotFact] = [event.fact for event in events if not isinstance(event.fact, StreamEnded)]  # type: ignore[misc]  # a bot's stream holds a bot's facts
    live = bool(facts) and isinstance(facts[0], BotCreated) and facts[0].account is not None
    life = _Life(bot_id, decider, live=live, capacity=_capacity(facts, decider))
    frames = _frames(candles, facts, live=live)
    for span in _spans(facts, live=live):
        life.given(span.given)
        if span.cycle:
            difference = await life.until(span.cycle, frames)
            if difference is not None:
                return life.result(difference)
    return life.result(None)


class _Life:
    """A bot under re-examination."""

    def __init__(self, bot_id: BotId, decider: BotDecider, *, live: bool, capacity: int) -> None:
        self._bot_id = bot_id
        self._capacity = capacity
        self._live = live
        self._decider = decider
        self._states: list[BotState] = [decider.initial]
        self._before_news: list[BotState] = []
        self._dated = True
        self._view: MarketView | None = None
        self._frames = 0
        self._decisions = 0
        self._facts = 0

    def given(self, facts: Sequence[BotFact]) -> None:
        """Take facts that were not decided by a cycle; the states between them are kept as possibilities."""
        self._states = [self._states[-1]]
        self._dated = not any(map(_undated, facts))
        begun = self._states[-1]
        for fact in facts:
            self._states.append(self._decider.evolve(self._states[-1], fact))
        self._before_news = [reduce(self._decider.evolve, known, begun) for known in _without_last_news(facts)]

    async def until(self, cycle: tuple[BotFact, ...], frames: "_Frames") -> Difference | None:
        """Live through the candles up to the cycle's and compare what each leads to."""
        at = _moment(cycle[0])
        while (frame := await frames.next()) is not None:
            self._see(frame)
            if frame.open_time > at:
                break
            if frame.open_time == at:
                self._frames += self._live
                return self._compare(frame, cycle)
            if self._live:
                continue
            quiet = any(not self._decide(frame, state) for state in reversed(self._possible(frame)))
            if not quiet:
                return Difference(self._bot_id, frame.open_time, (), self._decide(frame, self._states[-1]))
        return Difference(self._bot_id, at, cycle, ())

    def result(self, difference: Difference | None) -> Redecided:
        """What was found so far."""
        return Redecided(self._bot_id, self._decisions, self._facts, self._frames, difference, self._live)

    def _possible(self, frame: Frame) -> list[BotState]:
        """The states that may have held at the frame: a notice tells up to where any of the statuses may be unknown."""
        earlier = [state for state in self._states if state.cursor is None or state.cursor < frame.open_time]
        newest = max((state.cursor for state in earlier if state.cursor is not None), default=None)
        possible = [state for state in earlier if state.cursor == newest]
        certain = self._dated and self._states[-1].cursor == newest
        unaware = [state for state in self._before_news if state.cursor == newest]
        return [*unaware, *(possible[-1:] if certain else possible)]

    def _see(self, frame: Frame) -> None:
        if self._view is None:
            self._view = MarketView.of(self._states[-1].configuration.market, capacity=self._capacity)
        self._view.push(frame)
        self._frames += not self._live

    def _decide(self, frame: Frame, state: BotState, recorded: Sequence[BotFact] = ()) -> tuple[BotFact, ...]:
        assert self._view is not None  # noqa: S101 - it has seen the frame
        command = ObserveFrame(
            state.epoch,
            frame,
            self._view,
            fleet=_fleet(recorded),
            data_faults=_data_faults(recorded),
            sentiments=_sentiments(recorded),
            account_fault=_account_fault(recorded, state),
        )
        return tuple(self._decider.decide(command, state))

    def _compare(self, frame: Frame, recorded: tuple[BotFact, ...]) -> Difference | None:
        state = self._states[-1]
        decided = self._decide(frame, state, recorded)
        if decided != recorded:
            return Difference(self._bot_id, frame.open_time, recorded, decided)
        for fact in recorded:
            state = self._decider.evolve(state, fact)
        self._states = [state]
        self._facts += len(recorded)
        self._decisions += sum(isinstance(fact, DecisionMade) for fact in recorded)
        return None


def _capacity(facts: Sequence[BotFact], decider: BotDecider) -> int:
    """How many candles it ever had to be shown, under whichever terms."""
    most, state = 0, decider.initial
    for fact in facts:
        if isinstance(fact, BotCreated | BotConfigured):
            state = decider.evolve(state, fact)
            most = max(most, decider.window(state))
    return most


class _Frames:
    """The stored frames of a bot's market, one at a time."""

    def __init__(self, source: StoredFrames | None) -> None:
        self._frames = source.all() if source is not None else None

    async def next(self) -> Frame | None:
        """The next frame, None at the end."""
        return None if self._frames is None else await anext(self._frames, None)


def _frames(candles: CandleStore, facts: Sequence[BotFact], *, live: bool) -> _Frames:
    cycles = [_moment(fact) for fact in facts if not _was_given(fact, live=live)]
    if not cycles or not isinstance(facts[0], BotCreated):
        return _Frames(None)
    market = facts[0].market
    source = StoredFrames(
        candles,
        venue=market.venue,
        timeframe=market.timeframe,
        symbols=[instrument.symbol for instrument in market.instruments],
        begins_at=market.begins_at,
        ends_before=max(cycles) + timeframe_duration(market.timeframe),
    )
    return _Frames(source)


def _spans(facts: Sequence[BotFact], *, live: bool) -> Iterator[_Span]:
    given: list[BotFact] = []
    for moment, run in groupby(facts, key=lambda fact: None if _was_given(fact, live=live) else _moment(fact)):
        if moment is None:
            given.extend(run)
        else:
            yield _Span(tuple(given), tuple(run))
            given = []
    yield _Span(tuple(given), ())


def _was_given(fact: BotFact, *, live: bool) -> bool:
    """Whether people, processes or a live bot's venue caused the fact, rather than a cycle of the bot."""
    if isinstance(fact, BotHalted):
        return fact.at is None
    return isinstance(fact, _GIVEN) or (live and not of_cycle(fact))


def _data_faults(cycle: Sequence[BotFact]) -> dict[Symbol, str]:
    """What was wrong with which symbol's data, as the cycle's decisions recorded it."""
    decisions = [fact for fact in cycle if isinstance(fact, DecisionMade)]
    return {decision.symbol: decision.data_fault for decision in decisions if decision.data_fault}


def _sentiments(cycle: Sequence[BotFact]) -> dict[Symbol, Sentiment]:
    """What news said of which symbol, as the cycle's request for advice recorded it."""
    requests = [fact for fact in cycle if isinstance(fact, AdviceRequested)]
    return {said.symbol: said for request in requests for said in request.sentiments}


def _account_fault(cycle: Sequence[BotFact], state: BotState) -> str:
    """What kept the bot's account shut: as the cycle's entries recorded it, or else as it was recorded last."""
    entries = (fact for fact in cycle if isinstance(fact, DecisionMade) and fact.intent in ENTRY_INTENTS)
    return next((fact.account_fault for fact in entries), state.account_fault)


def _fleet(cycle: Sequence[BotFact]) -> Fleet | None:
    """What the fleet's other bots had at stake, as the cycle's entries recorded it; one that enters nothing needs none.

    It came from outside, so it is taken from the log as candles are.
    """
    for fact in cycle:
        if isinstance(fact, DecisionMade) and fact.fleet_exposure is not None:
            return Fleet(
                fact.fleet_exposure, fact.fleet_net_exposure or ZERO, fact.fleet_equity or ZERO, fact.fleet_position
            )
    return None


def _without_last_news(facts: Sequence[BotFact]) -> Iterator[list[BotFact]]:
    """The facts without the last of those of no candle: all but the last, and so on up to without any.

    The first capital is there from the creation on.
    """
    news = [at for at, fact in enumerate(facts) if isinstance(fact, _OF_NO_CANDLE)]
    if facts and isinstance(facts[0], BotCreated):
        news = news[1:]
    for number in range(len(news)):
        left_out = set(news[number:])
        yield [fact for at, fact in enumerate(facts) if at not in left_out]


def _undated(fact: BotFact) -> bool:
    """Whether the fact changed the bot's status and does not say from which candle on."""
    match fact:
        case BotStarted() | BotPaused() | BotStopped() | TradingStateSet():
            return fact.effective_at is None
        case BotHalted():
            return fact.at is None
        case _:
            return False


def _moment(fact: BotFact) -> datetime:
    at: datetime = fact.at  # type: ignore[union-attr, assignment]  # every fact of a cycle has it
    return at
