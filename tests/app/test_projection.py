"""Projectors: killed anywhere or two at once, the views end as one undisturbed run leaves them."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.codec import Codec
from events.identifiers import BotId, StreamId, bot_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.adapters.memory_views import MemoryViews
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.projection import BATCH, ProjectionRunner, decode_books, encode_books
from oxbot.app.views import CheckpointMoved, RowChange, StoredRow, ViewStore
from oxbot.core.bot import DepositCapital
from oxbot.views.bot_views import BotBooks
from oxbot.views.rows import ROW_TYPES, VIEWS, ViewName
from tests.app.fakes import PagedLog, at_work, eventually, fleet_log, named, tell, write, written
from tests.core.scenario import BOT, deposited, running

pytestmark = pytest.mark.anyio

BOTS = [BotId(f"bot-{number}") for number in (1, 2, 3)]
Everything = tuple[tuple[int, dict[ViewName, list[StoredRow]]], dict[BotId, bytes]]


async def everything(views: MemoryViews | PostgresViews) -> Everything:
    """Every row, the checkpoint and what the projector remembers."""
    return await views.everything(), await views.books(BOTS)


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
    (position, rows), books = undisturbed
    assert position == asyncio.run(fleet.head())
    assert all(rows[view] for view in VIEWS)
    assert set(ROW_TYPES) == set(VIEWS)
    assert list(books) == BOTS


def sizes(given_sizes: Sequence[int]) -> Iterator[int]:
    """These page sizes, then whole batches."""
    return chain(given_sizes, repeat(BATCH))


class Killed(Exception):
    """The projector's process died."""


class MortalViews:
    """A ``ViewStore`` whose caller dies at some commits: "before" it is made, or "after"."""

    def __init__(self, inner: ViewStore, deaths: Sequence[str]) -> None:
        self._inner = inner
        self._deaths = chain(deaths, repeat(""))

    async def checkpoint(self) -> int:
        """The inner store's."""
        return await self._inner.checkpoint()

    async def books(self, bot_ids: Sequence[BotId]) -> dict[BotId, bytes]:
        """The inner store's."""
        return await self._inner.books(bot_ids)

    async def commit(
        self, changes: Sequence[RowChange], books: dict[BotId, bytes], *, after: int, position: int
    ) -> None:
        """The inner store's, unless death comes before."""
        death = next(self._deaths)
        if death == "before":
            raise Killed
        await self._inner.commit(changes, books, after=after, position=position)
        if death == "after":
            raise Killed


async def project_to_the_end(log: EventLog, views: ViewStore) -> None:
    """One projector after another, each a fresh one, until one has reached the head."""
    while True:
        try:
            await ProjectionRunner(log, views).catch_up()
        except Killed:
            continue
        return


@given(
    batches=st.lists(st.integers(1, 60), max_size=40),
    deaths=st.lists(st.sampled_from(["", "", "before", "after"]), max_size=40),
)
@settings(max_examples=60)
def test_killed_between_any_two_batches_it_makes_the_same_rows_and_books(
    fleet: MemoryEventLog, undisturbed: Everything, batches: list[int], deaths: list[str]
) -> None:
    async def exercise() -> None:
        views = MemoryViews()
        await project_to_the_end(PagedLog(fleet, sizes(batches)), MortalViews(views, deaths))
        assert await everything(views) == undisturbed

    asyncio.run(exercise())


async def test_killed_at_every_commit_to_postgres_it_makes_the_same_rows_and_books(
    fleet: MemoryEventLog, undisturbed: Everything, pool: asyncpg.Pool
) -> None:
    views = PostgresViews(pool)
    await project_to_the_end(PagedLog(fleet, repeat(40)), MortalViews(views, ["before", "after"] * 100))

    assert await everything(views) == undisturbed


async def test_two_projectors_at_once_apply_nothing_twice(undisturbed: Everything, pool: asyncpg.Pool) -> None:
    """Small batches of random size, so that they overtake each other again and again."""
    log = PostgresEventLog(pool, Codec())
    await fleet_log(log)
    views = PostgresViews(pool)
    chances = random.Random(3)  # noqa: S311
    projectors = [ProjectionRunner(PagedLog(log, _random_sizes(chances)), views) for _ in range(2)]

    await asyncio.gather(*(projector.catch_up() for projector in projectors))

    assert await everything(views) == undisturbed
    assert {projector.position for projector in projectors} == {await log.head()}


