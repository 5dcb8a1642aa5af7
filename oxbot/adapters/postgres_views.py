"""The views in Postgres: read as the JSON they were written as, alone or several at one position."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from oxbot.adapters.database import connected
from oxbot.adapters.postgres_builds import PostgresBuilds
from oxbot.app.views import SERVING, Standing, StoredRow, UnknownProjection
from oxbot.views.fold import Poison
from oxbot.views.projections import VIEWS_OF
from oxbot.views.rows import VIEWS, ViewName


class _Statements(NamedTuple):
    """The SQL that reads one view's table."""

    one: str
    ascending: str
    descending: str
    across: str
    everything: str


def _statements(view: ViewName) -> _Statements:
    table = "views." + view
    return _Statements(
        one="select body from " + table + " where owner = $1 and key = $2",
        ascending="select owner, key, body from " + table + " where owner = $1 and key > $2 order by key limit $3",
        descending="select owner, key, body from " + table + " where owner = $1 and ($2 = '' or key < $2)"
        " order by key desc limit $3",
        across="select owner, key, body from " + table + " where owner > $1 order by owner limit $2",
        everything="select owner, key, body from " + table + " order by owner, key",
    )


# Table names come from the closed list VIEWS, never from a caller.
_SQL = {view: _statements(view) for view in VIEWS}
# In the order in which a swap takes its locks.
_HOLD = {
    name: "lock table " + ", ".join("views." + view for view in sorted(views)) + " in access share mode"
    for name, views in VIEWS_OF.items()
}
_SERVING = 'select "position", version from views.projections where name = $1 and not rebuild'
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
    """Implements ``ViewReader`` beside ``RebuildStore`` over a pool."""

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

    async def across(self, view: ViewName, *, after_bot: str = "", limit: int) -> list[StoredRow]:
        """The single-row views across bots."""
        async with connected(self._pool) as connection:
            return await PostgresRows(connection).across(view, after_bot=after_bot, limit=limit)

    async def position(self, projection: str = SERVING) -> int:
        """The position up to which the serving views are built."""
        async with connected(self._pool) as connection:
            position, _ = await _serving(connection, projection)
        return position

    @asynccontextmanager
    async def snapshot(self, projection: str = SERVING) -> AsyncIterator["PostgresSnapshot"]:
        """The serving rows at one position.

        The tables are locked against a swap before the transaction first looks at anything: renaming is not part of a
        snapshot, so a reader that began before a swap could otherwise find new tables beside an old checkpoint.
        """
        async with (
            connected(self._pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            if projection not in _HOLD:
                raise UnknownProjection(f"there is no projection {projection}")
            await connection.execute(_HOLD[projection])
            position, version = await _serving(connection, projection)
            yield PostgresSnapshot(connection, projection, position=position, version=version)

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

    async def across(self, view: ViewName, *, after_bot: str = "", limit: int) -> list[StoredRow]:
        """The single-row views across bots."""
        return _stored(await self._connection.fetch(_SQL[view].across, after_bot, limit))


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
