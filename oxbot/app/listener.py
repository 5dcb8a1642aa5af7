"""One client of the live stream: where it is, what it may see and asked for, and what it is to be told next."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

import structlog

from events.alerts import AlertCleared, AlertRaised
from events.envelope import RecordedEvent
from events.errors import BelowFloor, LogClosed, LogError, LogUnavailable, StoreUnavailable, UndecodableFact
from events.identifiers import BOT_STREAM_PREFIX, BotId, OwnerId, StreamId
from events.subscription import CaughtUp

logger = structlog.get_logger(__name__)

Ending = Literal["overrun", "signed_out", "closing", "gone", "finished"]
"""It fell behind; its token is no longer good; this process ends; it went away; it had all that it wanted."""


class Unreadable(NamedTuple):
    """An event that this program cannot decode, as far as it is known."""

    position: int
    stream: StreamId
    event_type: str
    reason: str

    @classmethod
    def of(cls, found: UndecodableFact) -> "Unreadable":
        """What the error says."""
        return cls(found.position, StreamId(found.stream), found.event_type, found.reason)


class LiveEvent:
    """An event on its way to clients; each of the forms in which they get it is made once for all of them."""

    __slots__ = ("_forms", "bot_id", "event", "owner", "position")

    def __init__(self, event: RecordedEvent | Unreadable, owner: OwnerId | None) -> None:
        self.event = event
        self.position = event.position
        self.bot_id = bot_of(event)
        self.owner = owner
        self._forms: dict[Callable[[LiveEvent], bytes], bytes] = {}

    def form(self, encode: "Callable[[LiveEvent], bytes]") -> bytes:
        """The event as ``encode`` has it."""
        found = self._forms.get(encode)
        if found is None:
            found = self._forms[encode] = encode(self)
        return found


class Heartbeat(NamedTuple):
    """Nothing came for a while; everything up to ``position`` that was wanted has been sent."""

    position: int


class Ended(NamedTuple):
    """Nothing more comes, and why; ``position`` is where to go on from."""

    why: Ending
    position: int


Message: TypeAlias = LiveEvent | CaughtUp | Heartbeat | Ended


class Wanted(NamedTuple):
    """What a client is to get: what it may see, of these bots and types if any are named, while it is ``signed_in``."""

    may_see: Callable[[LiveEvent], bool]
    signed_in: Callable[[], bool]
    bots: frozenset[BotId] = frozenset()
    types: frozenset[str] = frozenset()

    def of(self, events: Sequence[LiveEvent]) -> list[Message]:
        """Those of the events that it is to get."""
        return [
            event
            for event in events
            if (not self.bots or event.bot_id in self.bots)
            and (not self.types or event.event.event_type in self.types)
            and self.may_see(event)
        ]


class Pace(Protocol):
    """How often a listener is told that it is alive, and how often its token is looked at."""

    @property
    def heartbeat_seconds(self) -> float:
        """After so long without a message it gets a heartbeat."""
        ...

    @property
    def check_seconds(self) -> float:
        """How often it is seen to without any news."""
        ...


class Source(Protocol):
    """Where a listener gets its events from."""

    @property
    def limits(self) -> Pace:
        """The pace of its listeners."""
        ...

    def kept_after(self, position: int) -> Sequence[LiveEvent] | None:
        """What is kept that follows the position, up to a page of it; None if not all of that is kept."""
        ...

    def is_head(self, position: int) -> bool:
        """Whether there is nothing beyond the position."""
        ...

    async def page(self, after: int, *, types: Sequence[str] | None = None) -> tuple[Sequence[LiveEvent], int]:
        """Some events after a position, and the position up to which they are all that there are."""
        ...


def bot_of(event: RecordedEvent | Unreadable) -> BotId | None:
    """The bot that the event is about: of its own stream, or an alert about it; None for any other."""
    about: str = event.stream
    if isinstance(event, RecordedEvent) and isinstance(event.fact, AlertRaised | AlertCleared):
        about = event.fact.subject
    return BotId(about.removeprefix(BOT_STREAM_PREFIX)) if about.startswith(BOT_STREAM_PREFIX) else None


class Listener:
    """Goes along the log from ``position``, in pages of its own at first, then with what the source keeps for all.

    With ``up_to`` it ends there.
    """

    def __init__(self, source: Source, wanted: Wanted, position: int, *, up_to: int | None = None) -> None:
        self.position = position
        """Everything up to here that is wanted has been taken from ``messages``."""
        self._source = source
        self._wanted = wanted
        self._up_to = up_to
        self._joined = False
        self._first_page: tuple[Sequence[LiveEvent], int] | None = None
        self._news = asyncio.Event()
        self._ending: Ending | None = None

    def wake(self) -> None:
        """There may be something to do."""
        self._news.set()

    def end(self, why: Ending) -> None:
        """Nothing more is to come."""
        self._ending = self._ending or why
        self._news.set()

    async def begin(self) -> None:
        """Read what has to be read from the log, so that whoever asks in vain is told so. Raises what a read does."""
        if self._source.kept_after(self.position) is None:
            self._first_page = await self._page()

    async def messages(self) -> AsyncGenerator[Sequence[Message], None]:
        """What it is to be told, a few at a time, the last of all an ``Ended``; each as soon as the one before is sent.

        A ``CaughtUp`` comes once, when everything that was in the log is behind it.
        """
        clock = asyncio.get_running_loop().time
        pace, caught_up = self._source.limits, False
        beat_at = clock() + pace.heartbeat_seconds
        while (ending := self._ending_now()) is None:
            self._news.clear()
            found, through = await self._next()
            messages = self._wanted.of(found)
            idle = through == self.position
            if not caught_up and self._reached(through):
                caught_up = True
                messages.append(CaughtUp(through))
            if not messages and clock() >= beat_at:
                messages.append(Heartbeat(through))
            if messages:
                yield messages
                beat_at = clock() + pace.heartbeat_seconds
            self.position = through
            if caught_up and self._up_to is not None:
                self.end("finished")
            elif idle:
                await self._wait(pace.check_seconds)
        yield [Ended(ending, self.position)]

    def _ending_now(self) -> Ending | None:
        if self._ending is None and not self._wanted.signed_in():
            self._ending = "signed_out"
        return self._ending

    def _reached(self, position: int) -> bool:
        return self._source.is_head(position) if self._up_to is None else position >= self._up_to

    async def _next(self) -> tuple[Sequence[LiveEvent], int]:
        """What follows, and where it ends; nothing if it is not there yet, or will not come any more."""
        kept = self._source.kept_after(self.position)
        if kept is not None:
            self._joined = True
            return kept, kept[-1].position if kept else self.position
        try:
            if not self._joined:
                page, self._first_page = self._first_page or await self._page(), None
                return page
            self.end("overrun")
        except LogClosed:
            self.end("closing")
        except (LogUnavailable, StoreUnavailable):
            pass  # It is asked again after a while; the client sees heartbeats.
        except BelowFloor:
            # Archived while it was being read; whoever comes again from there is told that.
            self.end("overrun")
        except LogError:
            logger.exception("history_unreadable", position=self.position)
            self.end("closing")
        return (), self.position

    async def _page(self) -> tuple[Sequence[LiveEvent], int]:
        return await self._source.page(self.position, types=sorted(self._wanted.types) or None)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
