"""Whether archived events are what was archived: positions, leaf hashes, streams' chains, Merkle roots."""

from collections.abc import Sequence

from events.archived import ArchiveDamaged
from events.checkpoint import Checkpoint
from events.encoded import StoredEvent
from events.entry import FIRST_PREV_HASH, leaf_of, raw_event
from events.identifiers import StreamId
from events.merkle import Frontier


class RangeCheck:
    """The events of one range: none missing, each with the leaf hash that its fields lead to."""

    def __init__(self, *, first: int) -> None:
        self._first = self._next = first
        self._tree = Frontier()

    def add(self, events: Sequence[StoredEvent]) -> list[bytes]:
        """The leaf hashes of the range's next events. Raises ``ArchiveDamaged``, naming the first bad position."""
        leaves = []
        for event in events:
            if event.position != self._next:
                raise ArchiveDamaged(f"position {self._next} is missing from the archive: there is {event.position}")
            leaf = leaf_of(raw_event(event))
            if leaf != event.leaf_hash:
                raise ArchiveDamaged(f"position {event.position}: the archived event does not have its leaf hash")
            leaves.append(leaf)
            self._next += 1
        self._tree.extend(leaves)
        return leaves

    def end(self, *, last: int, root: bytes | None = None) -> bytes:
        """The root over the range's leaves, which must be ``root`` if one is given. Raises ``ArchiveDamaged``."""
        if self._next != last + 1:
            raise ArchiveDamaged(f"position {self._next} is missing from the archive, which should go on to {last}")
        found = self._tree.root()
        if root is not None and root != found:
            raise ArchiveDamaged(f"positions {self._first} to {last}: the manifest names another Merkle root")
        return found


class HistoryCheck:
    """Ranges from position 1 on, one after the other: besides what each must be, what holds them together."""

    def __init__(self) -> None:
        self._streams: dict[StreamId, tuple[int, bytes]] = {}
        self._tree = Frontier()
        self._checkpoint: Checkpoint | None = None

    def begin(self, checkpoint: Checkpoint | None) -> RangeCheck:
        """The check of the next range, within which the size of this checkpoint lies."""
        self._checkpoint = checkpoint
        return RangeCheck(first=self._tree.size + 1)

    def add(self, events: Sequence[StoredEvent], leaves: Sequence[bytes]) -> None:
        """The next events and their leaves. Raises ``ArchiveDamaged``, naming the first bad position."""
        for event, leaf in zip(events, leaves, strict=True):
            version, hash_before = self._streams.get(event.stream, (0, FIRST_PREV_HASH))
            if event.version != version + 1:
                raise ArchiveDamaged(
                    f"position {event.position}: version {event.version} of stream {event.stream} follows {version}"
                )
            if event.prev_hash != hash_before:
                raise ArchiveDamaged(f"position {event.position}: the chain of stream {event.stream} is broken")
            self._streams[event.stream] = event.version, leaf
        signed = self._checkpoint
        if signed is not None and self._tree.size <= signed.size <= self._tree.size + len(leaves):
            before = signed.size - self._tree.size
            self._tree.extend(leaves[:before])
            if self._tree.root() != signed.root:
                raise ArchiveDamaged(f"the first {signed.size} events do not have the root of their checkpoint")
            self._tree.extend(leaves[before:])
            self._checkpoint = None
        else:
            self._tree.extend(leaves)

    def end(self) -> None:
        """The range is over. Raises ``ArchiveDamaged`` if its checkpoint was of a size within another one."""
        if self._checkpoint is not None:
            raise ArchiveDamaged(f"a manifest names a checkpoint of {self._checkpoint.size} events, beyond its range")
