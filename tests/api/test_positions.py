"""Answers name the position that they were read at, wait for the one asked for, and never mix two."""

import asyncio
import re

import asyncpg
import msgspec
import pytest

from events.identifiers import new_event_id
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.api.described import EVENT_STREAM
from oxbot.api.operations import Operation
from oxbot.api.projections import ProjectionList
from oxbot.api.routes import OPERATIONS
from oxbot.app.views import Checkpoint, Target
from oxbot.views.fold import Poison, RowChange
from tests.api.populated import KNOWN, populated
from tests.api.stage import BOT, Stage, json, problem, running
from tests.app.fakes import at_work

pytestmark = pytest.mark.anyio

BOTS = "/api/v1/bots"
WAITING = "select exists (select from pg_locks where not granted and mode = 'AccessExclusiveLock')"
READS = [
    BOTS,
    "/api/v1/portfolios",
    *(
        f"{BOTS}/{{id}}{rest}"
        for rest in ("", "/portfolio", "/positions", "/orders", "/trades", "/decisions", "/equity", "/memory")
    ),
]


async def created(stage: Stage) -> tuple[str, int]:
    """A new bot and the position by which it is in the log."""
    async with stage.client("trader") as client:
        response = await client.post(BOTS, json={"name": "one", "symbols": ["BTC/USDT"]})
    return str(json(response)["bot_id"]), int(response.headers["x-position"])


@pytest.mark.parametrize("path", READS)
async def test_every_answer_from_views_says_where_it_was_read_and_how_far_behind(stage: Stage, path: str) -> None:
    """R20."""
    bot_id, position = await created(stage)
    await stage.project()
    await created(stage)
    async with stage.client("trader") as client:
        response = await client.get(path.format(id=bot_id))

    assert response.status_code == 200
    assert int(response.headers["x-position"]) == position
    assert int(response.headers["x-lag"]) == await stage.log.head() - position > 0


@pytest.mark.parametrize("path", READS)
async def test_a_position_that_is_not_reached_in_time_is_answered_with_both_positions(stage: Stage, path: str) -> None:
    """R18."""
    bot_id, position = await created(stage)
    await stage.project()
    async with stage.client("trader") as client:
        response = await client.get(path.format(id=bot_id), params={"min_position": str(position + 7)})

    detail = problem(response, 504, "position-not-reached")
    assert f"position {position}, not {position + 7}; the log ends at {position}" in detail


async def test_what_one_has_just_done_can_be_read_by_asking_for_its_position(stage: Stage) -> None:
    """R18: without the position the bot would not be there yet; with it, the answer waits for the projector."""
    bot_id, position = await created(stage)
    async with stage.client("trader") as client:
        assert (await client.get(f"{BOTS}/{bot_id}")).status_code == 404
        async with at_work(stage.projection.run()):
            response = await client.get(f"{BOTS}/{bot_id}", params={"min_position": str(position)})

    assert json(response)["bot_id"] == bot_id
    assert int(response.headers["x-position"]) >= position


def path_of(one: Operation) -> str:
    """Where the operation is, with names in it of what there is."""
    return re.sub(r"{(\w+)}", lambda found: KNOWN.get(found[1], "none"), one.path)


async def test_every_read_waits_for_a_position_or_says_that_it_does_not_know_one() -> None:
    """The stranger's: one listing took the parameter, did nothing by it and answered at once."""
    reads = [one for one in OPERATIONS if one.method == "GET" and one.media_type != EVENT_STREAM]
    waiting = {one.name for one in reads if "min_position" in one.query.__struct_fields__}
    async with running(await populated()) as stage, stage.client("admin") as client:
        beyond = {"min_position": str(10**9)}
        answers = await asyncio.gather(*(client.get(path_of(one), params=beyond) for one in reads))

    found = {one.name: answer.status_code for one, answer in zip(reads, answers, strict=True)}
    assert found == {one.name: 504 if one.name in waiting else 400 for one in reads}
    assert {"list_bots", "show_portfolio"} <= waiting
    assert not waiting & {"list_checkpoints", "list_incidents"}


@pytest.mark.parametrize("given", ["-1", "x", "1.5", str(2**63), ""])
async def test_what_is_no_position_is_refused(stage: Stage, given: str) -> None:
    async with stage.client("viewer") as client:
        problem(await client.get(BOTS, params={"min_position": given}), 400, "bad-request")


async def test_the_state_of_the_projections_is_shown(stage: Stage) -> None:
    await created(stage)
    checkpoint = await stage.views.checkpoint(Target("users"))
    assert checkpoint is not None
    await stage.views.stop(Target("users"), Poison(1, "user.created", "ValueError: no"), at=checkpoint)
    await stage.views.open_rebuild("system", version=2, build=new_event_id())
    async with stage.client("admin") as client, stage.client("viewer") as viewer:
        response = await client.get("/api/v1/projections")
        bare = await viewer.get("/api/v1/projections")

    assert [each.serving.stopped for each in msgspec.json.decode(bare.content, type=ProjectionList).items] == [None] * 5
    found = msgspec.json.decode(response.content, type=ProjectionList).items
    assert [(each.name, each.state) for each in found] == [
        ("alerts", "running"),
        ("bots", "running"),
        ("models", "running"),
        ("system", "rebuilding"),
        ("users", "stopped"),
    ]
    _, bots, _, system, users = found
    assert bots.serving.lag_events == await stage.log.head()
    assert bots.serving.lag_seconds >= 0
    assert system.rebuild is not None
    assert system.rebuild.version == 2
    assert users.serving.stopped is not None
    assert (users.serving.stopped.position, users.serving.stopped.event_type) == (1, "user.created")


async def test_an_answer_is_of_one_build_though_another_takes_its_place_while_it_is_read(pool: asyncpg.Pool) -> None:
    """R20: the swap waits for the reader, and the next answer is of the new build alone."""
    views = PostgresViews(pool)
    serving = await views.checkpoint(Target("bots"))
    assert serving is not None
    old = [RowChange("bots", BOT, "", b'"old"'), RowChange("portfolios", BOT, "", b'"old"')]
    await views.commit(Target("bots"), old, {}, after=serving, reached=Checkpoint(serving.build, serving.version, 5))
    build = new_event_id()
    await views.open_rebuild("bots", version=3, build=build)
    new = [RowChange("bots", BOT, "", b'"new"'), RowChange("portfolios", BOT, "", b'"new"')]
    rebuilt = Checkpoint(build, 3, 6)
    await views.commit(Target("bots", rebuild=True), new, {}, after=Checkpoint(build, 3, 0), reached=rebuilt)

    async with asyncio.TaskGroup() as tasks:
        async with views.snapshot() as snapshot:
            swap = tasks.create_task(views.serve_rebuild("bots", rebuilt=rebuilt, head=6))
            while not (swap.done() or await pool.fetchval(WAITING)):
                await asyncio.sleep(0.001)
            read = snapshot.position, await snapshot.row("bots", BOT), await snapshot.row("portfolios", BOT)
        assert read == (5, b'"old"', b'"old"')
        assert await swap
    async with views.snapshot() as snapshot:
        read = snapshot.position, await snapshot.row("bots", BOT), await snapshot.row("portfolios", BOT)
    assert read == (6, b'"new"', b'"new"')
