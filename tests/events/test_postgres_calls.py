"""Calls to the database end as cancelled when they are cancelled, whatever asyncpg says at that moment."""

import asyncio

import asyncpg
import pytest

from events.postgres_calls import Calls, Connection

pytestmark = pytest.mark.anyio


async def test_a_task_cancelled_as_its_connection_dies_ends_as_cancelled(pool: asyncpg.Pool) -> None:
    """Asyncpg's release may raise in place of the cancellation; that is no reason to try again."""
    attempts = 0

    async def dies(_: Connection) -> None:
        nonlocal attempts
        attempts += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise asyncpg.InternalClientError("release() called on a free connection holder") from None

    task = asyncio.create_task(Calls(pool, deadline_seconds=5).repeat(dies))
    while not attempts:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=2)
    assert task.cancelled()
    assert attempts == 1
