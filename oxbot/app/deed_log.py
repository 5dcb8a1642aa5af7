"""The log as one request sees it that may be repeated after a crash: what it has appended before is found again."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import msgspec

from events.envelope import Fact, NewEvent, RecordedEvent
from events.errors import EventIdReused, WrongExpectedVersion
from events.identifiers import BotId, EventId, StreamId
from events.log import Appended, EventLog

_TIME_BYTES = 6


class DeedLog:
    """An ``EventLog`` whose events are named after the request, which is a deed, and their place in it.

    Resumed, it shows each stream as it stood before the deed's next append to it, so that the same command decides the
    same again, and answers that append as the log did when it was made. Whatever was not appended yet is appended now,
    after all that has come since. So a deed that ends in one append is done once, wherever it died before.

    Should the command decide otherwise than it did, what it had appended counts, and it decides again on what is there.
    """

    def __init__(self, log: EventLog, deed: UUID, *, resumed: bool) -> None:
        self._log = log
        self._deed = deed
        self._resumed = resumed
        self._appends: Counter[StreamId] = Counter()
        self._differs: set[StreamId] = set()

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_stream``; resumed, no further than to what the deed appended next."""
        events = await self._log.read_stream(
            stream, after_version=after_version, limit=limit, up_to_position=up_to_position
        )
        if not self._resumed or stream in self._differs:
            return events
        number = self._appends[stream]
        for index, event in enumerate(events):
            if event.event_id == _named(self._deed, stream, number, event.event_type):
                return events[:index]
        return events

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """See ``EventLog.append``."""
        number = self._appends[stream]
        named = [
            msgspec.structs.replace(event, event_id=_named(self._deed, stream, number, tag_of(event.fact), index))
            for index, event in enumerate(events)
        ]
        appended = await self._found(stream, named, expected) if self._resumed else None
        if appended is None:
            try:
                appended = await self._log.append(stream, named, expected=expected)
            except EventIdReused as reused:
                # Somebody else goes on with this deed at the same moment; what he has appended is found from now on.
                self._resumed = True
                raise WrongExpectedVersion(stream, expected=expected, actual=expected) from reused
        self._appends[stream] += 1
        return appended

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_all``; it shows everything."""
        return await self._log.read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)

    async def head(self) -> int:
        """See ``LogReader.head``."""
        return await self._log.head()

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``LogReader.wait_beyond``."""
        return await self._log.wait_beyond(position, timeout_seconds=timeout_seconds)

    async def position_at(self, time: datetime) -> int:
        """See ``LogReader.position_at``."""
        return await self._log.position_at(time)

    async def _found(self, stream: StreamId, named: Sequence[NewEvent], expected: int) -> Appended | None:
        """The append as it was made before; None if it was not. ``WrongExpectedVersion`` if another was made then."""
        if stream in self._differs:
            return None
        following = await self._log.read_stream(stream, after_version=max(expected, 0))
        number = self._appends[stream]
        begun = [_named(self._deed, stream, number, event.event_type) == event.event_id for event in following]
        if True not in begun:
            return None
        stored = following[begun.index(True) :][: len(named)]
        if [event.event_id for event in stored] == [event.event_id for event in named]:
            return Appended(stored[-1].version, stored[-1].position, duplicate=True)
        self._differs.add(stream)
        raise WrongExpectedVersion(stream, expected=expected, actual=following[-1].version)


def bot_of(deed: UUID) -> BotId:
    """The id of the bot that a deed creates."""
    return BotId(sha256(b"oxbot bot of deed:" + deed.bytes).hexdigest()[:20])


def tag_of(fact: Fact) -> str:
    """The type under which the log holds the fact."""
    return str(fact.__struct_config__.tag)


def _named(deed: UUID, stream: StreamId, number: int, tag: str, index: int = 0) -> EventId:
    """A UUIDv7 of the deed's own time, so that the unique index grows at its right edge."""
    place = f"{stream}\n{number}\n{tag}\n{index}".encode()
    name = bytearray(sha256(b"oxbot event of deed:" + deed.bytes + place).digest()[:16])
    name[:_TIME_BYTES] = deed.bytes[:_TIME_BYTES]
    name[6], name[8] = 0x70 | name[6] & 0x0F, 0x80 | name[8] & 0x3F
    return EventId(UUID(bytes=bytes(name)))
