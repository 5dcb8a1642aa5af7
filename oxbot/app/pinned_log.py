"""The log for a command that counts only as long as a stream has not moved on from a version."""

from collections.abc import Sequence
from datetime import datetime

from events.envelope import NewEvent, RecordedEvent
from events.errors import OxbotError, WrongExpectedVersion
from events.identifiers import StreamId
from events.log import Appended, EventLog


class VersionMoved(OxbotError):
    """The stream is not at the version that the command was meant for; nothing was recorded."""

    def __init__(self, *, wanted: int, actual: int) -> None:
        super().__init__(f"this was meant for version {wanted}, but it is at {actual}")
        self.actual = actual


class PinnedLog:
    """An ``EventLog`` that raises ``VersionMoved`` for a stream at another version, until something is appended to it.

    Whoever reads the whole stream, as every command does, is told at once; whoever appends, if it moved in between.
    """

    def __init__(self, log: EventLog, stream: StreamId, version: int) -> None:
        self._log = log
        self._stream = stream
        self._version = version
        self._begun = False

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_stream``."""
        events = await self._log.read_stream(
            stream, after_version=after_version, limit=limit, up_to_position=up_to_position
        )
        if stream == self._stream and not self._begun and limit is None and up_to_position is None:
            self._check(events[-1].version if events else after_version)
        return events

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """See ``EventLog.append``."""
        if stream != self._stream or self._begun:
            return await self._log.append(stream, events, expected=expected)
        try:
            appended = await self._log.append(stream, events, expected=expected)
        except WrongExpectedVersion as conflict:
            self._check(conflict.actual)
            raise
        self._begun = True
        return appended

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_all``."""
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

    def _check(self, version: int) -> None:
        if version != self._version:
            raise VersionMoved(wanted=self._version, actual=version)
