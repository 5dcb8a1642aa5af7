"""Building a projection anew while it serves: whatever dies or is appended meanwhile, the same rows, all at once."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from itertools import repeat

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import BotId, bot_stream, new_event_id
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from events.system import SYSTEM_STREAM, ProjectionEventSkipped, ProjectionRebuilt
from oxbot.adapters.memory_views import MemoryViews
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.clock import SystemClock
from oxbot.app.follower import OtherVersion, ProjectionStopped
from oxbot.app.projection import ProjectionRunner
from oxbot.app.rebuild import Rebuild, RebuildDiscarded, announce
from oxbot.app.replay import fold_rows, rebuild_views
from oxbot.app.views import RebuildStore, Target
from oxbot.core.bot import DepositCapital
from oxbot.views.bot_views import BOTS
from oxbot.views.fold import RowChange
from oxbot.views.projections import PROJECTIONS, AnyProjection
from oxbot.views.rows import BOT_VIEWS
from tests.app.fakes import PagedLog, at_work, eventually, fleet_log, tell, write, written
from tests.app.stored_views import Everything, Killed, MortalViews, everything, follower, plant, random_sizes
from tests.core.scenario import BOT, START, deposited, running

pytestmark = pytest.mark.anyio

NEWER = BOTS._replace(version=BOTS.version + 1)
REBUILD = Target("bots", rebuild=True)


@pytest.fixture(scope="module")
def fleet() -> MemoryEventLog:
    """The log of a fleet; nothing but facts of rebuilds is appended to it."""
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


async def rebuild(log: EventLog, views: RebuildStore, projection: AnyProjection = BOTS, *, batch: int = 5000) -> None:
    """One rebuild, to its end."""
    await Rebuild(projection, log=log, store=views, clock=SystemClock(), batch=batch).run(waits_for_skips=False)


async def rebuilt_facts(log: EventLog) -> list[ProjectionRebuilt]:
    """What the log says of rebuilds."""
    facts = [event.fact for event in await log.read_stream(SYSTEM_STREAM)]
    return [fact for fact in facts if isinstance(fact, ProjectionRebuilt)]


async def copied(log: EventLog) -> MemoryEventLog:
    """A log with the same events."""
    copy = MemoryEventLog(Codec())
    for event in await log.read_all(limit=1_000_000):
        new = NewEvent(event_id=event.event_id, occurred_at=event.occurred_at, fact=event.fact)
        await copy.append(event.stream, [new], expected=event.version - 1)
    return copy


async def survive(fleet: EventLog, deaths: Sequence[str], *, batch: int) -> tuple[MemoryViews, MemoryEventLog]:
    """Rebuild wrong views, again and again, until they serve and the log has the fact of it."""
    log = await copied(fleet)
    inner = MemoryViews()
    await ProjectionRunner(log, inner).catch_up()
    await plant(inner, RowChange("trades", "bot-1", "wrong", b"{}"))
    before = await inner.checkpoint(Target("bots"))
    views = MortalViews(inner, deaths)
    while await inner.checkpoint(Target("bots")) == before:
        with suppress(Killed):
            await rebuild(log, views, batch=batch)
    while await inner.unannounced("bots") is not None:
        with suppress(Killed):
            await announce("bots", log=log, store=views, clock=SystemClock())
    return inner, log


@given(
    deaths=st.lists(st.sampled_from(["", "", "before", "after"]), max_size=60),
    batch=st.integers(20, 300),
)
@settings(max_examples=40)
def test_killed_anywhere_it_goes_on_and_serves_the_same_rows_and_tells_of_it_once(
    fleet: MemoryEventLog, undisturbed: Everything, deaths: list[str], batch: int
) -> None:
    """R12."""

    async def exercise() -> None:
        views, log = await survive(fleet, deaths, batch=batch)
        assert await everything(views) == undisturbed
        told = ProjectionRebuilt(projection="bots", projection_version=BOTS.version, position=undisturbed[0])
        assert await rebuilt_facts(log) == [told]

    asyncio.run(exercise())


@pytest.mark.parametrize("death", ["before", "after"])
@pytest.mark.parametrize("write", ["open", "commit", "swap", "note that it is told"])
async def test_killed_at_each_of_its_writes_it_tells_of_the_swap_once(
    fleet: MemoryEventLog, undisturbed: Everything, write: str, death: str
) -> None:
    """R12, R13: the fact of the swap is the one effect a rebuild has outside of the views."""
    number = ["open", "commit", "swap", "note that it is told"].index(write)
    views, log = await survive(fleet, [""] * number + [death], batch=5000)

    assert await everything(views) == undisturbed
    assert len(await rebuilt_facts(log)) == 1


async def test_it_serves_what_a_fold_from_zero_gives_while_events_go_on_coming(pool: asyncpg.Pool) -> None:
    """R12, with a projector, an appender and a reader at work meanwhile; what is read is never half built."""
    log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)
    await fleet_log(log)
    await ProjectionRunner(log, views).catch_up()
    serving = await views.checkpoint(Target("bots"))
    assert serving is not None
    read: list[int] = []

    async def append() -> None:
        while True:
            await write(log, [deposited("1")], bot_stream(BotId("bot-2")))

    async def look() -> None:
        while True:
            async with views.snapshot() as snapshot:
                body = await snapshot.row("portfolios", "bot-2")
                read.append(snapshot.position)
                expected = await fold_rows(log, BOTS, up_to=snapshot.position)
                assert body == expected["portfolios", "bot-2", ""]

    async with at_work(ProjectionRunner(log, views).run()), at_work(append()), at_work(look()):
        await rebuild(PagedLog(log, repeat(25)), views)
        await eventually(lambda: len(read) > 3)

    served = await views.checkpoint(Target("bots"))
    assert served is not None
    assert served.build != serving.build
    assert read == sorted(read)
    assert [view.first_difference for view in (await rebuild_views(log, views)).views] == [None] * len(BOT_VIEWS)
    assert len(await rebuilt_facts(log)) == 1


async def test_killed_at_every_write_to_postgres_it_resumes(
    fleet: MemoryEventLog, undisturbed: Everything, pool: asyncpg.Pool
) -> None:
    """R12."""
    log, inner = await copied(fleet), PostgresViews(pool)
    await ProjectionRunner(log, inner).catch_up()
    await plant(inner, RowChange("trades", "bot-1", "9999999999", b"{}"))
    serving = await inner.checkpoint(Target("bots"))
    views = MortalViews(inner, ["", "after", "", "before"] * 100)
    positions = []
    while await inner.checkpoint(Target("bots")) == serving:
        under_way = await inner.checkpoint(REBUILD)
        positions.append(under_way.position if under_way else 0)
        with suppress(Killed):
            await rebuild(PagedLog(log, repeat(60)), views)

    assert positions == sorted(positions)
    assert len(set(positions)) > 4
    assert await everything(inner) == undisturbed


async def test_two_rebuilds_at_once_end_in_one(fleet: MemoryEventLog, undisturbed: Everything) -> None:
    log, views = await copied(fleet), MemoryViews()
    chances = random.Random(7)  # noqa: S311
    await asyncio.gather(*(rebuild(PagedLog(log, random_sizes(chances)), views) for _ in range(2)))

    assert await everything(views) == undisturbed
    assert len(await rebuilt_facts(log)) == 1


async def test_a_build_of_another_version_that_was_left_behind_is_not_gone_on_with(
    fleet: MemoryEventLog, undisturbed: Everything
) -> None:
    log, views = await copied(fleet), MemoryViews()
    await views.open_rebuild("bots", version=NEWER.version, build=new_event_id())
    await plant(views, RowChange("trades", "bot-1", "wrong", b"{}"), target=REBUILD)

    await rebuild(log, views)

    assert await everything(views) == undisturbed


async def test_a_rebuild_that_is_discarded_meanwhile_ends(fleet: MemoryEventLog) -> None:
    log, views = await copied(fleet), MemoryViews()

    class Discarding(MortalViews):
        async def commit(self, *arguments: object, **ends: object) -> None:
            await views.discard_rebuild("bots")
            await super().commit(*arguments, **ends)  # type: ignore[arg-type]  # passed on as it comes

    with pytest.raises(RebuildDiscarded):
        await rebuild(log, Discarding(views))
    assert await views.position() == 0


async def test_a_rebuild_stops_where_an_event_cannot_be_applied_and_says_so() -> None:
    log, views = await written(running()), MemoryViews()
    await write(log, [deposited("1")], bot_stream(BotId("never-created")))

    with pytest.raises(ProjectionStopped, match="position 4 "):
        await rebuild(log, views)

    [standing] = [known for known in await views.standings() if known.rebuild]
    assert standing.stopped is not None
    assert (standing.position, standing.stopped.position) == (3, 4)


async def test_a_new_version_is_built_from_the_first_event_while_the_old_one_serves(fleet: MemoryEventLog) -> None:
    """R10, V15: an older program's projector does not touch what the newer one serves, and does not build it back."""
    log, inner = await copied(fleet), MemoryViews()
    await ProjectionRunner(log, inner).catch_up()
    old = await inner.checkpoint(Target("bots"))
    assert old is not None
    held = asyncio.Event()

    class Slow(MortalViews):
        async def serve_rebuild(self, *arguments: object, **ends: object) -> bool:
            await held.wait()
            return await super().serve_rebuild(*arguments, **ends)  # type: ignore[arg-type]  # passed on as it comes

    newer = ProjectionRunner(PagedLog(log, repeat(50)), Slow(inner), projections=(NEWER,))
    older = ProjectionRunner(log, inner, projections=(BOTS,))
    async with at_work(newer.run()), at_work(older.run()):
        await tell(log, DepositCapital(deposited("5").amount), bot_stream(BotId("bot-1")))
        await eventually(lambda: older.position == old.position + 1)
        serving = await inner.checkpoint(Target("bots"))
        assert serving is not None
        assert (serving.version, serving.position) == (BOTS.version, old.position + 1)
        held.set()
        await tell(log, DepositCapital(deposited("7").amount), bot_stream(BotId("bot-1")))
        await eventually(lambda: newer.position >= old.position + 2)

    served = await inner.checkpoint(Target("bots"))
    assert served is not None
    assert served.version == NEWER.version
    assert [view.first_difference for view in (await rebuild_views(log, inner, NEWER)).views] == [None] * len(BOT_VIEWS)
    assert [fact.projection_version for fact in await rebuilt_facts(log)] == [NEWER.version]
    with pytest.raises(OtherVersion, match=f"are of version {NEWER.version}, this program's is {BOTS.version}"):
        await follower(log, inner).begin()
    await ProjectionRunner(log, inner, projections=(BOTS,)).catch_up()
    assert await inner.checkpoint(Target("bots")) == served


