"""Keeps the answering of requests for advice at work: one process for the whole installation, and whoever is needed."""

from collections.abc import Callable
from datetime import timedelta

import structlog

from events.advice import AdviceAbstained, AdviceLapsed, AdviceReceived, AdviceRequested
from events.identifiers import AdviceId
from events.log import EventLog
from oxbot.app.advice_desk import ADVICE_TYPES, LIFE_MAX, AdviceDesk
from oxbot.app.bot_runner import Superseded
from oxbot.app.clock import Clock

IDLE = timedelta(seconds=60)
"""Who was superseded takes over again if requests have waited for so long while nobody wrote of any call."""

PAGE = 1000
WORK_TYPES = ("models.claimed", "model_call.begun", "model_call.ended", "model_route.closed", "model_route.opened")

logger = structlog.get_logger(__name__)


class AdviceKeeper:
    """Runs one desk after the other: a demo beside ``oxbot up`` takes the models over, and gives them back by ending.

    Two at work at once call nobody twice: the older one stops at its next fact.
    """

    def __init__(self, begin: Callable[[], AdviceDesk], *, log: EventLog, clock: Clock) -> None:
        self._begin = begin
        self._log = log
        self._clock = clock

    async def run(self) -> None:
        """Work until cancelled or failed."""
        while True:
            try:
                await self._begin().run()
            except* Superseded as superseded:
                logger.warning("models_superseded", reason=str(superseded.exceptions[0]))
            while not await self._needed():
                await self._clock.sleep(IDLE.total_seconds() / 4)

    async def _needed(self) -> bool:
        """Whether requests wait and nobody is at work on them."""
        now = self._clock.now()
        waiting: set[AdviceId] = set()
        position = await self._log.position_at(now - LIFE_MAX)
        while events := await self._log.read_all(after_position=position, limit=PAGE, types=ADVICE_TYPES):
            for event in events:
                match event.fact:
                    case AdviceRequested(advice_id=advice_id) if event.recorded_at < now - IDLE:
                        waiting.add(advice_id)
                    case AdviceReceived(advice_id=advice_id) | AdviceAbstained(advice_id=advice_id):
                        waiting.discard(advice_id)
                    case AdviceLapsed(advice_id=advice_id):
                        waiting.discard(advice_id)
            position = events[-1].position
        quiet = await self._log.position_at(now - IDLE)
        recent = await self._log.read_all(after_position=quiet, limit=1, types=WORK_TYPES)
        return bool(waiting) and not recent
