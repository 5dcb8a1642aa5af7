"""The log over REST: its checkpoints as anybody's verifier reads them, its events, and proofs that hold without us."""

import base64

import httpx
import msgspec
import pytest

from events.checkpoint import open_checkpoint
from events.entry import raw_event
from oxbot.app.audit_proof import Inclusion, check_inclusion
from tests.api.stage import Stage, items, json, problem

pytestmark = pytest.mark.anyio

CHECKPOINTS = "/api/v1/log/checkpoints"


async def make_bots(client: httpx.AsyncClient, count: int = 1) -> None:
    for number in range(count):
        made = await client.post("/api/v1/bots", json={"name": f"bot {number}", "symbols": ["BTC/USDT"]})
        assert made.status_code == 201, made.text


async def test_the_newest_checkpoint_is_served_to_the_letter(stage: Stage) -> None:
    async with stage.client("admin") as client:
        await make_bots(client)
        key = await stage.seal()
        await make_bots(client)
        await stage.seal()
        response = await client.get(f"{CHECKPOINTS}/latest")

    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    checkpoint = open_checkpoint(response.text, [key.verifier])
    assert checkpoint.root == await _root(stage, checkpoint.size)


async def _root(stage: Stage, size: int) -> bytes:
    [newest] = await stage.tree.before(None, 1)
    assert newest.size == size
    return newest.root


async def test_checkpoints_are_listed_in_pages_from_the_newest_on(stage: Stage) -> None:
    async with stage.client("viewer") as viewer, stage.client("trader") as trader:
        for _ in range(3):
            await make_bots(trader)
            await stage.seal()
        first = await viewer.get(f"{CHECKPOINTS}?limit=2")
        second = await viewer.get(f"{CHECKPOINTS}?limit=2&cursor={json(first)['next']}")

    sizes = [item["tree_size"] for item in items(first) + items(second)]
    assert sizes == sorted([one.size for one in await stage.tree.before(None, 9)], reverse=True)
    assert len(sizes) == 3
    assert json(second)["next"] is None


async def test_a_cursor_that_names_no_position_is_refused(stage: Stage) -> None:
    cursor = base64.urlsafe_b64encode(b"checkpoints\nx").rstrip(b"=").decode()
    async with stage.client("viewer") as client:
        problem(await client.get(f"{CHECKPOINTS}?cursor={cursor}"), 404, "unknown-position")


async def test_an_event_is_shown_as_it_is_stored(stage: Stage) -> None:
    async with stage.client("admin") as client:
        await make_bots(client)
        shown = json(await client.get("/api/v1/log/events/1"))

    event = await stage.tree.at(1)
    assert event is not None
    assert (shown["stream"], shown["event_type"]) == (event.stream, "bot.created")
    assert base64.b64decode(str(shown["payload"])) == event.payload
    assert base64.b64decode(str(shown["leaf_hash"])) == event.leaf_hash
    assert msgspec.convert(shown["fact"], dict[str, object])["name"] == "bot 0"


async def test_a_served_proof_is_checked_without_the_server(stage: Stage) -> None:
    async with stage.client("admin") as client:
        await make_bots(client, 3)
        key = await stage.seal()
        for position in (1, 2, 3):
            response = await client.get(f"/api/v1/log/events/{position}/proof")
            inclusion = msgspec.json.decode(response.content, type=Inclusion)
            assert check_inclusion(inclusion, [key.verifier]).size >= 3
            event = await stage.tree.at(position)
            assert event is not None
            assert inclusion.event.payload == raw_event(event).payload


async def test_before_the_first_checkpoint_there_is_none_and_no_proof(stage: Stage) -> None:
    async with stage.client("admin") as client:
        await make_bots(client)
        problem(await client.get(f"{CHECKPOINTS}/latest"), 409, "not-sealed")
        problem(await client.get("/api/v1/log/events/1/proof"), 409, "not-sealed")


@pytest.mark.parametrize("position", ["0", "-1", "007", "x", "1.5", "9" * 19, "9" * 400, "2"])
@pytest.mark.parametrize("what", ["", "/proof"])
async def test_what_is_no_position_of_the_log_is_not_found(stage: Stage, position: str, what: str) -> None:
    async with stage.client("admin") as client:
        await make_bots(client)
        if position == "2":
            position = str(len(await stage.log.read_all()) + 1)
        problem(await client.get(f"/api/v1/log/events/{position}{what}"), 404, "unknown-position")


@pytest.mark.parametrize("path", ["/api/v1/log/events/1", "/api/v1/log/events/1/proof"])
async def test_only_an_admin_sees_events_as_they_are(stage: Stage, path: str) -> None:
    async with stage.client("trader") as client:
        await make_bots(client)
        problem(await client.get(path), 403, "forbidden")
