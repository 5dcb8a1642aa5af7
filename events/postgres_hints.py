"""What NOTIFY tells this process: one connection of the pool listens, for all waiters, while anyone waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from events.postgres_calls import UNKNOWN_OUTCOME

HINT_CHANNEL = "oxbot_log"
LISTEN_SECONDS = 1.0


class Hints:
    """The hints that reach this process; any may be lost, so whoever waits for one looks for himself as well."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._waiters = 0
        self._changing = asyncio.Lock()
        self._hinted = asyncio.Event()
        self._connection: asyncpg.pool.PoolConnectionProxy | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listens inside the block if the pool can spare a connection; else the waiter's poll is all there is."""
        self._waiters += 1
        try:
            async with self._changing:
                if self._connection is None and self._pool.get_max_size() > 1:
                    await self._listen()
            yield
        finally:
            self._waiters -= 1
            async with self._changing:
                if self._waiters == 0 and self._connection is not None:
                    await self._unlisten(self._connection)

    def next_hint(self) -> asyncio.Event:
        """Set by the first hint from now on."""
        return self._hinted

    async def _listen(self) -> None:
        connection: asyncpg.pool.PoolConnectionProxy | None = None
        try:
            async with asyncio.timeout(LISTEN_SECONDS):
                connection = await self._pool.acquire()
                await connection.add_listener(HINT_CHANNEL, self._on_hint)
        except BaseException as error:
            if connection is not None:
                await self._give_up(connection)
            if not isinstance(error, UNKNOWN_OUTCOME):
                raise
        else:
            self._connection = connection

    async def _unlisten(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        self._connection = None
        try:
            async with asyncio.timeout(LISTEN_SECONDS):
                await connection.remove_listener(HINT_CHANNEL, self._on_hint)
        except BaseException as error:
            await self._give_up(connection)
            if not isinstance(error, UNKNOWN_OUTCOME):
                raise
        else:
            await self._release(connection)

    async def _give_up(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        """End one that does not answer: the pool would wait for it for ever."""
        with suppress(asyncpg.InterfaceError):
            connection.terminate()
        await self._release(connection)

    async def _release(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        # The pool refuses to take back a connection that died meanwhile; it has forgotten it already.
        with suppress(*UNKNOWN_OUTCOME):
            await self._pool.release(connection)

    def _on_hint(self, *_: object) -> None:
        self._hinted.set()
        self._hinted = asyncio.Event()
