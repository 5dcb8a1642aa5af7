"""The errors of the log, and the one base from which all of oxbot's errors come."""

from events.identifiers import EventId, StreamId


class OxbotError(Exception):
    """Base of every error that oxbot raises on purpose; its text is safe to show to an operator."""


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
    """An event id that the log already holds came back with other content, or on another stream."""

    def __init__(self, stream: StreamId, event_id: EventId) -> None:
        super().__init__(f"stream {stream}: event id {event_id} is already in the log with other content")
        self.stream = stream
        self.event_id = event_id


class InvalidAppend(LogError):
    """An append that cannot be stored as it is, found before or by the database; nothing was written."""


class LogUnavailable(LogError):
    """The log could not be reached in time; whether the last append was stored is unknown to the caller."""


class StoreUnavailable(OxbotError):
    """A store beside the log could not be reached in time; nothing was changed by the call."""


class UnknownFact(LogError):
    """A stored event has a type or a schema version that this program does not know."""


class SchemaTooNew(OxbotError):
    """The database was migrated by a newer program; this one must not touch it."""
