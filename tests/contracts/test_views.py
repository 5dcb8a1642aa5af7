"""What every store of views promises, held against the one in memory and the one in Postgres."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import pytest

from events.bot import BotStarted
from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import BotId, OwnerId, bot_stream, new_event_id
from events.log import ANY_VERSION, EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.adapters.memory_views import MemoryViews
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.views import (
    Checkpoint,
    CheckpointMoved,
    RebuildStore,
    Standing,
    StoredRow,
    Swap,
    Target,
    UnknownProjection,
    ViewReader,
)
from oxbot.views.fold import Poison, RowChange
from oxbot.views.projections import PROJECTIONS
from oxbot.views.rows import BOT_VIEWS, ViewName

pytestmark = pytest.mark.anyio

BOTS = Target("bots")
REBUILD = Target("bots", rebuild=True)
A, B, C = BotId("bot-a"), BotId("bot-b"), BotId("bot-c")


class Views(RebuildStore, ViewReader, Protocol):
    """Both ports in one."""


@pytest.fixture(params=["memory", "postgres"])
def views(request: pytest.FixtureRequest) -> Views:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        return MemoryViews()
    return PostgresViews(request.getfixturevalue("pool"))


async def at(views: Views, target: Target = BOTS) -> Checkpoint:
    """The build's checkpoint; there is one."""
    checkpoint = await views.checkpoint(target)
    assert checkpoint is not None
    return checkpoint


async def commit(
    views: Views,
    changes: Sequence[RowChange],
    books: Mapping[str, bytes],
    *,
    position: int,
    target: Target = BOTS,
    after: Checkpoint | None = None,
) -> Checkpoint:
    """Write from the present checkpoint, or from another."""
    before = after or await at(views, target)
    reached = Checkpoint(before.build, before.version, position)
    await views.commit(target, changes, books, after=before, reached=reached)
    return reached


async def everything(views: Views) -> tuple[int, dict[ViewName, list[StoredRow]]]:
    """Position and rows of the bots' views."""
    async with views.snapshot() as snapshot:
        return snapshot.position, await snapshot.everything()


def trade(bot_id: BotId, key: str, body: bytes | None = b'{"n": "1.50"}') -> RowChange:
    """A change of a row of trades."""
    return RowChange("trades", bot_id, key, body)


async def test_an_empty_store_has_nothing(views: Views) -> None:
    assert await views.position() == (await at(views)).position == 0
    assert await views.row("bots", A) is None
    assert await views.rows("trades", A, limit=10) == []
    assert await views.across("bots", limit=10) == []
    assert await views.books(BOTS, [A]) == {}
    assert await everything(views) == (0, {view: [] for view in BOT_VIEWS})


async def test_rows_books_and_checkpoint_are_written_together(views: Views) -> None:
    body = '{ "name" : "ö\\u0000", "cash":"1.500" }'.encode()
    await commit(views, [RowChange("bots", A, "", body)], {A: b"\x00\xff"}, position=7)

    assert await views.position() == 7
    assert await views.row("bots", A) == body
    assert await views.books(BOTS, [A, B]) == {A: b"\x00\xff"}


async def test_a_commit_from_a_checkpoint_that_has_moved_writes_nothing(views: Views) -> None:
    before = await at(views)
    await commit(views, [trade(A, "1")], {A: b"first"}, position=5)

    with pytest.raises(CheckpointMoved):
        await commit(views, [trade(A, "1", None), trade(A, "2")], {A: b"second"}, position=6, after=before)
    assert await views.position() == 5
    assert await views.rows("trades", A, limit=10) == [StoredRow(A, "1", b'{"n": "1.50"}')]
    assert await views.books(BOTS, [A]) == {A: b"first"}


async def test_a_row_is_replaced_and_removed(views: Views) -> None:
    await commit(views, [trade(A, "1"), trade(A, "2")], {}, position=1)
    await commit(views, [trade(A, "1", b"2"), trade(A, "2", None), trade(A, "3", None)], {}, position=2)

    assert await views.rows("trades", A, limit=10) == [StoredRow(A, "1", b"2")]


