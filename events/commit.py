"""Group commit: what many bots of one process append while one append is under way goes out as the next one."""

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from events.envelope import NewEvent, RecordedEvent
from events.errors import LogError, LogUnavailable
from events.identifiers import StreamId
from events.log import AppendCommand, Appended, EventLog, check_append


class BatchLog(EventLog, Protocol):
    """An event log that can append many commands at once and tell waiters in other processes about it."""

    async def append_batch(self, commands: Sequence[AppendCommand]) -> list[Appended | LogError]:
        """One outcome per command, in order; a stream may come once."""
        ...

    async def hint(self, position: int) -> None:
        """Tell waiters that the log reaches ``position``; may be lost."""
        ...


class _Request(NamedTuple):
    command: AppendCommand
    answer: asyncio.Future[Appended]


class GroupCommitLog:
    """An ``EventLog`` that queues appends and sends all that are queued as one batch, one batch at a time.

    Appends to one stream keep their order and never share a batch. When ``queue_max`` commands wait, the next one
    waits for room. Nothing is sent unless ``run`` runs, either in a task group of the caller's, ended by ``close``, or
    by ``async with``, which does both and drains the queue on the way out.
    """

    def __init__(
        self,
        log: BatchLog,
        *,
        events_max: int = 1000,
        commands_max: int = 500,
        queue_max: int = 10_000,
        linger_seconds: float = 0.0,
        hints_per_second_max: float = 20.0,
    ) -> None:
        self._log = log
        self._events_max = events_max
        self._commands_max = commands_max
        self._linger_seconds = linger_seconds
        self._hint_interval_seconds = 1 / hints_per_second_max
        self._waiting: dict[StreamId, deque[_Request]] = {}
        self._room = asyncio.Semaphore(queue_max)
        self._queued = asyncio.Event()
        self._closed = False
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
            try:
                await self._flush_until_closed()
                if self._hint_due.is_set():
                    await self._log.hint(self._committed_position)
            finally:
                self.close()
                self._abandon()
                hints.cancel()

    def close(self) -> None:
        """Refuse new appends; ``run`` returns once those already queued are answered."""
        self._closed = True
        self._queued.set()

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """See ``EventLog.append``. Cancelled before its batch is sent, it is not stored; after, it may be."""
        check_append(stream, events, expected=expected)
        async with self._room:
            if self._closed:
                raise LogUnavailable("this process is closing its log; nothing was stored")
            answer: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
            request = _Request(AppendCommand(stream, expected, events), answer)
            self._waiting.setdefault(stream, deque()).append(request)
            self._queued.set()
            return await answer

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``EventLog.read_stream``."""
        return await self._log.read_stream(stream, after_version=after_version, limit=limit)

    async def read_all(
        self, *, after_position: int = 0, limit: int = 1000, types: Sequence[str] | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``EventLog.read_all``."""
        return await self._log.read_all(after_position=after_position, limit=limit, types=types)

    async def head(self) -> int:
        """See ``EventLog.head``."""
        return await self._log.head()

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``EventLog.wait_beyond``."""
        return await self._log.wait_beyond(position, timeout_seconds=timeout_seconds)

    async def _flush_until_closed(self) -> None:
        while self._waiting or not self._closed:
            await self._queued.wait()
            if self._linger_seconds and not self._closed:
                await asyncio.sleep(self._linger_seconds)
            batch = self._take_batch()
            if batch:
                await self._flush(batch)
            if not self._waiting and not self._closed:
                self._queued.clear()

    def _take_batch(self) -> list[_Request]:
        """The oldest command of each waiting stream, as many as fit, without those whose caller has gone."""
        batch: list[_Request] = []
        events = 0
        taken: dict[StreamId, deque[_Request]] = {}
        while self._waiting and len(batch) < self._commands_max:
            stream, requests = next(iter(self._waiting.items()))
            while requests and requests[0].answer.done():
                requests.popleft()
            if requests:
                events += len(requests[0].command.events)
                if batch and events > self._events_max:
                    break
                batch.append(requests.popleft())
            del self._waiting[stream]
            if requests:
                taken[stream] = requests
        self._waiting.update(taken)
        return batch

    async def _flush(self, batch: list[_Request]) -> None:
        try:
            outcomes = await self._log.append_batch([request.command for request in batch])
        except LogError as error:
            outcomes = [error] * len(batch)
        except BaseException:
            _answer(batch, [LogUnavailable("the append was cut off; whether it was stored is unknown")] * len(batch))
            raise
        _answer(batch, outcomes)
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
        requests = [request for queue in self._waiting.values() for request in queue]
        self._waiting.clear()
        _answer(requests, [LogUnavailable("the log's writer has ended; nothing was stored")] * len(requests))


def _answer(batch: Sequence[_Request], outcomes: Sequence[Appended | LogError]) -> None:
    for request, outcome in zip(batch, outcomes, strict=True):
        if request.answer.done():
            continue
        if isinstance(outcome, LogError):
            request.answer.set_exception(outcome)
        else:
            request.answer.set_result(outcome)
