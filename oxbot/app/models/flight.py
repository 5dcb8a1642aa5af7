"""One question on its way to an answer: who waits for it, what was tried, and what that came to."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

from events.advice import AbstainReason, AdviceAbstained, AdviceClass, AdviceReceived, Usage
from events.identifiers import AdviceId, BodyHash, ModelName
from oxbot.app.models.known import KnownModel
from oxbot.app.models.limiter import NEVER
from oxbot.app.models.queue import WEIGHTS, Served
from oxbot.app.models.transport import SETTINGS_STATUSES
from oxbot.app.models.wanted import AdviceWanted, Delivered, Reading, Unreadable
from oxbot.core.models_stream import EndedCall
from oxbot.core.money import ZERO, exact

ATTEMPTS_MAX = 3
"""So often one prompt is put to one model, if it does not answer."""

FINAL = frozenset({"answered", "empty", "truncated"})
"""What a model would not answer better if it were asked the same again."""

Next = Literal["again", "otherwise", "done"]
"""Put the same prompt to the same model again; put another one, or to another; or tell those who wait."""

_CLASSES: tuple[AdviceClass, ...] = tuple(WEIGHTS)


class Flight:
    """A prompt, the models that may be asked in turn, and everybody who asked the same."""

    def __init__(self, wanted: AdviceWanted, chain: Sequence[KnownModel]) -> None:
        self.key = key(wanted)
        self.template = wanted.template
        self.prompt = self.asking = wanted.prompt
        self.repairing = False
        self.failures = 0
        self.calls: list[EndedCall] = []
        self.waiting: dict[AdviceId, AdviceWanted] = {wanted.advice_id: wanted}
        self.outcome: Reading | AbstainReason = "interrupted"
        self.detail = ""
        self._read = wanted.read
        self._chain = tuple(chain)
        self._turn = 0

    @property
    def model(self) -> KnownModel:
        """Who is asked next."""
        return self._chain[self._turn]

    @property
    def further(self) -> Sequence[KnownModel]:
        """Who may be asked in its stead, in this order."""
        return self._chain[self._turn + 1 :]

    @property
    def advice_class(self) -> AdviceClass:
        """The first class of those who wait."""
        return min((wanted.advice_class for wanted in self.waiting.values()), key=_CLASSES.index, default="research")

    @property
    def payees(self) -> Iterator[Served]:
        """Who waits."""
        return (Served(wanted.owner, wanted.bot_id) for wanted in self.waiting.values())

    @property
    def continuing(self) -> bool:
        """Whether a call was made for it already."""
        return bool(self.calls)

    @property
    def deadline(self) -> datetime:
        """When nobody waits any more; long ago, if nobody does."""
        return max((wanted.deadline for wanted in self.waiting.values()), default=NEVER)

    def join(self, wanted: AdviceWanted) -> AdviceWanted | None:
        """One more waits; answers an older request of the same bot, which it has then given up."""
        older = next((each for each in self.waiting.values() if each.bot_id == wanted.bot_id), None)
        if older is not None:
            del self.waiting[older.advice_id]
        self.waiting[wanted.advice_id] = wanted
        return older

    def concerns(self, call: EndedCall, *, since: datetime) -> bool:
        """Whether an ended call counts here: it was made for one who waits, or it is a fresh answer to the same."""
        if any(call.begun.call_id == known.begun.call_id for known in self.calls):
            return False
        if call.ended.outcome in FINAL and call.ended.at >= since:
            return True
        return any(advice_id in self.waiting for advice_id in call.begun.advice)

    def weigh(self, call: EndedCall, raw: str) -> Next:
        """What follows from a call that has ended, ``raw`` being what is stored of its answer."""
        self.calls.append(call)
        match call.ended.outcome:
            case "answered":
                return self._weigh_answer(self._read(raw))
            case "empty" | "truncated" as reason:
                return self._give_up(reason, call.ended.detail)
            case reason:
                return self._weigh_failure(call, reason)

    def fall_back(self) -> bool:
        """Turn to the next model that may be asked in this one's stead; False if there is none."""
        if not self.further:
            return False
        self._turn += 1
        self.asking, self.repairing, self.failures = self.prompt, False, 0
        return True

    def excuse(self, held: tuple[AbstainReason, str] | None = None) -> tuple[AbstainReason, str]:
        """Why somebody whose time is up got nothing: what the last call came to, or, without one, what held it up."""
        if not self.calls:
            return held or ("stale", "its time was up before a call could be begun for it")
        last = self.calls[-1].ended
        return ("invalid", self.detail) if last.outcome == "answered" else (last.outcome, last.detail)

    def fact(self, wanted: AdviceWanted, *, at: datetime) -> Delivered:
        """What the bot's stream is told of the outcome."""
        if not isinstance(self.outcome, Reading):
            return self.abstention(wanted, self.outcome, self.detail, at=at)
        last = self.calls[-1]
        assert last.ended.answer is not None  # noqa: S101 - an answered call's answer is stored before it has ended
        return AdviceReceived(
            advice_id=wanted.advice_id,
            at=at,
            answer=last.ended.answer,
            prompt=last.begun.prompt,
            resolved_model=last.ended.resolved_model,
            opinions=self.outcome.opinions,
            refusals=self.outcome.refusals,
            usage=self._usage(),
            cost=self._cost(wanted),
            latency_ms=self._latency_ms(),
            attempts=len(self.calls),
            repaired=self.repairing or self.outcome.lenient,
            shared_by=self._shared_by(),
        )

    def abstention(self, wanted: AdviceWanted, reason: AbstainReason, detail: str, *, at: datetime) -> AdviceAbstained:
        """That there is no advice, and what was paid all the same."""
        last = self.calls[-1] if self.calls else None
        return AdviceAbstained(
            advice_id=wanted.advice_id,
            at=at,
            reason=reason,
            detail=detail,
            answer=last.ended.answer if last else None,
            prompt=last.begun.prompt if last else None,
            resolved_model=last.ended.resolved_model if last else "",
            usage=self._usage(),
            cost=self._cost(wanted),
            latency_ms=self._latency_ms(),
            attempts=len(self.calls),
            shared_by=self._shared_by(),
        )

    def _weigh_answer(self, read: Reading | Unreadable) -> Next:
        if isinstance(read, Reading):
            self.outcome = read
            return "done"
        self.detail = read.fault
        if self.repairing:
            return self._give_up(read.reason, read.fault)
        self.asking = self.prompt.with_words(read.repair)
        self.repairing, self.failures = True, 0
        return "otherwise"

    def _weigh_failure(self, call: EndedCall, reason: AbstainReason) -> Next:
        self.failures += 1
        refused = reason == "refused"
        if refused and call.ended.status not in SETTINGS_STATUSES:
            return self._give_up(reason, call.ended.detail)
        if not refused and self.failures < ATTEMPTS_MAX:
            return "again"
        return "otherwise" if self.fall_back() else self._give_up(reason, call.ended.detail)

    def _give_up(self, reason: AbstainReason, detail: str) -> Next:
        self.outcome, self.detail = reason, detail
        return "done"

    def _usage(self) -> Usage:
        return Usage(
            input=sum(call.ended.usage.input for call in self.calls),
            output=sum(call.ended.usage.output for call in self.calls),
            cached=sum(call.ended.usage.cached for call in self.calls),
        )

    def _cost(self, wanted: AdviceWanted) -> Decimal:
        with exact():
            return sum((call.share(wanted.advice_id) for call in self.calls), ZERO)

    def _latency_ms(self) -> int:
        if not self.calls:
            return 0
        taken = self.calls[-1].ended.at - self.calls[0].begun.at
        return max(0, round(taken.total_seconds() * 1000))

    def _shared_by(self) -> int:
        return max((1, len(self.waiting), *(len(call.begun.shares) for call in self.calls)))


def key(wanted: AdviceWanted) -> tuple[ModelName, BodyHash]:
    """Requests with the same key are one question."""
    return wanted.model, wanted.prompt.hash
