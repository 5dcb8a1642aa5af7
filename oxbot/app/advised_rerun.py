"""Lives a bot's recorded life again under other limits or another size, on the answers that its models gave then."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from events.advice import AdviceAbstained, AdviceReceived, AdviceRequested, AdviceTaken, Sentiment
from events.bot import (
    BotArmed,
    BotClaimed,
    BotConfigured,
    BotCreated,
    BotDisarmed,
    BotFact,
    BotNoticed,
    BotPaused,
    BotStarted,
    BotStopped,
    CapitalDeposited,
    ExitOrdered,
    TradingStateSet,
)
from events.errors import OxbotError
from events.identifiers import AdviceId, BotId, ModelName, Symbol, bot_stream
from events.log import EventLog
from events.system import StreamEnded
from events.values import Parameter, RiskLimits, Sizing
from oxbot.app.candle_store import CandleStore
from oxbot.app.given import BadField, read_given
from oxbot.app.stored_frames import StoredFrames
from oxbot.core.bot import BotDecider, ObserveFrame, RecordAdvice
from oxbot.core.bot_state import BotState
from oxbot.core.candles import Frame, timeframe_duration
from oxbot.core.market_view import MarketView
from oxbot.core.risk import check_limits
from oxbot.core.sizing import check_sizing
from oxbot.core.strategy import Strategies
from oxbot.views.advice_rows import ModelAsked

_TOLD = BotStarted | BotPaused | BotStopped | TradingStateSet


class AnswerMissing(OxbotError):
    """The bot asks what it did not ask when it was recorded; nobody may be called for it."""


class NotRerunnable(OxbotError):
    """A life that cannot be lived again under other terms; the text says why."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; None for as it was."""

    limits: RiskLimits | None = None
    sizing: Sizing | None = None
    parameters: Mapping[str, str] = {}


class Rerun(NamedTuple):
    """The other life: all its facts, the bot at its end, and how many recorded answers it got."""

    bot_id: BotId
    facts: tuple[BotFact, ...]
    state: BotState
    answers: int

    @property
    def asked(self) -> Sequence[ModelAsked]:
        """Which models it asked, and about which candles."""
        times: dict[ModelName, list[datetime]] = {}
        for fact in self.facts:
            if isinstance(fact, AdviceRequested):
                times.setdefault(fact.model, []).append(fact.at)
        return [
            ModelAsked(model=model, requests=len(at), first_at=min(at), last_at=max(at)) for model, at in times.items()
        ]


class _Given(NamedTuple):
    """What came of a request, and the candle whose cycle knew of it; None if none ever did."""

    answer: AdviceReceived | AdviceAbstained | None
    taken_at: datetime | None


Question = tuple[datetime, str, str, int, str, tuple[Parameter, ...]]


async def changed(bot_id: BotId, given: Sequence[tuple[str, str]], *, log: EventLog) -> Terms:
    """The terms with these values changed, by path: ``limits.NAME``, ``sizing.NAME`` or ``parameters.NAME``.

    What is not named is as the bot was created with. Raises ``NotRerunnable``, ``InvalidLimits`` or ``InvalidSizing``.
    """
    events = await log.read_stream(bot_stream(bot_id), limit=1)
    if not events or not isinstance(events[0].fact, BotCreated):
        raise NotRerunnable(f"there is no bot {bot_id}")
    created = events[0].fact
    body: dict[str, dict[str, object]] = {
        "limits": msgspec.to_builtins(created.limits),
        "sizing": msgspec.to_builtins(created.sizing or Sizing()),
        "parameters": {},
    }
    for path, value in given:
        group, _, name = path.partition(".")
        if group not in body or not name:
            raise NotRerunnable(f"{path} is none of limits.NAME, sizing.NAME and parameters.NAME")
        body[group][name] = value
    try:
        terms = read_given(body, Terms, strict=False)
    except BadField as error:
        raise NotRerunnable(f"the terms cannot be read: {error}") from error
    check_limits(terms.limits or created.limits)
    check_sizing(terms.sizing or Sizing())
    return terms


async def rerun(bot_id: BotId, terms: Terms, *, log: EventLog, candles: CandleStore, strategies: Strategies) -> Rerun:
    """What the bot would have done under these terms, up to its last recorded candle.

    It is given the recorded answer to each request at the candle at which it knew of it then. The same question asked
    at another candle is another question. Raises ``AnswerMissing``, and ``NotRerunnable`` for a bot that trades at a
    venue, or whose capital changed on the way.
    """
    events = await log.read_stream(bot_stream(bot_id))
    facts: list[BotFact] = [event.fact for event in events if not isinstance(event.fact, StreamEnded)]  # type: ignore[misc]  # a bot's stream holds a bot's facts
    created, capital = _begun(bot_id, facts)
    life = _Life(facts, BotDecider(strategies), begun=[_under(created, terms, strategies), capital])
    market = life.state.configuration.market
    source = StoredFrames(
        candles,
        venue=market.venue,
        timeframe=market.timeframe,
        symbols=[instrument.symbol for instrument in market.instruments],
        begins_at=market.begins_at,
        ends_before=_last(facts) + timeframe_duration(market.timeframe),
    )
    async for frame in source.all():
        life.see(frame)
    return Rerun(bot_id, tuple(life.facts), life.state, life.answers)