async def test_an_empty_database_is_taken_over_by_any_version_without_a_rebuild() -> None:
    log, views = await written(running()), MemoryViews()
    await ProjectionRunner(log, views, projections=(NEWER,)).catch_up()

    serving = await views.checkpoint(Target("bots"))
    assert serving is not None
    assert (serving.version, serving.position) == (NEWER.version, 3)
    assert await rebuilt_facts(log) == []


async def test_a_serving_projector_goes_on_with_the_new_build_after_a_swap() -> None:
    log, views = await written(running()), MemoryViews()
    runner = ProjectionRunner(log, views)
    async with at_work(runner.run()):
        await eventually(lambda: runner.position == 3)
        await rebuild(log, views)
        await tell(log, DepositCapital(deposited("5").amount))
        await eventually(lambda: runner.position == 5)

    assert b'"cash":"10005"' in (await views.row("portfolios", BOT) or b"")


async def test_an_event_skipped_while_a_new_version_is_built_past_it_is_skipped_by_both(
    fleet: MemoryEventLog,
) -> None:
    """Else what serves then would not be what the log and its skips lead to."""
    log, inner = await copied(fleet), MemoryViews()
    await write(log, [deposited("1")], bot_stream(BotId("bot-1")))
    skipped = await log.head()
    skip = ProjectionEventSkipped(projection="bots", position=skipped, reason="the old version cannot apply it")
    told = False

    class Meanwhile(MortalViews):
        async def commit(self, *arguments: object, **ends: object) -> None:
            nonlocal told
            await super().commit(*arguments, **ends)  # type: ignore[arg-type]  # passed on as it comes
            if not told:
                told = True
                event = NewEvent(event_id=new_event_id(), occurred_at=START, fact=skip)
                await log.append(SYSTEM_STREAM, [event], expected=0)

    await rebuild(log, Meanwhile(inner), NEWER)

    assert told
    assert [view.first_difference for view in (await rebuild_views(log, inner, NEWER)).views] == [None] * len(BOT_VIEWS)


