"""Runs the execution of an account, and begins it anew whenever the account is given other keys."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from events.account import AccountKeysSet
from events.errors import LogUnavailable
from events.identifiers import AccountName, account_stream
from events.log import EventLog
from oxbot.app.clock import Clock

LOOK_SECONDS = 5.0
"""Between two looks for other keys: a subscription would hold a connection to the database for that alone."""

logger = structlog.get_logger(__name__)


class Execution(Protocol):
    """Works for the account until it is cancelled, fails, or has been superseded, when it returns."""

    async def run(self) -> None:
        """Work."""
        ...


class KeyedExecution:
    """One execution after the other, each with the keys that were set last when it began."""

    def __init__(self, account: AccountName, *, log: EventLog, begin: Callable[[], Execution], clock: Clock) -> None:
        self._stream = account_stream(account)
        self._log = log
        self._begin = begin
        self._clock = clock
        self._version = 0

    async def run(self) -> None:
        """Work until cancelled, superseded or failed."""
        await self._keys_set()
        while await self._worked_until_keys_set():
            logger.warning("account_keys_changed", stream=self._stream)

    async def _worked_until_keys_set(self) -> bool:
        """Whether it ended because the account was given other keys."""
        working = asyncio.ensure_future(self._begin().run())
        watching = asyncio.ensure_future(self._watch())
        try:
            await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
                return False
            await watching
            return True
        finally:
            for task in (working, watching):
                task.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                if await self._keys_set():
                    return
            except LogUnavailable as error:
                logger.warning("keys_not_looked_for", stream=self._stream, error=str(error))

    async def _keys_set(self) -> bool:
        """Whether keys were set since the last look."""
        events = await self._log.read_stream(self._stream, after_version=self._version)
        self._version = events[-1].version if events else self._version
        return any(isinstance(event.fact, AccountKeysSet) for event in events)
