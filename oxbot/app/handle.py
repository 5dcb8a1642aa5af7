"""The one way in which facts come to be: read, fold, decide, append at the version that was read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

from events.envelope import Fact, Metadata, NewEvent
from events.errors import WrongExpectedVersion
from events.identifiers import EventId, StreamId, new_event_id
from events.log import EventLog
from events.system import StreamEnded

StateT = TypeVar("StateT")
CommandT = TypeVar("CommandT", contravariant=True)
FactT = TypeVar("FactT", bound=Fact)

ATTEMPTS_MAX = 20


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
    """A stream's state and the version up to which it is folded."""

    state: StateT
    version: int


class FoldCache(Protocol[StateT]):
    """Remembers folds from one process to the next; that it forgets, or is wrong, may cost time and nothing else."""

    async def begin(self, log: EventLog, stream: StreamId) -> Folded[StateT] | None:
        """Where the stream's fold may begin; None for its first event."""
        ...

    def folded(self, stream: StreamId, folded: Folded[StateT], *, since: int, last: EventId) -> None:
        """The stream was folded from version ``since`` on; ``last`` is the newest of its events."""
        ...


async def fold_stream(
    log: EventLog,
    decider: Decider[StateT, CommandT, FactT],
    stream: StreamId,
    known: Folded[StateT] | None = None,
    *,
    cache: FoldCache[StateT] | None = None,
) -> Folded[StateT]:
    """The stream's state now; what is ``known``, or in the cache, is not read again."""
    if known is None and cache is not None:
        known = await cache.begin(log, stream)
    begun = known or Folded(decider.initial, 0)
    events = await log.read_stream(stream, after_version=begun.version)
    if not events:
        return begun
    state = begun.state
    for event in events:
        if not isinstance(event.fact, StreamEnded):
            state = decider.evolve(state, event.fact)  # type: ignore[arg-type]  # a stream holds its decider's facts
    folded = Folded(state, events[-1].version)
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
) -> Folded[StateT]:
    """Decide and append; on a conflict fold what is new and decide again. Answers the state after it.

    Raises what the decider refuses with, and ``WrongExpectedVersion`` after ``ATTEMPTS_MAX`` lost races.
    """
    folded = known or await fold_stream(log, decider, stream, cache=cache)
    for _ in range(ATTEMPTS_MAX):
        facts = decider.decide(command, folded.state)
        if not facts:
            return folded
        events = [NewEvent(event_id=new_event_id(), occurred_at=at, fact=fact, metadata=metadata) for fact in facts]
        try:
            appended = await log.append(stream, events, expected=folded.version)
        except WrongExpectedVersion as conflict:
            lost = conflict
            folded = await fold_stream(log, decider, stream, folded, cache=cache)
            continue
        state = folded.state
        for fact in facts:
            state = decider.evolve(state, fact)
        after = Folded(state, appended.version)
        if cache is not None:
            cache.folded(stream, after, since=folded.version, last=events[-1].event_id)
        return after
    raise lost
