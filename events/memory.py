"""An event log in memory, for tests and dry runs; it passes the same contract suite as the Postgres log."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from events.codec import Codec
from events.envelope import NewEvent, RecordedEvent
from events.errors import EventIdReused, WrongExpectedVersion
from events.identifiers import EventId, StreamId
from events.log import ANY_VERSION, Appended, check_append


class _Row(NamedTuple):
    position: int
    stream: StreamId
    version: int
    event_id: EventId
    event_type: str
    schema_version: int
    occurred_at: datetime
    recorded_at: datetime
    payload: bytes
    metadata: bytes


class MemoryEventLog:
    """An ``EventLog`` that lives as long as the object; facts go through the codec, so nothing mutable is shared."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._rows: list[_Row] = []
        self._streams: dict[StreamId, list[_Row]] = {}
        self._by_id: dict[EventId, _Row] = {}
        self._appended = asyncio.Condition()

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """See ``EventLog.append``; this log is never unavailable."""
        check_append(stream, events, expected=expected)
        rows = self._encode(stream, events)
        if any(event.event_id in self._by_id for event in events):
            return self._repeat(stream, rows)
        actual = len(self._streams.get(stream, ()))
        if expected not in (ANY_VERSION, actual):
            raise WrongExpectedVersion(stream, expected=expected, actual=actual)
        self._rows.extend(rows)
        self._streams.setdefault(stream, []).extend(rows)
        self._by_id.update((row.event_id, row) for row in rows)
        async with self._appended:
            self._appended.notify_all()
        return Appended(version=rows[-1].version, position=rows[-1].position)

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``EventLog.read_stream``."""
        rows = self._streams.get(stream, [])[after_version:]
        return [self._decode(row) for row in rows[:limit]]

    async def read_all(
        self, *, after_position: int = 0, limit: int = 1000, types: Sequence[str] | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``EventLog.read_all``."""
        rows = self._rows[after_position:]
        if types is not None:
            rows = [row for row in rows if row.event_type in types]
        return [self._decode(row) for row in rows[:limit]]

    async def head(self) -> int:
        """See ``EventLog.head``."""
        return len(self._rows)

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``EventLog.wait_beyond``."""
        try:
            async with asyncio.timeout(timeout_seconds), self._appended:
                await self._appended.wait_for(lambda: len(self._rows) > position)
        except TimeoutError:
            return len(self._rows)
        return len(self._rows)

    def _encode(self, stream: StreamId, events: Sequence[NewEvent]) -> list[_Row]:
        version, position = len(self._streams.get(stream, ())), len(self._rows)
        recorded_at = datetime.now(UTC)
        rows = []
        for number, event in enumerate(events, start=1):
            event_type, schema_version, payload = self._codec.encode(event.fact)
            row = _Row(
                position=position + number,
                stream=stream,
                version=version + number,
                event_id=event.event_id,
                event_type=event_type,
                schema_version=schema_version,
                occurred_at=event.occurred_at.astimezone(UTC),
                recorded_at=recorded_at,
                payload=payload,
                metadata=self._codec.encode_metadata(event.metadata),
            )
            rows.append(row)
        return rows

    def _repeat(self, stream: StreamId, rows: Sequence[_Row]) -> Appended:
        """The first answer again if exactly these events are stored in a row, else ``EventIdReused``."""
        stored = [self._by_id.get(row.event_id) for row in rows]
        first = stored[0]
        for number, (row, known) in enumerate(zip(rows, stored, strict=True)):
            same = known is not None and first is not None and known.version == first.version + number
            if not same or known is None or _content(known) != _content(row):
                taken = next(known for known in stored if known is not None)
                raise EventIdReused(stream, taken.event_id)
        last = self._by_id[rows[-1].event_id]
        return Appended(version=last.version, position=last.position, duplicate=True)

    def _decode(self, row: _Row) -> RecordedEvent:
        return RecordedEvent(
            row.position,
            row.stream,
            row.version,
            row.event_id,
            row.event_type,
            row.occurred_at,
            row.recorded_at,
            self._codec.decode(row.event_type, row.schema_version, row.payload),
            self._codec.decode_metadata(row.metadata),
        )


def _content(row: _Row) -> tuple[StreamId, str, bytes]:
    return row.stream, row.event_type, row.payload
