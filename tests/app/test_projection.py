"""Projectors: killed anywhere or two at once, the views end as one undisturbed run leaves them."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, repeat

import asyncpg
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.codec import Codec
from events.identifiers import BotId, StreamId, bot_stream
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.adapters.memory_views import MemoryViews
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.follower import BATCH
from oxbot.app.projection import ProjectionRunner
from oxbot.app.views import Checkpoint, CheckpointMoved, RowsRefused
from oxbot.core.bot import DepositCapital
from oxbot.views.bot_views import BotBooks
from oxbot.views.fold import RowChange
from oxbot.views.projections import ROW_TYPES
from oxbot.views.rows import BOT_VIEWS, VIEWS
from tests.app.fakes import PagedLog, at_work, eventually, fleet_log, named, tell, write, written
from tests.app.stored_views import (
    BOTS,
    SERVING,
    Everything,
    HesitantViews,
    Killed,
    MortalViews,
    everything,
    follower,
    project_to_the_end,
    random_sizes,
)
from tests.core.scenario import BOT, deposited, running

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def fleet() -> MemoryEventLog:
    """The log of a fleet; nobody appends to it."""
    log = MemoryEventLog(Codec())
    asyncio.run(fleet_log(log))
    return log


@pytest.fixture(scope="module")
def undisturbed(fleet: MemoryEventLog) -> Everything:
    """What one run in one batch makes of it."""

    async def project() -> Everything:
        views = MemoryViews()
        await ProjectionRunner(fleet, views).catch_up()
        return await everything(views)

    return asyncio.run(project())


def test_the_fleet_has_rows_in_every_view(undisturbed: Everything, fleet: MemoryEventLog) -> None:
    position, rows, books = undisturbed
    assert position == asyncio.run(fleet.head())
    assert all(rows[view] for view in BOT_VIEWS)
    assert set(ROW_TYPES) == set(VIEWS)
    assert list(books) == BOTS


def sizes(given_sizes: Sequence[int]) -> Iterator[int]:
    """These page sizes, then whole batches."""
    return chain(given_sizes, repeat(BATCH))


@given(batch=st.integers(1, 60), deaths=st.lists(st.sampled_from(["", "", "before", "after"]), max_size=40))
@settings(max_examples=60)
def test_killed_while_it_reads_ahead_and_writes_behind_it_makes_the_same_rows_and_books(
    fleet: MemoryEventLog, undisturbed: Everything, batch: int, deaths: list[str]
) -> None:
    """R7, of a projector that is many of its batches behind and folds one while it writes the last."""

    async def exercise() -> None:
        views = MemoryViews()
        mortal = MortalViews(views, deaths)
        while await views.position() < undisturbed[0]:
            with suppress(Killed):
                await ProjectionRunner(fleet, mortal, batch=batch).catch_up()
        assert await everything(views) == undisturbed

    asyncio.run(exercise())


@given(
    batches=st.lists(st.integers(1, 60), max_size=40),
    deaths=st.lists(st.sampled_from(["", "", "before", "after"]), max_size=40),
)
@settings(max_examples=60)
def test_killed_between_any_two_batches_it_makes_the_same_rows_and_books(
    fleet: MemoryEventLog, undisturbed: Everything, batches: list[int], deaths: list[str]
) -> None:
    """R7."""

    async def exercise() -> None:
        views = MemoryViews()
        await project_to_the_end(PagedLog(fleet, sizes(batches)), MortalViews(views, deaths))
        assert await everything(views) == undisturbed

    asyncio.run(exercise())


async def test_killed_at_every_commit_to_postgres_it_makes_the_same_rows_and_books(
    fleet: MemoryEventLog, undisturbed: Everything, pool: asyncpg.Pool
) -> None:
    """R7: rows and checkpoint are one transaction."""
    views = PostgresViews(pool)
    await project_to_the_end(PagedLog(fleet, repeat(40)), MortalViews(views, ["before", "after"] * 100))

    assert await everything(views) == undisturbed


async def test_two_projectors_at_once_apply_nothing_twice(undisturbed: Everything, pool: asyncpg.Pool) -> None:
    """R8, in small batches of random size, so that they overtake each other again and again."""
    log = PostgresEventLog(pool, Codec())
    await fleet_log(log)
    views = PostgresViews(pool)
    chances = random.Random(3)  # noqa: S311
    projectors = [ProjectionRunner(PagedLog(log, random_sizes(chances)), views) for _ in range(2)]

    await asyncio.gather(*(projector.catch_up() for projector in projectors))

    assert await everything(views) == undisturbed
    assert {projector.position for projector in projectors} == {await log.head()}


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_a_projector_that_reads_what_another_has_just_remembered_begins_again(
    fleet: MemoryEventLog, undisturbed: Everything, seed: int
) -> None:
    """R8: two projectors in memory, each letting the other run before every read and every look into the books."""

    async def exercise() -> None:
        views, chances = MemoryViews(), random.Random(seed)  # noqa: S311
        projectors = [
            ProjectionRunner(PagedLog(fleet, random_sizes(chances)), HesitantViews(views, chances)) for _ in range(2)
        ]
        await asyncio.gather(*(projector.catch_up() for projector in projectors))
        assert await everything(views) == undisturbed
        # Newer books under older facts would look like facts that cannot follow, and stop it.
        assert {projector.position for projector in projectors} == {undisturbed[0]}

    asyncio.run(exercise())


async def test_a_commit_that_is_refused_leaves_rows_books_and_checkpoint_as_they_were(
    fleet: MemoryEventLog, pool: asyncpg.Pool
) -> None:
    views = PostgresViews(pool)
    with pytest.raises(Killed):
        await ProjectionRunner(PagedLog(fleet, repeat(50)), MortalViews(views, ["", "", "before"])).catch_up()
    before = await everything(views)
    assert before[0] == 100

    broken = [RowChange("bots", BOTS[0], "", b"{}"), RowChange("trades", BOTS[0], "9", b"no json")]
    checkpoint = await views.checkpoint(SERVING)
    assert checkpoint is not None
    reached = Checkpoint(checkpoint.build, checkpoint.version, 101)
    with pytest.raises(RowsRefused):
        await views.commit(SERVING, broken, {BOTS[0]: b""}, after=checkpoint, reached=reached)

    assert await everything(views) == before


async def test_a_projector_that_was_overtaken_does_not_commit(fleet: MemoryEventLog) -> None:
    """R8."""
    views = MemoryViews()
    slow = follower(PagedLog(fleet, repeat(10)), views)
    await slow.begin()
    await slow.step()
    await ProjectionRunner(fleet, views).catch_up()
    done = await everything(views)

    with pytest.raises(CheckpointMoved):
        await slow.step()

    assert await everything(views) == done


async def test_it_follows_the_log_and_goes_on_after_being_overtaken() -> None:
    log, views = await written(running()), MemoryViews()
    runner = ProjectionRunner(log, views)
    async with at_work(runner.run()):
        await eventually(lambda: runner.position == 3)
        await tell(log, DepositCapital(deposited("5").amount))
        await ProjectionRunner(log, views).catch_up()
        await tell(log, DepositCapital(deposited("7").amount))
        await eventually(lambda: runner.position == 5)

    body = await views.row("portfolios", BOT)
    assert body is not None
    assert b'"cash":"10012"' in body


async def test_a_batch_without_a_bots_facts_moves_the_checkpoint_alone(fleet: MemoryEventLog) -> None:
    views = MemoryViews()
    projector = follower(fleet, views, batch=1)
    await projector.begin()

    assert await projector.step()

    position, rows, _ = await everything(views)
    assert (position, rows) == (1, {view: [] for view in BOT_VIEWS})


async def test_without_anything_new_a_step_does_nothing() -> None:
    views = MemoryViews()
    projector = follower(MemoryEventLog(Codec()), views)
    await projector.begin()

    assert not await projector.step()
    assert await views.position() == 0


async def test_a_whole_batch_is_not_more_than_its_size() -> None:
    """More facts than one batch holds, of two bots, one of which begins in the second batch."""
    log, views = MemoryEventLog(Codec()), MemoryViews()
    await write(log, [*running(), *[deposited("1")] * BATCH])
    await write(log, named(running(), BotId("late")), stream=_stream("late"))
    projector = follower(log, views)
    await projector.begin()

    assert await projector.step()
    assert projector.position == BATCH
    assert await projector.step()
    assert not await projector.step()
    assert [row.bot_id for row in await views.across("bots", limit=9)] == [BOT, "late"]


def _stream(bot_id: str) -> StreamId:
    return bot_stream(BotId(bot_id))


async def test_books_come_back_from_their_bytes(undisturbed: Everything) -> None:
    _, _, books = undisturbed
    for body in books.values():
        book = msgspec.msgpack.decode(body, type=BotBooks)
        assert msgspec.msgpack.encode(book) == body
        assert book != BotBooks()
