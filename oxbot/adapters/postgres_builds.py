"""Builds of projections in Postgres: rows, books and checkpoint in one transaction, and the swap of one for another."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from events.errors import StoreUnavailable
from events.identifiers import EventId
from oxbot.adapters.database import connected
from oxbot.app.views import Checkpoint, CheckpointMoved, RowsRefused, Swap, Target
from oxbot.views.fold import Poison, RowChange
from oxbot.views.projections import PROJECTIONS, VIEWS_OF
from oxbot.views.rows import VIEWS, ViewName

REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
SWAP_LOCK = "set local lock_timeout = '1s'"
LAZY_COMMIT = "set local synchronous_commit = off"

CHECKPOINT = 'select build, version, "position" from views.projections where name = $1 and rebuild = $2'
MOVE = """
    update views.projections
    set "position" = $5, version = $6, updated_at = clock_timestamp(),
        stopped_position = null, stopped_type = null, stopped_error = null
    where name = $1 and rebuild = $2 and build = $3 and "position" = $4
"""
STOP = """
    update views.projections
    set stopped_position = $5, stopped_type = $6, stopped_error = $7, updated_at = clock_timestamp()
    where name = $1 and rebuild = $2 and build = $3 and "position" = $4
"""
OPEN = """
    insert into views.projections (name, rebuild, build, version, "position") values ($1, true, $2, $3, 0)
    on conflict (name, rebuild) do nothing
"""
DISCARD = "delete from views.projections where name = $1 and rebuild"
BOTH = 'select rebuild, build, "position" from views.projections where name = $1 order by rebuild for update'
RETIRE = "delete from views.projections where name = $1 and not rebuild"
SERVE = """
    update views.projections
    set rebuild = false, served_from = "position", announced = false, updated_at = clock_timestamp(),
        stopped_position = null, stopped_type = null, stopped_error = null
    where name = $1 and rebuild
"""
UNANNOUNCED = """
    select build, version, served_from from views.projections where name = $1 and not rebuild and not announced
"""
ANNOUNCED = "update views.projections set announced = true where name = $1 and not rebuild and build = $2"
OPEN_TABLES = "select views.open_build($1, $2::text[])"
DROP_TABLES = "select views.drop_build($1, $2::text[])"
SERVE_TABLES = "select views.serve_build($1, $2::text[])"


class _Writes(NamedTuple):
    """The SQL that changes one view's table."""

    upsert: str
    delete: str


def _writes(table: str) -> _Writes:
    return _Writes(
        upsert="insert into " + table + " (owner, key, body) select * from unnest($1::text[], $2::text[], $3::json[])"  # noqa: S608 - a name out of VIEWS
        " on conflict (owner, key) do update set body = excluded.body",
        delete="delete from " + table + " t using unnest($1::text[], $2::text[]) as gone(owner, key)"  # noqa: S608 - as above
        " where t.owner = gone.owner and t.key = gone.key",
    )


def _books(table: str) -> tuple[str, str]:
    """How to read and how to keep books."""
    read = "select owner, body from " + table + " where owner = any($1::text[])"  # noqa: S608 - a name out of PROJECTIONS
    keep = (
        "insert into " + table + " (owner, body) select * from unnest($1::text[], $2::bytea[])"  # noqa: S608 - as above
        " on conflict (owner) do update set body = excluded.body"
    )
    return read, keep


_SCHEMAS = {False: "views.", True: "views_next."}
_WRITES = {(rebuild, view): _writes(schema + view) for rebuild, schema in _SCHEMAS.items() for view in VIEWS}
_BOOKS = {
    Target(known.name, rebuild): _books(schema + known.name + "_books")
    for rebuild, schema in _SCHEMAS.items()
    for known in PROJECTIONS
}


