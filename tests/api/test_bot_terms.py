"""Configuring, leaving, stopping with what is kept and archiving, over HTTP."""

from typing import cast

import pytest

from events.bot import BotArchived, BotConfigured, BotStopped
from events.identifiers import BotId, bot_stream
from tests.api.stage import Json, Stage, json, problem
from tests.api.test_bots_api import created

pytestmark = pytest.mark.anyio


async def last_fact(stage: Stage, path: str) -> object:
    return (await stage.log.read_stream(bot_stream(BotId(path.rpartition("/")[2]))))[-1].fact


async def test_a_bot_is_given_another_name_and_limits_which_count_once_it_has_taken_them(stage: Stage) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        told = await client.put(f"{path}/terms", json={"name": "Two", "limits": {"drawdown_max": "0.1"}})
        again = await client.put(f"{path}/terms", json={"name": "Two", "limits": {"drawdown_max": "0.1"}})
    assert (told.status_code, again.status_code) == (200, 200)
    assert json(told)["version"] == json(again)["version"] == 3
    fact = await last_fact(stage, path)
    assert isinstance(fact, BotConfigured)
    assert fact.name == "Two"
    assert str(fact.limits and fact.limits.drawdown_max) == "0.1"


@pytest.mark.parametrize(
    ("body", "kind", "named"),
    [
        ({"name": " "}, "invalid-command", "name ' ' must be"),
        ({"limits": {"positions_max": 0}}, "invalid-limits", "positions_max"),
        ({"parameters": {"fast": "x"}}, "invalid-parameter", "fast"),
        ({"strategy": "hodl"}, "unprocessable-content", "strategy"),
    ],
)
async def test_terms_that_no_bot_can_have_are_refused_by_name(
    stage: Stage, body: dict[str, object], kind: str, named: str
) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        assert named in problem(await client.put(f"{path}/terms", json=body), 422, kind)
    assert await stage.log.head() == 2


async def test_only_a_stopped_bot_is_archived_and_lists_leave_it_out(stage: Stage) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        early = await client.post(f"{path}/archive")
        await client.post(f"{path}/stop", json={"policy": "keep", "reason": "enough"})
        stopped = await last_fact(stage, path)
        put_away = await client.post(f"{path}/archive", json={"reason": "old"})
        await stage.project()
        listed = json(await client.get("/api/v1/bots"))
        everything = json(await client.get("/api/v1/bots?archived=true"))
        shown = json(await client.get(path))
    assert "only a stopped bot can be archived" in problem(early, 409, "command-refused")
    assert stopped.policy == "keep" if isinstance(stopped, BotStopped) else False
    assert put_away.status_code == 200
    assert isinstance(await last_fact(stage, path), BotArchived)
    assert listed["items"] == []
    [bot] = cast("list[Json]", everything["items"])
    assert bot["archived"] is True
    assert shown["archived"] is True


async def test_a_bot_that_holds_nothing_has_nothing_to_leave(stage: Stage) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        assert "holds nothing" in problem(await client.post(f"{path}/forceexit"), 409, "command-refused")
        named = await client.post(f"{path}/forceexit", json={"symbols": ["BTC/USDT"]})
    assert "holds nothing in BTC/USDT" in problem(named, 409, "command-refused")


async def test_a_pause_ends_by_resuming(stage: Stage) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        await client.post(f"{path}/start")
        await client.post(f"{path}/pause")
        resumed = await client.post(f"{path}/resume")
    assert json(resumed)["status"] == "running"
