"""Group commit: what many bots of one process append while one append is under way goes out as the next one."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from events.codec import Codec
from events.encoded import EncodedCommand, command_size, encode_command
from events.envelope import NewEvent, RecordedEvent
from events.errors import Backpressure, LogClosed, LogError, LogUnavailable
from events.identifiers import StreamId
from events.log import Appended, LogReader, Outcome
from events.room import Room


class BatchLog(LogReader, Protocol):
    """A log that can append many encoded commands at once and tell waiters in other processes about it."""

    async def append_encoded(self, commands: Sequence[EncodedCommand]) -> list[Outcome]:
        """One outcome per command, in order; a stream may come once."""
        ...

    async def hint(self, position: int) -> None:
        """Tell waiters that the log reaches ``position``; may be lost."""
        ...


class _Request(NamedTuple):
    command: EncodedCommand
    size: int
    expires_at: float
    answer: asyncio.Future[Appended]


class GroupCommitLog:
    """An ``EventLog`` that queues appends and sends all that are queued as one batch, one batch at a time.

    Appends to one stream keep their order and never share a batch. A fact is encoded in its caller's ``append``, so one
    that cannot be fails alone and at once. When ``queue_max`` commands wait, the next one waits for room; whoever is
    not on the way after ``wait_seconds``, both waits together, is answered with ``Backpressure`` as soon as the batch
    under way is.

    Nothing is sent unless ``run`` runs, either in a task group of the caller's, ended by ``close``, or by
    ``async with``, which does both. After ``close`` what is queued is sent for up to ``grace_seconds``; then whoever
    is still waiting hears ``LogUnavailable``, and whether its events were stored.
    """

    def __init__(
        self,
        log: BatchLog,
        codec: Codec,
        *,
        events_max: int = 1000,
        commands_max: int = 500,
        bytes_max: int = 16 << 20,
        queue_max: int = 10_000,
        linger_seconds: float = 0.0,
        wait_seconds: float = 30.0,
        grace_seconds: float = 10.0,
        hints_per_second_max: float = 20.0,
    ) -> None:
        self._log = log
        self._codec = codec
        self._events_max = events_max
        self._commands_max = commands_max
        self._bytes_max = bytes_max
        self._linger_seconds = linger_seconds
        self._wait_seconds = wait_seconds
        self._grace_seconds = grace_seconds
        self._hint_interval_seconds = 1 / hints_per_second_max
        self._waiting: dict[StreamId, list[_Request]] = {}
        self._events_waiting = 0
        self._under_way: Sequence[_Request] = ()
        self._room = Room(queue_max)
        self._queued = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = asyncio.Event()
        self._hint_due = asyncio.Event()
        self._committed_position = 0
        self._tasks: asyncio.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._tasks.create_task(self.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if self._tasks is None:
            return
        if isinstance(error, asyncio.CancelledError):
            await self._tasks.__aexit__(kind, error, traceback)
        else:
            await self._tasks.__aexit__(None, None, None)

    async def run(self) -> None:
        """Send what is queued, batch after batch, until ``close`` was called and everything queued is answered."""
        async with asyncio.TaskGroup() as tasks:
            hints = tasks.create_task(self._send_hints())
            flushing = tasks.create_task(self._flush_until_closed())
            try:
                await self._closing.wait()
                await asyncio.wait([flushing], timeout=self._grace_seconds)
            finally:
                self.close()
                self._abandon()
                flushing.cancel()
                hints.cancel()

    def close(self) -> None:
        """Refuse new appends; ``run`` returns once those already queued are answered."""
        self._closing.set()
        self._queued.set()
        self._full.set()

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """See ``EventLog.append``. Cancelled before its batch is sent, it is not stored; after, it may be."""
        command = encode_command(self._codec, stream, events, expected=expected)
        expires_at = asyncio.get_running_loop().time() + self._wait_seconds
        if not self._room.enter_at_once():
            await self._enter()
        try:
            if self._closing.is_set():
                raise LogClosed("this process is closing its log; nothing was stored")
            return await self._queue(command, expires_at)
        finally:
            self._room.leave()

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_stream``."""
        return await self._log.read_stream(
            stream, after_version=after_version, limit=limit, up_to_position=up_to_position
        )

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

    async def _enter(self) -> None:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._room.enter()
        except TimeoutError:
            raise Backpressure(f"the append found no room for {self._wait_seconds:g} s; nothing was stored") from None

    def _queue(self, command: EncodedCommand, expires_at: float) -> asyncio.Future[Appended]:
        answer = asyncio.get_running_loop().create_future()
        request = _Request(command, command_size(command), expires_at, answer)
        before = self._waiting.get(command.stream)
        if before is None:
            self._waiting[command.stream] = [request]
        else:
            before.append(request)
        self._events_waiting += len(command.events)
        self._queued.set()
        if self._events_waiting >= self._events_max:
            self._full.set()
        return request.answer

    async def _flush_until_closed(self) -> None:
        while self._waiting or not self._closing.is_set():
            await self._queued.wait()
            if self._linger_seconds and not self._full.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._linger_seconds):
                        await self._full.wait()
            self._under_way = self._take_batch()
            if self._under_way:
                await self._flush(self._under_way)
            if not self._closing.is_set():
                if not self._waiting:
                    self._queued.clear()
                if self._events_waiting < self._events_max:
                    self._full.clear()
        if self._hint_due.is_set():
            await self._log.hint(self._committed_position)

    def _take_batch(self) -> list[_Request]:
        """The oldest command of each waiting stream, as many as fit, without those whose caller has gone."""
        batch: list[_Request] = []
        events = size = seen = 0
        now = asyncio.get_running_loop().time()
        left: dict[StreamId, list[_Request]] = {}
        for stream, requests in self._waiting.items():
            if len(batch) == self._commands_max:
                break
            if requests[0].answer.done() or requests[0].expires_at < now:
                self._drop_gone(requests, now)
            if requests:
                events += len(requests[0].command.events)
                size += requests[0].size
                if batch and (events > self._events_max or size > self._bytes_max):
                    break
                batch.append(requests.pop(0))
                self._events_waiting -= len(batch[-1].command.events)
            seen += 1
            if requests:
                left[stream] = requests
        self._waiting = dict(islice(self._waiting.items(), seen, None)) | left
        return batch

    def _drop_gone(self, requests: list[_Request], now: float) -> None:
        """Let go of the first requests while nobody waits for them any more, or they have waited too long."""
        while requests and (requests[0].answer.done() or requests[0].expires_at < now):
            request = requests.pop(0)
            self._events_waiting -= len(request.command.events)
            waited = Backpressure(f"the append was not sent within {self._wait_seconds:g} s; nothing was stored")
            _answer([request], [waited])

    async def _flush(self, batch: Sequence[_Request]) -> None:
        try:
            outcomes = await self._log.append_encoded([request.command for request in batch])
        except LogError as error:
            outcomes = [error] * len(batch)
        _answer(batch, outcomes)
        self._under_way = ()
        positions = [outcome.position for outcome in outcomes if isinstance(outcome, Appended)]
        if positions:
            self._committed_position = max(self._committed_position, *positions)
            self._hint_due.set()

    async def _send_hints(self) -> None:
        """At most so many hints a second, the last one always sent, never inside an append's transaction."""
        while True:
            await self._hint_due.wait()
            self._hint_due.clear()
            await self._log.hint(self._committed_position)
            await asyncio.sleep(self._hint_interval_seconds)

    def _abandon(self) -> None:
        """Answer everyone who still waits; what is under way may yet be stored."""
        cut_off = LogUnavailable("the append was cut off; whether it was stored is unknown")
        _answer(self._under_way, [cut_off] * len(self._under_way))
        requests = [request for queue in self._waiting.values() for request in queue]
        self._waiting.clear()
        _answer(requests, [LogClosed("the log's writer has ended; nothing was stored")] * len(requests))


def _answer(batch: Sequence[_Request], outcomes: Sequence[Outcome]) -> None:
    for request, outcome in zip(batch, outcomes, strict=True):
        if request.answer.done():
            continue
        if isinstance(outcome, LogError):
            request.answer.set_exception(outcome)
        else:
            request.answer.set_result(outcome)
