"""The ports to the stored views: one to write them with their checkpoint, one to read them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from events.errors import OxbotError
from events.identifiers import BotId
from oxbot.views.rows import ViewName


class CheckpointMoved(OxbotError):
    """Somebody else has projected these events already; this projector must stop."""


class RowChange(NamedTuple):
    """A row as its canonical JSON, or None where it is to go."""

    view: ViewName
    bot_id: BotId
    key: str
    body: bytes | None


class StoredRow(NamedTuple):
    """A row as the store holds it."""

    bot_id: BotId
    key: str
    body: bytes


class ViewStore(Protocol):
    """Rows, the projector's memory and its checkpoint, always written together."""

    async def checkpoint(self) -> int:
        """The position up to which the views are built."""
        ...

    async def books(self, bot_ids: Sequence[BotId]) -> dict[BotId, bytes]:
        """What the projector last remembered of these bots; unknown ones are left out."""
        ...

    async def commit(
        self, changes: Sequence[RowChange], books: dict[BotId, bytes], *, after: int, position: int
    ) -> None:
        """Write all of it and move the checkpoint from ``after`` to ``position``, in one transaction.

        Raises ``CheckpointMoved``, with nothing written, if the checkpoint is no longer at ``after``.
        """
        ...


class ViewReader(Protocol):
    """Reads rows; several reads at one checkpoint where that matters."""

    async def checkpoint(self) -> int:
        """The position up to which the views are built."""
        ...

    async def row(self, view: ViewName, bot_id: BotId, key: str = "") -> bytes | None:
        """One row's JSON."""
        ...

    async def rows(
        self, view: ViewName, bot_id: BotId, *, after_key: str = "", limit: int, descending: bool = False
    ) -> list[StoredRow]:
        """A bot's rows after a key, in order of key."""
        ...

    async def across(self, view: ViewName, *, after_bot: str = "", limit: int) -> list[StoredRow]:
        """The single-row views (bots, portfolios) across all bots, in order of bot id."""
        ...

    async def everything(self) -> tuple[int, dict[ViewName, list[StoredRow]]]:
        """Every row of every view at one checkpoint, each view in order of bot and key."""
        ...
