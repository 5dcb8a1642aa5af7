"""Judges a run: whether what is stored is whole, what every writer was told, and what every reader was given."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

import asyncpg

from events.encoded import StoredEvent
from events.entry import FIRST_PREV_HASH, leaf_of, raw_event
from events.identifiers import EventId, StreamId
from tests.simulation.history import Ack, Delivery, History, Run

EVENTS = """
SELECT e.position, s.stream_id, e.version, e.event_id, e.event_type, e.schema_version,
       e.occurred_at, e.recorded_at, e.payload, e.metadata, e.prev_hash, e.leaf_hash
FROM log.events AS e LEFT JOIN log.streams AS s USING (stream_no) ORDER BY e.position
"""
HEADS = "SELECT stream_id, version, last_position, last_hash FROM log.streams"
IDS = "SELECT event_id, position FROM log.event_ids"


class Head(NamedTuple):
    """What the log says of a stream's newest event."""

    version: int
    position: int
    leaf_hash: bytes


class Stored(NamedTuple):
    """All that the database holds of a log."""

    events: Sequence[StoredEvent]
    heads: Mapping[StreamId, Head]
    ids: Mapping[EventId, int]


async def read_stored(dsn: str) -> Stored:
    """Everything, without the log's own code for reading."""
    connection = await asyncpg.connect(dsn)
    try:
        return Stored(
            [StoredEvent(*row) for row in await connection.fetch(EVENTS)],
            {stream: Head(*head) for stream, *head in await connection.fetch(HEADS)},
            {event_id: position for event_id, position in await connection.fetch(IDS)},  # noqa: C416 - records, not pairs
        )
    finally:
        await connection.close()


def violations(history: History, stored: Stored) -> list[str]:
    """Every promise that was broken, in words; nothing if the log kept all of them."""
    return [
        *history.reports,
        *_positions(stored.events),
        *_streams(stored),
        *_hashes(stored.events),
        *_ids(stored),
        *_contents(history, stored.events),
        *_acks(history.acks, stored.events),
        *_presence(history, stored.events),
        *_real_time(history.acks),
        *_deliveries(history.runs, stored.events),
    ]


def _positions(events: Sequence[StoredEvent]) -> Iterator[str]:
    for expected, event in enumerate(events, start=1):
        if event.position != expected:
            yield f"gap: position {event.position} where {expected} must be"
            return


def _streams(stored: Stored) -> Iterator[str]:
    """Versions count from 1 in the order of positions, and each stream's head is its last event."""
    last: dict[StreamId, Head] = {}
    for event in stored.events:
        before = last[event.stream].version if event.stream in last else 0
        if event.version != before + 1:
            yield f"order: {event.stream} version {event.version} at position {event.position} after {before}"
        last[event.stream] = Head(event.version, event.position, event.leaf_hash)
    for stream in last.keys() | stored.heads.keys():
        if last.get(stream) != stored.heads.get(stream):
            yield f"head: {stream} ends with {last.get(stream)}, but its head says {stored.heads.get(stream)}"


def _hashes(events: Sequence[StoredEvent]) -> Iterator[str]:
    last: dict[StreamId, bytes] = {}
    for event in events:
        if event.prev_hash != last.get(event.stream, FIRST_PREV_HASH):
            yield f"chain: position {event.position} does not follow its stream's last event"
        if leaf_of(raw_event(event)) != event.leaf_hash:
            yield f"hash: position {event.position} has another leaf hash than its content"
        last[event.stream] = event.leaf_hash


def _ids(stored: Stored) -> Iterator[str]:
    by_event = {event.event_id: event.position for event in stored.events}
    if len(by_event) != len(stored.events):
        yield f"duplicated: {len(stored.events) - len(by_event)} events have an id that another has too"
    for event_id in by_event.keys() ^ stored.ids.keys():
        yield f"ids: {event_id} is at {by_event.get(event_id)}, but the ids say {stored.ids.get(event_id)}"
    for event_id in by_event.keys() & stored.ids.keys():
        if by_event[event_id] != stored.ids[event_id]:
            yield f"ids: {event_id} is at {by_event[event_id]}, but the ids say {stored.ids[event_id]}"


def _contents(history: History, events: Sequence[StoredEvent]) -> Iterator[str]:
    for event in events:
        sent = history.payloads.get(event.event_id)
        if sent is None:
            yield f"phantom: nobody sent what is at position {event.position}"
        elif sent != event.payload:
            yield f"content: position {event.position} holds other bytes than were sent"


def _acks(acks: Sequence[Ack], events: Sequence[StoredEvent]) -> Iterator[str]:
    """Each command that was answered stands whole, in its order, where the answer says."""
    by_position = {event.position: event for event in events}
    for ack in acks:
        count = len(ack.events)
        for number, event in enumerate(ack.events, start=1):
            position = ack.answer.position - count + number
            place = (ack.stream, ack.answer.version - count + number, event.event_id)
            found = by_position.get(position)
            if found is None or (found.stream, found.version, found.event_id) != place:
                yield f"lost ack: position {position} must hold {place}, but holds {found and found[1:4]}"


def _presence(history: History, events: Sequence[StoredEvent]) -> Iterator[str]:
    """What was refused is not there, and what is there was answered."""
    refused = set(history.refused)
    acked = {event.event_id for ack in history.acks for event in ack.events}
    for event in events:
        if event.event_id in refused:
            yield f"refused: position {event.position} holds an event whose command was refused"
        elif event.event_id not in acked:
            yield f"unanswered: position {event.position} holds an event whose command was never answered"


def _real_time(acks: Sequence[Ack]) -> Iterator[str]:
    """A command that was sent after another had been answered stands behind it."""
    answered = iter(sorted(acks, key=lambda ack: ack.answered_at))
    earlier = next(answered, None)
    highest = 0
    for ack in sorted(acks, key=lambda ack: ack.sent_at):
        while earlier is not None and earlier.answered_at < ack.sent_at:
            highest = max(highest, earlier.answer.position)
            earlier = next(answered, None)
        if ack.answer.position - len(ack.events) < highest:
            yield f"real time: position {ack.answer.position} was sent after {highest} had been answered"


def _deliveries(runs: Sequence[Run], events: Sequence[StoredEvent]) -> Iterator[str]:
    """A reader is given the log from its position on, event by event; all of it, if it came to the end."""
    logs: dict[frozenset[str] | None, list[Delivery]] = {}
    for run in runs:
        types = None if run.types is None else frozenset(run.types)
        if types not in logs:
            logs[types] = [
                Delivery(event.position, event.stream, event.version, event.event_id)
                for event in events
                if types is None or event.event_type in types
            ]
        begin = bisect_right(logs[types], run.after_position, key=lambda delivery: delivery.position)
        end = None if run.is_complete else begin + len(run.delivered)
        wanted = logs[types][begin:end]
        if run.delivered != wanted:
            yield _difference(run, wanted)


def _difference(run: Run, wanted: Sequence[Delivery]) -> str:
    before = run.after_position
    for given, stored in zip_longest(run.delivered, wanted):
        if given is None:
            break
        if given.position <= before:
            return f"duplicated: {run.reader} was given position {given.position} after {before}"
        if given != stored:
            return f"missed: {run.reader} was given {given} where {stored} is stored"
        before = given.position
    return f"missed: {run.reader} came to the end without {len(wanted) - len(run.delivered)} events"
