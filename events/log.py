"""The port to the event log: what any implementation promises, whoever appends."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from events.envelope import NewEvent, RecordedEvent
from events.errors import InvalidAppend
from events.identifiers import StreamId

NO_STREAM = 0
"""Expected version of a stream that must not exist yet."""

ANY_VERSION = -1
"""Append whatever the stream's version is; event ids are still checked."""


class AppendCommand(NamedTuple):
    """Events that go to one stream together or not at all."""

    stream: StreamId
    expected: int
    events: Sequence[NewEvent]


class Appended(NamedTuple):
    """Where the last event of a command stands; the same answer again if the command was a duplicate."""

    version: int
    position: int
    duplicate: bool = False


class EventLog(Protocol):
    """An append-only log of streams with one global, gapless, commit-ordered position.

    ``position > n`` read in order never misses an event, however many processes append.
    """

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """Store the events after version ``expected`` of the stream, durably, all or none.

        Raises ``WrongExpectedVersion`` (with the actual version), ``EventIdReused``, ``InvalidAppend`` or
        ``LogUnavailable`` (outcome unknown: retry with the same event ids).
        """
        ...

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        """The stream's events in order of version; empty if there is no such stream."""
        ...

    async def read_all(
        self, *, after_position: int = 0, limit: int = 1000, types: Sequence[str] | None = None
    ) -> Sequence[RecordedEvent]:
        """At most ``limit`` events in order of position, of the given types if any are named."""
        ...

    async def head(self) -> int:
        """The position of the last event, 0 for an empty log."""
        ...

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """Return the head as soon as it is beyond ``position``, or after the timeout, whichever comes first."""
        ...


def check_append(stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> None:
    """Refuse with ``InvalidAppend`` what no implementation could store."""
    if not stream or "\x00" in stream:
        raise InvalidAppend(f"{stream!r} is no name for a stream")
    if not events:
        raise InvalidAppend("an append needs at least one event")
    if expected < ANY_VERSION:
        raise InvalidAppend(f"expected version {expected} has no meaning")
    if len({event.event_id for event in events}) != len(events):
        raise InvalidAppend("an append names the same event id twice")
    for event in events:
        if event.occurred_at.tzinfo is None:
            raise InvalidAppend(f"event {event.event_id} has a time without a zone")
