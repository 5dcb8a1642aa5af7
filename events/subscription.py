"""Following the log: every event from a position on, in order, for ever, and a word each time the head is reached."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import stamina

from events.envelope import RecordedEvent
from events.errors import LogClosed, LogDamaged, LogUnavailable, UndecodableFact
from events.log import LogReader

PAGE_EVENTS = 1000
TYPES_WINDOW = 50_000
WAIT_SECONDS = 1.0
PAUSE_SECONDS_MAX = 5.0


class CaughtUp(NamedTuple):
    """All events up to ``position`` that the subscriber asked for have been delivered; it is the head."""

    position: int


async def subscribe(
    log: LogReader, *, after_position: int = 0, types: Sequence[str] | None = None, wait_seconds: float = WAIT_SECONDS
) -> AsyncIterator[RecordedEvent | CaughtUp]:
    """The events after a position, of the given types if any are named, as they come, each once.

    A ``CaughtUp`` follows whenever the head is reached, the first time even if there was nothing to deliver; with
    types, its position moves on over events of other types, so that a checkpoint can. While the log is unavailable it
    is asked again, less and less often, without end. Raises ``LogDamaged`` if the log ends, now or later, before the
    position, and what else the reads raise: above all ``UndecodableFact``, after what is before it, or ``LogClosed``.
    """
    position = after_position
    head = await _head(log)
    if position > head:
        raise LogDamaged(f"the log ends at position {head}; it cannot be followed from {position} on")
    told = -1
    while True:
        events, through, at_head = await _next_page(log, position, types)
        for event in events:
            yield event
        position = max(position, through)
        if not at_head:
            continue
        if position > told:
            told = position
            yield CaughtUp(position)
        head = await _wait(log, position, wait_seconds)
        if position > head:
            raise LogDamaged(f"the log has become shorter: it ends at position {head}, not at {position}")


class _Page(NamedTuple):
    events: Sequence[RecordedEvent]
    through: int
    at_head: bool


def _passes(error: Exception) -> bool:
    return isinstance(error, LogUnavailable) and not isinstance(error, LogClosed)


_unwearied = stamina.retry(on=_passes, attempts=None, timeout=None, wait_max=PAUSE_SECONDS_MAX)


@_unwearied
async def _head(log: LogReader) -> int:
    return await log.head()


@_unwearied
async def _next_page(log: LogReader, position: int, types: Sequence[str] | None) -> _Page:
    head = None if types is None else await log.head()
    up_to = None if head is None else min(position + TYPES_WINDOW, head)
    try:
        events = await log.read_all(after_position=position, limit=PAGE_EVENTS, types=types, up_to=up_to)
    except UndecodableFact as found:
        before = found.position - 1
        if before <= position:
            raise
        events = await log.read_all(after_position=position, limit=PAGE_EVENTS, types=types, up_to=before)
        return _Page(events, before, at_head=False)
    full = len(events) == PAGE_EVENTS
    if up_to is None or full:
        return _Page(events, events[-1].position if events else position, at_head=not full)
    return _Page(events, up_to, at_head=up_to == head)


@_unwearied
async def _wait(log: LogReader, position: int, seconds: float) -> int:
    return await log.wait_beyond(position, timeout_seconds=seconds)
