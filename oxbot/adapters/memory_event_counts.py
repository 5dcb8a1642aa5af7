"""How many events of each type there are in a range of any log: what tests use, under the same contract as Postgres."""

from collections import Counter

from events.log import LogReader

PAGE = 1000


class MemoryEventCounts:
    """Implements ``EventCounts`` by reading."""

    def __init__(self, log: LogReader) -> None:
        self._log = log

    async def by_type(self, *, after_position: int, up_to: int) -> dict[str, int]:
        """See ``EventCounts.by_type``."""
        found: Counter[str] = Counter()
        while page := await self._log.read_all(after_position=after_position, limit=PAGE, up_to=up_to):
            found.update(event.event_type for event in page)
            after_position = page[-1].position
        return dict(found)
