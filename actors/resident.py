"""Keeps one long-running coroutine going in an actor's process, and ends the process if it fails."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar

import structlog

EXIT_STATUS = 70

logger = structlog.get_logger(__name__)


class Runner(Protocol):
    """Something that runs until it is cancelled."""

    async def run(self) -> None:
        """Run."""
        ...


RunnerT = TypeVar("RunnerT", bound=Runner)


class Resident(Generic[RunnerT]):
    """Opens a runner on first use and runs it for as long as the process lives.

    A runner that fails is a process that fails: it exits, Ray starts a clean one, and that one begins from the log. So
    there is one way to recover, whatever went wrong.
    """

    def __init__(self, name: str, open_runner: Callable[[], AbstractAsyncContextManager[RunnerT]]) -> None:
        self._name = name
        self._open = open_runner
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[RunnerT] | None = None

    async def runner(self) -> RunnerT:
        """The runner, at work."""
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._reside(self._ready), name=self._name)
        return await asyncio.shield(self._ready)

    async def _reside(self, ready: asyncio.Future[RunnerT]) -> None:
        """The top of the process: whatever goes wrong below ends it."""
        try:
            async with self._open() as runner:
                ready.set_result(runner)
                await runner.run()
                await asyncio.Event().wait()
        except Exception:
            logger.exception("resident_failed", name=self._name)
            os._exit(EXIT_STATUS)