@pytest.mark.parametrize(
    ("after_key", "limit", "descending", "keys"),
    [
        ("", 10, False, ["1", "2", "3", "B", "a"]),
        ("", 2, False, ["1", "2"]),
        ("2", 2, False, ["3", "B"]),
        ("a", 2, False, []),
        ("", 10, True, ["a", "B", "3", "2", "1"]),
        ("3", 10, True, ["2", "1"]),
        ("3", 1, True, ["2"]),
        ("1", 10, True, []),
        ("25", 10, False, ["3", "B", "a"]),
    ],
)
async def test_a_bots_rows_come_in_order_of_key_from_either_end(
    views: Views, after_key: str, limit: int, descending: bool, keys: list[str]
) -> None:
    changes = [trade(A, key) for key in ("2", "a", "B", "1", "3")]
    await commit(views, [*changes, trade(B, "4"), RowChange("orders", A, "5", b"0")], {}, position=1)

    rows = await views.rows("trades", A, after_key=after_key, limit=limit, descending=descending)

    assert [row.key for row in rows] == keys


async def test_single_rows_come_in_order_of_bot(views: Views) -> None:
    changes = [RowChange("portfolios", bot_id, "", b'"%s"' % bot_id.encode()) for bot_id in (C, A, B)]
    await commit(views, [*changes, RowChange("bots", A, "", b"0")], {}, position=1)

    assert await views.across("portfolios", limit=2) == [StoredRow(A, "", b'"bot-a"'), StoredRow(B, "", b'"bot-b"')]
    assert await views.across("portfolios", after_bot=B, limit=2) == [StoredRow(C, "", b'"bot-c"')]


def owned(owner: str, *bots: BotId) -> list[RowChange]:
    """Whose these bots are, and that they are."""
    return [
        change for bot in bots for change in (RowChange("owned", owner, bot, b"{}"), RowChange("arena", bot, "", b"1"))
    ]


async def test_the_rows_of_some_owners_bots_come_in_order_of_bot(views: Views) -> None:
    changes = [*owned("", B), *owned("anna", C, A), *owned("ben", BotId("bot-d"), BotId("bot-0"))]
    await commit(views, changes, {}, position=1)

    async def found(*owners: str, after: str = "", limit: int = 9) -> list[str]:
        wanted = [OwnerId(owner) for owner in owners]
        return [row.owner for row in await views.across("arena", of_owners=wanted, after_bot=after, limit=limit)]

    assert await found("anna") == [A, C]
    assert await found("", "anna") == await found("anna", "", "anna") == [A, B, C]
    assert await found("", "anna", limit=2) == [A, B]
    assert await found("", "anna", after=A, limit=2) == [B, C]
    assert await found("", "anna", after=C) == await found("nobody") == await found() == []
    assert await found("ben", "anna", "", after="bot-0") == [A, B, C, "bot-d"]


async def test_everything_is_every_row_in_order_of_bot_and_key(views: Views) -> None:
    await commit(views, [trade(B, "1"), trade(A, "2"), trade(A, "1")], {}, position=3)

    position, rows = await everything(views)

    assert position == 3
    assert set(rows) == set(BOT_VIEWS)
    assert [(row.bot_id, row.key) for row in rows["trades"]] == [(A, "1"), (A, "2"), (B, "1")]


async def test_each_projection_has_its_own_checkpoint_and_books(views: Views) -> None:
    users = Target("users")
    await commit(views, [RowChange("accounts", "u1", "", b"1")], {"u1": b"u"}, position=4, target=users)

    assert await views.position("users") == 4
    assert await views.position() == 0
    assert await views.books(BOTS, ["u1"]) == {}
    assert await views.books(users, ["u1"]) == {"u1": b"u"}
    assert await views.row("accounts", "u1") == b"1"


async def test_an_unknown_projection_cannot_be_read(views: Views) -> None:
    with pytest.raises(UnknownProjection):
        async with views.snapshot("weather"):
            pass
    with pytest.raises(UnknownProjection):
        await views.position("weather")


async def test_a_row_is_found_with_the_position_that_it_is_of(views: Views) -> None:
    assert await views.found("trades", A, "1") == (None, 0, 0)
    await commit(views, [trade(A, "1")], {}, position=3)
    found = await views.found("trades", A, "1")
    assert (found.body, found.position) == (b'{"n": "1.50"}', 3)
    assert (await views.found("trades", B, "1"))[:2] == (None, 3)
    assert (await views.found("accounts", A))[:2] == (None, 0)


async def test_a_row_is_of_one_build_whenever_another_takes_its_place(views: Views) -> None:
    """The n-th build is at position n and has the row n alone."""
    builds = 15
    await commit(views, [trade(A, "1")], {}, position=1)
    swapping, found = True, set[int]()

    async def look() -> None:
        while swapping:
            for key in range(1, builds + 1):
                body, position, _ = await views.found("trades", A, str(key))
                assert (body is not None) == (position == key)
                found.add(position)
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(look())
        for number in range(2, builds + 1):
            await views.open_rebuild("bots", version=9, build=new_event_id())
            rebuilt = await commit(views, [trade(A, str(number))], {}, position=number, target=REBUILD)
            while not await views.serve_rebuild("bots", rebuilt=rebuilt, head=number):
                await asyncio.sleep(0.001)
            await asyncio.sleep(0)
        swapping = False
    assert len(found) > 1


