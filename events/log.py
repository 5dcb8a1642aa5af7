"""The port to the event log: what any implementation promises, whoever appends."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Protocol

from events.envelope import NewEvent, RecordedEvent
from events.errors import InvalidAppend, LogError
from events.identifiers import StreamId
from events.system import StreamEnded

NO_STREAM = 0
"""Expected version of a stream that must not exist yet."""

ANY_VERSION = -1
"""Append whatever the stream's version is; event ids are still checked."""

STREAM_EXISTS = -2
"""Append whatever the stream's version is, as long as there is such a stream; event ids are still checked."""

STREAM_NAME_BYTES_MAX = 512


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


Outcome = Appended | LogError
"""What became of one command of a batch."""


class LogReader(Protocol):
    """What is read from a log with one global, gapless, commit-ordered position.

    ``position > n`` read in order never misses an event, however many processes append. A read answers all of what it
    was asked for or raises: ``UndecodableFact`` names the first event that this program cannot decode, ``BelowFloor``
    the first position that is still in the database, ``LogDamaged`` a hole; ``LogUnavailable`` ends the wait for a
    database that does not answer.
    """

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """The stream's events in order of version, as they stood at a position; empty if there is no such stream."""
        ...

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """At most ``limit`` events in order of position, none beyond ``up_to``, of the given types if any are named.

        Fewer than ``limit`` events say that there are no more up to ``up_to``, or up to the head at some moment during
        the call.
        """
        ...

    async def head(self) -> int:
        """The position of the last event, 0 for an empty log."""
        ...

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """Return the head as soon as it is beyond ``position``, or after the timeout, whichever comes first."""
        ...

    async def position_at(self, time: datetime) -> int:
        """The last position recorded at or before the time, by the log's own clock; 0 if there is none.

        Found by halving, so where that clock was once set back it is one of the positions that the time falls between.
        """
        ...


class EventLog(LogReader, Protocol):
    """An append-only log of streams."""

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """Store the events after version ``expected`` of the stream, durably, all or none.

        ``expected`` is a version, or ``NO_STREAM``, ``ANY_VERSION`` or ``STREAM_EXISTS``. An append whose events are
        all stored already, one after the other, gets its first answer again, whatever it expects, unless they have
        left the database for an archive. A ``StreamEnded`` that comes last closes the stream.

        Raises ``WrongExpectedVersion`` (with the actual version), ``EventIdReused``, ``StreamClosed``,
        ``InvalidAppend`` (``PayloadTooLarge``), ``Backpressure`` (not sent) or ``LogUnavailable`` (outcome unknown:
        retry with the same event ids).
        """
        ...


def check_append(stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> None:
    """Refuse with ``InvalidAppend`` what no implementation could store."""
    _check_stream(stream)
    if not events:
        raise InvalidAppend("an append needs at least one event")
    if expected < STREAM_EXISTS:
        raise InvalidAppend(f"expected version {expected} has no meaning")
    if len(events) > 1 and len({event.event_id for event in events}) != len(events):
        raise InvalidAppend("an append names the same event id twice")
    for number, event in enumerate(events, start=1):
        if event.occurred_at.tzinfo is None:
            raise InvalidAppend(f"event {event.event_id} has a time without a zone")
        if isinstance(event.fact, StreamEnded) and number != len(events):
            raise InvalidAppend(f"stream {stream}: nothing can follow the end of a stream")


@lru_cache(maxsize=10_000)
def _check_stream(stream: StreamId) -> None:
    try:
        size = len(stream.encode())
    except UnicodeEncodeError:
        raise InvalidAppend(f"{stream!r} is no text") from None
    if not stream or "\x00" in stream:
        raise InvalidAppend(f"{stream!r} is no name for a stream")
    if size > STREAM_NAME_BYTES_MAX:
        raise InvalidAppend(f"a stream's name of {size} bytes; at most {STREAM_NAME_BYTES_MAX}")
