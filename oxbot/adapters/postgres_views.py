"""The views in Postgres: read as the JSON they were written as, alone or several at one position."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from events.errors import StoreUnavailable
from events.identifiers import BotId, OwnerId, bot_stream
from oxbot.adapters.database import CONNECT_SECONDS, connected
from oxbot.adapters.postgres_builds import PostgresBuilds
from oxbot.app.views import SERVING, Found, Standing, StoredRow, UnknownProjection
from oxbot.views.fold import Poison
from oxbot.views.projections import PROJECTION_OF, VIEWS_OF
from oxbot.views.rows import VIEWS, ViewName


class _Statements(NamedTuple):
    """The SQL that reads one view's table."""

    one: str
    found: str
    ascending: str
    descending: str
    across: str
    across_owners: str
    everything: str


_HEAD = "select coalesce((select e.position from log.events as e order by e.position desc limit 1), log.floor() - 1)"


def _statements(view: ViewName) -> _Statements:
    table = "views." + view
    return _Statements(
        one="select body from " + table + " where owner = $1 and key = $2",
        found='select r.body, p."position", ('
        + _HEAD
        + ") as head from views.projections as p left join "
        + table
        + " as r on r.owner = $2 and r.key = $3 where p.name = $1 and not p.rebuild",
        ascending="select owner, key, body from " + table + " where owner = $1 and key > $2 order by key limit $3",
        descending="select owner, key, body from " + table + " where owner = $1 and ($2 = '' or key < $2)"
        " order by key desc limit $3",
        across="select owner, key, body from " + table + " where owner > $1 order by owner limit $2",
        # Each owner's bots come in order of id out of the key of whose they are, and their rows out of the view's own.
        across_owners="select r.owner, r.key, r.body from (select theirs.key from unnest($1::text[]) as wanted (id)"
        " cross join lateral (select o.key from views.owned as o where o.owner = wanted.id and o.key > $2"
        " order by o.key limit $3) as theirs order by theirs.key limit $3) as page join " + table + " as r"
        " on r.owner = page.key order by r.owner",
        everything="select owner, key, body from " + table + " order by owner, key",
    )


# Table names come from the closed list VIEWS, never from a caller.
_SQL = {view: _statements(view) for view in VIEWS}
ACROSS_OWNERS = {view: statements.across_owners for view, statements in _SQL.items()}
"""How the rows of some owners' bots are read: owners, the bot after which to go on, how many."""

# In the order in which a swap takes its locks.
_HOLD = {
    name: "lock table " + ", ".join("views." + view for view in sorted(views)) + " in access share mode"
    for name, views in VIEWS_OF.items()
}
_SERVING = 'select "position", version from views.projections where name = $1 and not rebuild'
# What is archived has left the table, so that before the first version in it there is what is older.
_VERSION = """
    select case
        when s.last_position <= $2 then s.version
        else coalesce(
            (
                select e.version from log.events as e
                where e.stream_no = s.stream_no and e.position <= $2 order by e.version desc limit 1
            ),
            (select min(e.version) - 1 from log.events as e where e.stream_no = s.stream_no)
        )
    end
    from log.streams as s where s.stream_id = $1
"""
_STANDINGS = """
    select
        p.name, p.rebuild, p.version, p."position", head.position as head,
        coalesce(greatest(extract(epoch from clock_timestamp() - e.recorded_at), 0), 0)::float8 as lag_seconds,
        p.stopped_position, p.stopped_type, p.stopped_error, p.updated_at,
        extract(epoch from clock_timestamp() - p.updated_at)::float8 as seen_seconds
    from views.projections as p
    cross join (
        select coalesce((select e.position from log.events as e order by e.position desc limit 1), log.floor() - 1)
    ) as head (position)
    left join log.events as e on e.position = p."position" + 1
    order by p.name, p.rebuild
"""


