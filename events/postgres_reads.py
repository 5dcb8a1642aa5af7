"""Reads of the log in Postgres, by position; no statement is asked for more than a bounded part of the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from struct import unpack

import asyncpg

from events.codec import Codec, EventColumns
from events.envelope import RecordedEvent
from events.errors import BelowFloor, LogDamaged
from events.identifiers import EventId, StreamId
from events.postgres_calls import Calls, Connection
from events.postgres_hints import Hints
from events.postgres_names import StreamNames

# A page comes as one row of arrays, which is far quicker to receive than a row for each event. Times come as the eight
# bytes that Postgres has for them: the events of a page share few different ones, and only those are made into times.
READ_STREAM = """
WITH stream AS (SELECT s.stream_no, s.version FROM log.streams AS s WHERE s.stream_id = $1)
SELECT
    (SELECT s.version FROM stream AS s),
    array_agg(p.position), array_agg(p.version), array_agg(p.event_id), array_agg(p.event_type),
    array_agg(p.schema_version), array_agg(timestamptz_send(p.occurred_at)),
    array_agg(timestamptz_send(p.recorded_at)),
    array_agg(p.payload), array_agg(p.metadata)
FROM (
    SELECT e.position, e.version, e.event_id, e.event_type, e.schema_version, e.occurred_at, e.recorded_at, e.payload,
        e.metadata
    FROM log.events AS e
    WHERE e.stream_no = (SELECT s.stream_no FROM stream AS s) AND e.version > $2 AND e.position <= $4
    ORDER BY e.version
    LIMIT $3
) AS p
"""

READ_ALL = """
SELECT
    array_agg(p.position), array_agg(p.stream_no), array_agg(p.version), array_agg(p.event_id),
    array_agg(p.event_type), array_agg(p.schema_version), array_agg(timestamptz_send(p.occurred_at)),
    array_agg(timestamptz_send(p.recorded_at)), array_agg(p.payload), array_agg(p.metadata)
FROM (
    SELECT e.position, e.stream_no, e.version, e.event_id, e.event_type, e.schema_version, e.occurred_at,
        e.recorded_at, e.payload, e.metadata
    FROM log.events AS e
    WHERE e.position > $1 AND e.position <= $3
    ORDER BY e.position
    LIMIT $2
) AS p
"""

READ_TYPES = """
SELECT
    array_agg(p.position), array_agg(p.stream_no), array_agg(p.version), array_agg(p.event_id),
    array_agg(p.event_type), array_agg(p.schema_version), array_agg(timestamptz_send(p.occurred_at)),
    array_agg(timestamptz_send(p.recorded_at)), array_agg(p.payload), array_agg(p.metadata)
FROM (
    SELECT e.position, e.stream_no, e.version, e.event_id, e.event_type, e.schema_version, e.occurred_at,
        e.recorded_at, e.payload, e.metadata
    FROM log.events AS e
    WHERE e.position > $1 AND e.position <= $3 AND e.event_type = ANY($4::text[])
    ORDER BY e.position
    LIMIT $2
) AS p
"""

HEAD = "SELECT coalesce((SELECT e.position FROM log.events AS e ORDER BY e.position DESC LIMIT 1), log.floor() - 1)"
FLOOR = "SELECT log.floor()"
FIRST_KEPT_VERSION = """
SELECT min(e.version) FROM log.events AS e JOIN log.streams AS s ON s.stream_no = e.stream_no WHERE s.stream_id = $1
"""
RECORDED = """
SELECT e.position, e.recorded_at FROM log.events AS e WHERE e.position = ANY($1::bigint[]) ORDER BY e.position
"""

TIMES_BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
NEVER, ALWAYS = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
"""What the infinities of Postgres, and times beyond Python's, are read as."""

BEYOND_ALL = (1 << 63) - 1
PAGE_EVENTS = 500
"""Events that one statement answers: few enough to wait in the socket, whole, while those before are decoded.

At the largest size of an event it is still below what Postgres sends at once.
"""

TYPES_WINDOW = 50_000
"""Positions that one statement of a read by type looks through."""

PROBES = 16
"""Positions that one statement of ``position_at`` looks at."""

Page = Callable[[int, int], Awaitable[EventColumns | None]]
"""Fetches so many events after as many that are fetched already; None for no event."""


