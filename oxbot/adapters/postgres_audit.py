"""The rows of the log for an audit, copied out of Postgres in binary, as fast as they can be read."""

import struct
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg

from events.codec import UNREADABLE, Codec
from events.encoded import StoredEvent
from events.entry import RawEvent
from events.errors import BelowFloor
from events.system import SYSTEM_STREAM, CheckpointSigned
from oxbot.adapters.database import connected
from oxbot.app.audit_log import LogStanding, Page, StreamHead
from oxbot.app.checkpoints import CHECKPOINT
from oxbot.app.tree import TreeUnusable

PAGE = 8_000
WORK_MEMORY = "SET LOCAL work_mem = '64MB'"
NO_TIMEOUT = "SET LOCAL statement_timeout = 0"
_STAY = "SET LOCAL idle_in_transaction_session_timeout = 0"
_HOLD = "LOCK TABLE log.events IN ACCESS SHARE MODE"

_PLACE = """
    SELECT
        (SELECT log_id FROM log.identity),
        (SELECT coalesce(max(last_position), 0) FROM log.archives),
        (SELECT max(position) FROM log.events)
"""
_PARTITIONS = """
    SELECT coalesce(a.bound, n.bound), a.bound IS NOT NULL
    FROM (
        SELECT pg_get_expr(c.relpartbound, c.oid) AS bound
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass('log.events')
    ) AS a
    FULL JOIN (
        SELECT format('FOR VALUES FROM (%L) TO (%L)', first_position, last_position + 1) AS bound FROM log.partitions
    ) AS n USING (bound)
    WHERE a.bound IS NULL OR n.bound IS NULL
    ORDER BY 1
"""
_STREAMS = "SELECT stream_no, stream_id, version, last_position, last_hash, ended_at IS NOT NULL FROM log.streams"
_EVENTS = """
    SELECT position, stream_no, version, schema_version, occurred_at, recorded_at, event_id, prev_hash, leaf_hash,
           event_type, payload, metadata
    FROM log.events
    WHERE position > $1 AND position <= $2
    ORDER BY position
"""
_AT = """
    SELECT e.position, s.stream_id, e.version, e.event_id, e.event_type, e.schema_version,
           e.occurred_at, e.recorded_at, e.payload, e.metadata, e.prev_hash, e.leaf_hash
    FROM log.events AS e
    JOIN log.streams AS s USING (stream_no)
    WHERE e.position = $1
"""
_ARCHIVED = "SELECT coalesce(max(last_position), 0) FROM log.archives"
_CHECKPOINTS = """
    SELECT e.schema_version, e.payload
    FROM log.streams AS s
    JOIN log.events AS e ON e.stream_no = s.stream_no
    WHERE s.stream_id = $1 AND e.event_type = $2 AND e.position <= $3
"""
_MISFILED = """
    SELECT min(coalesce(e.position, i.position))
    FROM (SELECT position, event_id FROM log.events WHERE position <= $2) AS e
    FULL JOIN (SELECT position, event_id FROM log.event_ids WHERE position BETWEEN $1 AND $2) AS i USING (position)
    WHERE e.event_id IS DISTINCT FROM i.event_id
"""

_HEADER = 19
_END = b"\xff\xff"
_COLUMNS = 12
_NULL = -1
_FIXED = struct.Struct("!h iq iq iq ih iq iq i16s i32s i32s i")
_FIXED_LENGTHS = (8, 8, 8, 2, 8, 8, 16, 32, 32)
_PADDING = bytes(_FIXED.size)
_LENGTH = struct.Struct("!i")


