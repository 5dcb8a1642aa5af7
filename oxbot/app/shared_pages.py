"""Lets the projections of one process read the log once: what one of them has just read, the next takes from here."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

from events.envelope import RecordedEvent
from events.identifiers import StreamId
from events.log import LogReader

PAGES_MAX = 4


Place = tuple[int, int, int | None]


class SharedPages:
    """A log whose last pages are kept. A page that holds anything stays right for ever: the log only grows."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._pages: OrderedDict[Place, Sequence[RecordedEvent]] = OrderedDict()
        self._reading: dict[Place, asyncio.Lock] = {}

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_all``; may answer a page that was short when it was read."""
        if types is not None:
            return await self._log.read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)
        place = (after_position, limit, up_to)
        reading = self._reading.setdefault(place, asyncio.Lock())
        async with reading:
            page = self._pages.get(place)
            if page is None:
                try:
                    page = await self._log.read_all(after_position=after_position, limit=limit, up_to=up_to)
                finally:
                    self._reading.pop(place, None)
                self._keep(place, page)
        return page

    def _keep(self, place: Place, page: Sequence[RecordedEvent]) -> None:
        if page:
            self._pages[place] = page
        while len(self._pages) > PAGES_MAX:
            self._pages.popitem(last=False)

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_stream``."""
        return await self._log.read_stream(
            stream, after_version=after_version, limit=limit, up_to_position=up_to_position
        )

    async def head(self) -> int:
        """See ``LogReader.head``."""
        return await self._log.head()

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``LogReader.wait_beyond``."""
        return await self._log.wait_beyond(position, timeout_seconds=timeout_seconds)

    async def position_at(self, time: datetime) -> int:
        """See ``LogReader.position_at``."""
        return await self._log.position_at(time)
