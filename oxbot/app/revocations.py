"""Which access tokens were called back before they expired: heard from the log, at once, in every process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from events.envelope import RecordedEvent
from events.errors import LogClosed, LogUnavailable
from events.log import LogReader
from events.system import SubjectErased
from events.user import ApiTokenRevoked, CredentialChanged, SessionEnded, UserDisabled, UserRoleChanged
from oxbot.app.clock import Clock
from oxbot.core.account import USER_STREAM_PREFIX, UserId

LOOKED_BACK = timedelta(minutes=30)
"""Twice as long as an access token is good: what was called back earlier has expired, however far the clocks differ."""

TYPES = tuple(
    str(kind.__struct_config__.tag)
    for kind in (SessionEnded, CredentialChanged, UserRoleChanged, UserDisabled, ApiTokenRevoked, SubjectErased)
)
PAGE = 1000
WINDOW = 50_000
"""So many positions are looked through at once for the few events that matter."""

WAIT_SECONDS = 1.0
PAUSE_SECONDS = 0.05
"""The log of a busy fleet moves all the time; so often is it read, and a command reads it anew anyway."""


class Revocations:
    """What was called back of late, as far as this process has read the log.

    An access token says how far its account's stream had come when it was issued. A later change of role or password,
    or a disabling, makes it worthless, as does the end of its session or the erasure of its person at any time.
    """

    def __init__(self, log: LogReader, *, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._position: int | None = None
        self._versions: dict[UserId, tuple[int, datetime]] = {}
        self._ended: dict[str, datetime] = {}
        self._erased: dict[UserId, datetime] = {}
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()

    def allows(self, user_id: UserId, version: int, means: str) -> bool:
        """Whether what was issued at that version of the account's stream, for that session or API token, is good."""
        if means in self._ended or user_id in self._erased:
            return False
        found = self._versions.get(user_id)
        return found is None or version >= found[0]

    async def catch_up(self) -> None:
        """Read on to the log's head, so that what any process has called back until now is known.

        Raises ``LogUnavailable``.
        """
        head = await self._log.head()
        if self._position is not None and self._position == head:
            return
        async with self._reading:
            position = await self._begin(head)
            while position < head:
                up_to = min(head, position + WINDOW)
                page = await self._log.read_all(after_position=position, limit=PAGE, types=TYPES, up_to=up_to)
                for event in page:
                    self._take(event)
                if page:
                    self._forget(page[-1].recorded_at - LOOKED_BACK)
                    self._tell()
                position = page[-1].position if len(page) == PAGE else up_to
                self._position = position

    async def until_refused(self, user_id: UserId, version: int, means: str) -> None:
        """Return as soon as ``allows`` says no."""
        while self.allows(user_id, version, means):
            await self._changed.wait()

    @asynccontextmanager
    async def following(self, clock: Clock) -> AsyncIterator[None]:
        """Follow the log within the block, having read what matters of it.

        Raises what reading raises, but for ``LogUnavailable`` once it has begun.
        """
        await self.catch_up()
        async with asyncio.TaskGroup() as group:
            follower = group.create_task(self._follow(clock))
            try:
                yield
            finally:
                follower.cancel()

    async def _follow(self, clock: Clock) -> None:
        while True:
            try:
                await self._log.wait_beyond(self._position or 0, timeout_seconds=WAIT_SECONDS)
                await self.catch_up()
            except LogClosed:
                raise
            except LogUnavailable:
                # Commands are refused meanwhile; tokens that live may read what there is to be read.
                await clock.sleep(WAIT_SECONDS)
            await clock.sleep(PAUSE_SECONDS)

    async def _begin(self, head: int) -> int:
        """Where to read on from; a log that became shorter was restored, and is read again."""
        if self._position is None or self._position > head:
            self._position = min(head, await self._log.position_at(self._now() - LOOKED_BACK))
        return self._position

    def _take(self, event: RecordedEvent) -> None:
        fact, at = event.fact, event.recorded_at
        match fact:
            case SessionEnded():
                self._ended[fact.session_id] = at
            case ApiTokenRevoked():
                self._ended[fact.token_id] = at
            case SubjectErased():
                self._erased[UserId(fact.subject.removeprefix(USER_STREAM_PREFIX))] = at
            case _:
                self._versions[UserId(event.stream.removeprefix(USER_STREAM_PREFIX))] = (event.version, at)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _forget(self, before: datetime) -> None:
        self._ended = {means: at for means, at in self._ended.items() if at >= before}
        self._erased = {user_id: at for user_id, at in self._erased.items() if at >= before}
        self._versions = {user_id: known for user_id, known in self._versions.items() if known[1] >= before}
