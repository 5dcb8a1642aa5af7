"""The ports to the checkpoints that the log holds, and to the one that the signer remembers outside of it."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from events.checkpoint import Checkpoint
from events.envelope import Fact
from events.errors import OxbotError
from events.system import CheckpointSigned

CHECKPOINT = str(CheckpointSigned.__struct_config__.tag)
"""The event type of recorded checkpoints."""


class TwoRoots(OxbotError):
    """A second root was about to be signed for a size that has one; the log is not what it was."""


class RecordedCheckpoint(NamedTuple):
    """A ``CheckpointSigned`` fact and where the log holds it."""

    position: int
    recorded_at: datetime
    fact: CheckpointSigned

    @property
    def size(self) -> int:
        """How many events it covers."""
        return self.fact.tree_size

    @property
    def root(self) -> bytes:
        """The root over them."""
        return base64.b64decode(self.fact.root)


class SystemTail(NamedTuple):
    """How far the system stream is, and the newest checkpoint in it, both at one moment."""

    version: int
    newest: RecordedCheckpoint | None


class CheckpointStore(Protocol):
    """Reads the checkpoints that the database holds: not those that are archived, but always the newest."""

    async def log_id(self) -> UUID:
        """Which log this is."""
        ...

    async def tail(self) -> SystemTail:
        """The system stream's version and its newest checkpoint."""
        ...

    async def before(self, position: int | None, limit: int) -> Sequence[RecordedCheckpoint]:
        """At most so many checkpoints recorded before a position, the newest first; without one, the newest of all."""
        ...

    async def others(self, start: int, end: int) -> bool:
        """Whether any event at positions ``start + 1`` to ``end`` is something else than a checkpoint."""
        ...


class SealMemory(Protocol):
    """Remembers, outside the database, the last checkpoint that was signed."""

    async def last(self) -> str | None:
        """The note of the last signed checkpoint; None if nothing was signed yet."""
        ...

    async def remember(self, note: str) -> None:
        """Remember a checkpoint, durably, before anybody is shown it; a larger one that is remembered stays.

        Raises ``TwoRoots`` if another root is remembered for the same size, or a checkpoint of another log.
        """
        ...


def recorded_checkpoint(fact: Fact, position: int, recorded_at: datetime) -> RecordedCheckpoint:
    """The checkpoint that a fact of the system stream records."""
    if not isinstance(fact, CheckpointSigned):
        raise TypeError(f"position {position} holds a {type(fact).__name__}, not a checkpoint")
    return RecordedCheckpoint(position, recorded_at, fact)


def checkpoint_fact(checkpoint: Checkpoint, note: str) -> CheckpointSigned:
    """The fact that records a signed checkpoint."""
    return CheckpointSigned(tree_size=checkpoint.size, root=base64.b64encode(checkpoint.root).decode(), note=note)


def check_successor(checkpoint: Checkpoint, *, of: Checkpoint) -> bool:
    """Whether the checkpoint is newer than another. Raises ``TwoRoots`` where there may not be two."""
    if checkpoint.origin != of.origin:
        raise TwoRoots(f"a checkpoint of the log {of.origin} is remembered here; this one is of {checkpoint.origin}")
    if checkpoint.size == of.size and checkpoint.root != of.root:
        raise TwoRoots(f"the first {of.size} events were signed before with the root {of.root.hex()}")
    return checkpoint.size > of.size