async def test_a_snapshot_does_not_see_what_is_written_after_it(views: Views) -> None:
    await commit(views, [trade(A, "1")], {}, position=1)
    async with views.snapshot() as snapshot:
        await commit(views, [trade(A, "2"), trade(A, "1", None)], {}, position=2)

        assert snapshot.position == 1
        assert [row.key for row in await snapshot.rows("trades", A, limit=9)] == ["1"]
        assert await snapshot.row("trades", A, "2") is None
        assert [row.key for row in await views.rows("trades", A, limit=9)] == ["2"]


@pytest.fixture(params=["memory", "postgres"])
def beside(request: pytest.FixtureRequest) -> tuple[EventLog, Views]:
    """Each implementation with the log that it is beside."""
    if request.param == "memory":
        log = MemoryEventLog(Codec())
        return log, MemoryViews(log)
    pool = request.getfixturevalue("pool")
    return PostgresEventLog(pool, Codec()), PostgresViews(pool)


async def test_a_snapshot_knows_the_version_that_a_stream_had_at_its_position(beside: tuple[EventLog, Views]) -> None:
    log, views = beside
    for bot_id in (A, B, A, A, C):
        event = NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotStarted())
        await log.append(bot_stream(bot_id), [event], expected=ANY_VERSION)
    found = []
    for position in range(6):
        await commit(views, [], {}, position=position)
        async with views.snapshot() as snapshot:
            found.append([await snapshot.version_of(bot_id) for bot_id in (A, B, C, BotId("none"))])
    assert found == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [2, 1, 0, 0], [3, 1, 0, 0], [3, 1, 1, 0]]


async def stand(views: Views, target: Target = BOTS) -> Standing:
    """One build's standing."""
    return next(known for known in await views.standings() if Target(known.projection, known.rebuild) == target)


async def test_a_stop_shows_until_the_build_moves_on(views: Views) -> None:
    poison = Poison(8, "order.filled", "ValueError: no")
    checkpoint = await commit(views, [], {}, position=7)
    await views.stop(BOTS, poison, at=checkpoint)
    assert (await stand(views)).stopped == poison

    checkpoint = await commit(views, [], {}, position=8)
    assert (await stand(views)).stopped is None
    await views.stop(BOTS, poison, at=checkpoint)
    await views.beat(BOTS, at=checkpoint)
    assert (await stand(views)).stopped is None


async def test_a_stop_or_a_beat_from_a_checkpoint_that_has_moved_changes_nothing(views: Views) -> None:
    before = await at(views)
    await commit(views, [], {}, position=7)

    with pytest.raises(CheckpointMoved):
        await views.stop(BOTS, Poison(1, "", ""), at=before)
    with pytest.raises(CheckpointMoved):
        await views.beat(BOTS, at=before)

    assert (await stand(views)).stopped is None


async def test_every_projection_has_a_standing(views: Views) -> None:
    standings = await views.standings()

    assert [standing.projection for standing in standings] == sorted(known.name for known in PROJECTIONS)
    assert {(standing.rebuild, standing.position, standing.lag_seconds) for standing in standings} == {(False, 0, 0.0)}


async def begun(views: Views, version: int = 9) -> Checkpoint:
    """A build under way beside the serving one, which is at position 5."""
    await commit(views, [trade(A, "old")], {A: b"old"}, position=5)
    await views.open_rebuild("bots", version=version, build=new_event_id())
    return await at(views, REBUILD)


async def test_a_build_under_way_is_invisible_to_readers(views: Views) -> None:
    under_way = await begun(views)
    assert (under_way.version, under_way.position) == (9, 0)
    await commit(views, [trade(A, "new")], {A: b"new", B: b"b"}, position=5, target=REBUILD)

    assert [row.key for row in await views.rows("trades", A, limit=9)] == ["old"]
    assert await views.books(BOTS, [A, B]) == {A: b"old"}
    assert await views.books(REBUILD, [A, B]) == {A: b"new", B: b"b"}
    assert await views.position() == 5


