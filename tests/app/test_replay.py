"""Rebuilding the views: the same bytes from an honest store, and every row that differs found and named."""

from collections.abc import Sequence
from itertools import repeat

import asyncpg
import pytest

from events.codec import Codec
from events.identifiers import BotId
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.adapters.memory_views import MemoryViews
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.projection import BATCH, ProjectionRunner
from oxbot.app.replay import ViewComparison, pages, rebuild_views
from oxbot.app.views import RowChange, StoredRow
from oxbot.core.bot import DepositCapital
from oxbot.views.rows import VIEWS, ViewName
from tests.app.fakes import PagedLog, fleet_log, tell, write, written
from tests.core.scenario import deposited, running

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
    _, rows = await views.everything()
    return rows[view]


async def plant(views: MemoryViews, change: RowChange) -> None:
    """Change a row behind the projector's back."""
    position = await views.checkpoint()
    await views.commit([change], {}, after=position, position=position)


async def test_an_honest_store_is_rebuilt_byte_for_byte() -> None:
    log, views = await a_fleet()

    rebuilt = await rebuild_views(log, views)

    assert rebuilt.position == await log.head()
    assert list(rebuilt.views) == [ViewComparison(view, len(await rows_of(views, view)), None) for view in VIEWS]
    assert all(found.rows for found in rebuilt.views)


async def test_an_honest_store_in_postgres_is_rebuilt_byte_for_byte(pool: asyncpg.Pool) -> None:
    log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)
    await fleet_log(log)
    await ProjectionRunner(log, views).catch_up()

    rebuilt = await rebuild_views(log, views)

    assert rebuilt.position == await log.head() > 0
    assert [found.first_difference for found in rebuilt.views] == [None] * len(VIEWS)
    assert all(found.rows for found in rebuilt.views)


async def test_a_row_that_went_in_a_later_batch_is_gone() -> None:
    log, views = await a_fleet()
    rebuilt = await rebuild_views(PagedLog(log, repeat(3)), views)
    assert [found.first_difference for found in rebuilt.views] == [None] * len(VIEWS)


async def test_only_what_is_projected_is_rebuilt() -> None:
    """Facts beyond the served checkpoint are no difference."""
    log, views = await a_fleet()
    head = await log.head()
    await write(log, running())

    rebuilt = await rebuild_views(log, views)

    assert rebuilt.position == head
    assert [found.first_difference for found in rebuilt.views] == [None] * len(VIEWS)


async def test_a_store_that_holds_nothing_is_rebuilt_as_nothing() -> None:
    log, _ = await a_fleet()
    rebuilt = await rebuild_views(log, MemoryViews())
    assert rebuilt == (0, tuple(ViewComparison(view, 0, None) for view in VIEWS))


@pytest.mark.parametrize("view", VIEWS)
async def test_a_changed_row_is_found(view: ViewName) -> None:
    """One space more is a difference."""
    log, views = await a_fleet()
    row = (await rows_of(views, view))[-1]
    await plant(views, RowChange(view, row.bot_id, row.key, row.body + b" "))

    assert await differences(log, views) == {view: f"bot {row.bot_id} row {row.key or '(only)'}"}


@pytest.mark.parametrize("view", VIEWS)
async def test_a_missing_row_is_found(view: ViewName) -> None:
    log, views = await a_fleet()
    row = (await rows_of(views, view))[0]
    await plant(views, RowChange(view, row.bot_id, row.key, None))

    assert await differences(log, views) == {view: f"bot {row.bot_id} row {row.key or '(only)'}"}


@pytest.mark.parametrize("view", VIEWS)
async def test_an_extra_row_is_found(view: ViewName) -> None:
    log, views = await a_fleet()
    await plant(views, RowChange(view, BotId("zzz"), "1", b"{}"))

    assert await differences(log, views) == {view: "bot zzz row 1"}


async def test_the_first_of_several_differences_is_named() -> None:
    log, views = await a_fleet()
    trades = await rows_of(views, "trades")
    for row in (trades[5], trades[2], trades[-1]):
        await plant(views, RowChange("trades", row.bot_id, row.key, b"{}"))

    assert await differences(log, views) == {"trades": f"bot {trades[2].bot_id} row {trades[2].key}"}


async def test_a_log_is_read_in_batches_up_to_the_position_asked_for() -> None:
    log = await written([*running(), *[deposited("1")] * BATCH])
    await tell(log, DepositCapital(deposited("9").amount))

    read = [page async for page in pages(log, up_to=BATCH + 2)]

    assert [len(page) for page in read] == [BATCH, 2]
    assert [event.position for page in read for event in page] == list(range(1, BATCH + 3))
    assert [len(page) async for page in pages(await written(running()), up_to=99)] == [3]
