"""The log in its plainest form: one list of events, and every rule of appending and reading said once."""

from collections.abc import Sequence
from typing import NamedTuple

from events.log import ANY_VERSION, STREAM_EXISTS


class Sent(NamedTuple):
    """An event as a writer sends it: its id, and a content of which an end is one."""

    event_id: int
    content: str


class Kept(NamedTuple):
    """An event as the log keeps it; its position is its place in the list, counted from 1."""

    stream: str
    version: int
    event_id: int
    content: str


END = "end"

Answer = tuple[str, int, int]
"""``ok``, ``duplicate``, ``conflict``, ``ended`` or ``reused``; a version and a position, or the id that is taken."""


class ModelLog:
    """What a log must answer, with no thought for how it could."""

    def __init__(self) -> None:
        self.events: list[Kept] = []

    def append(self, stream: str, expected: int, sent: Sequence[Sent]) -> Answer:
        """The answer to a command, and what it leaves behind."""
        known = [self._find(event.event_id) for event in sent]
        taken = [(kept, position) for kept, position in known if kept is not None]
        if taken:
            wanted = [
                Kept(stream, taken[0][0].version + number, *event) for number, event in enumerate(sent)
            ]  # one after the other, from where the first of them stands
            if [kept for kept, _ in known] == wanted:
                return "duplicate", taken[-1][0].version, taken[-1][1]
            return "reused", taken[0][0].event_id, 0
        before = self.stream(stream)
        if before and before[-1].content == END:
            return "ended", 0, 0
        if expected not in (ANY_VERSION, len(before)) and not (expected == STREAM_EXISTS and before):
            return "conflict", len(before), 0
        self.events += [Kept(stream, len(before) + number, *event) for number, event in enumerate(sent, start=1)]
        return "ok", len(before) + len(sent), len(self.events)

    def stream(
        self, stream: str, *, after_version: int = 0, limit: int | None = None, up_to: int | None = None
    ) -> list[Kept]:
        """The events of a stream."""
        return [kept for kept in self.events[:up_to] if kept.stream == stream][after_version:][:limit]

    def all(
        self, *, after: int = 0, limit: int, contents: Sequence[str] | None = None, up_to: int | None = None
    ) -> list[tuple[int, Kept]]:
        """Positions and events."""
        found = [
            (position, kept)
            for position, kept in enumerate(self.events[:up_to], start=1)
            if position > after and (contents is None or kept.content in contents)
        ]
        return found[:limit]

    def _find(self, event_id: int) -> tuple[Kept | None, int]:
        for position, kept in enumerate(self.events, start=1):
            if kept.event_id == event_id:
                return kept, position
        return None, 0