async def test_an_event_skipped_after_a_rebuild_died_beyond_it_is_skipped_by_the_one_that_goes_on() -> None:
    log, views = await written([*running(), *[deposited("1")] * 20]), MemoryViews()
    await ProjectionRunner(log, views).catch_up()
    await views.open_rebuild("bots", version=NEWER.version, build=new_event_id())
    died = follower(log, views, NEWER, rebuild=True, batch=10)
    await died.begin()
    await died.step()
    skip = ProjectionEventSkipped(projection="bots", position=5, reason="the old version cannot apply it")
    await log.append(SYSTEM_STREAM, [NewEvent(event_id=new_event_id(), occurred_at=START, fact=skip)], expected=0)

    await rebuild(log, views, NEWER)

    assert b'"cash":"10019"' in (await views.row("portfolios", BOT) or b"")
    assert [view.first_difference for view in (await rebuild_views(log, views, NEWER)).views] == [None] * len(BOT_VIEWS)


async def test_a_rebuild_that_nobody_asked_for_leaves_alone_what_a_newer_version_is_building() -> None:
    log, views = await written([*running(), *[deposited("1")] * 20]), MemoryViews()
    await ProjectionRunner(log, views).catch_up()
    newest = NEWER._replace(version=NEWER.version + 1)
    await views.open_rebuild("bots", version=newest.version, build=new_event_id())
    begun = await views.checkpoint(REBUILD)

    with pytest.raises(OtherVersion, match=f"are of version {newest.version}, this program's is {NEWER.version}"):
        await Rebuild(NEWER, log=log, store=views, clock=SystemClock()).run(waits_for_skips=True)
    assert await views.checkpoint(REBUILD) == begun


