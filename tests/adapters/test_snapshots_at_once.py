"""Snapshots of the views leave connections to what is asked for beside them."""

import asyncio

import asyncpg
import pytest

from oxbot.adapters.postgres_failing_bots import PostgresFailingBots
from oxbot.adapters.postgres_views import PostgresViews

pytestmark = pytest.mark.anyio


async def test_many_who_need_another_connection_beside_their_snapshot_do_not_wait_for_each_other(
    pool: asyncpg.Pool,
) -> None:
    views, failing = PostgresViews(pool), PostgresFailingBots(pool)

    async def read() -> int:
        async with views.snapshot():
            # Others begin before this goes on, as in a process that serves many.
            await asyncio.sleep(0)
            return len(await failing.all())

    async with asyncio.timeout(5):
        assert await asyncio.gather(*(read() for _ in range(24))) == [0] * 24
