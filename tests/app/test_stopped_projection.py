"""R11: an event that cannot be applied stops one projection there, shows why, and is passed over only on record."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg
import msgspec
import pytest

from events.codec import Codec
from events.envelope import RecordedEvent
from events.identifiers import BotId, StreamId, bot_stream
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from events.system import SYSTEM_STREAM, ProjectionEventSkipped
from oxbot.adapters.database import open_pool
from oxbot.adapters.memory_views import MemoryViews
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.follower import CheckpointAhead, ProjectionStopped
from oxbot.app.projection import ProjectionRunner
from oxbot.app.projections import Projections, ProjectionStatus
from oxbot.app.rebuild import Rebuild
from oxbot.app.replay import rebuild_views
from oxbot.app.skips import NotStoppedThere, skip_event
from oxbot.app.views import Checkpoint, RowsRefused, Target
from oxbot.core.bot import DepositCapital
from oxbot.views.bot_views import BOTS, BotBooks
from oxbot.views.fold import Draft, Poison, RowChange
from oxbot.views.rows import BOT_VIEWS, AccountRow
from oxbot.views.user_views import USERS
from tests.app.fakes import at_work, eventually, fleet_log, tell, write, written
from tests.app.stored_views import AnyLog, MortalViews, follower, put
from tests.core.scenario import BOT, START, deposited, running

pytestmark = pytest.mark.anyio


class ImpatientClock:
    """A clock on which every pause is over at once."""

    def now(self) -> datetime:
        """Always the same."""
        return START

    async def sleep(self, seconds: float) -> None:
        """Let the others run."""
        assert seconds > 0
        await asyncio.sleep(0)


NAN = msgspec.msgpack.encode({"type": "capital.deposited", "amount": "NaN"})
POISONS = {
    "a payload that is no msgpack": ("bot.paused", b"\xc1"),
    "a type that this program does not know": ("bot.teleported", msgspec.msgpack.encode({"type": "bot.teleported"})),
    "a number that is not one": ("capital.deposited", NAN),
    "a fact that cannot follow": (
        "order.cancelled",
        msgspec.msgpack.encode({"type": "order.cancelled", "order_id": "o-9", "at": START, "reason": ""}),
    ),
    "money that was never there (V14)": (
        "capital.withdrawn",
        msgspec.msgpack.encode({"type": "capital.withdrawn", "amount": "1e12"}),
    ),
}


@pytest.fixture(params=["memory", "postgres"])
def stored(request: pytest.FixtureRequest) -> tuple[AnyLog, MemoryViews | PostgresViews]:
    """A log and views, in memory or in Postgres."""
    if request.param == "memory":
        log = MemoryEventLog(Codec())
        return log, MemoryViews(log)
    pool: asyncpg.Pool = request.getfixturevalue("pool")
    return PostgresEventLog(pool, Codec()), PostgresViews(pool)


async def statuses(log: AnyLog, views: MemoryViews | PostgresViews) -> dict[str, ProjectionStatus]:
    """Every projection's status by name."""
    return {known.name: known for known in await Projections(log, views).statuses()}


@pytest.mark.parametrize("poison", POISONS)
async def test_it_stops_that_projection_there_and_says_why_while_the_others_go_on(
    stored: tuple[AnyLog, MemoryViews | PostgresViews], poison: str
) -> None:
    log, views = stored
    event_type, payload = POISONS[poison]
    # Alerts are of the same streams: they stop at what cannot be read, and pass over what cannot follow.
    unreadable = event_type not in {"order.cancelled", "capital.withdrawn"}
    await fleet_log(log, frames=20)
    position = await put(log, bot_stream(BotId("bot-1")), event_type, payload)
    await tell(log, deposit("1"), bot_stream(BotId("bot-2")))
    runner = ProjectionRunner(log, views, clock=ImpatientClock())

    async with at_work(runner.run()):
        others = ("users", "system", "models", *(() if unreadable else ("alerts",)))
        await eventually(lambda: {runner.position_of(name) for name in others} == {position + 1})
        await eventually(lambda: runner.position == position - 1)
        await until_stopped(log, views, *(("bots", "alerts") if unreadable else ("bots",)))

    found = await statuses(log, views)
    assert {name: known.state for name, known in found.items()} == {
        "bots": "stopped",
        "users": "running",
        "system": "running",
        "models": "running",
        "alerts": "stopped" if unreadable else "running",
    }
    stopped = found["bots"].stopped
    assert stopped is not None
    assert (stopped.position, stopped.event_type) == (position, event_type)
    assert len(stopped.error) > 5
    assert ("USDT more were spent than there were" in stopped.error) == (event_type == "capital.withdrawn")
    assert found["bots"].lag_events == 2


