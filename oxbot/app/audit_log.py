"""The port through which the log is audited: its rows as they are, with nothing left out, computed or repaired."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from events.encoded import StoredEvent
from events.entry import RawEvent


class StreamHead(NamedTuple):
    """What the log says of a stream beside its events."""

    version: int
    last_position: int
    last_hash: bytes
    ended: bool


class LogStanding(NamedTuple):
    """The log at one moment; ``floor`` is the first position that can be read, ``head`` the last.

    ``ids_from`` is the first whose event id is compared with the table of ids, where that is not the floor. ``faults``
    says what is wrong, in words, with the tables that say where the log is.
    """

    log_id: UUID | None
    floor: int
    head: int
    streams: dict[str, StreamHead]
    ids_from: int | None = None
    faults: tuple[str, ...] = ()


class Page(NamedTuple):
    """All the events that there are from one position to another, ``last``, in order of position.

    ``lost`` says why none of them can be read, where that is so; it is empty where the page before has said it.
    """

    events: Sequence[RawEvent]
    last: int
    lost: str | None = None


class AuditedLog(Protocol):
    """Reads everything that the database holds of the log."""

    async def standing(self) -> LogStanding:
        """Where the log and each of its streams are, all at one moment."""
        ...

    def pages(self, *, after_position: int, up_to: int) -> AsyncIterator[Page]:
        """The events after one position, up to another, as they are stored."""
        ...

    async def checkpoint_sizes(self, up_to: int) -> Sequence[int]:
        """The tree sizes that the recorded checkpoints up to a position name; where one cannot be read, none."""
        ...

    async def misfiled(self, standing: LogStanding) -> int | None:
        """The first position up to the head whose event id is not what the table of ids says; None if all agree."""
        ...


class StoredEvents(Protocol):
    """Reads single events as they are stored."""

    async def at(self, position: int) -> StoredEvent | None:
        """The event at a position; None if the log has none there yet.

        Raises ``BelowFloor`` for one that is archived.
        """
        ...
