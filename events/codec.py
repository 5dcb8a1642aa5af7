"""How facts become bytes and come back, whatever version of the program wrote them."""

from collections.abc import Callable, Iterable, Mapping
from typing import get_args

import msgspec

from events.bot import BotFact
from events.envelope import Fact, Metadata
from events.errors import UnknownFact
from events.user import UserFact

RawFact = dict[str, object]
Upcast = Callable[[RawFact], RawFact]


class Upcaster(msgspec.Struct, frozen=True, kw_only=True):
    """One pure step of a fact type's evolution, from one schema version to the next."""

    event_type: str
    from_version: int
    upcast: Upcast


FACT_TYPES: Mapping[str, type[Fact]] = {
    str(kind.__struct_config__.tag): kind for kind in (*get_args(BotFact), *get_args(UserFact))
}
"""Every fact type by its wire tag."""


class Codec:
    """Encodes facts at their current schema version; decodes any version that has an upcaster chain to it.

    Raises ``UnknownFact`` for a type or version it has no way to read, and at construction for a chain with a gap
    or two steps from the same version.
    """

    def __init__(self, upcasters: Iterable[Upcaster] = ()) -> None:
        self._steps = _steps_by_type(upcasters)
        self._current = {name: max(self._steps.get(name, {0: None})) + 1 for name in FACT_TYPES}
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Fact] = msgspec.msgpack.Decoder(Fact)
        self._metadata_decoder = msgspec.msgpack.Decoder(Metadata)

    def encode(self, fact: Fact) -> tuple[str, int, bytes]:
        """The event type, its current schema version and the payload."""
        event_type = str(fact.__struct_config__.tag)
        return event_type, self._current[event_type], self._encoder.encode(fact)

    def decode(self, event_type: str, schema_version: int, payload: bytes) -> Fact:
        """The fact, brought to the current schema version first where it was written by an older program."""
        current = self._current.get(event_type)
        if current is None:
            raise UnknownFact(f"fact type {event_type!r} is not known to this program")
        if schema_version == current:
            return self._decoder.decode(payload)
        if not 1 <= schema_version < current:
            raise UnknownFact(f"{event_type} has schema version {schema_version}; this program knows 1 to {current}")
        return self._upcast(event_type, schema_version, payload)

    def encode_metadata(self, metadata: Metadata) -> bytes:
        """The metadata as msgpack."""
        return self._encoder.encode(metadata)

    def decode_metadata(self, payload: bytes) -> Metadata:
        """The metadata from msgpack."""
        return self._metadata_decoder.decode(payload)

    def _upcast(self, event_type: str, schema_version: int, payload: bytes) -> Fact:
        raw: RawFact = msgspec.msgpack.decode(payload, type=dict[str, object])
        for version in range(schema_version, self._current[event_type]):
            raw = self._steps[event_type][version].upcast(raw)
        return msgspec.convert(raw, FACT_TYPES[event_type])


def _steps_by_type(upcasters: Iterable[Upcaster]) -> dict[str, dict[int, Upcaster]]:
    steps: dict[str, dict[int, Upcaster]] = {}
    for upcaster in upcasters:
        if upcaster.event_type not in FACT_TYPES:
            raise UnknownFact(f"upcaster for {upcaster.event_type!r}, which is no fact type")
        chain = steps.setdefault(upcaster.event_type, {})
        if upcaster.from_version in chain:
            raise UnknownFact(f"two upcasters of {upcaster.event_type} from version {upcaster.from_version}")
        chain[upcaster.from_version] = upcaster
    for event_type, chain in steps.items():
        if sorted(chain) != list(range(1, len(chain) + 1)):
            raise UnknownFact(f"the upcasters of {event_type} leave a gap: they start from {sorted(chain)}")
    return steps
