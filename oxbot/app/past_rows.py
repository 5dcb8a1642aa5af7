"""A bot's rows as of a position of the log, read as those of the views are."""

from collections.abc import Collection
from typing import NoReturn

from events.identifiers import BotId, OwnerId
from oxbot.app.views import RowReader, StoredRow
from oxbot.views.past import GROWING, WHOLE, BotPast
from oxbot.views.rows import ViewName

_BEYOND_ALL = "\U0010ffff"


class NotOfThePast(NotImplementedError):
    """A view that nobody can ask about the past of: a bug of whoever does."""


class PastRows:
    """Implements ``RowReader`` for one bot and those of its views that can be asked about the past.

    ``final`` reads views that are built up to the past's position or beyond: there are the rows that no event after it
    changes. Everything else comes out of the past, which was folded from the log.
    """

    def __init__(self, bot_id: BotId, past: BotPast, final: RowReader, position: int) -> None:
        self._bot_id = bot_id
        self._past = past
        self._final = final
        self.position = position

    async def row(self, view: ViewName, owner: str, key: str = "") -> bytes | None:
        """One row's JSON."""
        self._check(view, owner)
        kept = self._past.rows.get(view, {}).get(key)
        if kept is not None or view in WHOLE or key > self._past.last.get(view, ""):
            return kept
        return await self._final.row(view, owner, key)

    async def rows(
        self, view: ViewName, owner: str, *, after_key: str = "", limit: int, descending: bool = False
    ) -> list[StoredRow]:
        """The bot's rows after a key, in order of key."""
        self._check(view, owner)
        kept = self._past.rows.get(view, {})
        if view in WHOLE:
            found = [StoredRow(owner, key, body) for key, body in sorted(kept.items(), reverse=descending)]
            if descending:
                return [row for row in found if not after_key or row.key < after_key][:limit]
            return [row for row in found if row.key > after_key][:limit]
        last = self._past.last.get(view, "")
        if not last:
            return []
        if descending:
            # What follows the last key and is no key itself, so that the row of that key is the first one.
            after_key = min(after_key or _BEYOND_ALL, last + "~")
        stored = await self._final.rows(view, owner, after_key=after_key, limit=limit, descending=descending)
        return [StoredRow(owner, row.key, kept.get(row.key, row.body)) for row in stored if row.key <= last]

    async def across(
        self, view: ViewName, *, of_owners: Collection[OwnerId] | None = None, after_bot: str = "", limit: int
    ) -> NoReturn:
        """There is no past of all bots together."""
        del of_owners, after_bot, limit
        raise NotOfThePast(view)

    def _check(self, view: ViewName, owner: str) -> None:
        if owner != self._bot_id or (view not in WHOLE and view not in GROWING):
            raise NotOfThePast(view)
