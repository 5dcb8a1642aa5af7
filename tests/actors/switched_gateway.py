"""A gateway process whose database can be changed, so that a whole suite of tests needs only one."""

import asyncio
from contextlib import AsyncExitStack

from actors.gateway import open_service
from actors.log_service import LogService
from oxbot.wiring.stores import Database


class SwitchedGateway:
    """Serves one database at a time."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._service: LogService | None = None

    async def switch_to(self, database: Database) -> None:
        """Serve this database from now on."""
        self._service = await self._stack.enter_async_context(open_service("switched", database))
        running = asyncio.create_task(self._service.run())
        self._stack.callback(running.cancel)

    async def close(self) -> None:
        """Let go of the database."""
        await self._stack.aclose()

    async def answer(self, request: bytes) -> bytes:
        """See ``GatewayActor.answer``."""
        assert self._service is not None
        return await self._service.answer(request)
