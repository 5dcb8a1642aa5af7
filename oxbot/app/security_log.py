"""Counts what strangers try, and has the log say so once a minute: whoever attacks cannot flood it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

import structlog

from events.envelope import NewEvent
from events.errors import LogUnavailable, StoreUnavailable
from events.identifiers import new_event_id
from events.log import ANY_VERSION, EventLog
from events.security import SECURITY_STREAM, Attempt, AttemptsRefused
from oxbot.app.accounts import CredentialsUnavailable
from oxbot.app.clock import Clock

PERIOD_SECONDS = 60.0
ADDRESSES_MAX = 1000
"""More addresses than that are not told apart."""

Purge = Callable[[], Awaitable[None]]

logger = structlog.get_logger(__name__)


class _Count(NamedTuple):
    attempts: int
    addresses: set[str]
    since: datetime
    until: datetime


class SecurityLog:
    """What was refused to strangers since the log was last told, by kind. Addresses are counted, never recorded."""

    def __init__(self, log: EventLog, *, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._counts: dict[Attempt, _Count] = {}
        self._untold: list[NewEvent] = []

    def refused(self, attempt: Attempt, address: str) -> None:
        """Count one."""
        now = self._now()
        known = self._counts.get(attempt) or _Count(0, set(), now, now)
        if len(known.addresses) < ADDRESSES_MAX:
            known.addresses.add(address)
        self._counts[attempt] = known._replace(attempts=known.attempts + 1, until=now)

    async def tell(self) -> None:
        """Have the log say what was counted. Raises ``LogUnavailable``; it is told the next time then, once."""
        if not self._untold:
            self._untold, self._counts = self._events(), {}
        if self._untold:
            await self._log.append(SECURITY_STREAM, self._untold, expected=ANY_VERSION)
            self._untold = []

    @asynccontextmanager
    async def kept(self, clock: Clock, purges: Sequence[Purge] = ()) -> AsyncIterator[None]:
        """Tell the log every minute within the block and at its end, and do what else is to be done so often."""
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep(clock, purges))
            try:
                yield
            finally:
                keeper.cancel()
        try:
            await self.tell()
        except LogUnavailable:
            logger.warning("security_counts_lost", events=len(self._untold))

    async def _keep(self, clock: Clock, purges: Sequence[Purge]) -> None:
        while True:
            await clock.sleep(PERIOD_SECONDS)
            try:
                await self.tell()
                for purge in purges:
                    await purge()
            except (LogUnavailable, StoreUnavailable, CredentialsUnavailable) as error:
                logger.warning("security_log_waits", error=str(error))

    def _events(self) -> list[NewEvent]:
        facts = [
            AttemptsRefused(
                attempt=attempt,
                attempts=count.attempts,
                addresses=len(count.addresses),
                since=count.since,
                until=count.until,
            )
            for attempt, count in self._counts.items()
        ]
        return [NewEvent(event_id=new_event_id(), occurred_at=self._now(), fact=fact) for fact in facts]
