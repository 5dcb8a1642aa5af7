"""Readiness of a process over a real database."""

import asyncpg
import pytest

from events.account import AccountUnreconciled
from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import AccountName, StreamId, VenueName, new_event_id
from events.postgres import PostgresEventLog
from events.user import SignInFailed
from oxbot.adapters.database import open_pool
from oxbot.adapters.postgres_candles import PostgresCandleStore
from oxbot.adapters.postgres_readiness import PostgresReadiness
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.account_directory import AccountDirectory
from oxbot.app.projections import Projections
from oxbot.app.venue_checks import MovingMarket, VenueChecks
from oxbot.app.views import Target
from oxbot.views.fold import Poison
from tests.api.stage import BTC, START, now
from tests.app.accounts import open_account

pytestmark = pytest.mark.anyio


def readiness(pool: asyncpg.Pool, lag_events_max: int = 10) -> PostgresReadiness:
    """The checks over this pool."""
    log = PostgresEventLog(pool, Codec(), deadline_seconds=0.5)
    return PostgresReadiness(pool, Projections(log, PostgresViews(pool)), lag_events_max=lag_events_max)


async def outcomes(pool: asyncpg.Pool, lag_events_max: int = 10) -> dict[str, bool]:
    """Each check and whether it is fine."""
    return {check.name: check.ok for check in await readiness(pool, lag_events_max).check()}


async def test_a_migrated_database_with_views_that_keep_up_is_ready(pool: asyncpg.Pool) -> None:
    assert await outcomes(pool) == {"database": True, "schema": True, "projection": True}


async def test_views_that_lag_are_not_ready(pool: asyncpg.Pool) -> None:
    events = [NewEvent(event_id=new_event_id(), occurred_at=now(), fact=SignInFailed()) for _ in range(3)]
    await PostgresEventLog(pool, Codec()).append(StreamId("user-1"), events, expected=0)

    assert (await outcomes(pool, lag_events_max=2))["projection"] is False
    assert (await outcomes(pool, lag_events_max=3))["projection"] is True


@pytest.mark.parametrize("name", ["bots", "users", "system", "models", "alerts"])
async def test_a_projection_that_stands_still_is_not_ready(pool: asyncpg.Pool, name: str) -> None:
    views = PostgresViews(pool)
    checkpoint = await views.checkpoint(Target(name))
    assert checkpoint is not None
    await views.stop(Target(name), Poison(1, "bot.paused", "no"), at=checkpoint)
    assert (await outcomes(pool))["projection"] is False

    await views.beat(Target(name), at=checkpoint)
    assert (await outcomes(pool))["projection"] is True


async def test_views_beyond_the_end_of_the_log_are_not_ready(pool: asyncpg.Pool) -> None:
    await pool.execute("UPDATE views.projections SET position = 9 WHERE name = 'users'")
    [_, _, projection] = await readiness(pool).check()

    assert not projection.ok
    assert "users ahead, 9 positions beyond the log's end" in projection.detail


async def test_an_unmigrated_database_is_not_ready(empty_database: str) -> None:
    pool = await open_pool(empty_database, size=3, application_name="tests")
    try:
        found = await outcomes(pool)
    finally:
        await pool.close()

    assert (found["database"], found["schema"]) == (True, False)
    assert found["projection"] is False


async def test_a_database_that_is_gone_is_not_ready(pool: asyncpg.Pool) -> None:
    await pool.close()

    assert set((await outcomes(pool)).values()) == {False}


async def test_a_feed_that_is_late_and_an_account_in_trouble_are_not_ready(pool: asyncpg.Pool) -> None:
    log = PostgresEventLog(pool, Codec(), deadline_seconds=0.5)
    await open_account(log, AccountName("main"), "okx", more=[AccountUnreconciled(at=START, epoch=1, reason="lost")])
    venues = VenueChecks(
        PostgresCandleStore(pool),
        AccountDirectory(log),
        moving=lambda: [MovingMarket(VenueName("okx"), (BTC,), "5m")],
        now=now,
    )
    found = await PostgresReadiness(pool, Projections(log, PostgresViews(pool)), venues).check()
    await pool.close()
    gone = await PostgresReadiness(pool, Projections(log, PostgresViews(pool)), venues).check()

    assert [(check.name, check.ok) for check in found[3:]] == [("feed", False), ("accounts", False)]
    assert found[4].detail == "main: lost"
    assert {check.ok for check in gone} == {False}
