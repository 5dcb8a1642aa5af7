"""What readers may know of the projections: how far each is, why one stands still, and when a position is reached."""

import asyncio
from datetime import datetime
from typing import Literal, NamedTuple

from events.errors import OxbotError
from events.log import LogReader
from oxbot.app.views import SERVING, Standing, ViewReader
from oxbot.views.fold import Poison

State = Literal["running", "catching_up", "rebuilding", "stopped", "not_running", "ahead"]
"""``not_running``: nobody was seen to keep it of late. ``ahead``: its views claim events that the log does not have."""

CATCHING_UP_EVENTS = 2000
SEEN_SECONDS_MAX = 15.0
"""A few times as long as whoever keeps a projection is ever silent."""

WAIT_SECONDS = 5.0
POLL_SECONDS = 0.05


class PositionNotReached(OxbotError):
    """The views were not built up to the position that was asked for in the time there was."""

    def __init__(self, projection: str, *, asked: int, reached: int, head: int) -> None:
        super().__init__(
            f"projection {projection} is built up to position {reached}, not {asked}; the log ends at {head}"
        )
        self.asked = asked
        self.reached = reached


class ProjectionStatus(NamedTuple):
    """A projection as it serves, and the build under way beside it, if there is one."""

    name: str
    state: State
    serving: Standing
    rebuild: Standing | None

    @property
    def stopped(self) -> Poison | None:
        """Where the projection, or else its rebuild, stands still, and why."""
        return self.serving.stopped or (self.rebuild.stopped if self.rebuild else None)

    @property
    def lag_events(self) -> int:
        """How many events of the log it lacks; less than 0 where it claims more than there are."""
        return self.serving.head - self.serving.position


class Projections:
    """The projections as a process that reads them sees them."""

    def __init__(self, log: LogReader, views: ViewReader, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._log = log
        self._views = views
        self._wait_seconds = wait_seconds

    async def statuses(self) -> list[ProjectionStatus]:
        """Every projection, in order of name."""
        standings = await self._views.standings()
        rebuilds = {standing.projection: standing for standing in standings if standing.rebuild}
        return [_status(standing, rebuilds.get(standing.projection)) for standing in standings if not standing.rebuild]

    async def head(self) -> int:
        """The log's last position."""
        return await self._log.head()

    async def position_at(self, time: datetime) -> int:
        """The last position that the log had at that time."""
        return await self._log.position_at(time)

    async def reach(self, position: int, *, projection: str = SERVING) -> None:
        """Return once the serving views are built up to the position. Raises ``PositionNotReached`` after a while.

        It looks again and again: a notification out of the transaction that commits rows would hold up every commit.
        """
        reached = 0
        try:
            async with asyncio.timeout(self._wait_seconds):
                while True:
                    reached = await self._views.position(projection)
                    if reached >= position:
                        return
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            head = await self._log.head()
            raise PositionNotReached(projection, asked=position, reached=reached, head=head) from error


def _status(serving: Standing, rebuild: Standing | None) -> ProjectionStatus:
    return ProjectionStatus(serving.projection, _state(serving, rebuild), serving, rebuild)


def is_kept(build: Standing) -> bool:
    """Whether somebody was at work on the build a moment ago."""
    return build.seen_seconds <= SEEN_SECONDS_MAX


def _state(serving: Standing, rebuild: Standing | None) -> State:
    if serving.position > serving.head:
        return "ahead"
    if serving.stopped is not None:
        return "stopped"
    if rebuild is not None and is_kept(rebuild):
        return "rebuilding"
    if not is_kept(serving):
        return "not_running"
    return "catching_up" if serving.head - serving.position > CATCHING_UP_EVENTS else "running"
