"""The check of archived events: each way in which a history that looks right in its parts can be wrong as a whole."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from events.archived import ArchiveDamaged
from events.checkpoint import Checkpoint
from events.encoded import StoredEvent
from events.entry import FIRST_PREV_HASH, leaf_of, raw_event
from events.identifiers import EventId, StreamId
from events.merkle import root_of
from oxbot.app.archive_check import HistoryCheck, RangeCheck

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
Change = Callable[[list[StoredEvent]], Sequence[StoredEvent]]


def sealed(event: StoredEvent) -> StoredEvent:
    """The event with the leaf hash that its fields lead to."""
    return event._replace(leaf_hash=leaf_of(raw_event(event)))


def history(count: int) -> list[StoredEvent]:
    """So many events of two streams by turns."""
    heads: dict[str, tuple[int, bytes]] = {}
    events = []
    for position in range(1, count + 1):
        stream = StreamId(f"bot-{position % 2}")
        version, before = heads.get(stream, (0, FIRST_PREV_HASH))
        identifier = EventId(UUID(int=position))
        event = StoredEvent(
            position, stream, version + 1, identifier, "kind", 1, MOMENT, MOMENT, b"fact", b"", before, b""
        )
        events.append(sealed(event))
        heads[stream] = version + 1, events[-1].leaf_hash
    return events


def leaves(events: Sequence[StoredEvent]) -> list[bytes]:
    """Their leaf hashes."""
    return [event.leaf_hash for event in events]


def verify(events: Sequence[StoredEvent], *, ranges: int = 2, checkpoint: Checkpoint | None = None) -> None:
    """Check twelve events as ranges of equal size, the checkpoint being of the last."""
    check, size = HistoryCheck(), 12 // ranges
    for number in range(ranges):
        part = [event for event in events if number * size < event.position <= (number + 1) * size]
        one = check.begin(checkpoint if number == ranges - 1 else None)
        for page in (part[:2], part[2:]):
            check.add(page, one.add(page))
        one.end(last=(number + 1) * size)
        check.end()


@pytest.mark.parametrize("ranges", [1, 2, 3])
@pytest.mark.parametrize("size", [9, 10, 12])
def test_a_right_history_passes_with_the_checkpoint_of_its_last_range(ranges: int, size: int) -> None:
    events = history(12)
    verify(events, ranges=ranges, checkpoint=Checkpoint("log", size, root_of(leaves(events[:size]))))


def _at(number: int, change: Callable[[StoredEvent], StoredEvent]) -> Change:
    return lambda events: [*events[: number - 1], change(events[number - 1]), *events[number:]]


def _resealed(number: int, change: Callable[[StoredEvent], StoredEvent]) -> Change:
    return _at(number, lambda event: sealed(change(event)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda events: [*events[:4], *events[5:]], "position 5 is missing"),
        (lambda events: events[:-1], "position 12 is missing"),
        (lambda events: events[1:], "position 1 is missing"),
        (_at(7, lambda event: event._replace(payload=b"else")), "position 7: .* does not have its leaf hash"),
        (_at(7, lambda event: event._replace(schema_version=2)), "position 7: .* does not have its leaf hash"),
        (_at(7, lambda event: event._replace(leaf_hash=bytes(32))), "position 7: .* does not have its leaf hash"),
        (
            _resealed(5, lambda event: event._replace(payload=b"else")),
            "position 7: the chain of stream bot-1",
        ),
        (_resealed(5, lambda event: event._replace(prev_hash=bytes(32))), "position 5: the chain of stream bot-1"),
        (_resealed(1, lambda event: event._replace(prev_hash=b"!" * 32)), "position 1: the chain of stream bot-1"),
        (_resealed(9, lambda event: event._replace(version=6)), "position 9: version 6 of stream bot-1 follows 4"),
        (_resealed(8, lambda event: event._replace(stream=StreamId("new"))), "position 8: version 4 of stream new"),
    ],
)
@pytest.mark.parametrize("ranges", [1, 2, 6])
def test_the_first_bad_position_is_named(change: Change, said: str, ranges: int) -> None:
    with pytest.raises(ArchiveDamaged, match=said):
        verify(change(history(12)), ranges=ranges)


def test_a_checkpoint_of_other_events_is_told() -> None:
    with pytest.raises(ArchiveDamaged, match="the first 11 events do not have the root of their checkpoint"):
        verify(history(12), checkpoint=Checkpoint("log", 11, root_of(leaves(history(12)[1:]))))


@pytest.mark.parametrize("size", [3, 13])
def test_a_checkpoint_of_another_range_is_told(size: int) -> None:
    with pytest.raises(ArchiveDamaged, match="beyond its range"):
        verify(history(12), checkpoint=Checkpoint("log", size, root_of(leaves(history(13)[:size]))))


def test_a_range_has_the_root_of_its_own_leaves() -> None:
    events = history(12)[4:]
    check = RangeCheck(first=5)
    assert check.add(events) == leaves(events)
    root = root_of(leaves(events))
    assert check.end(last=12, root=root) == root
    with pytest.raises(ArchiveDamaged, match="positions 5 to 12: the manifest names another Merkle root"):
        check.end(last=12, root=bytes(32))
