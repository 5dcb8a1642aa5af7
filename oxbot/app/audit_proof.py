"""Proofs that one event is in the log, whole enough to be checked by somebody who has never seen the database."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from events.checkpoint import Checkpoint, CheckpointInvalid, VerifierKey, open_checkpoint, read_unverified
from events.encoded import StoredEvent
from events.entry import leaf_of, raw_event
from events.errors import OxbotError
from events.identifiers import EventId, StreamId
from events.merkle import includes
from events.values import Timestamp
from oxbot.app.audit_log import StoredEvents
from oxbot.app.checkpoints import CheckpointStore
from oxbot.app.tree import StoredTree, TreeStore

FORMAT: Literal["oxbot-inclusion-1"] = "oxbot-inclusion-1"


class UnknownPosition(OxbotError):
    """The log has no event at this position."""


class NotSealed(OxbotError):
    """No checkpoint covers the event yet."""


class ProofInvalid(OxbotError):
    """What is given does not prove that the event is in the log."""


class ProvenEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every field that an event's leaf hash covers; bytes are base64, times are in UTC."""

    position: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
    stream: str
    version: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
    event_id: EventId
    event_type: str
    schema_version: Annotated[int, msgspec.Meta(ge=1, le=(1 << 15) - 1)]
    occurred_at: Timestamp
    recorded_at: Timestamp
    payload: bytes
    metadata: bytes
    prev_hash: bytes


class Inclusion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event, the path from its leaf to the root of the tree (RFC 6962), and the signed checkpoint of that tree."""

    format: Literal["oxbot-inclusion-1"] = FORMAT
    event: ProvenEvent
    path: list[bytes]
    checkpoint: str


class Prover:
    """Makes proofs of inclusion from what is stored."""

    def __init__(self, events: StoredEvents, tree: TreeStore, checkpoints: CheckpointStore) -> None:
        self._events = events
        self._tree = StoredTree(tree)
        self._checkpoints = checkpoints

    async def event(self, position: int) -> StoredEvent:
        """The event at a position. Raises ``UnknownPosition`` or ``BelowFloor``."""
        event = await self._events.at(position)
        if event is None:
            raise UnknownPosition(f"the log has no event at position {position}")
        return event

    async def prove(self, position: int, *, note: str | None = None) -> Inclusion:
        """The proof under the checkpoint in ``note``, or under the newest that the log holds.

        Raises ``UnknownPosition``, ``BelowFloor``, ``NotSealed``, ``TreeUnusable``, or ``ProofInvalid`` if what is
        stored does not lead to the root that was signed.
        """
        event = await self.event(position)
        note = note or await self._newest(position)
        checkpoint = read_unverified(note)
        if checkpoint.size < position:
            raise NotSealed(f"the checkpoint covers {checkpoint.size} events, but not yet position {position}")
        path = await self._tree.inclusion(position - 1, checkpoint.size)
        inclusion = Inclusion(event=_proven(event), path=path, checkpoint=note)
        _check_path(inclusion, checkpoint)
        return inclusion

    async def _newest(self, position: int) -> str:
        newest = (await self._checkpoints.tail()).newest
        if newest is None:
            raise NotSealed(f"the log holds no checkpoint yet, so none covers position {position}")
        return newest.fact.note


def check_inclusion(inclusion: Inclusion, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint under which the event is proven, signed by one of the keys. Raises ``ProofInvalid``."""
    try:
        checkpoint = open_checkpoint(inclusion.checkpoint, keys)
    except CheckpointInvalid as error:
        raise ProofInvalid(str(error)) from error
    _check_path(inclusion, checkpoint)
    return checkpoint


def _check_path(inclusion: Inclusion, checkpoint: Checkpoint) -> None:
    event = inclusion.event
    index, leaf = event.position - 1, leaf_of(raw_event(_stored(event)))
    if not includes(checkpoint.root, checkpoint.size, index=index, leaf=leaf, proof=inclusion.path):
        raise ProofInvalid(
            f"this event is not the one at position {event.position} under the checkpoint of {checkpoint.size} events"
        )


def _proven(event: StoredEvent) -> ProvenEvent:
    return ProvenEvent(**{name: getattr(event, name) for name in ProvenEvent.__struct_fields__})


def _stored(event: ProvenEvent) -> StoredEvent:
    fields = {name: getattr(event, name) for name in ProvenEvent.__struct_fields__}
    return StoredEvent(**{**fields, "stream": StreamId(event.stream), "leaf_hash": b""})
