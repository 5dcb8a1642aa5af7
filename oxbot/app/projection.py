"""Keeps every projection up with the log, each for itself: one that stops or is built anew holds up no other."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from events.errors import LogUnavailable, StoreUnavailable
from events.log import EventLog
from oxbot.app.clock import Clock, SystemClock
from oxbot.app.follower import BATCH, CheckpointAhead, Follower, OtherVersion, ProjectionStopped
from oxbot.app.rebuild import Rebuild, RebuildDiscarded, announce
from oxbot.app.shared_pages import SharedPages
from oxbot.app.skips import Skips
from oxbot.app.views import SERVING, CheckpointMoved, RebuildStore, Target
from oxbot.views.fold import Poison, explain
from oxbot.views.projections import PROJECTIONS, AnyProjection

RETRY_SECONDS = 0.2
RETRY_SECONDS_MAX = 10.0
SUPERSEDED_SECONDS = 10.0

logger = structlog.get_logger(__name__)


class ProjectionRunner:
    """All projections of one process. Two such processes at once do no harm: the checkpoint says who was first."""

    def __init__(
        self,
        log: EventLog,
        views: RebuildStore,
        *,
        projections: Sequence[AnyProjection] = PROJECTIONS,
        clock: Clock | None = None,
        batch: int = BATCH,
    ) -> None:
        self._log = log
        self._views = views
        self._projections = projections
        self._clock = clock or SystemClock()
        pages, skips = SharedPages(log), Skips(log)
        self._followers = {
            known.name: Follower(known, log=pages, store=views, skips=skips, batch=batch) for known in projections
        }

    @property
    def position(self) -> int:
        """The position up to which this runner has projected the bots, 0 before it has begun."""
        return self.position_of(SERVING)

    def position_of(self, projection: str) -> int:
        """The position up to which this runner has projected, 0 before it has begun."""
        return self._followers[projection].position

    async def run(self) -> None:
        """Project until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for projection in self._projections:
                tasks.create_task(self._keep(projection), name=f"projection {projection.name}")

    async def catch_up(self) -> None:
        """Project up to the log's present head, or see that somebody else does, or cannot, and return."""
        head = await self._log.head()
        for projection in self._projections:
            await self._catch_up(projection, head)

    async def _catch_up(self, projection: AnyProjection, head: int) -> None:
        follower = self._followers[projection.name]
        try:
            await follower.begin()
            while follower.position < head:
                try:
                    if not await follower.advance():
                        return
                except CheckpointMoved:
                    await follower.begin()
        except ProjectionStopped as stopped:
            logger.warning("projection_stopped", projection=projection.name, reason=str(stopped))
            await self._show_stop(follower.target, stopped.poison)
        except (OtherVersion, CheckpointAhead) as stale:
            logger.warning("projection_stale", projection=projection.name, reason=str(stale))

    async def _keep(self, projection: AnyProjection) -> None:
        """Keep one projection, whatever happens to it, with growing pauses between attempts that fail."""
        pause = RETRY_SECONDS
        while True:
            before = self.position_of(projection.name)
            try:
                await self._live(projection)
            except CheckpointMoved as moved:
                logger.warning("projection_overtaken", projection=projection.name, reason=str(moved))
                continue
            except (StoreUnavailable, LogUnavailable, RebuildDiscarded) as away:
                logger.warning("projection_waits", projection=projection.name, reason=str(away))
            except CheckpointAhead as ahead:
                logger.warning("projection_refused", projection=projection.name, reason=str(ahead))
                await self._halt(projection, ahead)
            except Exception as error:
                logger.exception("projection_failed", projection=projection.name)
                await self._halt(projection, error)
            pause = RETRY_SECONDS if self.position_of(projection.name) > before else min(2 * pause, RETRY_SECONDS_MAX)
            await self._clock.sleep(pause)

    async def _live(self, projection: AnyProjection) -> None:
        """Follow the log; first build what another version of this program has left, beside what it serves."""
        follower = self._followers[projection.name]
        try:
            await follower.begin()
        except OtherVersion as other:
            await self._replace(projection, other)
            return
        await announce(projection.name, log=self._log, store=self._views, clock=self._clock)
        await follower.follow()

    async def _replace(self, projection: AnyProjection, other: OtherVersion) -> None:
        """Build what an older version has left; wait where a newer one serves, or builds."""
        if other.stored < other.ours:
            logger.warning("projection_rebuilds", projection=projection.name, reason=str(other))
            rebuild = Rebuild(projection, log=self._log, store=self._views, clock=self._clock)
            try:
                await rebuild.run(waits_for_skips=True)
            except OtherVersion as newer:
                other = newer
            else:
                return
        logger.warning("projection_superseded", projection=projection.name, reason=str(other))
        await self._clock.sleep(SUPERSEDED_SECONDS)

    async def _halt(self, projection: AnyProjection, error: Exception) -> None:
        """Show why the projection stands still, if the store can be told."""
        target = Target(projection.name)
        try:
            await self._show_stop(target, Poison(self.position_of(projection.name), "", explain(error)))
        except StoreUnavailable as away:
            logger.warning("projection_waits", projection=projection.name, reason=str(away))

    async def _show_stop(self, target: Target, poison: Poison) -> None:
        checkpoint = await self._views.checkpoint(target)
        if checkpoint is not None:
            # Whoever has moved it meanwhile shows what stops it, if anything does.
            with suppress(CheckpointMoved):
                await self._views.stop(target, poison, at=checkpoint)
