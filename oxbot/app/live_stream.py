"""The log as it grows, for many clients at once: one follower per process, and what it read last kept for all."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import NamedTuple, Self

import stamina
import structlog

from events.alerts import AlertCleared, AlertRaised
from events.envelope import RecordedEvent
from events.errors import LogClosed, LogDamaged, LogUnavailable, OxbotError, StoreUnavailable, UndecodableFact
from events.identifiers import BotId, OwnerId
from events.log import LogReader
from oxbot.app.listener import Listener, LiveEvent, Unreadable, Wanted, bot_of

PAUSE_SECONDS_MAX = 2.0
TYPES_WINDOW = 50_000

logger = structlog.get_logger(__name__)

OwnerOf = Callable[[BotId], Awaitable[OwnerId | None]]
"""Whose a bot is; None for a bot that the log does not know."""


class TooManyListeners(OxbotError):
    """Somebody, or everybody together, has as many streams open as one process keeps."""

    def __init__(self, maximum: int, *, of_user: bool) -> None:
        whose = "you have" if of_user else "this process serves"
        super().__init__(f"{whose} {maximum} streams already; close one, or try again in a moment")
        self.of_user = of_user


class PositionAhead(OxbotError):
    """Somebody has seen more of the log than there is: it was restored from an older copy."""

    def __init__(self, position: int, head: int) -> None:
        super().__init__(f"the log ends at position {head}; it cannot be followed from {position} on")


class StreamLimits(NamedTuple):
    """How much one process does for its listeners.

    ``kept_events`` is the queue that all share: who is further behind than that, is cut off. A fan-out is followed by
    ``pause_seconds`` for each listener before the next, so that it takes up about half of the process at most.
    Strangers are clients that have not said yet who they are.
    """

    listeners_max: int = 1000
    listeners_per_user_max: int = 20
    kept_events: int = 5000
    page_events: int = 200
    pages_at_once: int = 2
    page_seconds: float = 10.0
    strangers_max: int = 100
    stranger_seconds: float = 5.0
    heartbeat_seconds: float = 15.0
    check_seconds: float = 1.0
    wait_seconds: float = 1.0
    pause_seconds: float = 0.0002
    restart_seconds: float = 2.0


class LiveStream:
    """Follows the log while anybody listens, from an ``async with`` on until its end or ``close``.

    What is older than what it keeps, listeners read from the log themselves, in pages, a few at a time, until they are
    where the follower is. While the log does not answer, nobody is cut off and nothing comes.
    """

    def __init__(self, log: LogReader, owner_of: OwnerOf, limits: StreamLimits | None = None) -> None:
        self._log = log
        self._owner_of = owner_of
        self.limits = limits or StreamLimits()
        self._listeners: set[Listener] = set()
        self._by_user: Counter[str] = Counter()
        self._arrived = asyncio.Event()
        self._reading = asyncio.Semaphore(self.limits.pages_at_once)
        self._kept: list[LiveEvent] = []
        self._first = 0
        self._position: int | None = None
        self._closed = False
        self._tasks: asyncio.TaskGroup | None = None
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._following = self._tasks.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if self._following is not None:
            self._following.cancel()
        if self._tasks is None:
            return
        if isinstance(error, asyncio.CancelledError):
            await self._tasks.__aexit__(kind, error, traceback)
        else:
            await self._tasks.__aexit__(None, None, None)

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def follows(self) -> bool:
        """Whether the log is being followed."""
        return self._position is not None

    def close(self) -> None:
        """Tell everybody that this process ends; it takes no more listeners."""
        self._closed = True
        self._dismiss()

    @asynccontextmanager
    async def listen(
        self, wanted: Wanted, *, user_id: str, after: int | None = None, follow: bool = True
    ) -> AsyncIterator[Listener]:
        """A listener to what comes after a position, the head if none is given; without ``follow``, up to the head.

        Raises ``TooManyListeners``, ``PositionAhead``, and what a read of the log raises: ``BelowFloor`` above all, or
        ``LogUnavailable``.
        """
        self._admit(user_id)
        try:
            head = await self._head(after, follow=follow)
            listener = Listener(self, wanted, head if after is None else after, up_to=None if follow else head)
            await listener.begin()
            self._check_open()
            self._listeners.add(listener)
            self._arrived.set()
            try:
                yield listener
            finally:
                self._listeners.discard(listener)
        finally:
            self._by_user[user_id] -= 1
            if not self._by_user[user_id]:
                del self._by_user[user_id]

    def kept_after(self, position: int) -> Sequence[LiveEvent] | None:
        """What is kept that follows the position, up to a page of it; None if not all of that is kept."""
        if self._position is None or position < self._first - 1:
            return None
        begin = position + 1 - self._first
        return self._kept[begin : begin + self.limits.page_events]

    def is_head(self, position: int) -> bool:
        """Whether the follower has nothing beyond the position."""
        return self._position is not None and position >= self._position

    async def page(self, after: int, *, types: Sequence[str] | None = None) -> tuple[Sequence[LiveEvent], int]:
        """Some events after a position, and the position up to which they are all that there are.

        Raises ``LogUnavailable`` also if too many others read at the same time.
        """
        try:
            async with asyncio.timeout(self.limits.page_seconds), self._reading:
                return await self._read(after, await self._log.head(), types)
        except TimeoutError as error:
            raise LogUnavailable(f"no page of the log within {self.limits.page_seconds:g} s") from error

    def _admit(self, user_id: str) -> None:
        limits = self.limits
        self._check_open()
        if self._by_user[user_id] >= limits.listeners_per_user_max:
            raise TooManyListeners(limits.listeners_per_user_max, of_user=True)
        if self._by_user.total() >= limits.listeners_max:
            raise TooManyListeners(limits.listeners_max, of_user=False)
        self._by_user[user_id] += 1

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosed("this process is about to end")

    async def _head(self, after: int | None, *, follow: bool) -> int:
        head = self._position
        if not follow or head is None or (after is not None and after > head):
            head = await self._log.head()
        if after is not None and after > head:
            raise PositionAhead(after, head)
        return head

    async def _read(self, after: int, head: int, types: Sequence[str] | None = None) -> tuple[Sequence[LiveEvent], int]:
        up_to, limit = min(after + TYPES_WINDOW, head), self.limits.page_events
        try:
            events = await self._log.read_all(after_position=after, limit=limit, types=types, up_to=up_to)
        except UndecodableFact as found:
            if found.position - 1 <= after:
                return await self._dressed([Unreadable.of(found)]), found.position
            up_to = found.position - 1
            events = await self._log.read_all(after_position=after, limit=limit, types=types, up_to=up_to)
        through = events[-1].position if len(events) == limit else max(up_to, after)
        return await self._dressed(events), through

    async def _dressed(self, events: Sequence[RecordedEvent | Unreadable]) -> list[LiveEvent]:
        return [LiveEvent(event, await self._owner(event)) for event in events]

    async def _owner(self, event: RecordedEvent | Unreadable) -> OwnerId | None:
        bot_id = bot_of(event)
        if bot_id is not None:
            return await self._owner_of(bot_id)
        if isinstance(event, RecordedEvent) and isinstance(event.fact, AlertRaised | AlertCleared):
            return event.fact.owner
        return None

    async def _run(self) -> None:
        """Follow while there are listeners; a log that cannot be followed ends them, who may come again."""
        while not self._closed:
            self._arrived.clear()
            if not self._listeners:
                await self._arrived.wait()
                continue
            try:
                await self._follow()
            except Exception:
                logger.exception("stream_cut_off", listeners=len(self._listeners))
                self._forget()
                self._dismiss()
                await asyncio.sleep(self.limits.restart_seconds)
            self._forget()

    async def _follow(self) -> None:
        """Keep what the log grows by, and wake everybody, until nobody listens."""
        self._begin_at(await _unwearied(self._log.head)())
        while self._listeners and self._position is not None:
            position = self._position
            head = await _unwearied(self._log.wait_beyond)(position, timeout_seconds=self.limits.wait_seconds)
            if head < position:
                raise LogDamaged(f"the log has become shorter: it ends at position {head}, not at {position}")
            if head > position:
                self._keep(*await _unwearied(self._read)(position, head))
                await asyncio.sleep(len(self._listeners) * self.limits.pause_seconds)

    def _begin_at(self, head: int) -> None:
        self._kept, self._first, self._position = [], head + 1, head
        self._wake()

    def _forget(self) -> None:
        self._kept, self._position = [], None

    def _keep(self, events: Sequence[LiveEvent], through: int) -> None:
        self._kept.extend(events)
        surplus = len(self._kept) - self.limits.kept_events
        if surplus > self.limits.page_events:
            del self._kept[:surplus]
            self._first += surplus
        self._position = through
        self._wake()

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.wake()

    def _dismiss(self) -> None:
        for listener in self._listeners:
            listener.end("closing")
        self._arrived.set()


def _passes(error: Exception) -> bool:
    return isinstance(error, LogUnavailable | StoreUnavailable) and not isinstance(error, LogClosed)


_unwearied = stamina.retry(on=_passes, attempts=None, timeout=None, wait_max=PAUSE_SECONDS_MAX)