async def test_of_two_newer_versions_at_once_the_newest_ends_up_serving() -> None:
    """V15."""
    log, views = await written([*running(), *[deposited("1")] * 200]), MemoryViews()
    await ProjectionRunner(log, views).catch_up()
    newest = NEWER._replace(version=NEWER.version + 1)
    runners = [ProjectionRunner(PagedLog(log, repeat(7)), views, projections=(known,)) for known in (NEWER, newest)]

    async with at_work(runners[0].run()), at_work(runners[1].run()):
        await eventually(lambda: runners[1].position >= 203)

    served = await views.checkpoint(Target("bots"))
    assert served is not None
    assert served.version == newest.version
    assert [known.stopped for known in await views.standings()] == [None] * len(PROJECTIONS)


async def test_a_reader_who_takes_long_puts_the_swap_off_and_does_not_end_the_rebuild(pool: asyncpg.Pool) -> None:
    log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)
    await write(log, running())
    await ProjectionRunner(log, views).catch_up()
    before = await views.checkpoint(Target("bots"))
    refused = asyncio.Event()

    class Refusing(MortalViews):
        async def serve_rebuild(self, *arguments: object, **ends: object) -> bool:
            served = await super().serve_rebuild(*arguments, **ends)  # type: ignore[arg-type]  # passed on as it comes
            if not served:
                refused.set()
            return served

    async with asyncio.TaskGroup() as tasks:
        async with views.snapshot():
            under_way = tasks.create_task(rebuild(log, Refusing(views)))
            await refused.wait()
            assert await views.checkpoint(Target("bots")) == before
        await under_way

    after = await views.checkpoint(Target("bots"))
    assert after != before
