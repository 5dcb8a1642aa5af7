"""A log whose oldest part has left the database for an archive: a read goes from the one into the other unnoticed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from events.codec import Codec, EventColumns
from events.commit import BatchLog
from events.encoded import EncodedCommand, StoredEvent
from events.envelope import NewEvent, RecordedEvent
from events.errors import BelowFloor, LogError
from events.identifiers import StreamId
from events.log import Appended, EventLog, Outcome


class ArchiveMissing(LogError):
    """Positions are in neither the database nor the archive at hand; put the files back and try again."""

    def __init__(self, first: int, last: int, place: str) -> None:
        super().__init__(f"positions {first} to {last} are archived, but their files are not in {place}")
        self.first = first
        self.last = last


class ArchiveDamaged(LogError):
    """The archive's files are not what was archived; the text says which, or from which position on."""


class RangeDamaged(ArchiveDamaged):
    """These positions are in files that are not what was archived; others may be whole."""

    def __init__(self, first: int, last: int, what: str) -> None:
        super().__init__(f"positions {first} to {last}: {what}")
        self.first = first
        self.last = last


class Archive(Protocol):
    """The events that have left the database: everything from position 1 up to, not including, some floor.

    Raises ``ArchiveMissing`` for what should be there and is not, and ``ArchiveDamaged``; ``read_all`` only for what it
    was asked for, and naming the positions, ``RangeDamaged``.
    """

    async def read_all(
        self, *, after_position: int, up_to: int, limit: int, types: Sequence[str] | None = None
    ) -> Sequence[StoredEvent]:
        """At most ``limit`` events in order of position, none beyond ``up_to``; fewer say that there are no more."""
        ...

    async def read_stream(
        self, stream: StreamId, *, after_version: int, up_to: int, limit: int | None = None
    ) -> Sequence[StoredEvent]:
        """At most ``limit`` events of a stream in order of version, none beyond position ``up_to``."""
        ...

    async def position_at(self, time: datetime, *, up_to: int) -> int:
        """The last position up to ``up_to`` recorded at or before the time; 0 if there is none."""
        ...


class DatabaseLog(EventLog, BatchLog, Protocol):
    """What the database holds of the log; a read that begins below its floor is refused."""


class ArchivedLog:
    """An ``EventLog``, and a ``BatchLog``, that looks up in the archive what the log beneath refuses.

    The floor may rise while a read is under way: what left the database meanwhile is then in the archive.
    """

    def __init__(self, log: DatabaseLog, archive: Archive, codec: Codec) -> None:
        self._log = log
        self._archive = archive
        self._codec = codec

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """See ``EventLog.append``."""
        return await self._log.append(stream, events, expected=expected)

    async def append_encoded(self, commands: Sequence[EncodedCommand]) -> list[Outcome]:
        """See ``BatchLog.append_encoded``."""
        return await self._log.append_encoded(commands)

    async def hint(self, position: int) -> None:
        """See ``BatchLog.hint``."""
        await self._log.hint(position)

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_stream``."""
        found: list[RecordedEvent] = []
        version = after_version
        while True:
            left = None if limit is None else limit - len(found)
            try:
                hot = await self._log.read_stream(
                    stream, after_version=version, limit=left, up_to_position=up_to_position
                )
            except BelowFloor as below:
                last = below.floor - 1 if up_to_position is None else min(up_to_position, below.floor - 1)
                cold = await self._archive.read_stream(stream, after_version=version, up_to=last, limit=left)
                found += self._decoded(cold)
                if len(found) == limit or last == up_to_position:
                    return found
                if not cold:
                    raise ArchiveDamaged(f"stream {stream} after version {version} is not in the archive") from below
                version = cold[-1].version
            else:
                return [*found, *hot] if found else hot

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_all``."""
        found: list[RecordedEvent] = []
        position = after_position
        while True:
            left = limit - len(found)
            try:
                hot = await self._log.read_all(after_position=position, limit=left, types=types, up_to=up_to)
            except BelowFloor as below:
                last = below.floor - 1 if up_to is None else min(up_to, below.floor - 1)
                found += self._decoded(
                    await self._archive.read_all(after_position=position, up_to=last, limit=left, types=types)
                )
                if len(found) == limit or last == up_to:
                    return found
                position = last
            else:
                return [*found, *hot] if found else hot

    async def head(self) -> int:
        """See ``LogReader.head``."""
        return await self._log.head()

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``LogReader.wait_beyond``."""
        return await self._log.wait_beyond(position, timeout_seconds=timeout_seconds)

    async def position_at(self, time: datetime) -> int:
        """See ``LogReader.position_at``."""
        try:
            return await self._log.position_at(time)
        except BelowFloor as below:
            return await self._archive.position_at(time, up_to=below.floor - 1)

    def _decoded(self, stored: Sequence[StoredEvent]) -> list[RecordedEvent]:
        if not stored:
            return []
        *columns, _, _ = zip(*stored, strict=True)
        return self._codec.decode_events(EventColumns(*columns))