async def until_stopped(log: AnyLog, views: MemoryViews | PostgresViews, *names: str) -> Poison:
    """The stop of the bots' projection, once it shows, and those of others that are named."""
    async with asyncio.timeout(10):
        while True:
            found = await statuses(log, views)
            stopped = found["bots"].stopped
            if stopped is not None and all(found[name].stopped for name in names):
                return stopped
            await asyncio.sleep(0.001)


def deposit(amount: str) -> DepositCapital:
    """A command that adds to the log."""
    return DepositCapital(deposited(amount).amount)


async def test_a_skip_on_record_lets_it_go_on_and_a_rebuild_and_a_replay_skip_the_same(
    stored: tuple[AnyLog, MemoryViews | PostgresViews],
) -> None:
    log, views = stored
    await fleet_log(log, frames=20)
    position = await put(log, bot_stream(BotId("bot-1")), *POISONS["a fact that cannot follow"])
    await write(log, [deposited("1")], bot_stream(BotId("bot-1")))
    runner = ProjectionRunner(log, views, clock=ImpatientClock())

    async with at_work(runner.run()):
        await until_stopped(log, views)
        told = await skip_event("bots", position, reason="a test", log=log, views=views, at=START, actor="me")
        await eventually(lambda: runner.position == told.position)
    await ProjectionRunner(log, views).catch_up()

    assert (await statuses(log, views))["bots"].state == "running"
    [fact] = [event.fact for event in await log.read_stream(SYSTEM_STREAM)]
    assert fact == ProjectionEventSkipped(projection="bots", position=position, reason="a test")
    async with views.snapshot("system") as snapshot:
        assert len((await snapshot.everything())["skips"]) == 1
    assert [view.first_difference for view in (await rebuild_views(log, views)).views] == [None] * len(BOT_VIEWS)
    await Rebuild(BOTS, log=log, store=views, clock=ImpatientClock()).run(waits_for_skips=False)
    assert [view.first_difference for view in (await rebuild_views(log, views)).views] == [None] * len(BOT_VIEWS)


async def test_only_the_event_it_is_stopped_at_can_be_skipped(
    stored: tuple[AnyLog, MemoryViews | PostgresViews],
) -> None:
    log, views = stored
    await write(log, running())
    with pytest.raises(NotStoppedThere, match="is not stopped at any event"):
        await skip_event("bots", 2, reason="", log=log, views=views, at=START, actor="")
    position = await put(log, bot_stream(BOT), *POISONS["a number that is not one"])
    await ProjectionRunner(log, views).catch_up()

    with pytest.raises(NotStoppedThere, match=f"is stopped at {position}, so position 2 cannot"):
        await skip_event("bots", 2, reason="", log=log, views=views, at=START, actor="")
    with pytest.raises(NotStoppedThere):
        await skip_event("users", position, reason="", log=log, views=views, at=START, actor="")
    assert await log.head() == position


async def test_what_a_newer_program_wrote_stops_only_whoever_must_read_it(
    stored: tuple[AnyLog, MemoryViews | PostgresViews],
) -> None:
    """V15: an older projector beside a newer writer, two unknown facts in a row and one more behind a known one."""
    log, views = stored
    await write(log, running())
    stream = StreamId("user-1")
    for event_type in ("user.retired", "user.praised"):
        await put(log, stream, event_type, msgspec.msgpack.encode({"type": event_type}))
    await tell(log, deposit("5"))
    last = await put(log, SYSTEM_STREAM, "projection.praised", b"\xc0")

    await ProjectionRunner(log, views).catch_up()

    found = await statuses(log, views)
    assert {name: known.serving.position for name, known in found.items()} == {
        "bots": last,
        "models": last,
        "alerts": last,
        "users": 3,
        "system": last - 1,
    }
    assert found["users"].stopped == Poison(4, "user.retired", found["users"].stopped.error)  # type: ignore[union-attr]  # it is stopped


