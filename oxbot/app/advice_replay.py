"""Reads every stored answer of a bot's models again and compares it with the opinions on record. It calls nobody."""

from collections.abc import Sequence
from typing import NamedTuple

from events.advice import AdviceAbstained, AdviceReceived, AdviceRequested
from events.bot import BotFact
from events.identifiers import AdviceId, BotId, bot_stream
from events.log import EventLog
from events.system import StreamEnded
from oxbot.app.advice_prompt import SnapshotDiffers, Worded, Wording
from oxbot.app.bodies import BodyStore
from oxbot.app.candle_store import CandleStore
from oxbot.app.models.wanted import Unreadable
from oxbot.core.bot import BotDecider
from oxbot.core.bot_state import BotState


class AnswerDifference(NamedTuple):
    """The first answer that does not lead to what is on record, and how."""

    bot_id: BotId
    advice_id: AdviceId
    reason: str


class Reread(NamedTuple):
    """What was read again for one bot: so many answers to so many requests."""

    bot_id: BotId
    requests: int
    answers: int
    difference: AnswerDifference | None = None


async def reread(
    bot_id: BotId, *, log: EventLog, candles: CandleStore, bodies: BodyStore, decider: BotDecider
) -> Reread:
    """Put every request of the bot into words again, and read again what its model answered.

    The snapshot must be the one on record, and the stored prompt and answer be there: raises ``BodyMissing`` if one is
    not. What can be read strictly reads the same leniently, so the model's profile of that time need not be known.
    """
    events = await log.read_stream(bot_stream(bot_id))
    facts: list[BotFact] = [event.fact for event in events if not isinstance(event.fact, StreamEnded)]  # type: ignore[misc]  # a bot's stream holds a bot's facts
    return await _Rereading(bot_id, Wording(candles, decider), bodies, decider).run(facts)


class _Rereading:
    """One pass over a bot's facts."""

    def __init__(self, bot_id: BotId, wording: Wording, bodies: BodyStore, decider: BotDecider) -> None:
        self._bot_id = bot_id
        self._wording = wording
        self._bodies = bodies
        self._decider = decider
        self._worded: dict[AdviceId, Worded] = {}
        self._requests = 0
        self._answers = 0

    async def run(self, facts: Sequence[BotFact]) -> Reread:
        state = self._decider.initial
        for fact in facts:
            reason = await self._differs(state, fact)
            if reason and isinstance(fact, AdviceRequested | AdviceReceived | AdviceAbstained):
                return self._result(AnswerDifference(self._bot_id, fact.advice_id, reason))
            state = self._decider.evolve(state, fact)
        return self._result(None)

    async def _differs(self, state: BotState, fact: BotFact) -> str:
        """How the fact is not what leads to it, or nothing."""
        match fact:
            case AdviceRequested():
                self._requests += 1
                try:
                    self._worded[fact.advice_id] = await self._wording.of(state, fact)
                except SnapshotDiffers as differs:
                    return str(differs)
            case AdviceReceived():
                return await self._received(fact)
            case AdviceAbstained():
                # The prompt of a request that was never put to a model is kept nowhere; its hash says what it was.
                for body in (fact.prompt if fact.attempts else None, fact.answer):
                    if body is not None:
                        await self._bodies.get(body)
            case _:
                pass
        return ""

    async def _received(self, fact: AdviceReceived) -> str:
        worded = self._worded.pop(fact.advice_id, None)
        if worded is None:
            return "nobody had asked for it"
        await self._bodies.get(fact.prompt)
        raw = (await self._bodies.get(fact.answer)).decode()
        self._answers += 1
        found = worded.reader(lenient=True)(raw)
        if isinstance(found, Unreadable):
            return f"the stored answer cannot be read: {found.fault}"
        if found.opinions != fact.opinions:
            return f"the stored answer says {found.opinions}, and on record is {fact.opinions}"
        if found.refusals != fact.refusals:
            return f"of the stored answer {found.refusals} is refused, and on record is {fact.refusals}"
        return ""

    def _result(self, difference: AnswerDifference | None) -> Reread:
        return Reread(self._bot_id, self._requests, self._answers, difference)
