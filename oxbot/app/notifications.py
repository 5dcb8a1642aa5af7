"""Tells people what happened: from the log into an outbox, from the outbox to wherever they want it.

At least once: a notice is in the outbox before the log's position moves on, and leaves it only when it was sent. If the
process dies between sending and noting that, it is sent again, under the same key.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import structlog

from events.bot import BotCreated, OrderFilled, OrderInDoubt, OrderRejected, OrderRequested
from events.envelope import RecordedEvent
from events.errors import OxbotError, StoreUnavailable
from events.identifiers import BOT_STREAM_PREFIX, OrderId, StreamId
from events.log import LogReader
from events.subscription import CaughtUp, subscribe
from oxbot.app.clock import Clock
from oxbot.views.notices import NOTABLE, Notice, notice_of

BATCH = 20
PAUSE_SECONDS = 1.0
RETRY_SECONDS_MAX = 300
KEPT = timedelta(days=1)
"""So long a notice that cannot be sent is tried again; after that nobody needs it any more."""

FOLLOWED = ("order.requested", *NOTABLE)

logger = structlog.get_logger(__name__)


class NotSent(OxbotError):
    """Nobody took the message; it may be sent again."""


class Waiting(NamedTuple):
    """A notice in the outbox, and how often it was tried in vain."""

    notice: Notice
    attempts: int


class _Bot(NamedTuple):
    """How a bot is called, and whether it trades at a venue."""

    who: str
    live: bool


class Outbox(Protocol):
    """What is still to be told, and up to where the log was looked through for it."""

    async def position(self) -> int:
        """The log's position up to which everything notable is in the outbox."""
        ...

    async def put(self, notices: Sequence[Notice], *, position: int) -> None:
        """Add the notices and move the position there, both or neither; a key that is known already changes nothing."""
        ...

    async def due(self, now: datetime, *, limit: int) -> Sequence[Waiting]:
        """Those that are to be tried by now, in order of position."""
        ...

    async def sent(self, keys: Sequence[str]) -> None:
        """They have been told."""
        ...

    async def postpone(self, keys: Sequence[str], *, until: datetime, error: str) -> None:
        """They were tried in vain; try again then."""
        ...


class Notifier(Protocol):
    """Where notices go."""

    async def send(self, notices: Sequence[Notice]) -> None:
        """Tell them, all or none as far as it can be known. Raises ``NotSent``."""
        ...


class NotificationRunner:
    """Fills the outbox from the log and empties it towards people.

    Of bots on paper nothing is told but that they were halted, tripped or liquidated: nobody wants a word for each of a
    thousand bots' fills with play money.
    """

    def __init__(self, log: LogReader, outbox: Outbox, notifier: Notifier, clock: Clock) -> None:
        self._log = log
        self._outbox = outbox
        self._notifier = notifier
        self._clock = clock
        self._bots: dict[StreamId, _Bot] = {}
        self._requests: dict[OrderId, OrderRequested] = {}
        self._waiting = asyncio.Event()

    async def run(self) -> None:
        """Collect and send until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._collect())
            group.create_task(self._deliver())

    async def _collect(self) -> None:
        pending: list[Notice] = []
        async for item in subscribe(self._log, after_position=await self._outbox.position(), types=FOLLOWED):
            if isinstance(item, CaughtUp):
                await self._put(pending, item.position)
                pending = []
                continue
            notice = await self._notice(item)
            if notice is not None:
                pending.append(notice)
            if len(pending) >= BATCH:
                await self._put(pending, item.position)
                pending = []

    async def _put(self, notices: Sequence[Notice], position: int) -> None:
        """Move on in the log, however long the outbox does not answer."""
        while True:
            try:
                await self._outbox.put(notices, position=position)
            except StoreUnavailable as error:
                logger.warning("outbox_unavailable", error=str(error))
                await self._clock.sleep(PAUSE_SECONDS)
            else:
                self._waiting.set()
                return

    async def _deliver(self) -> None:
        while True:
            self._waiting.clear()
            try:
                more = await self.deliver_due()
            except StoreUnavailable as error:
                logger.warning("outbox_unavailable", error=str(error))
                more = False
            if not more:
                await self._rest()

    async def _rest(self) -> None:
        """Until something new is there, or it is time to look for what was postponed."""
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._waiting.wait()
        except TimeoutError:
            return

    async def deliver_due(self) -> bool:
        """Send one message of those that are due; whether there were any."""
        now = self._clock.now()
        due = await self._outbox.due(now, limit=BATCH)
        if not due:
            return False
        stale = [waiting.notice.key for waiting in due if now - waiting.notice.at > KEPT]
        fresh = [waiting for waiting in due if now - waiting.notice.at <= KEPT]
        if stale:
            logger.warning("notices_given_up", count=len(stale))
            await self._outbox.sent(stale)
        if fresh:
            await self._send(fresh, now)
        return True

    async def _send(self, fresh: Sequence[Waiting], now: datetime) -> None:
        keys = [waiting.notice.key for waiting in fresh]
        try:
            await self._notifier.send([waiting.notice for waiting in fresh])
        except NotSent as error:
            attempts = max(waiting.attempts for waiting in fresh) + 1
            until = now + timedelta(seconds=min(RETRY_SECONDS_MAX, 2**attempts))
            logger.warning("notices_not_sent", count=len(keys), attempts=attempts, error=str(error))
            await self._outbox.postpone(keys, until=until, error=str(error))
        else:
            await self._outbox.sent(keys)

    async def _notice(self, event: RecordedEvent) -> Notice | None:
        fact = event.fact
        if not event.stream.startswith(BOT_STREAM_PREFIX):
            return notice_of(event, who=event.stream)
        bot = await self._bot(event.stream)
        if isinstance(fact, OrderRequested):
            if bot.live:
                self._requests[fact.order_id] = fact
            return None
        if not isinstance(fact, OrderFilled | OrderInDoubt | OrderRejected):
            return notice_of(event, who=bot.who)
        if not bot.live:
            return None
        request = await self._request(event.stream, fact.order_id)
        if isinstance(fact, OrderRejected) or (isinstance(fact, OrderFilled) and fact.complete):
            self._requests.pop(fact.order_id, None)
        return notice_of(event, who=bot.who, request=request)

    async def _bot(self, stream: StreamId) -> _Bot:
        """Who that is by its creation, which may lie before the position that was begun from."""
        known = self._bots.get(stream)
        if known is None:
            known = _Bot(stream, live=False)
            for first in await self._log.read_stream(stream, limit=1):
                if isinstance(first.fact, BotCreated):
                    known = _Bot(f"bot {first.fact.name}", live=first.fact.account is not None)
            self._bots[stream] = known
        return known

    async def _request(self, stream: StreamId, order_id: OrderId) -> OrderRequested | None:
        known = self._requests.get(order_id)
        if known is not None:
            return known
        for event in await self._log.read_stream(stream):
            if isinstance(event.fact, OrderRequested) and event.fact.order_id == order_id:
                return event.fact
        return None
