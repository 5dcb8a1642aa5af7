"""One writer for many callers: what they append while one batch is under way goes out merged, as the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from events.encoded import EncodedCommand
from events.errors import Backpressure, LogError
from events.identifiers import StreamId
from events.log import Appended, Outcome

Send = Callable[[Sequence[EncodedCommand]], Awaitable[list[Outcome]]]
"""Appends a batch that names each stream once, see ``BatchLog.append_encoded``."""

Hint = Callable[[int], Awaitable[None]]
"""Tells waiters that the log reaches a position; may fail silently."""


class Bounds(NamedTuple):
    """How much goes out at once, how much may wait, and for how long."""

    events: int = 3000
    bytes: int = 16 << 20
    waiting_bytes: int = 64 << 20
    wait_seconds: float = 5.0
    hint_seconds: float = 0.05


DEFAULT_BOUNDS = Bounds()


class _Waiting(NamedTuple):
    commands: Sequence[EncodedCommand]
    size: int
    expires_at: float
    answer: asyncio.Future[list[Outcome]]


class AppendQueue:
    """Sends the batches of many callers, merged, one at a time; each caller gets the outcomes of its own commands.

    Where two callers append to one stream, the one that came first goes first, in a batch of its own. A batch is held
    here only while its caller waits for the answer, and every caller can ask again: nothing depends on this queue.
    """

    def __init__(self, send: Send, hint: Hint, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self._send = send
        self._hint = hint
        self._bounds = bounds
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._queued = asyncio.Event()
        self._hint_due = asyncio.Event()
        self._position = 0

    async def append(self, commands: Sequence[EncodedCommand], *, size: int) -> list[Outcome]:
        """One outcome per command, in order; ``size`` is about how many bytes they are.

        Raises ``Backpressure`` if more waits than fits, or if it was not sent in time: nothing was stored by this call.
        """
        if self._waiting and self._waiting_bytes + size > self._bounds.waiting_bytes:
            raise Backpressure("too much waits to be appended; nothing was stored")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(commands, size, loop.time() + self._bounds.wait_seconds, loop.create_future())
        self._waiting.append(waiting)
        self._waiting_bytes += size
        self._queued.set()
        return await waiting.answer

    async def run(self) -> None:
        """Send what is queued, batch after batch, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_hints())
            while True:
                await self._queued.wait()
                await self._flush(self._take())
                if not self._waiting:
                    self._queued.clear()

    def _take(self) -> list[_Waiting]:
        """The oldest batches that fit together, without those whose caller has gone or has waited too long."""
        taken: list[_Waiting] = []
        left: deque[_Waiting] = deque()
        streams: set[StreamId] = set()
        events = size = 0
        now = asyncio.get_running_loop().time()
        while self._waiting and events < self._bounds.events and size < self._bounds.bytes:
            waiting = self._waiting.popleft()
            if not self._is_wanted(waiting, now):
                continue
            named = {command.stream for command in waiting.commands}
            # What is left behind blocks its streams too, so that what was appended to a stream later stays later.
            if streams.isdisjoint(named):
                taken.append(waiting)
                events += sum(len(command.events) for command in waiting.commands)
                size += waiting.size
            else:
                left.append(waiting)
            streams |= named
        self._waiting.extendleft(reversed(left))
        self._waiting_bytes = sum(waiting.size for waiting in self._waiting)
        return taken

    def _is_wanted(self, waiting: _Waiting, now: float) -> bool:
        if waiting.answer.done():
            return False
        if waiting.expires_at < now:
            waited = f"the append was not sent within {self._bounds.wait_seconds:g} s; nothing was stored"
            waiting.answer.set_exception(Backpressure(waited))
            return False
        return True

    async def _flush(self, batch: Sequence[_Waiting]) -> None:
        commands = [command for waiting in batch for command in waiting.commands]
        if not commands:
            return
        try:
            outcomes = await self._send(commands)
        except LogError as error:
            outcomes = [error] * len(commands)
        _answer(batch, outcomes)
        self._note([outcome.position for outcome in outcomes if isinstance(outcome, Appended)])

    def _note(self, positions: Sequence[int]) -> None:
        if positions:
            self._position = max(self._position, *positions)
            self._hint_due.set()

    async def _send_hints(self) -> None:
        """Not more often than waiters can use, the last one always, never inside an append's transaction."""
        while True:
            await self._hint_due.wait()
            self._hint_due.clear()
            await self._hint(self._position)
            await asyncio.sleep(self._bounds.hint_seconds)


def _answer(batch: Sequence[_Waiting], outcomes: list[Outcome]) -> None:
    begin = 0
    for waiting in batch:
        end = begin + len(waiting.commands)
        if not waiting.answer.done():
            waiting.answer.set_result(outcomes[begin:end])
        begin = end
