"""Snapshots in memory: what tests use, under the same contract as Postgres."""

from events.identifiers import StreamId
from oxbot.app.snapshots import Snapshot


class MemorySnapshots:
    """A ``SnapshotStore`` that forgets everything when its process ends."""

    def __init__(self) -> None:
        self._by_stream: dict[StreamId, Snapshot] = {}

    async def find(self, stream: StreamId) -> Snapshot | None:
        """The one kept last."""
        return self._by_stream.get(stream)

    async def keep(self, snapshot: Snapshot) -> None:
        """Keep it in place of any other of the stream."""
        self._by_stream[snapshot.stream] = snapshot
