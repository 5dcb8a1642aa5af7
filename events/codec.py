"""How facts become bytes and come back, whatever version of the program wrote them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from operator import call
from typing import NamedTuple, get_args

import msgspec

from events.envelope import Fact, Metadata, RecordedEvent
from events.errors import InvalidUpcasters, UndecodableFact, UnknownFact
from events.identifiers import EventId, StreamId

RawFact = dict[str, object]
Upcast = Callable[[RawFact], RawFact]


class Upcaster(msgspec.Struct, frozen=True, kw_only=True):
    """One pure step of a fact type's evolution, from one schema version to a later one."""

    event_type: str
    from_version: int
    to_version: int
    upcast: Upcast


FACT_TYPES: Mapping[str, type[Fact]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Fact)}
"""Every fact type by its wire tag."""

SCHEMA_VERSIONS: Mapping[str, int] = {}
"""The current schema version of each fact type that has left its first."""

UPCASTERS: Sequence[Upcaster] = ()
"""The steps that bring what older programs wrote to the current schema versions."""

UNREADABLE = (
    UnknownFact,
    msgspec.MsgspecError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What decoding raises for bytes that are no fact, and what an upcaster raises for a fact it did not expect."""

_METADATA_KEPT_MAX = 10_000

_recorded_event = partial(tuple.__new__, RecordedEvent)
"""``RecordedEvent._make`` without its count of the fields: the columns are as many."""


class EventColumns(NamedTuple):
    """Events as the log holds them, column by column: the n-th of each is of the n-th event."""

    positions: Sequence[int]
    streams: Sequence[StreamId]
    versions: Sequence[int]
    event_ids: Sequence[EventId]
    event_types: Sequence[str]
    schema_versions: Sequence[int]
    occurred_at: Sequence[datetime]
    recorded_at: Sequence[datetime]
    payloads: Sequence[bytes]
    metadata: Sequence[bytes]


class Codec:
    """Encodes facts at their current schema version; decodes any version that has an upcaster chain to it.

    Raises ``UnknownFact`` for a type or version it has no way to read, and ``InvalidUpcasters`` at construction unless
    the upcasters lead from every earlier version of every fact type to its current one, each in one way.
    """

    def __init__(
        self, upcasters: Iterable[Upcaster] = UPCASTERS, *, schema_versions: Mapping[str, int] = SCHEMA_VERSIONS
    ) -> None:
        self._current = {name: schema_versions.get(name, 1) for name in FACT_TYPES}
        self._steps = _checked_steps(upcasters, schema_versions)
        self._encoder = msgspec.msgpack.Encoder()
        self._names = {kind: (name, self._current[name]) for name, kind in FACT_TYPES.items()}
        self._decode: dict[tuple[str, int], Callable[[bytes], Fact]] = {
            key: partial(self._upcast, *key) for key in self._steps
        }
        for name, kind in FACT_TYPES.items():
            self._decode[name, self._current[name]] = msgspec.msgpack.Decoder(kind).decode
        self._metadata_decoder = msgspec.msgpack.Decoder(Metadata)
        self._metadata: dict[bytes, Metadata] = {}

    def encode(self, fact: Fact) -> tuple[str, int, bytes]:
        """The event type, its current schema version and the payload."""
        event_type, schema_version = self._names[type(fact)]
        return event_type, schema_version, self._encoder.encode(fact)

    def decode(self, event_type: str, schema_version: int, payload: bytes) -> Fact:
        """The fact, brought to the current schema version first where it was written by an older program."""
        decode = self._decode.get((event_type, schema_version))
        if decode is not None:
            return decode(payload)
        current = self._current.get(event_type)
        if current is None:
            raise UnknownFact(f"fact type {event_type!r} is not known to this program")
        raise UnknownFact(f"{event_type} has schema version {schema_version}; this program knows 1 to {current}")

    def encode_metadata(self, metadata: Metadata) -> bytes:
        """The metadata as msgpack."""
        return self._encoder.encode(metadata)

    def decode_metadata(self, payload: bytes) -> Metadata:
        """The metadata from msgpack; the same bytes, which come often, give the same object."""
        metadata = self._metadata.get(payload)
        if metadata is None:
            if len(self._metadata) >= _METADATA_KEPT_MAX:
                self._metadata.clear()
            metadata = self._metadata[payload] = self._metadata_decoder.decode(payload)
        return metadata

    def decode_events(self, columns: EventColumns) -> list[RecordedEvent]:
        """The events that the log's columns say. Raises ``UndecodableFact`` for the first that cannot be read."""
        try:
            keys = zip(columns.event_types, columns.schema_versions, strict=True)
            decoders = [self._decode[key] for key in keys]
            facts = list(map(call, decoders, columns.payloads))
            known = self._metadata
            metadata = [known.get(payload) or self.decode_metadata(payload) for payload in columns.metadata]
        except UNREADABLE:
            facts, metadata = self._decode_each(columns)
        return list(
            map(
                _recorded_event,
                zip(
                    columns.positions,
                    columns.streams,
                    columns.versions,
                    columns.event_ids,
                    columns.event_types,
                    columns.occurred_at,
                    columns.recorded_at,
                    facts,
                    metadata,
                    strict=True,
                ),
            )
        )

    def _decode_each(self, columns: EventColumns) -> tuple[list[Fact], list[Metadata]]:
        """Facts and metadata one by one, so that an error is known by its event."""
        facts: list[Fact] = []
        metadata: list[Metadata] = []
        for position, stream, event_type, schema_version, payload, meta in zip(
            columns.positions,
            columns.streams,
            columns.event_types,
            columns.schema_versions,
            columns.payloads,
            columns.metadata,
            strict=True,
        ):
            try:
                facts.append(self.decode(event_type, schema_version, payload))
                metadata.append(self.decode_metadata(meta))
            except UNREADABLE as error:
                raise UndecodableFact(position, stream, event_type, _reason(error)) from error
        return facts, metadata

    def _upcast(self, event_type: str, schema_version: int, payload: bytes) -> Fact:
        raw: RawFact = msgspec.msgpack.decode(payload, type=dict[str, object])
        version = schema_version
        while version < self._current[event_type]:
            step = self._steps[event_type, version]
            raw = step.upcast(raw)
            version = step.to_version
        return msgspec.convert(raw, FACT_TYPES[event_type])


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UnknownFact) else f"{type(error).__name__}: {error}"


