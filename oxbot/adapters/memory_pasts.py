"""The pasts of bots in memory: what tests use, under the same contract as Postgres."""

from collections.abc import Callable

from events.identifiers import StreamId
from events.log import EventLog
from oxbot.app.past import KeptPast


class MemoryPasts:
    """A ``PastStore`` beside a log that forgets everything when its process ends."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._kept: dict[tuple[StreamId, int], KeptPast] = {}

    async def before(self, stream: StreamId, position: int, fingerprint: str) -> KeptPast | None:
        """The newest up to the position that this program folded."""
        return self._newest(stream, fingerprint, lambda past: past.position <= position)

    async def before_decision(self, stream: StreamId, number: int, fingerprint: str) -> KeptPast | None:
        """The newest in which less than that many decisions had been made, likewise."""
        return self._newest(stream, fingerprint, lambda past: past.decisions < number)

    async def keep(self, past: KeptPast) -> None:
        """Keep it in place of any other of its stream and position."""
        self._kept[past.stream, past.position] = past

    async def due(self, prefix: str, every: int, fingerprint: str) -> list[StreamId]:
        """Streams that have come so far since their newest past of this program."""
        events = await self._log.read_all(limit=await self._log.head() or 1)
        versions = {event.stream: event.version for event in events if event.stream.startswith(prefix)}
        known = {stream: self._newest(stream, fingerprint, lambda _: True) for stream in versions}
        kept = {stream: past.version if past else 0 for stream, past in known.items()}
        return sorted(stream for stream, version in versions.items() if version - kept[stream] >= every)

    def all(self) -> list[KeptPast]:
        """Everything that is kept, for tests."""
        return list(self._kept.values())

    def _newest(self, stream: StreamId, fingerprint: str, wanted: Callable[[KeptPast], bool]) -> KeptPast | None:
        found = [
            past
            for past in self._kept.values()
            if past.stream == stream and past.fingerprint == fingerprint and wanted(past)
        ]
        return max(found, key=lambda past: past.position, default=None)
