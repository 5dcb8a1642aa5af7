"""The one way in which facts come to be: read, fold, decide, append at the version that was read."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

import structlog

from events.envelope import Fact, Metadata, NewEvent, RecordedEvent
from events.errors import WrongExpectedVersion
from events.identifiers import EventId, StreamId, new_event_id
from events.log import EventLog
from events.system import StreamEnded
from oxbot.app.correlation import because, told_by_somebody
from oxbot.core.refused import CommandRefused

StateT = TypeVar("StateT")
CommandT = TypeVar("CommandT", contravariant=True)
FactT = TypeVar("FactT", bound=Fact)

ATTEMPTS_MAX = 20

Seen = Callable[[RecordedEvent | NewEvent], None]
"""Told of each event of a stream, as it is folded or was appended."""

logger = structlog.get_logger(__name__)


class Decider(Protocol[StateT, CommandT, FactT]):
    """Pure rules of one kind of stream."""

    @property
    def initial(self) -> StateT:
        """The state before any fact."""
        ...

    def evolve(self, state: StateT, fact: FactT) -> StateT:
        """The state after the fact."""
        ...

    def decide(self, command: CommandT, state: StateT) -> Sequence[FactT]:
        """The facts that the command leads to."""
        ...


class Folded(NamedTuple, Generic[StateT]):
    """A stream's state and the version up to which it is folded.

    ``cause`` is the newest event of somebody's request that was folded since this process last knew the stream: what is
    appended next is put down to it.
    """

    state: StateT
    version: int
    cause: RecordedEvent | None = None


class FoldCache(Protocol[StateT]):
    """Remembers folds from one process to the next; that it forgets, or is wrong, may cost time and nothing else."""

    async def begin(self, log: EventLog, stream: StreamId) -> Folded[StateT] | None:
        """Where the stream's fold may begin; None for its first event."""
        ...

    def folded(self, stream: StreamId, folded: Folded[StateT], *, since: int, last: EventId) -> None:
        """The stream was folded from version ``since`` on; ``last`` is the newest of its events."""
        ...


class KnownFolds(Generic[StateT]):
    """A cache that is only read: where a log gives events other ids than they were made with, none may be kept."""

    def __init__(self, cache: FoldCache[StateT]) -> None:
        self._cache = cache

    async def begin(self, log: EventLog, stream: StreamId) -> Folded[StateT] | None:
        """See ``FoldCache.begin``."""
        return await self._cache.begin(log, stream)

    def folded(self, stream: StreamId, folded: Folded[StateT], *, since: int, last: EventId) -> None:
        """Nothing is kept."""


async def fold_stream(
    log: EventLog,
    decider: Decider[StateT, CommandT, FactT],
    stream: StreamId,
    known: Folded[StateT] | None = None,
    *,
    cache: FoldCache[StateT] | None = None,
    seen: Seen | None = None,
) -> Folded[StateT]:
    """The stream's state now; what is ``known``, or in the cache, is not read again. ``seen`` is told of each event."""
    followed = known is not None and known.version > 0
    if known is None and cache is not None:
        known = await cache.begin(log, stream)
    begun = known or Folded(decider.initial, 0)
    events = await log.read_stream(stream, after_version=begun.version)
    if not events:
        return begun
    state, cause = begun.state, begun.cause
    for event in events:
        if seen is not None:
            seen(event)
        if followed and told_by_somebody(event):
            cause = event
        if not isinstance(event.fact, StreamEnded):
            state = decider.evolve(state, event.fact)  # type: ignore[arg-type]  # a stream holds its decider's facts
    folded = Folded(state, events[-1].version, cause)
    if cache is not None:
        cache.folded(stream, folded, since=begun.version, last=events[-1].event_id)
    return folded


async def handle(
    log: EventLog,
    decider: Decider[StateT, CommandT, FactT],
    stream: StreamId,
    command: CommandT,
    *,
    at: datetime,
    known: Folded[StateT] | None = None,
    cache: FoldCache[StateT] | None = None,
    metadata: Metadata = Metadata(),  # noqa: B008 - immutable
    cause_of: Callable[[Fact], RecordedEvent | NewEvent | None] | None = None,
    seen: Seen | None = None,
) -> Folded[StateT]:
    """Decide and append; on a conflict fold what is new and decide again. Answers the state after it.

    ``seen`` is told of each event, of others' that are folded and of its own once they are appended.

    Each fact is put down to the request under way, or to what it is because of: ``cause_of`` it, or what was folded.

    Raises what the decider refuses with, and ``WrongExpectedVersion`` after ``ATTEMPTS_MAX`` lost races.
    """
    folded = known or await fold_stream(log, decider, stream, cache=cache, seen=seen)
    for _ in range(ATTEMPTS_MAX):
        facts = _decided(decider, command, folded)
        if not facts:
            return folded
        events = [_new_event(fact, at, because(metadata, _cause(fact, folded, cause_of))) for fact in facts]
        try:
            appended = await log.append(stream, events, expected=folded.version)
        except WrongExpectedVersion as conflict:
            lost = conflict
            folded = await fold_stream(log, decider, stream, folded, cache=cache, seen=seen)
            continue
        _tell(stream, events)
        if seen is not None:
            for event in events:
                seen(event)
        state = folded.state
        for fact in facts:
            state = decider.evolve(state, fact)
        after = Folded(state, appended.version)
        if cache is not None:
            cache.folded(stream, after, since=folded.version, last=events[-1].event_id)
        return after
    raise lost


def _new_event(fact: Fact, at: datetime, metadata: Metadata) -> NewEvent:
    return NewEvent(event_id=new_event_id(), occurred_at=at, fact=fact, metadata=metadata)


def _cause(
    fact: Fact, folded: Folded[StateT], cause_of: Callable[[Fact], RecordedEvent | NewEvent | None] | None
) -> RecordedEvent | NewEvent | None:
    return (cause_of(fact) if cause_of is not None else None) or folded.cause


def _tell(stream: StreamId, events: Sequence[NewEvent]) -> None:
    """Say in this process's log what was done because of a request that another process took."""
    for event in events:
        correlation_id, kind = event.metadata.correlation_id, event.fact.__struct_config__.tag
        if correlation_id is not None and event.metadata.causation_id is not None:
            logger.info("acted_on_request", stream=stream, correlation_id=correlation_id.hex, type=kind)


def _decided(decider: Decider[StateT, CommandT, FactT], command: CommandT, folded: Folded[StateT]) -> Sequence[FactT]:
    """The facts; a refusal says of which version it is."""
    try:
        return decider.decide(command, folded.state)
    except CommandRefused as refused:
        refused.actual = folded.version
        raise
