"""Builds a projection anew beside the one that serves, and puts it in its place once it has caught up."""

from typing import Literal

import structlog

from events.envelope import Metadata, NewEvent
from events.errors import LogError, LogUnavailable, OxbotError
from events.identifiers import new_event_id
from events.log import ANY_VERSION, EventLog
from events.system import SYSTEM_STREAM, ProjectionRebuilt
from oxbot.app.clock import Clock
from oxbot.app.follower import Follower, OtherVersion, ProjectionStopped
from oxbot.app.skips import Skips
from oxbot.app.views import CheckpointMoved, RebuildStore, Swap, Target
from oxbot.views.projections import AnyProjection

REBUILD_BATCH = 5000
NEAR_EVENTS = 1000

logger = structlog.get_logger(__name__)


class RebuildDiscarded(OxbotError):
    """Somebody dropped the build that this rebuild was at work on."""


class Rebuild:
    """One rebuild of one projection; killed at any moment, the next one goes on with what is built so far.

    The serving views are kept by whoever keeps them; two rebuilds at once get in each other's way, and nothing else.
    """

    def __init__(
        self,
        projection: AnyProjection,
        *,
        log: EventLog,
        store: RebuildStore,
        clock: Clock,
        batch: int = REBUILD_BATCH,
    ) -> None:
        self._projection = projection
        self._log = log
        self._store = store
        self._clock = clock
        self._goal: int | None = None
        self._skips = Skips(log)
        self._follower = Follower(projection, log=log, store=store, skips=self._skips, rebuild=True, batch=batch)

    async def run(self, *, waits_for_skips: bool) -> None:
        """Build and serve. Where an event cannot be applied, wait for its skip, or raise ``ProjectionStopped``.

        Raises ``RebuildDiscarded`` if somebody drops the build meanwhile. One that waits is nobody's command: it raises
        ``OtherVersion`` rather than drop what a newer version has begun.
        """
        await self._open(gives_way=waits_for_skips)
        served = False
        while not served:
            try:
                served = await self._served() or await self._advance(waits_for_skips=waits_for_skips)
            except CheckpointMoved:
                served = await self._served_by_another()
        await announce(self._projection.name, log=self._log, store=self._store, clock=self._clock)

    async def _open(self, *, gives_way: bool) -> None:
        """Go on with the build under way, or begin one; what another version has begun is of no use.

        Nor is one that is beyond an event to be skipped: it may have been applied before that was said.

        With ``gives_way`` it raises ``OtherVersion`` where a newer one has begun: two programs that drop each other's
        builds would end neither.
        """
        name = self._projection.name
        begun = None
        while begun is None:
            await self._store.open_rebuild(name, version=self._projection.version, build=new_event_id())
            under_way = await self._store.checkpoint(self._follower.target)
            if gives_way and under_way is not None and under_way.version > self._projection.version:
                raise OtherVersion(name, stored=under_way.version, ours=self._projection.version)
            if under_way is not None and under_way.version != self._projection.version:
                await self._store.discard_rebuild(name)
            elif under_way is not None:
                begun = await self._follower.begin()
                if await self._lacks_a_skip():
                    await self._store.discard_rebuild(name)
                    begun = None

    async def _served(self) -> bool:
        """Whether the build serves now: it does once it has caught up and is no older than what serves."""
        rebuilt = self._follower.checkpoint
        if self._goal is None or rebuilt.position < self._goal:
            return False
        if await self._lacks_a_skip():
            await self._store.discard_rebuild(self._projection.name)
            await self._open(gives_way=False)
            return False
        head = await self._log.head()
        return await self._store.serve_rebuild(self._projection.name, rebuilt=rebuilt, head=head)

    async def _lacks_a_skip(self) -> bool:
        """Whether an event was applied here, or may have been, that the projection was told to skip meanwhile."""
        told = await self._skips.of(self._projection.name)
        return any(position <= self._follower.position for position in told - self._follower.skipped)

    async def _advance(self, *, waits_for_skips: bool) -> Literal[False]:
        # Caught up is whoever has reached the head as it was when the last batch was asked for.
        self._goal = await self._log.head()
        try:
            if self._goal - self._follower.position > NEAR_EVENTS:
                await self._follower.sprint(self._goal)
            else:
                await self._follower.step()
        except ProjectionStopped as stopped:
            if not waits_for_skips:
                await self._store.stop(self._follower.target, stopped.poison, at=self._follower.checkpoint)
                raise
            logger.warning("rebuild_stopped", projection=self._projection.name, reason=str(stopped))
            await self._follower.wait_for_skip(stopped.poison)
            return False
        return False

    async def _served_by_another(self) -> bool:
        """Whether another process has let this very build serve; where it has only built further, go on from there."""
        build = self._follower.checkpoint.build
        serving = await self._store.checkpoint(Target(self._projection.name))
        if serving is not None and serving.build == build:
            return True
        under_way = await self._store.checkpoint(self._follower.target)
        if under_way is None or under_way.build != build:
            raise RebuildDiscarded(f"the rebuild of projection {self._projection.name} was discarded")
        await self._follower.begin()
        return False


async def announce(projection: str, *, log: EventLog, store: RebuildStore, clock: Clock) -> None:
    """See to it that the log has the fact of the last swap, once, however often a process dies in between.

    The fact's event id is the build's own, so telling it again changes nothing.
    """
    swap = await store.unannounced(projection)
    if swap is None:
        return
    event = NewEvent(
        event_id=swap.build, occurred_at=clock.now(), fact=_fact(projection, swap), metadata=Metadata(actor="projector")
    )
    try:
        await log.append(SYSTEM_STREAM, [event], expected=ANY_VERSION)
    except LogUnavailable:
        raise
    except LogError as error:
        # The views are right without it; it is told again whenever the projection begins.
        logger.warning("rebuild_not_announced", projection=projection, error=str(error))
        return
    await store.announced(projection, swap.build)


def _fact(projection: str, swap: Swap) -> ProjectionRebuilt:
    return ProjectionRebuilt(projection=projection, projection_version=swap.version, position=swap.position)
