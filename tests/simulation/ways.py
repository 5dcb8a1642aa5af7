"""The ways by which writers append and readers read at once, each over connections of its own."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from events.codec import Codec
from events.commit import BatchLog, GroupCommitLog
from events.log import EventLog
from events.postgres import PostgresEventLog
from oxbot.adapters.database import open_pool

DEADLINE_SECONDS = 3.0
"""How long a way tries by itself; short, so that much is left to the writers."""

APPLICATION = "chaos"


class Ways:
    """The ways to one log, by name; closed together."""

    def __init__(self, dsn: str) -> None:
        self.logs: dict[str, EventLog] = {}
        self._dsn = dsn
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def add_direct(self, name: str, *, connections: int) -> None:
        """Each append by itself, over so many connections."""
        self.logs[name] = await self.connected(connections)

    async def add_grouped(self, name: str) -> None:
        """The appends of many writers together, over one connection; the other one reads."""
        await self.add_over(name, await self.connected(2))

    async def add_over(self, name: str, log: BatchLog) -> None:
        """The appends of many writers together, over another log."""
        self.logs[name] = await self._stack.enter_async_context(GroupCommitLog(log, Codec()))

    async def connected(self, connections: int) -> PostgresEventLog:
        """A log over connections of its own; over a single one, no hint can reach its readers."""
        pool = await open_pool(self._dsn, size=connections, application_name=APPLICATION)
        await self._stack.enter_async_context(pool)
        return PostgresEventLog(pool, Codec(), deadline_seconds=DEADLINE_SECONDS)
