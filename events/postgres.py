"""The event log in Postgres: appends through the one function ``log.append``, reads by position."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import NamedTuple, TypeVar

import asyncpg
import msgspec
import stamina

from events.codec import Codec
from events.envelope import NewEvent, RecordedEvent
from events.errors import EventIdReused, InvalidAppend, LogError, LogUnavailable, WrongExpectedVersion
from events.identifiers import EventId, StreamId
from events.log import AppendCommand, Appended, check_append

Answer = TypeVar("Answer")
Outcome = Appended | LogError
"""What became of one command of a batch."""

APPEND = """
SELECT outcome, at_version, at_position, reused_id
FROM log.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

READ_STREAM = """
SELECT e.position, s.stream_id, e.version, e.event_id, e.event_type, e.schema_version,
       e.occurred_at, e.recorded_at, e.payload, e.metadata
FROM log.streams AS s
JOIN log.events AS e ON e.stream_no = s.stream_no
WHERE s.stream_id = $1 AND e.version > $2
ORDER BY e.version
LIMIT $3
"""

READ_ALL = """
SELECT e.position, s.stream_id, e.version, e.event_id, e.event_type, e.schema_version,
       e.occurred_at, e.recorded_at, e.payload, e.metadata
FROM log.events AS e
JOIN log.streams AS s ON s.stream_no = e.stream_no
WHERE e.position > $1
ORDER BY e.position
LIMIT $2
"""

READ_TYPES = """
SELECT e.position, s.stream_id, e.version, e.event_id, e.event_type, e.schema_version,
       e.occurred_at, e.recorded_at, e.payload, e.metadata
FROM log.events AS e
JOIN log.streams AS s ON s.stream_no = e.stream_no
WHERE e.position > $1 AND e.event_type = ANY($3::text[])
ORDER BY e.position
LIMIT $2
"""

HEAD = "SELECT coalesce(max(position), 0) FROM log.events"
HINT = "SELECT pg_notify($1, $2)"
HINT_CHANNEL = "oxbot_log"
ATTEMPT_SECONDS = 10.0
LISTEN_SECONDS = 1.0

REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
"""The database looked at the values and will never take them."""

