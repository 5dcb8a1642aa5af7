"""Wrapped keys of people in memory: what tests use, under the same contract as Postgres."""

from datetime import datetime

from events.values import SubjectId
from oxbot.adapters.aes_gcm_subject_keys import WrappedKey


class MemoryKeyTable:
    """A ``KeyTable`` that forgets everything when its process ends."""

    def __init__(self) -> None:
        self._keys: dict[SubjectId, WrappedKey | None] = {}
        self._erased_through = 0

    async def add(self, subject: SubjectId, key: WrappedKey) -> WrappedKey | None:
        """See ``KeyTable.add``."""
        return self._keys.setdefault(subject, key)

    async def find(self, subject: SubjectId) -> WrappedKey | None:
        """See ``KeyTable.find``."""
        return self._keys.get(subject)

    async def destroy(self, subject: SubjectId, *, at: datetime) -> None:
        """See ``KeyTable.destroy``."""
        del at
        self._keys[subject] = None

    async def erased_through(self) -> int:
        """See ``KeyTable.erased_through``."""
        return self._erased_through

    async def note_erased_through(self, position: int) -> None:
        """See ``KeyTable.note_erased_through``."""
        self._erased_through = position
