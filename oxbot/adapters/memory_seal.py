"""A signer's memory that lasts as long as the object, for tests; it passes the same contract suite as the file."""

from events.checkpoint import read_unverified
from oxbot.app.checkpoints import check_successor


class MemorySeal:
    """Implements ``SealMemory``."""

    def __init__(self, note: str | None = None) -> None:
        self._note = note

    async def last(self) -> str | None:
        """See ``SealMemory.last``."""
        return self._note

    async def remember(self, note: str) -> None:
        """See ``SealMemory.remember``."""
        if self._note is None or check_successor(read_unverified(note), of=read_unverified(self._note)):
            self._note = note
