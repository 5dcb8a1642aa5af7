"""The views in Postgres: written with their checkpoint in one transaction, read as the JSON they were written as."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from events.identifiers import BotId
from oxbot.adapters.database import connected
from oxbot.app.views import CheckpointMoved, RowChange, StoredRow
from oxbot.views.rows import VIEWS, ViewName


class _Statements(NamedTuple):
    """The SQL of one view's table."""

    upsert: str
    delete: str
    one: str
    ascending: str
    descending: str
    across: str
    everything: str


def _statements(view: ViewName) -> _Statements:
    table = "views." + view
    return _Statements(
        upsert="insert into " + table + " (bot_id, key, body) select * from unnest($1::text[], $2::text[], $3::json[])"
        " on conflict (bot_id, key) do update set body = excluded.body",
        delete="delete from " + table + " t using unnest($1::text[], $2::text[]) as gone(bot_id, key)"
        " where t.bot_id = gone.bot_id and t.key = gone.key",
        one="select body from " + table + " where bot_id = $1 and key = $2",
        ascending="select bot_id, key, body from " + table + " where bot_id = $1 and key > $2 order by key limit $3",
        descending="select bot_id, key, body from " + table + " where bot_id = $1 and ($2 = '' or key < $2)"
        " order by key desc limit $3",
        across="select bot_id, key, body from " + table + " where bot_id > $1 order by bot_id limit $2",
        everything="select bot_id, key, body from " + table + " order by bot_id, key",
    )


# Table names come from the closed list VIEWS, never from a caller.
_SQL = {view: _statements(view) for view in VIEWS}
_CHECKPOINT = 'select "position" from views.checkpoint'
_MOVE = 'update views.checkpoint set "position" = $2, updated_at = clock_timestamp() where "position" = $1'
_BOOKS = "select bot_id, body from views.books where bot_id = any($1::text[])"
_KEEP_BOOKS = """
    insert into views.books (bot_id, body) select * from unnest($1::text[], $2::bytea[])
    on conflict (bot_id) do update set body = excluded.body
"""


class PostgresViews:
    """Implements ``ViewStore`` and ``ViewReader`` over a pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def checkpoint(self) -> int:
        """The position up to which the views are built."""
        async with connected(self._pool) as connection:
            position: int = await connection.fetchval(_CHECKPOINT)
        return position

    async def books(self, bot_ids: Sequence[BotId]) -> dict[BotId, bytes]:
        """What the projector last remembered of these bots."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_BOOKS, list(bot_ids))
        return {BotId(row["bot_id"]): row["body"] for row in rows}

    async def commit(
        self, changes: Sequence[RowChange], books: dict[BotId, bytes], *, after: int, position: int
    ) -> None:
        """Write rows, books and checkpoint together; ``CheckpointMoved`` if somebody else was first."""
        async with connected(self._pool) as connection, connection.transaction():
            if await connection.execute(_MOVE, after, position) != "UPDATE 1":
                raise CheckpointMoved(f"the views are no longer at position {after}; another projector is at work")
            for view, of_view in _by_view(changes).items():
                await _write(connection, view, of_view)
            await connection.execute(_KEEP_BOOKS, list(books), list(books.values()))

    async def row(self, view: ViewName, bot_id: BotId, key: str = "") -> bytes | None:
        """One row's JSON."""
        async with connected(self._pool) as connection:
            body: str | None = await connection.fetchval(_SQL[view].one, bot_id, key)
        return None if body is None else body.encode()

    async def rows(
        self, view: ViewName, bot_id: BotId, *, after_key: str = "", limit: int, descending: bool = False
    ) -> list[StoredRow]:
        """A bot's rows after a key."""
        statement = _SQL[view].descending if descending else _SQL[view].ascending
        async with connected(self._pool) as connection:
            return _stored(await connection.fetch(statement, bot_id, after_key, limit))

    async def across(self, view: ViewName, *, after_bot: str = "", limit: int) -> list[StoredRow]:
        """The single-row views across bots."""
        async with connected(self._pool) as connection:
            return _stored(await connection.fetch(_SQL[view].across, after_bot, limit))

    async def everything(self) -> tuple[int, dict[ViewName, list[StoredRow]]]:
        """Every row at one checkpoint, from one snapshot."""
        async with (
            connected(self._pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            position: int = await connection.fetchval(_CHECKPOINT)
            views = {view: _stored(await connection.fetch(_SQL[view].everything)) for view in VIEWS}
        return position, views


def _by_view(changes: Sequence[RowChange]) -> dict[ViewName, list[RowChange]]:
    by_view: dict[ViewName, list[RowChange]] = defaultdict(list)
    for change in changes:
        by_view[change.view].append(change)
    return by_view


async def _write(connection: PoolConnectionProxy, view: ViewName, changes: Sequence[RowChange]) -> None:
    kept = [(change.bot_id, change.key, change.body.decode()) for change in changes if change.body is not None]
    gone = [(change.bot_id, change.key) for change in changes if change.body is None]
    if kept:
        await connection.execute(_SQL[view].upsert, *(list(column) for column in zip(*kept, strict=True)))
    if gone:
        await connection.execute(_SQL[view].delete, *(list(column) for column in zip(*gone, strict=True)))


def _stored(rows: Sequence[asyncpg.Record]) -> list[StoredRow]:
    return [StoredRow(BotId(row["bot_id"]), row["key"], row["body"].encode()) for row in rows]
