"""Lets projections that are about as far as each other read the log once: what one has just read, the next takes."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from weakref import WeakValueDictionary

from events.envelope import RecordedEvent
from events.identifiers import StreamId
from events.log import LogReader

PAGES_MAX = 4


Place = tuple[int, int, int | None]


class SharedPages:
    """A log whose last pages are kept. A page that holds anything stays right for as long as the log only grows.

    A log that was restored to before does not: whoever asks for its head and finds it below a page drops the pages.
    """

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._pages: OrderedDict[Place, Sequence[RecordedEvent]] = OrderedDict()
        self._reading: WeakValueDictionary[Place, asyncio.Lock] = WeakValueDictionary()

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
                page = await self._log.read_all(after_position=after_position, limit=limit, up_to=up_to)
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
        head = await self._log.head()
        if any(page[-1].position > head for page in self._pages.values()):
            self._pages.clear()
        return head

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``LogReader.wait_beyond``."""
        return await self._log.wait_beyond(position, timeout_seconds=timeout_seconds)

    async def position_at(self, time: datetime) -> int:
        """See ``LogReader.position_at``."""
        return await self._log.position_at(time)