def _random_sizes(chances: random.Random) -> Iterator[int]:
    while True:
        yield chances.randint(1, 25)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_a_projector_that_reads_what_another_has_just_remembered_begins_again(
    fleet: MemoryEventLog, undisturbed: Everything, seed: int
) -> None:
    """Two projectors in memory, each letting the other run before every read and every look into the books."""

    async def exercise() -> None:
        views, chances = MemoryViews(), random.Random(seed)  # noqa: S311
        projectors = [
            ProjectionRunner(PagedLog(fleet, _random_sizes(chances)), HesitantViews(views, chances)) for _ in range(2)
        ]
        await asyncio.gather(*(projector.catch_up() for projector in projectors))
        assert await everything(views) == undisturbed

    asyncio.run(exercise())


class HesitantViews(MortalViews):
    """A ``ViewStore`` that lets others run before it answers."""

    def __init__(self, inner: ViewStore, chances: random.Random) -> None:
        super().__init__(inner, [])
        self._chances = chances

    async def books(self, bot_ids: Sequence[BotId]) -> dict[BotId, bytes]:
        """The inner store's, late."""
        for _ in range(self._chances.randrange(12)):
            await asyncio.sleep(0)
        return await super().books(bot_ids)


async def test_a_commit_that_fails_leaves_rows_books_and_checkpoint_as_they_were(
    fleet: MemoryEventLog, pool: asyncpg.Pool
) -> None:
    views = PostgresViews(pool)
    with pytest.raises(Killed):
        await ProjectionRunner(PagedLog(fleet, repeat(50)), MortalViews(views, ["", "", "before"])).catch_up()
    before = await everything(views)
    assert before[0][0] == 100

    broken = [RowChange("bots", BOTS[0], "", b"{}"), RowChange("trades", BOTS[0], "9", b"no json")]
    with pytest.raises(asyncpg.PostgresError):
        await views.commit(broken, {BOTS[0]: b""}, after=100, position=101)

    assert await everything(views) == before


async def test_a_projector_that_was_overtaken_does_not_commit(fleet: MemoryEventLog) -> None:
    views = MemoryViews()
    slow = ProjectionRunner(PagedLog(fleet, repeat(10)), views)
    await slow.step()
    await ProjectionRunner(fleet, views).catch_up()
    done = await everything(views)

    with pytest.raises(CheckpointMoved):
        await slow.step()

    assert await everything(views) == done


async def test_it_follows_the_log_and_goes_on_after_being_overtaken() -> None:
    log, views = await written(running()), MemoryViews()
    follower = ProjectionRunner(log, views)
    async with at_work(follower.run()):
        await eventually(lambda: follower.position == 3)
        await tell(log, DepositCapital(deposited("5").amount))
        await ProjectionRunner(log, views).catch_up()
        await tell(log, DepositCapital(deposited("7").amount))
        await eventually(lambda: follower.position == 5)

    body = await views.row("portfolios", BOT)
    assert body is not None
    assert b'"cash":"10012"' in body


async def test_a_batch_without_a_bots_facts_moves_the_checkpoint_alone(fleet: MemoryEventLog) -> None:
    views = MemoryViews()
    runner = ProjectionRunner(PagedLog(fleet, repeat(1)), views)

    assert await runner.step()

    assert await views.everything() == (1, {view: [] for view in VIEWS})


async def test_without_anything_new_a_step_does_nothing() -> None:
    views = MemoryViews()
    runner = ProjectionRunner(MemoryEventLog(Codec()), views)

    assert not await runner.step()
    assert await views.checkpoint() == 0


async def test_a_whole_batch_is_not_more_than_its_size() -> None:
    """More facts than one batch holds, of two bots, one of which begins in the second batch."""
    log, views = MemoryEventLog(Codec()), MemoryViews()
    await write(log, [*running(), *[deposited("1")] * BATCH])
    await write(log, named(running(), BotId("late")), stream=_stream("late"))
    runner = ProjectionRunner(log, views)

    assert await runner.step()
    assert runner.position == BATCH
    assert await runner.step()
    assert not await runner.step()
    assert [row.bot_id for row in await views.across("bots", limit=9)] == [BOT, "late"]


def _stream(bot_id: str) -> StreamId:
    return bot_stream(BotId(bot_id))


async def test_books_come_back_from_their_bytes(undisturbed: Everything) -> None:
    _, books = undisturbed
    for body in books.values():
        assert encode_books(decode_books(body)) == body
        assert decode_books(body) != BotBooks()
