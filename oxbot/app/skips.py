"""Events that projections were told to pass over: recorded in the log, read back from it."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from events.envelope import Metadata, NewEvent, RecordedEvent
from events.errors import BelowFloor, OxbotError, UndecodableFact
from events.identifiers import new_event_id
from events.log import ANY_VERSION, Appended, EventLog, LogReader
from events.system import SYSTEM_STREAM, ProjectionEventSkipped
from oxbot.app.views import ViewReader

PAGE = 1000
TYPES = (str(ProjectionEventSkipped.__struct_config__.tag),)


class NotStoppedThere(OxbotError):
    """A projection can only be told to skip the event that it is stopped at."""


class Skips:
    """What the system stream says of skips; each read goes on from the last."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._version = 0
        self._position = 0
        self._floor = 0
        self._scanned = 0
        self._positions: dict[str, set[int]] = defaultdict(set)
        self._reading = asyncio.Lock()

    async def of(self, projection: str) -> frozenset[int]:
        """Every position that the projection was told to skip so far."""
        async with self._reading:
            while page := await self._next():
                for event in page:
                    if isinstance(event.fact, ProjectionEventSkipped):
                        self._positions[event.fact.projection].add(event.fact.position)
        return frozenset(self._positions[projection])

    async def _next(self) -> Sequence[RecordedEvent]:
        """The next facts of the stream, but for those that only a newer program can read."""
        limit = PAGE
        while True:
            try:
                page = await self._read(limit)
            except BelowFloor as below:
                self._floor = below.floor
            except UndecodableFact as unreadable:
                # Versions have no gaps: read alone, an unreadable fact is the one after the last.
                if limit == 1:
                    self._version += 1
                    self._scanned = unreadable.position
                limit = 1
            else:
                if page:
                    self._version, self._position = page[-1].version, page[-1].position
                return page

    async def _read(self, limit: int) -> Sequence[RecordedEvent]:
        if self._floor <= self._position:
            return await self._log.read_stream(SYSTEM_STREAM, after_version=self._version, limit=limit)
        # What follows in the stream is archived, so the first version that is still here has to be looked for.
        head = await self._log.head()
        after = max(self._floor - 1, self._scanned)
        page = await self._log.read_all(after_position=after, types=TYPES, limit=limit, up_to=head)
        if not page:
            self._scanned = head
        return page


async def skip_event(
    projection: str, position: int, *, reason: str, log: EventLog, views: ViewReader, at: datetime, actor: str
) -> Appended:
    """Record that the projection passes over the event that it is stopped at. Raises ``NotStoppedThere``."""
    builds = [(known.position, known.stopped) for known in await views.standings() if known.projection == projection]
    # A build that fails for another reason than an event shows where it is; what it has applied is not to be skipped.
    stopped_at = sorted({stop.position for built_to, stop in builds if stop is not None and stop.position > built_to})
    if position not in stopped_at:
        places = f"is stopped at {' and '.join(map(str, stopped_at))}" if stopped_at else "is not stopped at any event"
        raise NotStoppedThere(f"projection {projection} {places}, so position {position} cannot be skipped")
    fact = ProjectionEventSkipped(projection=projection, position=position, reason=reason)
    event = NewEvent(event_id=new_event_id(), occurred_at=at, fact=fact, metadata=Metadata(actor=actor))
    return await log.append(SYSTEM_STREAM, [event], expected=ANY_VERSION)