class _Life:
    """The bot under the other terms."""

    def __init__(self, facts: Sequence[BotFact], decider: BotDecider, *, begun: Sequence[BotFact]) -> None:
        self.facts: list[BotFact] = []
        self.state = decider.initial
        self.answers = 0
        self._decider = decider
        self._recorded = _recorded(facts)
        self._sentiments = {fact.at: fact.sentiments for fact in facts if isinstance(fact, AdviceRequested)}
        self._told = [fact for fact in facts if isinstance(fact, _TOLD)]
        self._follow(begun)
        self._view = MarketView.of(self.state.configuration.market, capacity=decider.window(self.state))

    def see(self, frame: Frame) -> None:
        """Live through the frame."""
        self._view.push(frame)
        while self._told and (self._told[0].effective_at is None or self._told[0].effective_at <= frame.open_time):
            self._follow([self._told.pop(0)])
        self._hear(frame.open_time)
        said: dict[Symbol, Sentiment] = {each.symbol: each for each in self._sentiments.get(frame.open_time, ())}
        observed = ObserveFrame(self.state.epoch, frame, self._view, sentiments=said)
        self._follow(self._decider.decide(observed, self.state))

    def _hear(self, open_time: datetime) -> None:
        """Be told what had come of the pending request by then."""
        pending = self.state.advice.pending
        if pending is None or self.state.advice.answer is not None:
            return
        given = self._recorded.get(_question(pending))
        if given is None:
            raise AnswerMissing(
                f"bot {self.state.bot_id} asks {pending.model} at {pending.at:%Y-%m-%dT%H:%M:%SZ} under these terms, "
                "and did not when it was recorded"
            )
        if given.answer is not None and given.taken_at is not None and given.taken_at <= open_time:
            told = msgspec.structs.replace(given.answer, advice_id=pending.advice_id)
            self._follow(self._decider.decide(RecordAdvice(told), self.state))
            self.answers += 1

    def _follow(self, facts: Sequence[BotFact]) -> None:
        for fact in facts:
            self.state = self._decider.evolve(self.state, fact)
            self.facts.append(fact)


def _begun(bot_id: BotId, facts: Sequence[BotFact]) -> tuple[BotCreated, CapitalDeposited]:
    """How the bot was created, if its life is one that can be lived again."""
    if not facts or not isinstance(facts[0], BotCreated):
        raise NotRerunnable(f"there is no bot {bot_id}")
    if facts[0].account is not None or any(isinstance(fact, BotArmed | BotDisarmed) for fact in facts):
        raise NotRerunnable(f"bot {bot_id} trades at a venue, which would not answer other orders")
    flows = [fact for fact in facts if str(fact.__struct_config__.tag).startswith("capital.")]
    if len(flows) != 1 or not isinstance(flows[0], CapitalDeposited):
        raise NotRerunnable(f"money came to bot {bot_id} or went from it on the way")
    if any(isinstance(fact, BotConfigured | ExitOrdered) for fact in facts):
        raise NotRerunnable(f"bot {bot_id} was given other terms on the way, or told to leave what it held")
    if any(isinstance(fact, BotNoticed) for fact in facts):
        raise NotRerunnable(f"bot {bot_id} learnt late of what it was told, and nothing says what it knew when")
    return facts[0], flows[0]


def _under(created: BotCreated, terms: Terms, strategies: Strategies) -> BotCreated:
    """The creation under the other terms; what they leave out is as it was."""
    given = {parameter.name: parameter.value for parameter in created.strategy.parameters} | dict(terms.parameters)
    return msgspec.structs.replace(
        created,
        limits=terms.limits or created.limits,
        sizing=terms.sizing or created.sizing,
        strategy=strategies.refer(created.strategy.name, given),
    )


def _recorded(facts: Sequence[BotFact]) -> dict[Question, _Given]:
    requests: dict[AdviceId, AdviceRequested] = {}
    answers: dict[AdviceId, AdviceReceived | AdviceAbstained] = {}
    taken: dict[AdviceId, datetime] = {}
    for fact in facts:
        match fact:
            case AdviceRequested():
                requests[fact.advice_id] = fact
            case AdviceReceived() | AdviceAbstained():
                answers.setdefault(fact.advice_id, fact)
            case AdviceTaken():
                taken[fact.advice_id] = fact.at
            case _:
                pass
    # A request that lapsed, or that is open at the end, was asked all the same: nothing comes of it again.
    return {
        _question(request): _Given(answers.get(advice_id), taken.get(advice_id))
        for advice_id, request in requests.items()
    }


def _question(request: AdviceRequested) -> Question:
    """What makes two requests the same: when, whom, in which words, about what."""
    return (
        request.at,
        request.model,
        request.template,
        request.template_version,
        request.snapshot,
        request.parameters,
    )


def _last(facts: Sequence[BotFact]) -> datetime:
    """The newest candle on record."""
    moments = [
        at
        for fact in facts
        if not isinstance(fact, AdviceReceived | AdviceAbstained | BotClaimed)
        and isinstance(at := getattr(fact, "at", None), datetime)
    ]
    if not moments:
        raise NotRerunnable("the bot has left no fact of any candle")
    return max(moments)