class PostgresBuilds:
    """Implements ``RebuildStore`` over a pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def checkpoint(self, target: Target) -> Checkpoint | None:
        """How far the build is."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(CHECKPOINT, *target)
        return None if row is None else Checkpoint(*row)

    async def books(self, target: Target, owners: Sequence[str]) -> dict[str, bytes]:
        """What the projector last remembered of these owners."""
        read, _ = _BOOKS[target]
        try:
            async with connected(self._pool) as connection:
                rows = await connection.fetch(read, list(owners))
        except asyncpg.UndefinedTableError:
            return {}
        return {row["owner"]: row["body"] for row in rows}

    async def commit(
        self,
        target: Target,
        changes: Sequence[RowChange],
        books: Mapping[str, bytes],
        *,
        after: Checkpoint,
        reached: Checkpoint,
    ) -> None:
        """Write rows, books and checkpoint together; ``CheckpointMoved`` if somebody else was first."""
        async with self._transaction() as connection:
            if target.rebuild:
                # A crash may take the last batches back, rows and checkpoint together; the swap is durable as ever.
                await connection.execute(LAZY_COMMIT)
            place = (*target, after.build, after.position)
            if await connection.execute(MOVE, *place, reached.position, reached.version) != "UPDATE 1":
                raise CheckpointMoved(f"projection {target.projection} is no longer at position {after.position}")
            for view, of_view in _by_view(changes).items():
                await _write(connection, _WRITES[target.rebuild, view], of_view)
            if books:
                _, keep = _BOOKS[target]
                await connection.execute(keep, list(books), list(books.values()))

    async def stop(self, target: Target, poison: Poison, *, at: Checkpoint) -> None:
        """Show why the build goes no further."""
        await self._mark(STOP, target, at, *poison)

    async def beat(self, target: Target, *, at: Checkpoint) -> None:
        """Show that somebody keeps the build and that nothing stops it."""
        await self._mark(MOVE, target, at, at.position, at.version)

    async def open_rebuild(self, projection: str, *, version: int, build: EventId) -> None:
        """Make an empty build beside the serving one, unless there is one."""
        async with self._transaction() as connection:
            if await connection.execute(OPEN, projection, build, version) == "INSERT 0 1":
                await connection.execute(OPEN_TABLES, projection, VIEWS_OF[projection])

    async def discard_rebuild(self, projection: str) -> bool:
        """Drop the build under way."""
        async with self._transaction() as connection:
            found = await connection.execute(DISCARD, projection) == "DELETE 1"
            if found:
                await connection.execute(DROP_TABLES, projection, VIEWS_OF[projection])
        return found

    async def serve_rebuild(self, projection: str, *, rebuilt: Checkpoint, head: int) -> bool:
        """Let the build serve from now on; its row and its tables take the old one's place in one transaction."""
        async with self._transaction() as connection:
            await connection.execute(SWAP_LOCK)
            builds = {row["rebuild"]: row for row in await connection.fetch(BOTH, projection)}
            under_way = builds.get(True)
            if under_way is None or (under_way["build"], under_way["position"]) != (rebuilt.build, rebuilt.position):
                raise CheckpointMoved(f"the build of projection {projection} is no longer at {rebuilt.position}")
            if rebuilt.position < builds[False]["position"] <= head:
                return False
            try:
                async with connection.transaction():
                    await connection.execute(SERVE_TABLES, projection, VIEWS_OF[projection])
            except asyncpg.LockNotAvailableError:
                return False
            await connection.execute(RETIRE, projection)
            await connection.execute(SERVE, projection)
        return True

    async def unannounced(self, projection: str) -> Swap | None:
        """The last swap, if its fact may still be missing from the log."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(UNANNOUNCED, projection)
        return None if row is None else Swap(*row)

    async def announced(self, projection: str, build: EventId) -> None:
        """The fact of that swap is in the log."""
        async with connected(self._pool) as connection:
            await connection.execute(ANNOUNCED, projection, build)

    async def _mark(self, statement: str, target: Target, at: Checkpoint, *values: object) -> None:
        async with connected(self._pool) as connection:
            marked = await connection.execute(statement, *target, at.build, at.position, *values)
        if marked != "UPDATE 1":
            raise CheckpointMoved(f"projection {target.projection} is no longer at position {at.position}")

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[PoolConnectionProxy]:
        try:
            async with connected(self._pool) as connection, _refusing(), connection.transaction():
                yield connection
        except asyncpg.TransactionRollbackError as error:
            raise StoreUnavailable("the database took a transaction back") from error
        except asyncpg.UndefinedTableError as error:
            raise CheckpointMoved("the build's tables are gone: it serves, or was discarded") from error


@asynccontextmanager
async def _refusing() -> AsyncIterator[None]:
    """Inside ``connected``, which takes whatever asyncpg itself cannot encode for a lost connection."""
    try:
        yield
    except REFUSED as error:
        raise RowsRefused(f"the database refused a row: {error}") from error
    except asyncpg.InterfaceError as error:
        if isinstance(error, ValueError):
            raise RowsRefused(f"a row cannot be sent to the database: {error}") from error
        raise


def _by_view(changes: Sequence[RowChange]) -> dict[ViewName, list[RowChange]]:
    by_view: dict[ViewName, list[RowChange]] = defaultdict(list)
    for change in changes:
        by_view[change.view].append(change)
    return by_view


async def _write(connection: PoolConnectionProxy, writes: _Writes, changes: Sequence[RowChange]) -> None:
    kept = [(change.owner, change.key, change.body.decode()) for change in changes if change.body is not None]
    gone = [(change.owner, change.key) for change in changes if change.body is None]
    if kept:
        await connection.execute(writes.upsert, *(list(column) for column in zip(*kept, strict=True)))
    if gone:
        await connection.execute(writes.delete, *(list(column) for column in zip(*gone, strict=True)))