class PostgresLogReader:
    """A ``LogReader`` over a pool of connections to a migrated database.

    Calls that get no answer are repeated for ``deadline_seconds``. A waiter in ``wait_beyond`` looks every
    ``poll_seconds``, hint or no hint.
    """

    def __init__(
        self, pool: asyncpg.Pool, codec: Codec, *, deadline_seconds: float = 30.0, poll_seconds: float = 0.25
    ) -> None:
        self._pool = pool
        self._codec = codec
        self._calls = Calls(pool, deadline_seconds=deadline_seconds)
        self._poll_seconds = poll_seconds
        self._hints = Hints(pool)
        self._names = StreamNames()

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_stream``."""
        up_to = BEYOND_ALL if up_to_position is None else up_to_position

        async def page(done: int, asked: int) -> EventColumns | None:
            return await self._stream_page(stream, after_version + done, asked, up_to)

        return await self._pages(page, limit)

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_all``."""
        if types is not None:
            return await self._read_types(after_position, limit, types, up_to)
        last = BEYOND_ALL if up_to is None else up_to

        async def page(done: int, asked: int) -> EventColumns | None:
            return await self._page(after_position + done, asked, last)

        return await self._pages(page, limit)

    async def head(self) -> int:
        """See ``LogReader.head``."""
        position: int = await self._calls.repeat(lambda connection: connection.fetchval(HEAD))
        return position

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``LogReader.wait_beyond``."""
        clock = asyncio.get_running_loop().time
        ends_at = clock() + timeout_seconds
        async with self._hints.listening():
            while True:
                hinted = self._hints.next_hint()
                head = await self.head()
                remaining = ends_at - clock()
                if head > position or remaining <= 0:
                    return head
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(self._poll_seconds, remaining)):
                        await hinted.wait()

    async def position_at(self, time: datetime) -> int:
        """See ``LogReader.position_at``; raises ``BelowFloor`` for a time before all that the database still holds."""
        floor = await self._floor()
        before, beyond = floor - 1, await self.head() + 1
        while beyond - before > 1:
            step = max((beyond - before) // (PROBES + 1), 1)
            probes = list(range(before + step, beyond, step))
            try:
                found = await self._recorded(probes)
            except BelowFloor:  # it rose meanwhile
                return await self.position_at(time)
            for position, recorded_at in found:
                if recorded_at > time:
                    beyond = position
                    break
                before = position
        if before < floor and floor > 1:
            raise BelowFloor(before, floor)
        return before

    async def _pages(self, page: Page, limit: int | None) -> list[RecordedEvent]:
        """The events of all pages up to the limit; while one page is decoded the next is on its way."""
        events: list[RecordedEvent] = []
        asked = _asked(limit, 0)
        columns = await page(0, asked) if asked > 0 else None
        while columns is not None:
            fetched = len(events) + len(columns.positions)
            full, asked = len(columns.positions) == asked, _asked(limit, fetched)
            if not full or asked == 0:
                return events + self._codec.decode_events(columns)
            coming = asyncio.ensure_future(page(fetched, asked))
            try:
                await asyncio.sleep(0)  # so that the next page's request is out before this page is decoded
                events += self._codec.decode_events(columns)
                columns = await coming
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
        return events

    async def _page(self, after_position: int, limit: int, last: int) -> EventColumns | None:
        """A page of all events, which must begin at the next position and have no gap."""
        columns = await self._columns(READ_ALL, after_position, limit, last)
        if columns is None:
            if after_position < last < BEYOND_ALL:
                await self._check_floor(after_position)
            return None
        due = range(after_position + 1, after_position + 1 + len(columns.positions))
        if columns.positions != list(due):
            await self._check_floor(after_position)
            missing = next(want for want, found in zip(due, columns.positions, strict=True) if want != found)
            raise LogDamaged(f"position {missing} is missing from the log")
        return columns

    async def _read_types(
        self, after_position: int, limit: int, types: Sequence[str], up_to: int | None
    ) -> Sequence[RecordedEvent]:
        head = await self.head()
        last = head if up_to is None else min(up_to, head)
        events: list[RecordedEvent] = []
        position = after_position
        while position < last and len(events) < limit:
            asked, through = min(PAGE_EVENTS, limit - len(events)), min(position + TYPES_WINDOW, last)
            columns = await self._columns(READ_TYPES, position, asked, through, types)
            if columns is not None:
                events += self._codec.decode_events(columns)
            full = columns is not None and len(columns.positions) == asked
            position = events[-1].position if full else through
        if after_position < last:
            # At the end, because a partition may leave while the windows are looked through.
            await self._check_floor(after_position)
        return events

    async def _columns(self, statement: str, *arguments: object) -> EventColumns | None:
        """What the statement answers, with the streams' names in place of their numbers; None for no event."""

        async def fetch(connection: Connection) -> EventColumns | None:
            [(positions, numbers, *others)] = await connection.fetch(statement, *arguments)
            if positions is None:
                return None
            return _columns(positions, await self._names.of(connection, numbers), *others)

        return await self._calls.repeat(fetch)

    async def _stream_page(self, stream: StreamId, after_version: int, limit: int, up_to: int) -> EventColumns | None:
        """A page of one stream, which must begin at the next version and have no gap."""
        arguments = (stream, after_version, limit, up_to)
        [(version, positions, versions, *others)] = await self._calls.repeat(
            lambda connection: connection.fetch(READ_STREAM, *arguments)
        )
        if positions is None:
            if version is not None and version > after_version:
                await self._check_first_version(stream, after_version + 1)
            return None
        if versions != list(range(after_version + 1, after_version + 1 + len(versions))):
            await self._check_first_version(stream, after_version + 1)
            raise LogDamaged(f"stream {stream}: a version between {versions[0]} and {versions[-1]} is missing")
        if up_to == BEYOND_ALL and len(versions) < limit and versions[-1] != version:
            raise LogDamaged(f"stream {stream}: it has {version} events, but ends at version {versions[-1]}")
        return _columns(positions, [stream] * len(positions), versions, *others)

    async def _check_first_version(self, stream: StreamId, version: int) -> None:
        """Raise unless the database still holds the stream from this version on."""
        kept = await self._calls.repeat(lambda connection: connection.fetchval(FIRST_KEPT_VERSION, stream))
        if kept is None or kept > version:
            floor = await self._floor()
            if floor > 1:
                raise BelowFloor(floor - 1, floor)
            raise LogDamaged(f"stream {stream}: version {version} is missing from the log")

    async def _recorded(self, positions: Sequence[int]) -> Sequence[asyncpg.Record]:
        """When each of the positions was recorded. Raises unless the database holds them all."""
        found = await self._calls.repeat(lambda connection: connection.fetch(RECORDED, positions))
        if len(found) < len(positions):
            await self._check_floor(positions[0] - 1)
            missing = min(set(positions) - {position for position, _ in found})
            raise LogDamaged(f"position {missing} is missing from the log")
        return found

    async def _floor(self) -> int:
        floor: int = await self._calls.repeat(lambda connection: connection.fetchval(FLOOR))
        return floor

    async def _check_floor(self, after_position: int) -> None:
        floor = await self._floor()
        if after_position + 1 < floor:
            raise BelowFloor(after_position + 1, floor)


