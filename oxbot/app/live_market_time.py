"""The venue's clock as seen from here, and how a live market times its questions."""

from datetime import datetime, timedelta

import msgspec
import structlog

from oxbot.app.clock import Clock
from oxbot.app.live_market_source import CandleSource, SourceRefused, SourceUnavailable

logger = structlog.get_logger(__name__)


class LiveTiming(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of the venue's clock after a candle's close, but for the last three.

    ask_after: when a candle that was not pushed is asked for. stale_after: when its absence is an incident.
    give_up_after, asks_before_giving_up: when others no longer wait for it, at the soonest. late_after: from when on an
    entry on it would come too late. retry_least, retry_most: our own seconds between questions without an answer.
    time_every: our own seconds between looks at the venue's clock. A test venue's clock may run at another ``speed``.
    """

    ask_after: float = 3.0
    stale_after: float = 15.0
    give_up_after: float = 60.0
    asks_before_giving_up: int = 3
    late_after: float = 30.0
    retry_least: float = 1.0
    retry_most: float = 15.0
    time_every: float = 300.0
    speed: float = 1.0

    def retry(self, failures: int) -> float:
        """Our own seconds until the next question after so many without an answer."""
        return min(self.retry_most, self.retry_least * 2.0 ** min(failures - 1, 16))


class VenueTime:
    """What the venue's clock says now, by ours and the last look at it."""

    def __init__(self, source: CandleSource, clock: Clock, timing: LiveTiming) -> None:
        self._source = source
        self._clock = clock
        self._timing = timing
        self._looked_at = clock.now()
        self._venue_then = self._looked_at

    def now(self) -> datetime:
        """The venue's time."""
        return self._venue_then + (self._clock.now() - self._looked_at) * self._timing.speed

    def seconds_until(self, moment: datetime) -> float:
        """Our own seconds until the venue's clock says so."""
        return (moment - self.now()).total_seconds() / self._timing.speed

    async def set(self) -> None:
        """Look at the venue's clock; half of the way there and back is taken off. Raises as ``now`` of the source."""
        asked = self._clock.now()
        told = await self._source.now()
        took: timedelta = self._clock.now() - asked
        self._looked_at, self._venue_then = asked + took / 2, told

    async def begin(self) -> None:
        """Look until the venue answers for the first time. Raises ``SourceRefused`` if it will have none of this."""
        failures = 0
        while True:
            try:
                return await self.set()
            except SourceUnavailable as error:
                failures += 1
                logger.warning("venue_time_unknown", reason=str(error))
                await self._clock.sleep(self._timing.retry(failures))

    async def keep(self) -> None:
        """Look again every so often; while the venue does not answer, the last look holds."""
        while True:
            await self._clock.sleep(self._timing.time_every)
            try:
                await self.set()
            except (SourceUnavailable, SourceRefused) as error:
                logger.warning("venue_time_unknown", reason=str(error))
