"""Answers that have not changed are not sent again, and commands count for the version that they were meant for."""

import pytest

from events.bot import BotClaimed
from events.identifiers import BotId, bot_stream
from tests.api.stage import Stage, json, problem, say
from tests.core.scenario import running

pytestmark = pytest.mark.anyio

BOTS = "/api/v1/bots"
NEW = {"name": "one", "symbols": ["BTC/USDT"]}


async def a_bot(stage: Stage) -> str:
    """The path of a bot at version 2."""
    async with stage.client("trader") as client:
        made = json(await client.post(BOTS, json=NEW))
    assert made["version"] == 2
    return f"{BOTS}/{made['bot_id']}"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
async def test_an_answer_that_is_known_is_304_without_content(stage: Stage, form: str) -> None:
    async with stage.client("trader") as client:
        first = await client.get(BOTS)
        tag = first.headers["etag"]
        again = await client.get(BOTS, headers={"If-None-Match": form.format(tag)})

    assert tag.startswith('"')
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert "content-type" not in again.headers
    assert again.headers["x-position"] == first.headers["x-position"]


async def test_an_answer_that_has_changed_is_sent_with_another_tag(stage: Stage) -> None:
    path = await a_bot(stage)
    async with stage.client("trader") as client:
        before = await client.get(BOTS)
        await stage.project()
        after = await client.get(BOTS, headers={"If-None-Match": before.headers["etag"]})

    assert after.status_code == 200
    assert after.headers["etag"] != before.headers["etag"]
    assert path.rpartition("/")[2] in after.text


async def test_head_has_the_headers_and_no_content(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        get, head = await client.get(BOTS), await client.head(BOTS)
        known = await client.head(BOTS, headers={"If-None-Match": get.headers["etag"]})

    assert (head.status_code, head.content, known.status_code) == (200, b"", 304)
    for name in ("etag", "content-length", "content-type", "x-position"):
        assert head.headers[name] == get.headers[name]


async def test_a_problem_has_no_tag(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        response = await client.get(f"{BOTS}/none", headers={"If-None-Match": "*"})

    assert "etag" not in response.headers
    assert problem(response, 404, "unknown-bot")


async def test_a_command_for_the_version_that_there_is_is_done(stage: Stage) -> None:
    path = await a_bot(stage)
    async with stage.client("trader") as client:
        started = await client.post(f"{path}/start", headers={"If-Match": '"2"'})
        paused = await client.post(f"{path}/pause", headers={"If-Match": "*"})

    assert (json(started)["version"], json(paused)["version"]) == (3, 4)


@pytest.mark.parametrize("command", ["start", "stop", "pause", "trading-state", "deposits"])
async def test_a_command_for_another_version_is_412_and_names_the_one_that_there_is(stage: Stage, command: str) -> None:
    path = await a_bot(stage)
    body = {"trading-state": {"state": "halted"}, "deposits": {"amount": "1", "reference": "r"}}.get(command)
    async with stage.client("trader") as client:
        response = await client.post(f"{path}/{command}", json=body, headers={"If-Match": '"1"'})

    assert problem(response, 412, "version-moved")
    assert json(response)["actual_version"] == 2
    assert await stage.log.head() == 2


@pytest.mark.parametrize("given", ["two", 'W/"2"', '"x"', '"2", "3"', '""'])
async def test_what_is_no_version_is_400(stage: Stage, given: str) -> None:
    path = await a_bot(stage)
    async with stage.client("trader") as client:
        assert problem(await client.post(f"{path}/start", headers={"If-Match": given}), 400, "bad-request")


async def test_a_version_of_what_has_none_is_400(stage: Stage) -> None:
    async with stage.client("trader") as client:
        assert problem(await client.post(BOTS, json=NEW, headers={"If-Match": '"0"'}), 400, "bad-request")


async def test_a_command_that_is_refused_says_at_which_version(stage: Stage) -> None:
    path = await a_bot(stage)
    async with stage.client("trader") as client:
        response = await client.post(f"{path}/pause")

    assert problem(response, 409, "command-refused")
    assert json(response)["actual_version"] == 2


async def test_a_bot_says_the_version_that_a_command_can_be_meant_for(stage: Stage) -> None:
    path = await a_bot(stage)
    await stage.project()
    async with stage.client("trader") as client:
        shown = json(await client.get(path))
        started = await client.post(f"{path}/start", headers={"If-Match": f'"{shown["version"]}"'})
        refused = await client.post(f"{path}/start", headers={"If-Match": f'"{shown["version"]}"'})
        await stage.project()
        again = json(await client.get(path))

    assert (shown["version"], shown["status"]) == (2, "created")
    assert (again["version"], again["status"]) == (3, "running")
    assert (json(started)["version"], json(refused)["actual_version"]) == (3, 3)


async def test_the_version_is_that_of_what_is_shown_and_not_of_what_the_views_have_not_seen(stage: Stage) -> None:
    """Else a command could be meant for a version that whoever sends it has never looked at."""
    path = await a_bot(stage)
    await stage.project()
    async with stage.client("trader") as client:
        await client.post(f"{path}/start")
        behind = await client.get(path)
        late = await client.post(f"{path}/pause", headers={"If-Match": f'"{json(behind)["version"]}"'})

    assert (json(behind)["version"], behind.headers["x-position"], behind.headers["x-lag"]) == (2, "2", "1")
    assert problem(late, 412, "version-moved")
    assert json(late)["actual_version"] == 3


async def test_a_bot_at_another_version_has_another_tag_whatever_happened_to_it(stage: Stage) -> None:
    path = await a_bot(stage)
    bot_id = BotId(path.rpartition("/")[2])
    await stage.project()
    async with stage.client("trader") as client:
        first = await client.get(path)
        # Another bot's facts change neither.
        await say(stage, bot_stream(BotId("bot-9")), *running())
        await stage.project()
        known = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
        # Nothing that is shown of a bot changes with this fact but the version.
        await say(stage, bot_stream(bot_id), BotClaimed(epoch=1, holder="host"))
        await stage.project()
        moved = await client.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert known.status_code == 304
    assert moved.headers["etag"] != first.headers["etag"]
    assert json(moved) == {**json(first), "version": 3}


async def test_nobody_is_told_the_version_of_a_bot_that_he_may_not_read(stage: Stage) -> None:
    path = await a_bot(stage)
    await stage.project()
    async with stage.client("trader", user="somebody-else") as client:
        assert problem(await client.get(path), 404, "unknown-bot")
