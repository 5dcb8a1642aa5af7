"""Calls to the log's Postgres: repeated while that can help, and ended by the log's own errors."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import stamina

from events.errors import InvalidAppend, LogClosed, LogError, LogUnavailable

Answer = TypeVar("Answer")
Connection = asyncpg.pool.PoolConnectionProxy

ATTEMPT_SECONDS = 10.0
LAST_ATTEMPT_SECONDS = 1.0
"""What the attempt that a deadline falls into gets at least."""

REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
"""The database looked at the values and will never take them."""

UNKNOWN_OUTCOME = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""The database, or the way to it, failed for now: the same call with the same ids is right to repeat."""


class Calls:
    """Calls over a pool; one whose outcome is unknown is repeated as it is for up to ``deadline_seconds``."""

    def __init__(self, pool: asyncpg.Pool, *, deadline_seconds: float) -> None:
        self._pool = pool
        self._deadline_seconds = deadline_seconds

    async def repeat(self, call: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        """The call's answer, from the first attempt that gets one.

        Raises ``InvalidAppend`` for values that the database refuses, ``LogClosed`` over a closed pool,
        ``LogUnavailable`` at the deadline, ``LogError`` for any other error of the database.
        """
        ends_at = asyncio.get_running_loop().time() + self._deadline_seconds
        try:
            return await self.attempt(call, ends_at=ends_at)
        except UNKNOWN_OUTCOME as error:
            if not self._is_worth_repeating(error):
                raise self._translated(error) from error
        except asyncpg.PostgresError as error:
            raise self._translated(error) from error
        return await self._persist(call, ends_at)

    async def attempt(self, call: Callable[[Connection], Awaitable[Answer]], *, ends_at: float | None = None) -> Answer:
        """The call's answer, in bounded time; raises what asyncpg does, or ``TimeoutError``.

        A task that is cancelled just as its connection dies may see asyncpg's error in place of its cancellation.
        """
        seconds = ATTEMPT_SECONDS
        if ends_at is not None:
            left = ends_at - asyncio.get_running_loop().time()
            seconds = min(seconds, max(left, LAST_ATTEMPT_SECONDS))
        try:
            async with asyncio.timeout(seconds), self._pool.acquire() as connection:
                return await _ended_with(connection, call(connection))
        except UNKNOWN_OUTCOME:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from None
            raise

    async def _persist(self, call: Callable[[Connection], Awaitable[Answer]], ends_at: float) -> Answer:
        attempts = stamina.retry_context(
            on=self._is_worth_repeating,
            attempts=None,
            timeout=max(ends_at - asyncio.get_running_loop().time(), LAST_ATTEMPT_SECONDS),
            wait_initial=0.05,
            wait_jitter=0.05,
            wait_max=1.0,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    return await self.attempt(call, ends_at=ends_at)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise self._translated(error) from error
        raise AssertionError("retrying ends with an answer or an error")

    def _is_worth_repeating(self, error: Exception) -> bool:
        return isinstance(error, UNKNOWN_OUTCOME) and not _is_refusal(error) and not self._pool.is_closing()

    def _translated(self, error: Exception) -> LogError:
        if _is_refusal(error):
            return InvalidAppend(f"the database refused a value: {error}")
        if isinstance(error, UNKNOWN_OUTCOME):
            kind = LogClosed if self._pool.is_closing() else LogUnavailable
            return kind(f"the log could not be reached: {type(error).__name__}: {error}")
        return LogError(f"the database refused the call: {error}")


async def _ended_with(connection: Connection, answer: Awaitable[Answer]) -> Answer:
    """The answer; if nobody waits for it any longer, or asyncpg has lost its place in it, the connection is given up.

    Else the pool would wait, for ever, until a server that does not answer has acknowledged the cancellation, or hand
    out a connection on which nothing can be asked any more.
    """
    try:
        return await answer
    except (asyncio.CancelledError, asyncpg.InternalClientError):
        if not connection.is_closed():
            connection.terminate()
        raise


def _is_refusal(error: Exception) -> bool:
    # What asyncpg itself cannot encode it refuses with an InterfaceError that is also a ValueError.
    return isinstance(error, REFUSED) or (isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError))
