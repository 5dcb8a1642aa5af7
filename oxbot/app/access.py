"""Who may read and command which bot: the one rule, and whose each bot is."""

from collections.abc import Collection
from typing import Protocol

from events.bot import BotCreated
from events.identifiers import HOUSE, BotId, OwnerId
from events.log import LogReader
from events.user import Role
from oxbot.app.views import Snapshot, StoredRow, ViewReader, owner_of
from oxbot.views.rows import BOT_VIEWS, ViewName

PAGE = 1000


class Person(Protocol):
    """Whoever is signed in."""

    @property
    def user_id(self) -> str:
        """Who."""
        ...

    @property
    def role(self) -> Role:
        """As what."""
        ...


def may_read(user: Person, owner: OwnerId) -> bool:
    """Whether somebody may see what is that owner's: one's own and the house's, and an administrator everybody's."""
    return user.role == "admin" or owner in (HOUSE, user.user_id)


def may_command(user: Person, owner: OwnerId) -> bool:
    """Whether somebody may command what is that owner's: a trader what is his own, an administrator everything."""
    return user.role == "admin" or (user.role == "trader" and owner == user.user_id)


def owners_read_by(user: Person) -> tuple[OwnerId, ...] | None:
    """Whose bots somebody may see, for a list of them; None for everybody's."""
    return None if user.role == "admin" else (HOUSE, OwnerId(user.user_id))


class BotOwners:
    """Whose each bot is, which never changes; also of bots that were created since the views were brought up to date.

    What was found once is remembered. ``readable`` looks anew whenever it refuses, so that it takes as long to refuse
    somebody else's bot as one that there is not.
    """

    def __init__(self, views: ViewReader, log: LogReader) -> None:
        self._views = views
        self._log = log
        self._known: dict[BotId, OwnerId] = {}
        self._position: int | None = None

    async def of(self, bot_id: BotId) -> OwnerId | None:
        """The bot's owner; None if there is no such bot."""
        known = self._known.get(bot_id)
        return await self._look(bot_id) if known is None else known

    async def readable(self, user: Person, bot_id: BotId) -> OwnerId | None:
        """The bot's owner if that user may read it; None if not, or if there is no such bot."""
        known = self._known.get(bot_id)
        if known is not None and may_read(user, known):
            return known
        found = await self._look(bot_id)
        return found if found is not None and may_read(user, found) else None

    async def _look(self, bot_id: BotId) -> OwnerId | None:
        # The position is read before the row, so that what the row lacks is behind that position in the log.
        if self._position is None:
            self._position = await self._views.position()
        row = await self._views.row("bots", bot_id)
        if row is not None:
            self._known[bot_id] = owner_of(row)
        await self._learn()
        return self._known.get(bot_id)

    async def _learn(self) -> None:
        """Whose the bots are that were created since it was last asked."""
        after, head = self._position or 0, await self._log.head()
        while after < head:
            page = await self._log.read_all(after_position=after, limit=PAGE, types=("bot.created",), up_to=head)
            for event in page:
                if isinstance(event.fact, BotCreated):
                    self._known[event.fact.bot_id] = event.fact.owner
            # What is of other types is not looked through again.
            after = page[-1].position if len(page) == PAGE else head
            self._position = max(after, self._position or 0)


class ReadableRows:
    """A ``Snapshot`` of which somebody sees what he may read: of bots the house's and his own, unless he may all."""

    def __init__(self, views: Snapshot, user: Person, owners: BotOwners) -> None:
        self._views = views
        self._user = user
        self._owners = owners

    @property
    def position(self) -> int:
        """The position up to which the rows are built."""
        return self._views.position

    @property
    def version(self) -> int:
        """The version of the projection that built them."""
        return self._views.version

    async def row(self, view: ViewName, owner: str, key: str = "") -> bytes | None:
        """One row's JSON; None for one that may not be read."""
        return await self._views.row(view, owner, key) if await self._shown(view, owner) else None

    async def rows(
        self, view: ViewName, owner: str, *, after_key: str = "", limit: int, descending: bool = False
    ) -> list[StoredRow]:
        """A bot's rows after a key; none of one that may not be read."""
        if not await self._shown(view, owner):
            return []
        return await self._views.rows(view, owner, after_key=after_key, limit=limit, descending=descending)

    async def across(
        self, view: ViewName, *, of_owners: Collection[OwnerId] | None = None, after_bot: str = "", limit: int
    ) -> list[StoredRow]:
        """The single-row views across the bots that may be read."""
        allowed = owners_read_by(self._user) if view in BOT_VIEWS else None
        wanted = of_owners if allowed is None else {*allowed} if of_owners is None else {*allowed} & {*of_owners}
        return await self._views.across(view, of_owners=wanted, after_bot=after_bot, limit=limit)

    async def everything(self) -> dict[ViewName, list[StoredRow]]:
        """Every row that may be read."""
        found = await self._views.everything()
        return {view: [row for row in rows if await self._shown(view, row.owner)] for view, rows in found.items()}

    async def version_of(self, bot_id: BotId) -> int:
        """The version of a bot's stream; 0 for one that may not be read."""
        return await self._views.version_of(bot_id) if await self._shown("bots", bot_id) else 0

    async def _shown(self, view: ViewName, owner: str) -> bool:
        if self._user.role == "admin" or view not in BOT_VIEWS:
            return True
        return await self._owners.readable(self._user, BotId(owner)) is not None
