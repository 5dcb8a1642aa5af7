"""The views in memory: what tests and short runs use, under the same contract as Postgres."""

from collections.abc import Sequence

from events.identifiers import BotId
from oxbot.app.views import CheckpointMoved, RowChange, StoredRow
from oxbot.views.rows import VIEWS, ViewName


class MemoryViews:
    """Implements ``ViewStore`` and ``ViewReader``; forgets everything when its process ends."""

    def __init__(self) -> None:
        self._rows: dict[ViewName, dict[tuple[BotId, str], bytes]] = {view: {} for view in VIEWS}
        self._books: dict[BotId, bytes] = {}
        self._position = 0

    async def checkpoint(self) -> int:
        """The position up to which the views are built."""
        return self._position

    async def books(self, bot_ids: Sequence[BotId]) -> dict[BotId, bytes]:
        """What the projector last remembered of these bots."""
        return {bot_id: self._books[bot_id] for bot_id in bot_ids if bot_id in self._books}

    async def commit(
        self, changes: Sequence[RowChange], books: dict[BotId, bytes], *, after: int, position: int
    ) -> None:
        """Keep rows, books and checkpoint together; ``CheckpointMoved`` if somebody else was first."""
        if self._position != after:
            raise CheckpointMoved(f"the views are no longer at position {after}; another projector is at work")
        for change in changes:
            rows, place = self._rows[change.view], (change.bot_id, change.key)
            if change.body is None:
                rows.pop(place, None)
            else:
                rows[place] = change.body
        self._books.update(books)
        self._position = position

    async def row(self, view: ViewName, bot_id: BotId, key: str = "") -> bytes | None:
        """One row's JSON."""
        return self._rows[view].get((bot_id, key))

    async def rows(
        self, view: ViewName, bot_id: BotId, *, after_key: str = "", limit: int, descending: bool = False
    ) -> list[StoredRow]:
        """A bot's rows after a key."""
        rows = [row for row in self._sorted(view) if row.bot_id == bot_id]
        if descending:
            return [row for row in reversed(rows) if not after_key or row.key < after_key][:limit]
        return [row for row in rows if row.key > after_key][:limit]

    async def across(self, view: ViewName, *, after_bot: str = "", limit: int) -> list[StoredRow]:
        """The single-row views across bots."""
        return [row for row in self._sorted(view) if row.bot_id > after_bot][:limit]

    async def everything(self) -> tuple[int, dict[ViewName, list[StoredRow]]]:
        """Every row at one checkpoint."""
        return self._position, {view: self._sorted(view) for view in VIEWS}

    def _sorted(self, view: ViewName) -> list[StoredRow]:
        return [StoredRow(bot_id, key, body) for (bot_id, key), body in sorted(self._rows[view].items())]
