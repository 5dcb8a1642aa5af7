"""The ports to the stored views: to write them with their checkpoint, to build them anew beside, and to read them."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from events.errors import OxbotError
from events.identifiers import HOUSE, BotId, EventId, OwnerId
from oxbot.views.fold import Poison, RowChange
from oxbot.views.rows import ViewName

SERVING = "bots"
"""The projection that the fleet's readers ask for unless they name another."""


class CheckpointMoved(OxbotError):
    """Somebody else has projected these events already, or put another build in this one's place; begin again."""


class UnknownProjection(OxbotError):
    """There is no projection of that name in the database."""


class RowsRefused(OxbotError):
    """The store will never take these rows; nothing was written."""


class Target(NamedTuple):
    """One build of a projection: the one that serves, or the one under way beside it."""

    projection: str
    rebuild: bool = False


class Checkpoint(NamedTuple):
    """How far a build is. ``build`` is its own for ever, so that a successor is never taken for it."""

    build: EventId
    version: int
    position: int


class StoredRow(NamedTuple):
    """A row as the store holds it."""

    owner: str
    key: str
    body: bytes

    @property
    def bot_id(self) -> BotId:
        """The owner, of a row about a bot."""
        return BotId(self.owner)


class Found(NamedTuple):
    """One row's JSON, None if there is no such row, with the position that its views and the log had come to then."""

    body: bytes | None
    position: int
    head: int


class Standing(NamedTuple):
    """A build beside the log: ``lag_seconds`` is the age of the first event that it lacks, 0 if it lacks none.

    Somebody kept it last at ``seen_at``, which is ``seen_seconds`` ago by the same clock.
    """

    projection: str
    rebuild: bool
    version: int
    position: int
    head: int
    lag_seconds: float
    stopped: Poison | None
    seen_at: datetime
    seen_seconds: float


class Swap(NamedTuple):
    """A build that began to serve, and what it was built up to then."""

    build: EventId
    version: int
    position: int


class ViewStore(Protocol):
    """Rows, a projector's memory and its checkpoint, always written together; every build for itself."""

    async def checkpoint(self, target: Target) -> Checkpoint | None:
        """How far the build is; None if there is no such build."""
        ...

    async def books(self, target: Target, owners: Sequence[str]) -> dict[str, bytes]:
        """What the projector last remembered of these owners; unknown ones are left out."""
        ...

    async def commit(
        self,
        target: Target,
        changes: Sequence[RowChange],
        books: Mapping[str, bytes],
        *,
        after: Checkpoint,
        reached: Checkpoint,
    ) -> None:
        """Write all of it and move the checkpoint from ``after`` to ``reached``, in one transaction; no longer stopped.

        Raises ``CheckpointMoved`` if the checkpoint is no longer at ``after``, ``RowsRefused``, or ``StoreUnavailable``
        (outcome unknown: begin again from the checkpoint).
        """
        ...

    async def stop(self, target: Target, poison: Poison, *, at: Checkpoint) -> None:
        """Show that the build goes no further, and why. Raises ``CheckpointMoved`` if it is no longer at ``at``."""
        ...

    async def beat(self, target: Target, *, at: Checkpoint) -> None:
        """Show that somebody keeps the build and that nothing stops it. Raises ``CheckpointMoved``."""
        ...


class RebuildStore(ViewStore, Protocol):
    """Builds a projection beside the one that serves, and puts it in its place."""

    async def open_rebuild(self, projection: str, *, version: int, build: EventId) -> None:
        """Make an empty build beside the serving one, unless there is one."""
        ...

    async def discard_rebuild(self, projection: str) -> bool:
        """Drop the build under way; False if there is none."""
        ...

    async def serve_rebuild(self, projection: str, *, rebuilt: Checkpoint, head: int) -> bool:
        """Let the build serve from now on, in one transaction that no reader sees half of; the old one is gone.

        False, and nothing changed, if the serving build is further (but one that claims to be beyond ``head`` is none),
        or if a reader holds on to it: try again.
        Raises ``CheckpointMoved`` if the build is no longer at ``rebuilt``.
        """
        ...

    async def unannounced(self, projection: str) -> Swap | None:
        """The last swap, if its fact may still be missing from the log."""
        ...

    async def announced(self, projection: str, build: EventId) -> None:
        """The fact of that swap is in the log."""
        ...


class RowReader(Protocol):
    """Reads rows."""

    async def row(self, view: ViewName, owner: str, key: str = "") -> bytes | None:
        """One row's JSON."""
        ...

    async def rows(
        self, view: ViewName, owner: str, *, after_key: str = "", limit: int, descending: bool = False
    ) -> list[StoredRow]:
        """An owner's rows after a key, in order of key."""
        ...

    async def across(
        self, view: ViewName, *, of_owners: Collection[OwnerId] | None = None, after_bot: str = "", limit: int
    ) -> list[StoredRow]:
        """The single-row views (bots, portfolios) across all bots, or those of some owners, in order of bot id."""
        ...


class Snapshot(RowReader, Protocol):
    """Rows of one projection as they were at one position, whatever is written or swapped meanwhile."""

    @property
    def position(self) -> int:
        """The position up to which these rows are built."""
        ...

    @property
    def version(self) -> int:
        """The projection's version that built them."""
        ...

    async def everything(self) -> dict[ViewName, list[StoredRow]]:
        """Every row of every view, each view in order of owner and key."""
        ...

    async def version_of(self, bot_id: BotId) -> int:
        """The version of the bot's stream in the log at this position, 0 if there is no such stream there."""
        ...


class ViewReader(RowReader, Protocol):
    """Reads rows as they are; several reads at one position where that matters."""

    async def position(self, projection: str = SERVING) -> int:
        """The position up to which the projection's serving views are built."""
        ...

    async def found(self, view: ViewName, owner: str, key: str = "") -> Found:
        """One row as in a snapshot of its projection, at the cost of a single read. Raises ``UnknownProjection``."""
        ...

    def snapshot(self, projection: str = SERVING) -> AbstractAsyncContextManager[Snapshot]:
        """The projection's serving rows at one position. Raises ``UnknownProjection``."""
        ...

    async def standings(self) -> list[Standing]:
        """Every build of every projection, in order of name, the serving one first."""
        ...


def owner_of(bot: bytes) -> OwnerId:
    """Whose a bot is, by its row in the view of bots; what says nothing of it is older than owners: the house's."""
    return msgspec.json.decode(bot, type=_Owned).owner


class _Owned(msgspec.Struct, frozen=True):
    owner: OwnerId = HOUSE
