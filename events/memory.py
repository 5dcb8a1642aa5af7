"""An event log in memory, for tests and dry runs; it passes the same contract suite as the Postgres log."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from events.codec import Codec, EventColumns
from events.encoded import EncodedCommand, EncodedEvent, StoredEvent, encode_command
from events.entry import FIRST_PREV_HASH, leaf_of, raw_event
from events.envelope import NewEvent, RecordedEvent
from events.errors import EventIdReused, InvalidAppend, LogError, StreamClosed, WrongExpectedVersion
from events.identifiers import EventId, StreamId
from events.log import ANY_VERSION, STREAM_EXISTS, Appended, Outcome
from events.system import StreamEnded

_END = str(StreamEnded.__struct_config__.tag)


class MemoryEventLog:
    """An ``EventLog`` that lives as long as the object; facts go through the codec, so nothing mutable is shared."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._rows: list[StoredEvent] = []
        self._streams: dict[StreamId, list[StoredEvent]] = {}
        self._by_id: dict[EventId, StoredEvent] = {}
        self._appended = asyncio.Condition()

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """See ``EventLog.append``; this log is never unavailable."""
        appended = self._append(encode_command(self._codec, stream, events, expected=expected))
        await self._wake()
        return appended

    async def append_encoded(self, commands: Sequence[EncodedCommand]) -> list[Outcome]:
        """See ``BatchLog.append_encoded``."""
        if len({command.stream for command in commands}) != len(commands):
            raise InvalidAppend("a batch may name each stream once")
        outcomes = [self._outcome(command) for command in commands]
        await self._wake()
        return outcomes

    async def hint(self, position: int) -> None:
        """See ``BatchLog.hint``; whoever waits here is woken by the append itself."""
        del position

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_stream``."""
        rows = self._streams.get(stream, [])[after_version:]
        if up_to_position is not None:
            rows = [row for row in rows if row.position <= up_to_position]
        return self._decoded(rows[:limit])

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_all``."""
        rows = self._rows[after_position : None if up_to is None else max(up_to, 0)]
        if types is not None:
            rows = [row for row in rows if row.event_type in types]
        return self._decoded(rows[:limit])

    async def head(self) -> int:
        """See ``LogReader.head``."""
        return len(self._rows)

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``LogReader.wait_beyond``."""
        try:
            async with asyncio.timeout(timeout_seconds), self._appended:
                await self._appended.wait_for(lambda: len(self._rows) > position)
        except TimeoutError:
            return len(self._rows)
        return len(self._rows)

    async def position_at(self, time: datetime) -> int:
        """See ``LogReader.position_at``."""
        return max((row.position for row in self._rows if row.recorded_at <= time), default=0)

    def _decoded(self, rows: Sequence[StoredEvent]) -> Sequence[RecordedEvent]:
        if not rows:
            return []
        *columns, _, _ = zip(*rows, strict=True)
        return self._codec.decode_events(EventColumns(*columns))

    @property
    def stored(self) -> Sequence[StoredEvent]:
        """Every event as the log holds it, in order of position."""
        return self._rows

    async def _wake(self) -> None:
        async with self._appended:
            self._appended.notify_all()

    def _outcome(self, command: EncodedCommand) -> Outcome:
        try:
            return self._append(command)
        except LogError as error:
            return error

    def _append(self, command: EncodedCommand) -> Appended:
        stream, expected, events = command
        if any(event.event_id in self._by_id for event in events):
            return self._repeat(stream, events)
        known = self._streams.get(stream, [])
        if known and known[-1].event_type == _END:
            raise StreamClosed(stream)
        accepted = expected in (ANY_VERSION, len(known)) or (expected == STREAM_EXISTS and known)
        if not accepted:
            raise WrongExpectedVersion(stream, expected=expected, actual=len(known))
        rows = self._rows_of(stream, events, after_version=len(known))
        self._rows.extend(rows)
        self._streams.setdefault(stream, []).extend(rows)
        self._by_id.update((row.event_id, row) for row in rows)
        return Appended(version=rows[-1].version, position=rows[-1].position)

    def _rows_of(self, stream: StreamId, events: Sequence[EncodedEvent], *, after_version: int) -> list[StoredEvent]:
        recorded_at = datetime.now(UTC)
        rows: list[StoredEvent] = []
        previous = self._streams[stream][-1].leaf_hash if after_version else FIRST_PREV_HASH
        for number, event in enumerate(events, start=1):
            row = StoredEvent(
                position=len(self._rows) + number,
                stream=stream,
                version=after_version + number,
                event_id=event.event_id,
                event_type=event.event_type,
                schema_version=event.schema_version,
                occurred_at=event.occurred_at.astimezone(UTC),
                recorded_at=recorded_at,
                payload=event.payload,
                metadata=event.metadata,
                prev_hash=previous,
                leaf_hash=b"",
            )
            previous = leaf_of(raw_event(row))
            rows.append(row._replace(leaf_hash=previous))
        return rows

    def _repeat(self, stream: StreamId, events: Sequence[EncodedEvent]) -> Appended:
        """The first answer again if exactly these events are stored in a row, else ``EventIdReused``."""
        stored = [self._by_id.get(event.event_id) for event in events]
        first = stored[0]
        for number, (event, known) in enumerate(zip(events, stored, strict=True)):
            same = known is not None and first is not None and known.version == first.version + number
            if not same or known is None or _content(known) != (stream, event.event_type, event.payload):
                taken = next(known for known in stored if known is not None)
                raise EventIdReused(stream, taken.event_id)
        last = self._by_id[events[-1].event_id]
        return Appended(version=last.version, position=last.position, duplicate=True)


def _content(row: StoredEvent) -> tuple[StreamId, str, bytes]:
    return row.stream, row.event_type, row.payload
