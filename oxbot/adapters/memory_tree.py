"""The tree, the checkpoints and the stored events of a log in memory, for tests; they pass the Postgres ones' suite."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from events.codec import Codec
from events.encoded import StoredEvent
from events.memory import MemoryEventLog
from events.merkle import STORED_BITS, Span, Subtree
from events.system import SYSTEM_STREAM
from oxbot.app.checkpoints import CHECKPOINT, RecordedCheckpoint, SystemTail, recorded_checkpoint
from oxbot.app.tree import TreeUnusable


class MemoryTree:
    """Implements ``TreeStore``, ``CheckpointStore`` and ``StoredEvents`` over a log in memory."""

    def __init__(self, log: MemoryEventLog, codec: Codec) -> None:
        self._log = log
        self._codec = codec
        self._log_id = uuid4()
        self._kept: dict[tuple[int, int], bytes] = {}

    async def leaves(self, start: int, end: int) -> Sequence[bytes]:
        """See ``TreeStore.leaves``."""
        found = [event.leaf_hash for event in self._log.stored[start:end]]
        if len(found) != end - start:
            raise TreeUnusable(f"the log holds {len(found)} of the events at positions {start + 1} to {end}")
        return found

    async def subtrees(self, span: Span) -> Sequence[bytes]:
        """See ``TreeStore.subtrees``."""
        numbers = range(span.first, span.first + span.length)
        if any((span.level, number) not in self._kept for number in numbers):
            raise TreeUnusable(f"not all of {span} are kept")
        return [self._kept[span.level, number] for number in numbers]

    async def keep(self, subtrees: Sequence[Subtree]) -> None:
        """See ``TreeStore.keep``."""
        new = {(level, number): root for level, number, root in subtrees}
        if any(self._kept.get(place, root) != root for place, root in new.items()):
            raise TreeUnusable("another root is kept for one of these subtrees")
        self._kept |= new

    async def kept(self) -> int:
        """See ``TreeStore.kept``."""
        return max((number + 1 for level, number in self._kept if level == 1), default=0) << STORED_BITS

    async def log_id(self) -> UUID:
        """See ``CheckpointStore.log_id``."""
        return self._log_id

    async def tail(self) -> SystemTail:
        """See ``CheckpointStore.tail``."""
        version = sum(event.stream == SYSTEM_STREAM for event in self._log.stored)
        return SystemTail(version, next(iter(await self.before(None, 1)), None))

    async def before(self, position: int | None, limit: int) -> Sequence[RecordedCheckpoint]:
        """See ``CheckpointStore.before``."""
        earlier = self._log.stored[: None if position is None else position - 1]
        found = [event for event in reversed(earlier) if _is_checkpoint(event) and event.stream == SYSTEM_STREAM]
        return [self._recorded(event) for event in found[:limit]]

    async def others(self, start: int, end: int) -> bool:
        """See ``CheckpointStore.others``."""
        return not all(_is_checkpoint(event) for event in self._log.stored[start:end])

    async def at(self, position: int) -> StoredEvent | None:
        """See ``StoredEvents.at``."""
        return self._log.stored[position - 1] if 0 < position <= len(self._log.stored) else None

    def _recorded(self, event: StoredEvent) -> RecordedCheckpoint:
        fact = self._codec.decode(event.event_type, event.schema_version, event.payload)
        return recorded_checkpoint(fact, event.position, event.recorded_at)


def _is_checkpoint(event: StoredEvent) -> bool:
    return event.event_type == CHECKPOINT
