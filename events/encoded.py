"""Events as bytes: on their way into the log, encoded where they were made, and as the log holds them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from events.codec import Codec
from events.envelope import NewEvent
from events.errors import InvalidAppend, PayloadTooLarge
from events.identifiers import EventId, StreamId
from events.log import check_append

EVENT_BYTES_MAX = 1 << 20
"""Payload and metadata of one event together."""

COMMAND_BYTES_MAX = 16 << 20
"""Payloads and metadata of one command together."""

COMMAND_EVENTS_MAX = 10_000


class EncodedEvent(NamedTuple):
    """A new event whose fact and metadata are bytes."""

    event_id: EventId
    event_type: str
    schema_version: int
    occurred_at: datetime
    payload: bytes
    metadata: bytes


class EncodedCommand(NamedTuple):
    """Encoded events that go to one stream together or not at all."""

    stream: StreamId
    expected: int
    events: Sequence[EncodedEvent]


class StoredEvent(NamedTuple):
    """An event as the log holds it, undecoded; ``leaf_hash`` covers all the rest."""

    position: int
    stream: StreamId
    version: int
    event_id: EventId
    event_type: str
    schema_version: int
    occurred_at: datetime
    recorded_at: datetime
    payload: bytes
    metadata: bytes
    prev_hash: bytes
    leaf_hash: bytes


def encode_command(codec: Codec, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> EncodedCommand:
    """The command as bytes. Raises ``InvalidAppend``, or ``PayloadTooLarge``, for what no log will store."""
    check_append(stream, events, expected=expected)
    if len(events) > COMMAND_EVENTS_MAX:
        raise PayloadTooLarge(f"stream {stream}: {len(events)} events in one append; at most {COMMAND_EVENTS_MAX}")
    encoded = [_encode(codec, stream, event) for event in events]
    command = EncodedCommand(stream, expected, encoded)
    if (size := command_size(command)) > COMMAND_BYTES_MAX:
        raise PayloadTooLarge(f"stream {stream}: an append of {size} bytes; at most {COMMAND_BYTES_MAX}")
    return command


def command_size(command: EncodedCommand) -> int:
    """Bytes of all its payloads and metadata."""
    size = 0
    for event in command.events:
        size += len(event.payload) + len(event.metadata)
    return size


def _encode(codec: Codec, stream: StreamId, event: NewEvent) -> EncodedEvent:
    try:
        event_type, schema_version, payload = codec.encode(event.fact)
        metadata = codec.encode_metadata(event.metadata)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise InvalidAppend(f"stream {stream}: a fact cannot be encoded: {error}") from error
    size = len(payload) + len(metadata)
    if size > EVENT_BYTES_MAX:
        raise PayloadTooLarge(f"stream {stream}: a {event_type} of {size} bytes; at most {EVENT_BYTES_MAX}")
    return EncodedEvent(event.event_id, event_type, schema_version, event.occurred_at, payload, metadata)
