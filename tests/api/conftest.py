"""The running API, for each test of it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from events.codec import Codec
from events.postgres import PostgresEventLog
from tests.api.people import postgres_people
from tests.api.stage import Stage, running


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """The API over memory."""
    async with running(Stage()) as running_stage:
        yield running_stage


@pytest.fixture
async def stored_stage(pool: asyncpg.Pool) -> AsyncIterator[Stage]:
    """The API with its log and its accounts in Postgres."""
    stage = Stage(log=PostgresEventLog(pool, Codec()), people=postgres_people(pool))
    async with running(stage) as running_stage:
        yield running_stage
