"""The errors of the log, and the one base from which all of oxbot's errors come."""

from collections.abc import Callable

from events.identifiers import EventId, StreamId


class OxbotError(Exception):
    """Base of every error that oxbot raises on purpose; its text is safe to show to an operator.

    An error crosses from process to process whole, whatever its constructor takes.
    """

    def __reduce__(self) -> tuple[Callable[..., "OxbotError"], tuple[object, ...]]:
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[OxbotError], args: tuple[object, ...], attributes: dict[str, object]) -> OxbotError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class LogError(OxbotError):
    """The event log refused or could not answer."""


class WrongExpectedVersion(LogError):
    """Another writer appended to the stream first; fold what is new and decide again."""

    def __init__(self, stream: StreamId, *, expected: int, actual: int) -> None:
        super().__init__(f"stream {stream}: expected version {expected}, but it is at {actual}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class EventIdReused(LogError):
    """An event id that the log holds came back with other content, on another stream, or after it was archived."""

    def __init__(self, stream: StreamId, event_id: EventId) -> None:
        super().__init__(f"stream {stream}: event id {event_id} is already in the log, with other content or archived")
        self.stream = stream
        self.event_id = event_id


class StreamClosed(LogError):
    """The stream has ended; it takes no more events. Nothing was written."""

    def __init__(self, stream: StreamId) -> None:
        super().__init__(f"stream {stream} has ended and takes no more events")
        self.stream = stream


class InvalidAppend(LogError):
    """An append that cannot be stored as it is, found before or by the database; nothing was written."""


class PayloadTooLarge(InvalidAppend):
    """An append that holds more bytes, or more events, than the log takes at once; nothing was written."""


class Backpressure(LogError):
    """More was appended than the log takes just now; the append waited its time in the queue and was not sent."""


class LogUnavailable(LogError):
    """The log could not be reached in time; whether the last append was stored is unknown to the caller."""


class LogClosed(LogUnavailable):
    """The log was closed by its own process; asking again cannot help."""


class StoreUnavailable(OxbotError):
    """A store beside the log could not be reached in time; nothing was changed by the call."""


class BelowFloor(LogError):
    """A read begins below the first position that the database still holds; what is older is in an archive."""

    def __init__(self, position: int, floor: int) -> None:
        super().__init__(f"position {position} is archived: the database holds the log from position {floor} on")
        self.position = position
        self.floor = floor


class LogDamaged(LogError):
    """Something that the log must hold is missing from it; nothing may be read past the hole."""


class UnknownFact(LogError):
    """A stored event has a type or a schema version that this program does not know."""


class UndecodableFact(UnknownFact):
    """The first event of a read that this program cannot turn into a fact; those before it can be read."""

    def __init__(self, position: int, stream: StreamId, event_type: str, reason: str) -> None:
        super().__init__(f"position {position}, stream {stream}: {event_type} cannot be read: {reason}")
        self.position = position
        self.stream = stream
        self.event_type = event_type
        self.reason = reason


class InvalidUpcasters(OxbotError):
    """The steps from older schema versions to the current ones do not form one chain for each fact type."""


class SchemaTooNew(OxbotError):
    """The database was migrated by a newer program; this one must not touch it."""
