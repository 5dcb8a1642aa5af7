"""Requests by user and key, in memory."""

import time
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from events.identifiers import new_event_id
from oxbot.app.idempotency import KEPT_FOR, LEASE, Answered, Claim, OtherContent, UnderWay


class _Entry(NamedTuple):
    digest: bytes
    deed: UUID
    begun: float
    leased_until: float
    answered: Answered | None = None


class MemoryIdempotency:
    """Implements ``IdempotencyStore`` by a clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._entries: dict[tuple[str, str], _Entry] = {}

    async def claim(self, user_id: str, key: str, digest: bytes) -> Claim | Answered | UnderWay | OtherContent:
        """See ``IdempotencyStore.claim``."""
        now = self._now()
        entry = self._entries.get((user_id, key))
        if entry is None or entry.begun <= now - KEPT_FOR.total_seconds():
            deed = new_event_id()
            self._entries[user_id, key] = _Entry(digest, deed, now, now + LEASE.total_seconds())
            return Claim(deed, resumed=False)
        if entry.digest != digest:
            return OtherContent()
        if entry.answered is not None:
            return entry.answered
        if entry.leased_until > now:
            return UnderWay(entry.leased_until - now)
        self._entries[user_id, key] = entry._replace(leased_until=now + LEASE.total_seconds())
        return Claim(entry.deed, resumed=True)

    async def keep(self, user_id: str, key: str, deed: UUID, answered: Answered) -> None:
        """See ``IdempotencyStore.keep``."""
        entry = self._entries.get((user_id, key))
        if entry is not None and entry.deed == deed and entry.answered is None:
            self._entries[user_id, key] = entry._replace(answered=answered)

    async def release(self, user_id: str, key: str, deed: UUID) -> None:
        """See ``IdempotencyStore.release``."""
        entry = self._entries.get((user_id, key))
        if entry is not None and entry.deed == deed and entry.answered is None:
            self._entries[user_id, key] = entry._replace(leased_until=self._now())
