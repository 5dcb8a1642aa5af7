"""The bytes of an event that its leaf hash covers, built from its fields alone, as any verifier must be able to."""

import struct
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from events.encoded import StoredEvent
from events.merkle import hash_leaf

FIRST_PREV_HASH = bytes(32)
"""What the first event of a stream has in place of its predecessor's leaf hash."""

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Times are counted from here, in microseconds."""

# Postgres' binary form of a row: the number of columns, then for each the number of its type, its length and its bytes.
_INT2: Final = 21
_INT8: Final = 20
_TEXT: Final = 25
_UUID: Final = 2950
_TIMESTAMPTZ: Final = 1184
_BYTEA: Final = 17
_COLUMNS: Final = 10

_MICROSECOND = timedelta(microseconds=1)
_POSITION_TO_STREAM = struct.Struct("!i Iiq Ii")
_VERSION_TO_TYPE = struct.Struct("!Iiq Ii16s Ii")
_SCHEMA_TO_PAYLOAD = struct.Struct("!Iih Iiq Iiq Ii")
_METADATA = struct.Struct("!Ii")


class RawEvent(NamedTuple):
    """An event as its hash sees it: times as microseconds since 2000, and the two hashes that the log holds of it.

    Without a name of a stream it is an event of a stream that the log does not know.
    """

    position: int
    stream: str
    version: int
    event_id: bytes
    event_type: str
    schema_version: int
    occurred_at: int
    recorded_at: int
    payload: bytes
    metadata: bytes
    prev_hash: bytes
    leaf_hash: bytes


def raw_event(event: StoredEvent) -> RawEvent:
    """The event as its hash sees it."""
    return RawEvent(
        event.position,
        event.stream,
        event.version,
        event.event_id.bytes,
        event.event_type,
        event.schema_version,
        microseconds(event.occurred_at),
        microseconds(event.recorded_at),
        event.payload,
        event.metadata,
        event.prev_hash,
        event.leaf_hash,
    )


def entry(event: RawEvent) -> bytes:
    """The bytes that the leaf hash covers: the predecessor's hash, then the row as ``log.entry`` sends it."""
    position, name, version, event_id, type_name, schema_version, occurred, recorded, payload, metadata, previous, _ = (
        event
    )
    stream, event_type = name.encode(), type_name.encode()
    return b"".join(
        (
            previous,
            _POSITION_TO_STREAM.pack(_COLUMNS, _INT8, 8, position, _TEXT, len(stream)),
            stream,
            _VERSION_TO_TYPE.pack(_INT8, 8, version, _UUID, 16, event_id, _TEXT, len(event_type)),
            event_type,
            _SCHEMA_TO_PAYLOAD.pack(
                _INT2, 2, schema_version, _TIMESTAMPTZ, 8, occurred, _TIMESTAMPTZ, 8, recorded, _BYTEA, len(payload)
            ),
            payload,
            _METADATA.pack(_BYTEA, len(metadata)),
            metadata,
        )
    )


def leaf_of(event: RawEvent) -> bytes:
    """The event's leaf in the log's Merkle tree, whatever ``event.leaf_hash`` says."""
    return hash_leaf(entry(event))


def microseconds(moment: datetime) -> int:
    """The moment as Postgres counts it."""
    return (moment - EPOCH) // _MICROSECOND


def moment(count: int) -> datetime:
    """The moment that Postgres counts so."""
    return EPOCH + count * _MICROSECOND