async def test_a_row_that_cannot_be_written_out_stops_the_projection_at_the_event_that_made_it() -> None:
    """The rows of a batch are written out at its end; what comes before the culprit is stored as if it were the end."""

    def project(books: BotBooks, event: RecordedEvent) -> tuple[BotBooks, Sequence[Draft]]:
        books, drafts = BOTS.project(books, event)
        return books, [_unwritable(drafts[0])] if event.position == 5 else drafts

    log, views = await written([*running(), deposited("1"), deposited("2"), deposited("3")]), MemoryViews()
    projector = follower(log, views, BOTS._replace(project=project))
    await projector.begin()
    with pytest.raises(ProjectionStopped, match=r"position 5 \(capital.deposited\): ZeroDivisionError"):
        await projector.step()

    assert await views.position() == 4
    assert b'"cash":"10001"' in (await views.row("portfolios", BOT) or b"")


def _unwritable(draft: Draft) -> Draft:
    def render() -> AccountRow:
        raise ZeroDivisionError

    return draft._replace(key="another", render=render)


class PickyViews(MortalViews):
    """A store that refuses whatever comes of one position."""

    def __init__(self, inner: MemoryViews, refused: int) -> None:
        super().__init__(inner)
        self._refused = refused

    async def commit(
        self,
        target: Target,
        changes: Sequence[RowChange],
        books: Mapping[str, bytes],
        *,
        after: Checkpoint,
        reached: Checkpoint,
    ) -> None:
        """The inner store's, unless the position is in the batch."""
        if after.position < self._refused <= reached.position and target.projection == "bots":
            raise RowsRefused("the row is too ugly")
        await super().commit(target, changes, books, after=after, reached=reached)


@pytest.mark.parametrize("sprint", [False, True])
async def test_a_row_that_the_store_refuses_stops_the_projection_at_its_event(sprint: bool) -> None:
    """The batch is halved until the event stands alone."""
    log, inner = await written([*running(), *[deposited("1")] * 50]), MemoryViews()
    projector = follower(log, PickyViews(inner, 37))
    await projector.begin()

    async def build() -> None:
        while projector.position < 53:
            await (projector.sprint(53) if sprint else projector.step())

    with pytest.raises(ProjectionStopped, match="position 37: RowsRefused: the row is too ugly"):
        await build()

    assert await inner.position() == 36
    assert b'"cash":"10033"' in (await inner.row("portfolios", BOT) or b"")


async def test_a_database_that_is_away_is_waited_for_and_stops_nothing() -> None:
    log = await written(running())
    inner = MemoryViews(log)
    views = MortalViews(inner, ["away"] * 20)
    runner = ProjectionRunner(log, views, clock=ImpatientClock())

    async with at_work(runner.run()):
        await eventually(lambda: runner.position == runner.position_of("users") == 3)

    assert views.commits > 20
    assert {known.state for known in (await statuses(log, inner)).values()} == {"running"}


KILL = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'victim'"


async def test_a_projector_whose_connections_are_cut_again_and_again_comes_to_the_same_rows(
    database: str, pool: asyncpg.Pool
) -> None:
    """R14."""
    log = PostgresEventLog(pool, Codec())
    async with await open_pool(database, size=2, application_name="victim") as cut:
        runner = ProjectionRunner(
            PostgresEventLog(cut, Codec(), deadline_seconds=1), PostgresViews(cut), clock=ImpatientClock(), batch=40
        )
        async with at_work(runner.run()):
            await fleet_log(log, frames=40)
            for _ in range(20):
                await pool.fetchval(KILL)
                await write(log, [deposited("1")], bot_stream(BotId("bot-1")))
            head = await log.head()
            await eventually(lambda: runner.position == runner.position_of("users") == head, seconds=30)

    views = PostgresViews(pool)
    assert {known.state for known in (await statuses(log, views)).values()} == {"running"}
    assert [view.first_difference for view in (await rebuild_views(log, views)).views] == [None] * len(BOT_VIEWS)


