"""The one way in which facts come to be: read, fold, decide, append at the version that was read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

from events.envelope import Fact, Metadata, NewEvent
from events.errors import WrongExpectedVersion
from events.identifiers import StreamId, new_event_id
from events.log import EventLog

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


async def fold_stream(
    log: EventLog,
    decider: Decider[StateT, CommandT, FactT],
    stream: StreamId,
    known: Folded[StateT] | None = None,
) -> Folded[StateT]:
    """The stream's state now; what is ``known`` is not read again."""
    state, version = known or Folded(decider.initial, 0)
    for event in await log.read_stream(stream, after_version=version):
        state = decider.evolve(state, event.fact)  # type: ignore[arg-type]  # a stream holds its decider's facts
        version = event.version
    return Folded(state, version)


async def handle(
    log: EventLog,
    decider: Decider[StateT, CommandT, FactT],
    stream: StreamId,
    command: CommandT,
    *,
    at: datetime,
    known: Folded[StateT] | None = None,
    metadata: Metadata = Metadata(),  # noqa: B008 - immutable
) -> Folded[StateT]:
    """Decide and append; on a conflict fold what is new and decide again. Answers the state after it.

    Raises what the decider refuses with, and ``WrongExpectedVersion`` after ``ATTEMPTS_MAX`` lost races.
    """
    folded = known or await fold_stream(log, decider, stream)
    for _ in range(ATTEMPTS_MAX):
        facts = decider.decide(command, folded.state)
        if not facts:
            return folded
        events = [NewEvent(event_id=new_event_id(), occurred_at=at, fact=fact, metadata=metadata) for fact in facts]
        try:
            appended = await log.append(stream, events, expected=folded.version)
        except WrongExpectedVersion as conflict:
            lost = conflict
            folded = await fold_stream(log, decider, stream, folded)
            continue
        state = folded.state
        for fact in facts:
            state = decider.evolve(state, fact)
        return Folded(state, appended.version)
    raise lost
