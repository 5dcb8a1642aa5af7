"""Follows what bots ask of models, puts it into words for the gateway, and puts what came of it on their streams."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, get_args

import structlog

from events.advice import AbstainReason, AdviceAbstained, AdviceClass, AdviceLapsed, AdviceReceived, AdviceRequested
from events.envelope import Metadata, RecordedEvent
from events.errors import LogUnavailable, OxbotError, StoreUnavailable, StreamClosed
from events.identifiers import BOT_STREAM_PREFIX, AdviceId, BotId, ModelName, bot_stream
from events.log import EventLog
from events.subscription import CaughtUp, subscribe
from oxbot.app.advice_books import AskingBots
from oxbot.app.advice_prompt import SnapshotDiffers, Wording
from oxbot.app.clock import Clock
from oxbot.app.handle import handle
from oxbot.app.models.wanted import AdviceWanted, Delivered, Payers
from oxbot.core.bot import BotDecider, CommandRefused, RecordAdvice
from oxbot.core.bot_state import BotState

LOOK_BACK = timedelta(days=7)
"""What was asked longer ago than this is not looked for: its bot has given it up, or lapses it when it lives again."""

LIFE_MAX = timedelta(minutes=30)
"""So long, of real time, a request is worth a call at most, however long its answer would count."""

CLASSES: tuple[AdviceClass, ...] = get_args(AdviceClass)
"""The first of them is put into words first."""

ADVICE_TYPES = tuple(
    str(kind.__struct_config__.tag) for kind in (AdviceRequested, AdviceReceived, AdviceAbstained, AdviceLapsed)
)

logger = structlog.get_logger(__name__)


class ModelGateway(Protocol):
    """Answers requests; what the desk needs of it."""

    def ask(self, wanted: AdviceWanted) -> None:
        """Take a request; the answer comes by the ``Deliver`` that it was made with."""
        ...

    def withdraw(self, advice_id: AdviceId) -> None:
        """Nobody waits for it any more."""
        ...

    async def run(self) -> None:
        """Serve until cancelled, superseded or failed."""
        ...


class Open(NamedTuple):
    """A request without an answer: the fact, and where it is on its bot's stream."""

    bot_id: BotId
    version: int
    recorded_at: datetime
    fact: AdviceRequested


class AdviceDelivery:
    """Puts what came of a request on its bot's stream. A ``Deliver``: telling it again changes nothing."""

    def __init__(self, bots: AskingBots, *, log: EventLog, decider: BotDecider, clock: Clock, holder: str) -> None:
        self._bots = bots
        self._log = log
        self._decider = decider
        self._clock = clock
        self._metadata = Metadata(actor=holder)

    async def __call__(self, bot_id: BotId, fact: Delivered) -> None:
        """Return once it is durable. What the bot's own rules refuse is put there as an abstention."""
        try:
            await self._record(bot_id, fact)
        except CommandRefused as refused:
            logger.warning("advice_refused", bot_id=bot_id, advice_id=fact.advice_id, error=str(refused))
            with suppress(CommandRefused):
                await self._record(bot_id, _refused(fact, str(refused)))
        except StreamClosed:
            logger.info("advice_for_nobody", bot_id=bot_id, advice_id=fact.advice_id)

    async def _record(self, bot_id: BotId, fact: Delivered) -> None:
        await handle(
            self._log,
            self._decider,
            bot_stream(bot_id),
            RecordAdvice(fact),
            at=self._clock.now(),
            known=await self._bots.now(bot_id),
            metadata=self._metadata,
        )


