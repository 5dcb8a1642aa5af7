"""Rebuilding the views: the same bytes from an honest store, and every row that differs found and named."""

from collections.abc import Sequence
from itertools import repeat

import asyncpg
import pytest

from events.alerts import ALERTS_STREAM, AlertRaised
from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import MODELS_STREAM, BotId, new_event_id
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from events.system import SYSTEM_STREAM, ProjectionEventSkipped
from oxbot.adapters.memory_views import MemoryViews
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.follower import BATCH, OtherVersion
from oxbot.app.projection import ProjectionRunner
from oxbot.app.replay import ViewComparison, fold_rows, rebuild_views
from oxbot.app.views import StoredRow
from oxbot.core.bot import DepositCapital
from oxbot.views.bot_views import BOTS
from oxbot.views.fold import RowChange
from oxbot.views.projections import PROJECTION_OF, PROJECTIONS, AnyProjection
from oxbot.views.rows import BOT_VIEWS, ViewName
from tests.app.fakes import PagedLog, fleet_log, tell, write, written
from tests.app.stored_views import plant
from tests.core.scenario import BOT, START, deposited, running
from tests.views.advising import TODAY, begun, ended

pytestmark = pytest.mark.anyio

SINGLE: tuple[ViewName, ...] = ("bots", "portfolios")


async def a_fleet() -> tuple[EventLog, MemoryViews]:
    """A fleet's log and the views of it."""
    log, views = MemoryEventLog(Codec()), MemoryViews()
    await fleet_log(log)
    await ProjectionRunner(log, views).catch_up()
    return log, views


async def differences(log: EventLog, views: MemoryViews) -> dict[ViewName, str]:
    """The first difference of each view that has one."""
    rebuilt = await rebuild_views(log, views)
    return {found.view: found.first_difference for found in rebuilt.views if found.first_difference is not None}


async def rows_of(views: MemoryViews, view: ViewName) -> Sequence[StoredRow]:
    """All rows of a view."""
    async with views.snapshot(PROJECTION_OF[view]) as snapshot:
        return (await snapshot.everything())[view]


async def test_an_honest_store_is_rebuilt_byte_for_byte() -> None:
    log, views = await a_fleet()

    rebuilt = await rebuild_views(log, views)

    assert rebuilt.position == await log.head()
    assert list(rebuilt.views) == [ViewComparison(view, len(await rows_of(views, view)), None) for view in BOT_VIEWS]
    assert all(found.rows for found in rebuilt.views)


async def test_an_honest_store_in_postgres_is_rebuilt_byte_for_byte(pool: asyncpg.Pool) -> None:
    log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)
    await fleet_log(log)
    await ProjectionRunner(log, views).catch_up()

    rebuilt = await rebuild_views(log, views)

    assert rebuilt.position == await log.head() > 0
    assert [found.first_difference for found in rebuilt.views] == [None] * len(BOT_VIEWS)
    assert all(found.rows for found in rebuilt.views)


async def test_a_row_that_went_in_a_later_batch_is_gone() -> None:
    log, views = await a_fleet()
    rebuilt = await rebuild_views(PagedLog(log, repeat(3)), views)
    assert [found.first_difference for found in rebuilt.views] == [None] * len(BOT_VIEWS)


async def test_only_what_is_projected_is_rebuilt() -> None:
    """Facts beyond the served checkpoint are no difference."""
    log, views = await a_fleet()
    head = await log.head()
    await write(log, running())

    rebuilt = await rebuild_views(log, views)

    assert rebuilt.position == head
    assert [found.first_difference for found in rebuilt.views] == [None] * len(BOT_VIEWS)


async def test_a_store_that_holds_nothing_is_rebuilt_as_nothing() -> None:
    log, _ = await a_fleet()
    rebuilt = await rebuild_views(log, MemoryViews())
    assert rebuilt == (0, tuple(ViewComparison(view, 0, None) for view in BOT_VIEWS))


@pytest.mark.parametrize("view", BOT_VIEWS)
async def test_a_changed_row_is_found(view: ViewName) -> None:
    """One space more is a difference."""
    log, views = await a_fleet()
    row = (await rows_of(views, view))[-1]
    await plant(views, RowChange(view, row.bot_id, row.key, row.body + b" "))

    assert await differences(log, views) == {view: f"{row.bot_id} row {row.key or '(only)'}"}


@pytest.mark.parametrize("view", BOT_VIEWS)
async def test_a_missing_row_is_found(view: ViewName) -> None:
    log, views = await a_fleet()
    row = (await rows_of(views, view))[0]
    await plant(views, RowChange(view, row.bot_id, row.key, None))

    assert await differences(log, views) == {view: f"{row.bot_id} row {row.key or '(only)'}"}


@pytest.mark.parametrize("view", BOT_VIEWS)
async def test_an_extra_row_is_found(view: ViewName) -> None:
    log, views = await a_fleet()
    await plant(views, RowChange(view, BotId("zzz"), "1", b"{}"))

    assert await differences(log, views) == {view: "zzz row 1"}


async def test_the_first_of_several_differences_is_named() -> None:
    log, views = await a_fleet()
    trades = await rows_of(views, "trades")
    for row in (trades[5], trades[2], trades[-1]):
        await plant(views, RowChange("trades", row.bot_id, row.key, b"{}"))

    assert await differences(log, views) == {"trades": f"{trades[2].bot_id} row {trades[2].key}"}


async def test_a_log_of_many_batches_is_folded_up_to_the_position_asked_for() -> None:
    log = await written([*running(), *[deposited("1")] * BATCH])
    await tell(log, DepositCapital(deposited("9").amount))

    rows = await fold_rows(log, BOTS, up_to=BATCH + 2)

    assert b'"deposits":"%d"' % (10_000 + BATCH - 1) in rows["portfolios", BOT, ""]


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda known: known.name)
async def test_every_projection_is_rebuilt_byte_for_byte(projection: AnyProjection, pool: asyncpg.Pool) -> None:
    log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)
    await fleet_log(log)
    skip = ProjectionEventSkipped(projection="bots", position=99, reason="for the test")
    await log.append(SYSTEM_STREAM, [NewEvent(event_id=new_event_id(), occurred_at=START, fact=skip)], expected=0)
    calls = [NewEvent(event_id=new_event_id(), occurred_at=TODAY, fact=fact) for fact in (begun(), ended(begun()))]
    await log.append(MODELS_STREAM, calls, expected=0)
    alert = AlertRaised(at=START, rule="slow_cycle", subject="host-1", words="for the test")
    await log.append(ALERTS_STREAM, [NewEvent(event_id=new_event_id(), occurred_at=START, fact=alert)], expected=0)
    await ProjectionRunner(log, views).catch_up()

    rebuilt = await rebuild_views(log, views, projection)

    assert rebuilt.position == await log.head()
    assert [found.view for found in rebuilt.views] == list(projection.views)
    assert [found.first_difference for found in rebuilt.views] == [None] * len(projection.views)
    assert sum(found.rows for found in rebuilt.views) > 0


async def test_what_another_version_built_is_not_compared() -> None:
    log, views = await a_fleet()
    later = BOTS._replace(version=BOTS.version + 1)
    with pytest.raises(OtherVersion, match=f"version {BOTS.version}, this program's is {later.version}"):
        await rebuild_views(log, views, later)
