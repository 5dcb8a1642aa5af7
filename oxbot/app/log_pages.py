"""The log in pages, by position or by a stream's version; a page costs a bounded part of the log, whatever it finds."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from events.encoded import StoredEvent
from events.envelope import RecordedEvent
from events.errors import OxbotError, UndecodableFact
from events.identifiers import StreamId
from events.log import LogReader
from oxbot.app.audit_proof import Prover

TYPES_WINDOW = 50_000
"""Positions that one page of a type looks through, by index."""

STREAM_WINDOW = 1000
"""Events of a stream that one page of a type looks through; each of them is read."""

Logged = RecordedEvent | StoredEvent
"""An event; as it is stored, where this program cannot decode it."""


class UnknownStream(OxbotError):
    """The log has no event of such a stream."""


class LogPage(NamedTuple):
    """Some events; up to the position or version ``through`` they are all that was asked for.

    ``ended``: nothing follows by now.
    """

    events: Sequence[Logged]
    through: int
    ended: bool


class LogPages:
    """Reads the log by index, and as it is stored what cannot be decoded."""

    def __init__(self, log: LogReader, prover: Prover) -> None:
        self._log = log
        self._prover = prover

    async def by_position(self, *, after: int, last: int, limit: int, kind: str = "") -> LogPage:
        """Events after one position up to another, which the log has reached, of one type if it is named."""
        if after >= last:
            return LogPage((), after, ended=True)
        window = min(last, after + TYPES_WINDOW) if kind else last
        types = (kind,) if kind else None

        async def read(asked: int) -> Sequence[RecordedEvent]:
            return await self._log.read_all(after_position=after, limit=asked, types=types, up_to=window)

        events, cut = await self._readable(read, limit)
        through = events[-1].position if cut or len(events) == limit else window
        return LogPage(events, through, ended=through >= last)

    async def by_version(self, stream: StreamId, *, after: int, last: int, limit: int, kind: str = "") -> LogPage:
        """Events of a stream after a version and up to a position, of one type if it is named."""
        asked = STREAM_WINDOW if kind else limit

        async def read(asked: int) -> Sequence[RecordedEvent]:
            return await self._log.read_stream(stream, after_version=after, limit=asked)

        events, cut = await self._readable(read, asked)
        reached = [event for event in events if event.position <= last]
        whole = len(reached) < len(events) or not (cut or len(events) == asked)
        found = [event for event in reached if kind in ("", event.event_type)]
        if len(found) > limit:
            return LogPage(found[:limit], found[limit - 1].version, ended=False)
        return LogPage(found, reached[-1].version if reached else after, ended=whole)

    async def newest(self, stream: StreamId) -> Logged:
        """The stream's newest event, whose version is the number of all of them. Raises ``UnknownStream``."""
        version = await self.version_at(stream, await self._log.head())
        if not version:
            raise UnknownStream("the log has no such stream")
        event = await self._at(stream, version)
        if event is None:
            raise UnknownStream("the log has no such stream any more")
        return event

    async def version_at(self, stream: StreamId, position: int) -> int:
        """How many events the stream had at a position, found by doubling and halving; 0 for an unknown stream."""

        async def had(version: int) -> bool:
            found = await self._at(stream, version)
            return found is not None and found.position <= position

        known, beyond = 0, 1
        while await had(beyond):
            known, beyond = beyond, 2 * beyond
        while beyond - known > 1:
            middle = (known + beyond) // 2
            known, beyond = (middle, beyond) if await had(middle) else (known, middle)
        return known

    async def _at(self, stream: StreamId, version: int) -> Logged | None:
        async def read(asked: int) -> Sequence[RecordedEvent]:
            return await self._log.read_stream(stream, after_version=version - 1, limit=asked)

        events, _ = await self._readable(read, 1)
        return events[0] if events else None

    async def _readable(
        self, read: Callable[[int], Awaitable[Sequence[RecordedEvent]]], limit: int
    ) -> tuple[Sequence[Logged], bool]:
        """What ``read`` answers of so many, or up to the first that cannot be decoded, which is then the last."""
        try:
            return await read(limit), False
        except UndecodableFact as found:
            position = found.position
        events: Sequence[RecordedEvent] = ()
        fewer, more = 0, limit
        while more - fewer > 1:
            middle = (fewer + more) // 2
            try:
                events, fewer = await read(middle), middle
            except UndecodableFact:
                more = middle
        return [*events, await self._prover.event(position)], True