UNKNOWN_OUTCOME = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""The database, or the way to it, failed for now: the same call with the same ids is right to repeat."""


class _Event(NamedTuple):
    event_id: EventId
    event_type: str
    schema_version: int
    occurred_at: datetime
    payload: bytes
    metadata: bytes


class _Prepared(NamedTuple):
    stream: StreamId
    expected: int
    events: list[_Event]


class PostgresEventLog:
    """An ``EventLog`` over a pool of connections to a migrated database.

    Calls whose outcome is unknown are repeated, with the same event ids, for ``deadline_seconds``; then they end as
    ``LogUnavailable``. A waiter in ``wait_beyond`` looks every ``poll_seconds``, hint or no hint.
    """

    def __init__(
        self, pool: asyncpg.Pool, codec: Codec, *, deadline_seconds: float = 30.0, poll_seconds: float = 0.25
    ) -> None:
        self._pool = pool
        self._codec = codec
        self._deadline_seconds = deadline_seconds
        self._poll_seconds = poll_seconds
        self._hints = _Hints(pool)

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """See ``EventLog.append``."""
        [outcome] = await self.append_batch([AppendCommand(stream, expected, events)])
        if isinstance(outcome, LogError):
            raise outcome
        return outcome

    async def append_batch(self, commands: Sequence[AppendCommand]) -> list[Outcome]:
        """Append many commands in one round trip and one transaction; one outcome per command, in order.

        A command that is refused leaves the others as they are. Raises ``InvalidAppend``, before anything is sent, if
        a stream comes twice, and ``LogUnavailable`` if what became of the batch is unknown.
        """
        if len({command.stream for command in commands}) != len(commands):
            raise InvalidAppend("a batch may name each stream once")
        prepared = [self._prepare(command) for command in commands]
        outcomes = iter(await self._send([item for item in prepared if isinstance(item, _Prepared)]))
        return [next(outcomes) if isinstance(item, _Prepared) else item for item in prepared]

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``EventLog.read_stream``."""
        rows = await self._repeat(lambda: self._pool.fetch(READ_STREAM, stream, after_version, limit))
        return [self._decode(row) for row in rows]

    async def read_all(
        self, *, after_position: int = 0, limit: int = 1000, types: Sequence[str] | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``EventLog.read_all``."""
        if types is None:
            rows = await self._repeat(lambda: self._pool.fetch(READ_ALL, after_position, limit))
        else:
            rows = await self._repeat(lambda: self._pool.fetch(READ_TYPES, after_position, limit, types))
        return [self._decode(row) for row in rows]

    async def head(self) -> int:
        """See ``EventLog.head``."""
        position: int = await self._repeat(lambda: self._pool.fetchval(HEAD))
        return position

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``EventLog.wait_beyond``."""
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

    async def hint(self, position: int) -> None:
        """Tell waiters, in any process, that the log reaches ``position``; a hint that cannot be sent is dropped."""
        with suppress(*UNKNOWN_OUTCOME):
            async with asyncio.timeout(ATTEMPT_SECONDS):
                await self._pool.fetchval(HINT, HINT_CHANNEL, str(position))

    def _prepare(self, command: AppendCommand) -> _Prepared | InvalidAppend:
        try:
            check_append(command.stream, command.events, expected=command.expected)
            events = [self._encode(event) for event in command.events]
        except InvalidAppend as error:
            return error
        except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
            return InvalidAppend(f"stream {command.stream}: a fact cannot be encoded: {error}")
        return _Prepared(command.stream, command.expected, events)

    def _encode(self, event: NewEvent) -> _Event:
        event_type, schema_version, payload = self._codec.encode(event.fact)
        metadata = self._codec.encode_metadata(event.metadata)
        return _Event(event.event_id, event_type, schema_version, event.occurred_at, payload, metadata)

    async def _send(self, batch: list[_Prepared]) -> list[Outcome]:
        """One outcome per command; a batch that the database refuses is halved until the culprit stands alone."""
        if not batch:
            return []
        try:
            rows = await self._repeat(lambda: self._pool.fetch(APPEND, *_arguments(batch)))
        except InvalidAppend as error:
            if len(batch) == 1:
                return [error]
            middle = len(batch) // 2
            return [*await self._send(batch[:middle]), *await self._send(batch[middle:])]
        return [_outcome(command, *row) for command, row in zip(batch, rows, strict=True)]

    async def _repeat(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """The call's answer, repeating it while that can help; asyncpg's errors leave as the log's own."""
        attempts = stamina.retry_context(
            on=self._is_worth_repeating,
            attempts=None,
            timeout=self._deadline_seconds,
            wait_initial=0.05,
            wait_jitter=0.05,
            wait_max=1.0,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    async with asyncio.timeout(ATTEMPT_SECONDS):
                        return await call()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise _translated(error) from error
        raise AssertionError("retrying ends with an answer or an error")

    def _is_worth_repeating(self, error: Exception) -> bool:
        return isinstance(error, UNKNOWN_OUTCOME) and not _is_refusal(error) and not self._pool.is_closing()

    def _decode(self, row: asyncpg.Record) -> RecordedEvent:
        position, stream, version, event_id, event_type, schema_version, occurred_at, recorded_at, payload, meta = row
        fact = self._codec.decode(event_type, schema_version, payload)
        metadata = self._codec.decode_metadata(meta)
        return RecordedEvent(position, stream, version, event_id, event_type, occurred_at, recorded_at, fact, metadata)


class _Hints:
    """What NOTIFY tells this process: one connection of the pool listens, for all waiters, while anyone waits."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._waiters = 0
        self._changing = asyncio.Lock()
        self._hinted = asyncio.Event()
        self._connection: asyncpg.pool.PoolConnectionProxy | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listens inside the block if the pool can spare a connection; else the waiter's poll is all there is."""
        self._waiters += 1
        try:
            async with self._changing:
                if self._connection is None and self._pool.get_max_size() > 1:
                    await self._listen()
            yield
        finally:
            self._waiters -= 1
            async with self._changing:
                if self._waiters == 0 and self._connection is not None:
                    await self._unlisten(self._connection)

    def next_hint(self) -> asyncio.Event:
        """Set by the first hint from now on."""
        return self._hinted

    async def _listen(self) -> None:
        with suppress(*UNKNOWN_OUTCOME):
            async with asyncio.timeout(LISTEN_SECONDS):
                self._connection = await self._pool.acquire()
                await self._connection.add_listener(HINT_CHANNEL, self._on_hint)

    async def _unlisten(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        self._connection = None
        try:
            with suppress(*UNKNOWN_OUTCOME):
                async with asyncio.timeout(LISTEN_SECONDS):
                    await connection.remove_listener(HINT_CHANNEL, self._on_hint)
        finally:
            await self._pool.release(connection)

    def _on_hint(self, *_: object) -> None:
        self._hinted.set()
        self._hinted = asyncio.Event()


def _arguments(batch: Sequence[_Prepared]) -> tuple[Sequence[object], ...]:
    """The ten arrays of ``log.append``."""
    events = [event for command in batch for event in command.events]
    commands = [number for number, command in enumerate(batch, start=1) for _ in command.events]
    streams = [command.stream for command in batch]
    expected = [command.expected for command in batch]
    counts = [len(command.events) for command in batch]
    return streams, expected, counts, commands, *zip(*events, strict=True)


def _outcome(command: _Prepared, outcome: str, version: int, position: int, reused_id: EventId | None) -> Outcome:
    if outcome == "conflict":
        return WrongExpectedVersion(command.stream, expected=command.expected, actual=version)
    if reused_id is not None:
        return EventIdReused(command.stream, reused_id)
    return Appended(version=version, position=position, duplicate=outcome == "duplicate")


def _is_refusal(error: Exception) -> bool:
    # What asyncpg itself cannot encode it refuses with an InterfaceError that is also a ValueError.
    return isinstance(error, REFUSED) or (isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError))


def _translated(error: Exception) -> LogError:
    if _is_refusal(error):
        return InvalidAppend(f"the database refused a value: {error}")
    if isinstance(error, UNKNOWN_OUTCOME):
        return LogUnavailable(f"the log could not be reached: {type(error).__name__}: {error}")
    return LogError(f"the database refused the call: {error}")
