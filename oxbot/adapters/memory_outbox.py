"""An outbox in memory, for tests and for runs that leave nothing behind."""

from collections.abc import Sequence
from datetime import datetime

from oxbot.app.notifications import Waiting
from oxbot.views.notices import Notice


class MemoryOutbox:
    """Implements ``Outbox``."""

    def __init__(self, *, position: int = 0) -> None:
        self._position = position
        self._waiting: dict[str, tuple[Waiting, datetime]] = {}
        self._known: set[str] = set()

    async def position(self) -> int:
        """See ``Outbox.position``."""
        return self._position

    async def put(self, notices: Sequence[Notice], *, position: int) -> None:
        """See ``Outbox.put``."""
        for notice in notices:
            if notice.key not in self._known:
                self._known.add(notice.key)
                self._waiting[notice.key] = (Waiting(notice, 0), notice.at)
        self._position = max(self._position, position)

    async def due(self, now: datetime, *, limit: int) -> Sequence[Waiting]:
        """See ``Outbox.due``."""
        due = [waiting for waiting, due_at in self._waiting.values() if due_at <= now]
        return sorted(due, key=lambda waiting: waiting.notice.position)[:limit]

    async def sent(self, keys: Sequence[str]) -> None:
        """See ``Outbox.sent``."""
        for key in keys:
            self._waiting.pop(key, None)

    async def postpone(self, keys: Sequence[str], *, until: datetime, error: str) -> None:
        """See ``Outbox.postpone``."""
        del error
        for key in keys:
            if key in self._waiting:
                waiting, _ = self._waiting[key]
                self._waiting[key] = (Waiting(waiting.notice, waiting.attempts + 1), until)