class PostgresAuditedLog:
    """Implements ``AuditedLog`` and ``StoredEvents`` over a pool; needs no right but to read."""

    def __init__(self, pool: asyncpg.Pool, codec: Codec, *, page: int = PAGE) -> None:
        self._pool = pool
        self._codec = codec
        self._page = page
        self._names: dict[int, str] = {}

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Meanwhile no partition leaves the database, so what an audit has still to read is there; appends go on."""
        async with connected(self._pool) as connection, connection.transaction():
            await connection.execute(_STAY)
            await connection.execute(_HOLD)
            yield

    async def standing(self) -> LogStanding:
        """See ``AuditedLog.standing``."""
        async with (
            connected(self._pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(NO_TIMEOUT)
            [(log_id, archived, head)] = await connection.fetch(_PLACE)
            rows = await connection.fetch(_STREAMS)
            misnamed = await connection.fetch(_PARTITIONS)
        self._names = {row[0]: row[1] for row in rows}
        streams = {row[1]: StreamHead(*row[2:]) for row in rows}
        faults = tuple(_misnamed(bound, attached=attached) for bound, attached in misnamed)
        return LogStanding(log_id, archived + 1, archived if head is None else head, streams, faults=faults)

    async def pages(self, *, after_position: int, up_to: int) -> AsyncIterator[Page]:
        """See ``AuditedLog.pages``."""
        for start in range(after_position, up_to, self._page):
            copied = bytearray()

            async def collect(data: bytes, copied: bytearray = copied) -> None:
                copied.extend(data)

            async with connected(self._pool) as connection:
                end = min(start + self._page, up_to)
                await connection.copy_from_query(_EVENTS, start, end, output=collect, format="binary")
            yield Page(list(self._parsed(bytes(copied) + _PADDING)), end)

    async def checkpoint_sizes(self, up_to: int) -> Sequence[int]:
        """See ``AuditedLog.checkpoint_sizes``."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_CHECKPOINTS, SYSTEM_STREAM, CHECKPOINT, up_to)
        sizes = []
        for schema_version, payload in rows:
            with suppress(*UNREADABLE):
                fact = self._codec.decode(CHECKPOINT, schema_version, payload)
                if isinstance(fact, CheckpointSigned):
                    sizes.append(fact.tree_size)
        return sizes

    async def misfiled(self, standing: LogStanding) -> int | None:
        """See ``AuditedLog.misfiled``."""
        async with connected(self._pool) as connection, connection.transaction(readonly=True):
            await connection.execute(NO_TIMEOUT)
            await connection.execute(WORK_MEMORY)
            position: int | None = await connection.fetchval(_MISFILED, standing.floor, standing.head)
        return position

    async def at(self, position: int) -> StoredEvent | None:
        """See ``StoredEvents.at``. Raises ``TreeUnusable`` for an event whose times no event can have."""
        async with connected(self._pool) as connection:
            try:
                row = await connection.fetchrow(_AT, position)
            except OverflowError as error:
                raise _timeless(position) from error
            archived: int = await connection.fetchval(_ARCHIVED)
        if 0 < position <= archived:
            raise BelowFloor(position, archived + 1)
        # What Postgres calls infinite comes without a zone.
        if row is not None and None in (row["occurred_at"].tzinfo, row["recorded_at"].tzinfo):
            raise _timeless(position)
        return None if row is None else StoredEvent(*row)

    def _parsed(self, data: bytes) -> Iterator[RawEvent]:
        """The rows of a binary COPY."""
        place = _HEADER
        while data[place : place + 2] != _END:
            event, place = _row(data, place, self._names)
            yield event


def _timeless(position: int) -> TreeUnusable:
    return TreeUnusable(f"the event at position {position} bears a time that no event can have; see oxbot audit verify")


def _misnamed(bound: str, *, attached: bool) -> str:
    bound = bound.removeprefix("FOR VALUES ").replace("'", "").lower()
    if attached:
        return f"log.partitions does not name the partition {bound} that log.events has"
    return f"log.partitions names a partition {bound} that log.events does not have"


def _row(data: bytes, place: int, names: Mapping[int, str]) -> tuple[RawEvent, int]:
    """The row that begins here, and where the next one does."""
    fixed = _FIXED.unpack_from(data, place)
    length = fixed[-1]
    if fixed[1:-1:2] != _FIXED_LENGTHS or length == _NULL:
        return _damaged(data, place, names)
    _, position, stream, version, schema_version, occurred_at, recorded_at, event_id, prev_hash, leaf_hash = fixed[::2]
    type_at = place + _FIXED.size
    type_end = type_at + length
    [length] = _LENGTH.unpack_from(data, type_end)
    payload_at = type_end + 4
    payload_end = payload_at + length
    [metadata_length] = _LENGTH.unpack_from(data, payload_end) if length != _NULL else [_NULL]
    if metadata_length == _NULL:
        return _damaged(data, place, names)
    metadata_at = payload_end + 4
    end = metadata_at + metadata_length
    event = RawEvent(
        position,
        names.get(stream, ""),
        version,
        event_id,
        data[type_at:type_end].decode(),
        schema_version,
        occurred_at,
        recorded_at,
        data[payload_at:payload_end],
        data[metadata_at:end],
        prev_hash,
        leaf_hash,
    )
    return event, end


def _damaged(data: bytes, place: int, names: Mapping[int, str]) -> tuple[RawEvent, int]:
    """A row that only a broken table can hold, with a leaf hash that nothing hashes to, and where the next one is."""
    place += 2
    values: list[bytes] = []
    for _ in range(_COLUMNS):
        length = max(_LENGTH.unpack_from(data, place)[0], 0)
        values.append(data[place + 4 : place + 4 + length])
        place += 4 + length
    numbers = [int.from_bytes(value, signed=True) for value in values[:6]]
    position, stream, version, schema_version, occurred_at, recorded_at = numbers
    event = RawEvent(
        position,
        names.get(stream, ""),
        version,
        values[6].ljust(16, b"\x00"),
        values[9].decode(),
        schema_version,
        occurred_at,
        recorded_at,
        values[10],
        values[11],
        values[7],
        b"",
    )
    return event, place