class BuggyViews(MortalViews):
    """A store with a bug of ours in it, as long as it is broken."""

    broken = True
    asked = 0

    async def checkpoint(self, target: Target) -> Checkpoint | None:
        """Fails for one projection every other time, so that what went wrong can be shown in between."""
        if self.broken and target.projection == "users":
            self.asked += 1
            if self.asked % 2:
                raise ZeroDivisionError("a bug")
        return await super().checkpoint(target)


async def test_a_bug_halts_one_projection_shows_itself_and_is_tried_again() -> None:
    log = await written(running())
    inner = MemoryViews(log)
    views = BuggyViews(inner)
    runner = ProjectionRunner(log, views, clock=ImpatientClock())

    async with at_work(runner.run()):
        await eventually(lambda: runner.position == 3)
        await eventually(lambda: views.asked > 20)
        assert (await statuses(log, inner))["users"].stopped == Poison(0, "", "ZeroDivisionError: a bug")
        views.broken = False
        await eventually(lambda: runner.position_of("users") == 3)

    assert (await statuses(log, inner))["users"].state == "running"


async def ahead(views: MemoryViews | PostgresViews, position: int) -> None:
    """Views that claim to be built up to a position."""
    serving = await views.checkpoint(Target("bots"))
    assert serving is not None
    reached = Checkpoint(serving.build, BOTS.version, position)
    await views.commit(Target("bots"), [], {}, after=serving, reached=reached)


async def test_views_that_are_ahead_of_the_log_are_refused_with_both_numbers(
    stored: tuple[AnyLog, MemoryViews | PostgresViews],
) -> None:
    """R9: the log was restored without the views."""
    log, views = stored
    await write(log, running())
    await ahead(views, 9)

    with pytest.raises(CheckpointAhead, match="built up to position 9, but the log ends at 3"):
        await follower(log, views).begin()
    runner = ProjectionRunner(log, views, clock=ImpatientClock())
    async with at_work(runner.run()):
        await eventually(lambda: runner.position_of("users") == 3)
        stopped = await until_stopped(log, views)

    assert "up to position 9, but the log ends at 3" in stopped.error
    assert await views.position() == 9
    await Rebuild(BOTS, log=log, store=views, clock=ImpatientClock()).run(waits_for_skips=False)
    assert (await statuses(log, views))["bots"].state == "running"
    assert [view.first_difference for view in (await rebuild_views(log, views)).views] == [None] * len(BOT_VIEWS)


async def test_a_log_that_becomes_shorter_under_a_running_projector_is_noticed() -> None:
    """R9."""
    log, views = await written(running()), MemoryViews()
    projector = follower(log, views)
    await projector.begin()
    await projector.step()
    shorter = await written(running()[:2])
    restored = follower(shorter, views)
    restored._checkpoint = projector.checkpoint

    with pytest.raises(CheckpointAhead, match="up to position 3, but the log ends at 2"):
        await restored.wait()


def test_users_show_nothing_personal() -> None:
    assert {name for name in AccountRow.__struct_fields__ if "name" in name} == set()
    assert USERS.views == ("accounts",)


async def test_what_is_applied_is_not_skipped_where_a_projection_fails_for_another_reason(
    stored: tuple[AnyLog, MemoryViews | PostgresViews],
) -> None:
    log, views = stored
    await write(log, running())
    await ProjectionRunner(log, views).catch_up()
    serving = await views.checkpoint(Target("bots"))
    assert serving is not None
    await views.stop(Target("bots"), Poison(serving.position, "", "RuntimeError: no disk"), at=serving)

    with pytest.raises(NotStoppedThere):
        await skip_event("bots", serving.position, reason="", log=log, views=views, at=START, actor="cli")
