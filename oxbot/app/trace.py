"""What the log holds of one request or command: all facts that bear its id, wherever they were appended."""

from collections.abc import AsyncIterator
from uuid import UUID

from events.envelope import RecordedEvent
from events.log import LogReader

PAGE = 1000


async def trace(log: LogReader, correlation_id: UUID, *, after: int = 0) -> AsyncIterator[RecordedEvent]:
    """Its facts, those that it appended and those that followed from them, in order of position, after that one.

    The envelope's metadata is under no index: what lies after the position is read, up to the head.
    """
    head = await log.head()
    while after < head:
        page = await log.read_all(after_position=after, limit=PAGE, up_to=head)
        for event in page:
            if event.metadata.correlation_id == correlation_id:
                yield event
        after = page[-1].position if len(page) == PAGE else head