class AdviceDesk:
    """Everything about requests for advice that is not about calling models.

    It keeps nothing: what has no answer it finds in the log, whenever it begins.
    """

    def __init__(
        self,
        gateway: ModelGateway,
        *,
        log: EventLog,
        bots: AskingBots,
        wording: Wording,
        payers: Payers,
        deliver: AdviceDelivery,
        clock: Clock,
        lenient: Callable[[ModelName], bool],
        speed: float | None,
    ) -> None:
        """``lenient`` says whose answers may stand in a code fence.

        Market time passes ``speed`` times as fast as the clock; None if it waits for answers.
        """
        self._gateway = gateway
        self._log = log
        self._bots = bots
        self._wording = wording
        self._payers = payers
        self._deliver = deliver
        self._clock = clock
        self._lenient = lenient
        self._speed = speed
        self._new: dict[AdviceId, Open] = {}

    async def run(self) -> None:
        """Serve until cancelled or superseded."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._gateway.run())
            tasks.create_task(self._follow())

    async def _follow(self) -> None:
        begins = await self._log.position_at(self._clock.now() - LOOK_BACK)
        async for item in subscribe(self._log, after_position=begins, types=ADVICE_TYPES):
            if isinstance(item, CaughtUp):
                new, self._new = self._new, {}
                for request in sorted(new.values(), key=_urgency):
                    await self._ask(request)
            else:
                self._note(item)

    def _note(self, event: RecordedEvent) -> None:
        match event.fact:
            case AdviceRequested() as fact:
                bot_id = BotId(event.stream[len(BOT_STREAM_PREFIX) :])
                self._new[fact.advice_id] = Open(bot_id, event.version, event.recorded_at, fact)
            case AdviceReceived() | AdviceAbstained() | AdviceLapsed() as fact:
                self._new.pop(fact.advice_id, None)
                if isinstance(fact, AdviceLapsed):
                    self._gateway.withdraw(fact.advice_id)
            case _:
                pass

    async def _ask(self, request: Open) -> None:
        """Hand it to the gateway, or put on record at once why it cannot be."""
        fact = request.fact
        try:
            payer = await self._payers.of(request.bot_id)
            state = await self._bots.before(request.bot_id, request.version)
            worded = await self._wording.of(state, fact)
        except (LogUnavailable, StoreUnavailable):
            raise
        except OxbotError as error:
            reason: AbstainReason = "snapshot_differs" if isinstance(error, SnapshotDiffers) else "refused"
            logger.warning("advice_not_worded", bot_id=request.bot_id, advice_id=fact.advice_id, error=str(error))
            await self._abstain(request, reason, str(error))
            return
        self._gateway.ask(
            AdviceWanted(
                advice_id=fact.advice_id,
                bot_id=request.bot_id,
                fleet=payer.fleet,
                owner=payer.owner,
                advice_class=fact.advice_class,
                model=fact.model,
                template=f"{fact.template}/{fact.template_version}",
                prompt=worded.prompt,
                read=worded.reader(lenient=self._lenient(fact.model)),
                deadline=request.recorded_at + self._life(fact, state),
            )
        )

    async def _abstain(self, request: Open, reason: AbstainReason, detail: str) -> None:
        fact = AdviceAbstained(
            advice_id=request.fact.advice_id, at=self._clock.now(), reason=reason, detail=detail[:300]
        )
        try:
            await self._deliver(request.bot_id, fact)
        except (LogUnavailable, StoreUnavailable):
            raise
        except OxbotError as error:
            # A stream that cannot be folded is its own bot's trouble, which its host tells of; others want answers.
            logger.warning("advice_not_delivered", bot_id=request.bot_id, error=str(error))

    def _life(self, fact: AdviceRequested, state: BotState) -> timedelta:
        """How long, of real time, an answer is of use from the request on."""
        if self._speed is None:
            return LIFE_MAX
        return min((fact.expires_at - fact.at - state.candle) / self._speed, LIFE_MAX)


def _urgency(request: Open) -> int:
    return CLASSES.index(request.fact.advice_class)


def _refused(fact: Delivered, reason: str) -> AdviceAbstained:
    """The same outcome as an abstention: what was paid is paid."""
    return AdviceAbstained(
        advice_id=fact.advice_id,
        at=fact.at,
        reason="invalid",
        detail=reason[:300],
        answer=fact.answer,
        prompt=fact.prompt,
        resolved_model=fact.resolved_model,
        usage=fact.usage,
        cost=fact.cost,
        latency_ms=fact.latency_ms,
        attempts=fact.attempts,
        shared_by=fact.shared_by,
    )