async def test_opening_a_build_that_is_under_way_leaves_it_as_it_is(views: Views) -> None:
    under_way = await begun(views)
    await commit(views, [trade(A, "new")], {A: b"new"}, position=3, target=REBUILD)

    await views.open_rebuild("bots", version=10, build=new_event_id())

    assert await at(views, REBUILD) == Checkpoint(under_way.build, 9, 3)
    assert await views.books(REBUILD, [A]) == {A: b"new"}


async def test_a_build_that_is_served_takes_the_place_of_the_old_one(views: Views) -> None:
    await begun(views)
    rebuilt = await commit(views, [trade(B, "new")], {B: b"new"}, position=5, target=REBUILD)

    assert await views.serve_rebuild("bots", rebuilt=rebuilt, head=6)

    assert await at(views) == rebuilt
    assert await views.checkpoint(REBUILD) is None
    position, rows = await everything(views)
    assert (position, rows["trades"]) == (5, [StoredRow(B, "new", b'{"n": "1.50"}')])
    assert await views.books(BOTS, [A, B]) == {B: b"new"}
    await commit(views, [trade(B, "newer")], {}, position=6)
    await views.open_rebuild("bots", version=10, build=new_event_id())
    assert await views.books(REBUILD, [B]) == {}


async def test_a_build_that_is_behind_what_serves_does_not_serve(views: Views) -> None:
    await begun(views)
    rebuilt = await commit(views, [], {}, position=4, target=REBUILD)

    assert not await views.serve_rebuild("bots", rebuilt=rebuilt, head=5)

    assert await at(views, REBUILD) == rebuilt
    assert [row.key for row in await views.rows("trades", A, limit=9)] == ["old"]


async def test_a_build_serves_in_the_place_of_one_that_is_beyond_the_log(views: Views) -> None:
    """R9: the log was restored to position 4, the views say 5."""
    await begun(views)
    rebuilt = await commit(views, [], {}, position=4, target=REBUILD)

    assert await views.serve_rebuild("bots", rebuilt=rebuilt, head=4)
    assert await views.position() == 4


async def test_a_build_that_has_moved_does_not_serve(views: Views) -> None:
    under_way = await begun(views)
    await commit(views, [], {}, position=6, target=REBUILD)

    with pytest.raises(CheckpointMoved):
        await views.serve_rebuild("bots", rebuilt=under_way, head=6)
    assert await views.position() == 5


async def test_a_build_that_is_discarded_is_gone(views: Views) -> None:
    before = await begun(views)

    assert await views.discard_rebuild("bots")

    assert not await views.discard_rebuild("bots")
    assert await views.checkpoint(REBUILD) is None
    assert await views.books(REBUILD, [A]) == {}
    with pytest.raises(CheckpointMoved):
        await commit(views, [trade(A, "new")], {A: b"new"}, position=1, target=REBUILD, after=before)
    with pytest.raises(CheckpointMoved):
        await views.serve_rebuild("bots", rebuilt=before, head=6)


async def test_a_successor_at_the_same_position_is_not_taken_for_its_predecessor(views: Views) -> None:
    await begun(views)
    old = await at(views)
    rebuilt = await commit(views, [], {}, position=5, target=REBUILD)
    await views.serve_rebuild("bots", rebuilt=rebuilt, head=5)

    with pytest.raises(CheckpointMoved):
        await commit(views, [trade(A, "old")], {}, position=6, after=old)


async def test_a_swap_is_to_be_announced_until_it_was(views: Views) -> None:
    await begun(views)
    assert await views.unannounced("bots") is None
    rebuilt = await commit(views, [], {}, position=5, target=REBUILD)
    await views.serve_rebuild("bots", rebuilt=rebuilt, head=5)
    await commit(views, [], {}, position=6)

    assert await views.unannounced("bots") == Swap(rebuilt.build, 9, 5)
    await views.announced("bots", new_event_id())
    assert await views.unannounced("bots") == Swap(rebuilt.build, 9, 5)
    await views.announced("bots", rebuilt.build)
    assert await views.unannounced("bots") is None


async def test_what_another_projection_builds_is_left_alone(views: Views) -> None:
    await begun(views)
    users = Target("users", rebuild=True)
    await views.open_rebuild("users", version=2, build=new_event_id())
    await commit(views, [RowChange("accounts", "u1", "", b"1")], {}, position=3, target=users)

    await views.discard_rebuild("bots")
    await views.serve_rebuild("users", rebuilt=await at(views, users), head=5)

    assert await views.row("accounts", "u1") == b"1"
    assert [row.key for row in await views.rows("trades", A, limit=9)] == ["old"]
