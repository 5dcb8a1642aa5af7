"""Which request or command all that happens now belongs to: one id, in facts' metadata and in every log line."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

import msgspec
import structlog

from events.envelope import Metadata, NewEvent, RecordedEvent

_current: ContextVar[UUID | None] = ContextVar("correlation_id", default=None)


@contextmanager
def correlated(correlation_id: UUID, **said: object) -> Iterator[None]:
    """What is appended and logged inside belongs to this id; what is logged says ``said`` too."""
    token = _current.set(correlation_id)
    try:
        with structlog.contextvars.bound_contextvars(correlation_id=correlation_id.hex, **said):
            yield
    finally:
        _current.reset(token)


def because(metadata: Metadata, event: RecordedEvent | NewEvent | None) -> Metadata:
    """The metadata of facts that follow: of the request under way, or else of the ``event`` that is acted on."""
    if metadata.correlation_id is not None:
        return metadata
    current = _current.get()
    if current is not None:
        return msgspec.structs.replace(metadata, correlation_id=current)
    if event is None:
        return metadata
    correlation_id = event.metadata.correlation_id
    return msgspec.structs.replace(metadata, correlation_id=correlation_id, causation_id=event.event_id)


def told_by_somebody(event: RecordedEvent) -> bool:
    """Whether the event is of a request, and not itself the consequence of an event."""
    return event.metadata.correlation_id is not None and event.metadata.causation_id is None