def _columns(  # the columns of an event, in their order  # noqa: PLR0917
    positions: list[int],
    streams: list[StreamId],
    versions: list[int],
    event_ids: list[EventId],
    event_types: list[str],
    schema_versions: list[int],
    occurred_at: list[bytes],
    recorded_at: list[bytes],
    payloads: list[bytes],
    metadata: list[bytes],
) -> EventColumns:
    return EventColumns(
        positions,
        streams,
        versions,
        event_ids,
        event_types,
        schema_versions,
        _times(occurred_at),
        _times(recorded_at),
        payloads,
        metadata,
    )


def _times(stamps: list[bytes]) -> list[datetime]:
    """From microseconds since the beginning of the year 2000, which is how Postgres keeps a time."""
    different = set(stamps)
    microseconds = unpack(f">{len(different)}q", b"".join(different))
    try:
        times = dict(zip(different, [TIMES_BEGIN + timedelta(0, 0, count) for count in microseconds], strict=True))
    except OverflowError:
        times = dict(zip(different, map(_time, microseconds), strict=True))
    return [times[stamp] for stamp in stamps]


def _time(microseconds: int) -> datetime:
    try:
        return TIMES_BEGIN + timedelta(microseconds=microseconds)
    except OverflowError:
        return NEVER if microseconds > 0 else ALWAYS


def _asked(limit: int | None, fetched: int) -> int:
    return PAGE_EVENTS if limit is None else min(PAGE_EVENTS, limit - fetched)