class PostgresViews(PostgresBuilds):
    """Implements ``ViewReader`` beside ``RebuildStore`` over a pool.

    At most half of its connections hold snapshots at a time. Whoever has one may need another connection for what is no
    view; if snapshots held them all, each would wait for the others.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self._turns = asyncio.Semaphore(max(1, pool.get_max_size() // 2))

    async def row(self, view: ViewName, owner: str, key: str = "") -> bytes | None:
        """One row's JSON."""
        async with connected(self._pool) as connection:
            return await PostgresRows(connection).row(view, owner, key)

    async def rows(
        self, view: ViewName, owner: str, *, after_key: str = "", limit: int, descending: bool = False
    ) -> list[StoredRow]:
        """An owner's rows after a key."""
        async with connected(self._pool) as connection:
            found = PostgresRows(connection)
            return await found.rows(view, owner, after_key=after_key, limit=limit, descending=descending)

    async def across(
        self, view: ViewName, *, of_owners: Collection[OwnerId] | None = None, after_bot: str = "", limit: int
    ) -> list[StoredRow]:
        """The single-row views across bots."""
        async with connected(self._pool) as connection:
            found = PostgresRows(connection)
            return await found.across(view, of_owners=of_owners, after_bot=after_bot, limit=limit)

    async def position(self, projection: str = SERVING) -> int:
        """The position up to which the serving views are built."""
        async with connected(self._pool) as connection:
            position, _ = await _serving(connection, projection)
        return position

    async def found(self, view: ViewName, owner: str, key: str = "") -> Found:
        """One row with its position, and the log's.

        One statement looks at one moment, which begins when it has its tables: a swap is before all of it or after.
        """
        projection = PROJECTION_OF[view]
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(_SQL[view].found, projection, owner, key)
        if row is None:
            raise UnknownProjection(f"there is no projection {projection}")
        body, position, head = row
        return Found(None if body is None else body.encode(), position, head)

    @asynccontextmanager
    async def snapshot(self, projection: str = SERVING) -> AsyncIterator["PostgresSnapshot"]:
        """The serving rows at one position.

        The tables are locked against a swap before the transaction first looks at anything: renaming is not part of a
        snapshot, so a reader that began before a swap could otherwise find new tables beside an old checkpoint.
        """
        async with (
            self._turn(),
            connected(self._pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            if projection not in _HOLD:
                raise UnknownProjection(f"there is no projection {projection}")
            await connection.execute(_HOLD[projection])
            position, version = await _serving(connection, projection)
            yield PostgresSnapshot(connection, projection, position=position, version=version)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._turns.acquire()
        except TimeoutError as error:
            raise StoreUnavailable("the database is busy with others") from error
        try:
            yield
        finally:
            self._turns.release()

    async def standings(self) -> list[Standing]:
        """Every build of every projection."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_STANDINGS)
        return [_standing(row) for row in rows]


class PostgresRows:
    """Reads rows over one connection."""

    def __init__(self, connection: PoolConnectionProxy) -> None:
        self._connection = connection

    async def row(self, view: ViewName, owner: str, key: str = "") -> bytes | None:
        """One row's JSON."""
        body: str | None = await self._connection.fetchval(_SQL[view].one, owner, key)
        return None if body is None else body.encode()

    async def rows(
        self, view: ViewName, owner: str, *, after_key: str = "", limit: int, descending: bool = False
    ) -> list[StoredRow]:
        """An owner's rows after a key."""
        statement = _SQL[view].descending if descending else _SQL[view].ascending
        return _stored(await self._connection.fetch(statement, owner, after_key, limit))

    async def across(
        self, view: ViewName, *, of_owners: Collection[OwnerId] | None = None, after_bot: str = "", limit: int
    ) -> list[StoredRow]:
        """The single-row views across bots."""
        if of_owners is None:
            return _stored(await self._connection.fetch(_SQL[view].across, after_bot, limit))
        wanted = sorted(set(of_owners))
        return _stored(await self._connection.fetch(_SQL[view].across_owners, wanted, after_bot, limit))


class PostgresSnapshot(PostgresRows):
    """Rows at one position, for as long as the transaction lasts."""

    def __init__(self, connection: PoolConnectionProxy, projection: str, *, position: int, version: int) -> None:
        super().__init__(connection)
        self._projection = projection
        self.position = position
        self.version = version

    async def everything(self) -> dict[ViewName, list[StoredRow]]:
        """Every row of every view."""
        views = VIEWS_OF[self._projection]
        return {view: _stored(await self._connection.fetch(_SQL[view].everything)) for view in views}

    async def version_of(self, bot_id: BotId) -> int:
        """The version of the bot's stream at this position."""
        version: int | None = await self._connection.fetchval(_VERSION, bot_stream(bot_id), self.position)
        return version or 0


async def _serving(connection: PoolConnectionProxy, projection: str) -> tuple[int, int]:
    """Position and version of the serving build."""
    row = await connection.fetchrow(_SERVING, projection)
    if row is None:
        raise UnknownProjection(f"there is no projection {projection}")
    return row["position"], row["version"]


def _standing(row: asyncpg.Record) -> Standing:
    name, rebuild, version, position, head, lag_seconds, *stop, seen_at, seen_seconds = row
    stopped = None if stop[0] is None else Poison(*stop)
    return Standing(name, rebuild, version, position, head, lag_seconds, stopped, seen_at, seen_seconds)


def _stored(rows: Sequence[asyncpg.Record]) -> list[StoredRow]:
    return [StoredRow(row["owner"], row["key"], row["body"].encode()) for row in rows]
