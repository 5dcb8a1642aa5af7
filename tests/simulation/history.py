"""What happened in one run as its clients saw it: what was sent, what was answered, what was delivered to readers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from events.codec import Codec
from events.envelope import NewEvent, RecordedEvent
from events.identifiers import EventId, StreamId
from events.log import NO_STREAM, Appended


class Delivery(NamedTuple):
    """One event as a reader was given it."""

    position: int
    stream: StreamId
    version: int
    event_id: EventId


class Ack(NamedTuple):
    """A command that the log said is stored: where, and when on the run's own clock it was first sent and answered."""

    stream: StreamId
    expected: int
    events: Sequence[NewEvent]
    answer: Appended
    sent_at: int
    answered_at: int


class Run:
    """What one reading from a position on was given, until it was broken off or came to the end of the log."""

    def __init__(self, reader: str, after_position: int, types: Sequence[str] | None = None) -> None:
        self.reader = reader
        self.after_position = after_position
        self.types = types
        self.delivered: list[Delivery] = []
        self.is_complete = False

    @property
    def position(self) -> int:
        """Where the next reading would go on."""
        return self.delivered[-1].position if self.delivered else self.after_position


class History:
    """Everything the clients of one run know, in the order of a clock that ticks at each thing that happens."""

    def __init__(self) -> None:
        self.acks: list[Ack] = []
        self.refused: list[EventId] = []
        self.payloads: dict[EventId, bytes] = {}
        self.runs: list[Run] = []
        self.reports: list[str] = []
        self.counts: Counter[str] = Counter()
        self._codec = Codec()
        self._clock = 0

    def tick(self) -> int:
        """The next moment."""
        self._clock += 1
        return self._clock

    def sends(self, events: Iterable[NewEvent]) -> int:
        """Remember what is about to be sent for the first time; answers the moment."""
        for event in events:
            self.payloads[event.event_id] = self._codec.encode(event.fact)[2]
        return self.tick()

    def acked(self, ack: Ack) -> None:
        """The log said that a command is stored."""
        self.acks.append(ack)
        self.counts["acked"] += 1
        self.counts["duplicates"] += ack.answer.duplicate
        onto = ack.answer.version - len(ack.events)
        if ack.expected >= NO_STREAM and ack.expected != onto:
            self.report(f"answer: {ack.stream} took onto version {onto} what expected {ack.expected}")

    def gave_up(self, events: Iterable[NewEvent]) -> None:
        """The log refused a command for good: none of its events may ever be found."""
        self.refused += [event.event_id for event in events]
        self.counts["given up"] += 1

    def delivered(self, run: Run, event: RecordedEvent) -> None:
        """A reader was given an event."""
        run.delivered.append(Delivery(event.position, event.stream, event.version, event.event_id))
        self.counts["deliveries"] += 1
        if self._codec.encode(event.fact)[2] != self.payloads.get(event.event_id):
            self.report(f"content: {run.reader} was given another fact at {event.position} than was sent")

    def report(self, violation: str) -> None:
        """Something was answered or delivered that must never be."""
        self.reports.append(violation)