def _checked_steps(
    upcasters: Iterable[Upcaster], schema_versions: Mapping[str, int]
) -> dict[tuple[str, int], Upcaster]:
    """The one step from each earlier version of each fact type, once they are known to lead to the current ones."""
    strangers = sorted(schema_versions.keys() - FACT_TYPES.keys())
    if strangers:
        raise InvalidUpcasters(f"a schema version of {', '.join(strangers)}, which is no fact type")
    steps: dict[tuple[str, int], Upcaster] = {}
    for step in upcasters:
        _check_step(step, schema_versions)
        if (step.event_type, step.from_version) in steps:
            raise InvalidUpcasters(f"two upcasters of {step.event_type} from version {step.from_version}")
        steps[step.event_type, step.from_version] = step
    for event_type, current in schema_versions.items():
        gaps = [version for version in range(1, current) if (event_type, version) not in steps]
        if gaps:
            raise InvalidUpcasters(f"the upcasters of {event_type} leave a gap: none from version {gaps}")
    return steps


def _check_step(step: Upcaster, schema_versions: Mapping[str, int]) -> None:
    name = f"the upcaster of {step.event_type} from version {step.from_version} to {step.to_version}"
    if step.event_type not in FACT_TYPES:
        raise InvalidUpcasters(f"{name}: that is no fact type")
    if step.to_version <= step.from_version:
        raise InvalidUpcasters(f"{name} does not lead on: facts would go in a cycle")
    if step.from_version < 1:
        raise InvalidUpcasters(f"{name} is unreachable: versions count from 1")
    current = schema_versions.get(step.event_type, 1)
    if step.to_version > current:
        raise InvalidUpcasters(f"{name} leads beyond version {current}, the current one")
