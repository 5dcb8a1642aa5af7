"""The log in pages over REST: by position and by stream, whole and in order, while it grows, for administrators."""

import asyncio
from datetime import timedelta

import httpx
import msgspec
import pytest

from events.bot import BotPaused
from events.encoded import EncodedCommand, EncodedEvent
from events.identifiers import BotId, OwnerId, bot_stream, new_event_id
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from events.user import Role
from oxbot.app import log_pages
from tests.api.stage import Json, Stage, items, json, now, problem, say
from tests.core.scenario import created, deposited

pytestmark = pytest.mark.anyio

EVENTS = "/api/v1/log/events"
STREAMS = "/api/v1/log/streams"
ONE, TWO = bot_stream(BotId("bot-1")), bot_stream(BotId("bot-2"))


async def grown(stage: Stage) -> None:
    """Two bots of different people, one event after the other."""
    for number, stream in enumerate((ONE, TWO)):
        await say(stage, stream, msgspec.structs.replace(created(), bot_id=BotId(f"bot-{number + 1}")), deposited())
    for _ in range(4):
        await say(stage, ONE, BotPaused(reason="to look"))
        await say(stage, TWO, BotPaused(reason="to wait"))


async def walked(client: httpx.AsyncClient, path: str, **query: str) -> list[Json]:
    """All that a listing has, page by page."""
    found: list[Json] = []
    cursor: dict[str, str] = {}
    while True:
        response = await client.get(path, params={**query, **cursor})
        assert response.status_code == 200, response.text
        assert len(items(response)) <= int(query.get("limit", "100"))
        found += items(response)
        if json(response)["next"] is None:
            return found
        cursor = {"cursor": str(json(response)["next"])}


def positions(found: list[Json]) -> list[object]:
    """Where they are."""
    return [event["position"] for event in found]


async def test_every_event_is_listed_once_in_order_as_the_single_one_has_it(stage: Stage) -> None:
    await grown(stage)
    async with stage.client("admin") as client:
        found = await walked(client, EVENTS, limit="3")
        for event in found:
            single = json(await client.get(f"{EVENTS}/{event['position']}"))
            assert event["type"] == single["event_type"]
            same = ("position", "stream", "version", "event_id", "occurred_at", "recorded_at", "fact")
            assert {name: event[name] for name in same} == {name: single[name] for name in same}
    assert positions(found) == list(range(1, 13))


async def test_a_filter_lists_what_it_names_and_nothing_else(stage: Stage) -> None:
    await grown(stage)
    everything = await stage.log.read_all()
    moment = (everything[6].recorded_at + timedelta(microseconds=1)).isoformat()
    cases: list[tuple[dict[str, str], list[int]]] = [
        ({"stream": TWO}, [event.position for event in everything if event.stream == TWO]),
        ({"type": "bot.created"}, [1, 3]),
        ({"type": "order.filled"}, []),
        ({"stream": ONE, "type": "bot.paused"}, [5, 7, 9, 11]),
        ({"after": "6"}, list(range(7, 13))),
        ({"after": "6", "stream": ONE}, [7, 9, 11]),
        ({"until": "6"}, list(range(1, 7))),
        ({"until": "999"}, list(range(1, 13))),
        ({"until": moment}, [e.position for e in everything if e.recorded_at <= everything[6].recorded_at]),
        ({"until": "2020-01-01T00:00:00Z"}, []),
        ({"after": "3", "until": "9", "stream": TWO, "type": "bot.paused"}, [6, 8]),
        ({"after": "99"}, []),
        ({"after": "99", "stream": ONE}, []),
    ]
    async with stage.client("admin") as client:
        for query, expected in cases:
            for limit in ("1", "2", "100"):
                assert positions(await walked(client, EVENTS, limit=limit, **query)) == expected, (query, limit)


async def test_a_stream_is_listed_by_version_and_says_how_far_it_is(stage: Stage) -> None:
    await grown(stage)
    async with stage.client("admin") as client:
        found = await walked(client, f"{STREAMS}/{ONE}/events", limit="2")
        later = await walked(client, f"{STREAMS}/{ONE}/events", after="4")
        paused = await walked(client, f"{STREAMS}/{ONE}/events", type="bot.paused", limit="3")
        standing = json(await client.get(f"{STREAMS}/{ONE}"))
    assert [event["version"] for event in found] == [1, 2, 3, 4, 5, 6]
    assert positions(found) == [1, 2, 5, 7, 9, 11]
    assert [event["version"] for event in later] == [5, 6]
    assert [event["version"] for event in paused] == [3, 4, 5, 6]
    newest = found[-1]
    assert standing == {
        "stream": ONE,
        "version": 6,
        "events": 6,
        "position": 11,
        "recorded_at": newest["recorded_at"],
    }


async def test_pages_miss_and_double_nothing_while_facts_are_appended(stored_stage: Stage) -> None:
    stage = stored_stage
    await grown(stage)
    done = asyncio.Event()

    async def append() -> None:
        for _ in range(40):
            await say(stage, ONE, BotPaused(reason="again"))
            await say(stage, TWO, BotPaused(reason="again"))
        done.set()

    async def followed(client: httpx.AsyncClient, path: str, **query: str) -> list[object]:
        found: list[Json] = []
        while True:
            over = done.is_set()
            after = str(found[-1]["version" if "streams" in path else "position"]) if found else "0"
            found += await walked(client, path, limit="3", after=after, **query)
            if over:
                return positions(found)

    async with stage.client("admin") as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(append())
        walks = [
            tasks.create_task(followed(client, EVENTS)),
            tasks.create_task(followed(client, EVENTS, type="bot.paused")),
            tasks.create_task(followed(client, EVENTS, stream=ONE)),
            tasks.create_task(followed(client, f"{STREAMS}/{TWO}/events")),
        ]
    everything = await stage.log.read_all()
    assert len(everything) == 92
    assert [walk.result() for walk in walks] == [
        [event.position for event in everything],
        [event.position for event in everything if event.event_type == "bot.paused"],
        [event.position for event in everything if event.stream == ONE],
        [event.position for event in everything if event.stream == TWO],
    ]


async def test_the_last_page_says_from_where_to_go_on(stage: Stage) -> None:
    await grown(stage)
    async with stage.client("admin") as client:
        for query in ({}, {"type": "bot.created"}, {"stream": ONE}):
            last = await client.get(EVENTS, params=query)
            assert (json(last)["next"], last.headers["x-position"]) == (None, "12")
        await say(stage, TWO, BotPaused(reason="more"))
        assert positions(items(await client.get(EVENTS, params={"after": last.headers["x-position"]}))) == [13]


async def test_a_rare_type_is_looked_for_in_a_bounded_part_of_the_log_at_a_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await grown(stage)
    monkeypatch.setattr(log_pages, "TYPES_WINDOW", 2)
    monkeypatch.setattr(log_pages, "STREAM_WINDOW", 2)
    async with stage.client("admin") as client:
        first = await client.get(EVENTS, params={"type": "bot.paused"})
        assert (items(first), json(first)["next"] is None, first.headers["x-position"]) == ([], False, "2")
        assert positions(await walked(client, EVENTS, type="bot.paused")) == list(range(5, 13))
        assert positions(await walked(client, EVENTS, type="bot.paused", stream=TWO)) == [6, 8, 10, 12]


async def test_what_this_program_cannot_decode_stands_in_its_place_without_a_fact(stage: Stage) -> None:
    await grown(stage)
    assert isinstance(stage.log, MemoryEventLog)
    foreign = EncodedEvent(new_event_id(), "order.imagined", 1, now(), b'{"price":"1"}', b'{"actor":"later"}')
    await stage.log.append_encoded([EncodedCommand(ONE, ANY_VERSION, [foreign])])
    await say(stage, ONE, BotPaused(reason="after it"))
    async with stage.client("admin") as client:
        for path in (EVENTS, f"{STREAMS}/{ONE}/events"):
            for limit in ("1", "4", "100"):
                found = await walked(client, path, limit=limit)
                assert found[-2]["type"] == "order.imagined"
                assert (found[-2]["fact"], found[-2]["metadata"]) == (None, {"actor": "later"})
                assert positions(found)[-3:] in ([12, 13, 14], [11, 13, 14])
        assert json(await client.get(f"{STREAMS}/{ONE}"))["version"] == 8


async def test_a_version_at_a_position_is_found_wherever_it_is(stage: Stage) -> None:
    await grown(stage)
    pages = stage.reads().log_pages
    everything = await stage.log.read_all()
    for position in range(14):
        had = [event for event in everything if event.stream == TWO and event.position <= position]
        assert await pages.version_at(TWO, position) == len(had)


@pytest.mark.parametrize("role", [None, "viewer", "trader"])
async def test_whoever_is_refused_single_events_learns_nothing_of_pages_and_streams(
    stage: Stage, role: Role | None
) -> None:
    """A trader neither: not of his own bot's stream, and not whether there is such a stream."""
    await say(stage, ONE, msgspec.structs.replace(created(), owner=OwnerId(f"a-{role}")))
    async with stage.client(role) as client:
        single = await client.get(f"{EVENTS}/1")
        answers = [
            await client.get(path)
            for path in (EVENTS, *(f"{STREAMS}/{name}{end}" for name in (ONE, "none") for end in ("", "/events")))
        ]
    assert single.status_code == (401 if role is None else 403)
    told = {(answer.status_code, str(json(answer)["detail"])) for answer in (single, *answers)}
    assert len(told) == 1


@pytest.mark.parametrize("name", ["none", "bot-", "BOT-1", "é", "x" * 600, "bot-1 "])
async def test_a_stream_that_is_none_is_not_found(stage: Stage, name: str) -> None:
    await grown(stage)
    async with stage.client("admin") as client:
        problem(await client.get(f"{STREAMS}/{name}"), 404, "unknown-stream")
        problem(await client.get(f"{STREAMS}/{name}/events"), 404, "unknown-stream")
        if len(name) < 500:
            problem(await client.get(EVENTS, params={"stream": name}), 404, "unknown-stream")


async def test_what_cannot_be_asked_is_refused(stage: Stage) -> None:
    await grown(stage)
    async with stage.client("admin") as client:
        cursor = str(json(await client.get(EVENTS, params={"limit": "2"}))["next"])
        refused: list[dict[str, str]] = [
            {"after": "-1"},
            {"until": "soon"},
            {"until": "0.5"},
            {"limit": "501"},
            {"cursor": cursor, "type": "bot.paused"},
            {"cursor": cursor, "after": "1"},
        ]
        for query in refused:
            problem(await client.get(EVENTS, params=query), 400, "bad-request")
        for path in (EVENTS, f"{STREAMS}/{ONE}/events"):
            problem(await client.get(path, params={"type": "order.imagined"}), 422, "unprocessable-content")
        problem(await client.get(f"{STREAMS}/{ONE}/events", params={"cursor": cursor}), 400, "bad-request")
        assert positions(items(await client.get(EVENTS, params={"cursor": cursor, "limit": "2"}))) == [3, 4]


async def test_a_personal_field_is_shown_as_it_is_stored(stage: Stage) -> None:
    await stage.accounts.create("anna", "a long enough password", "viewer")
    async with stage.client("admin") as client:
        response = await client.get(EVENTS)
        streams = {str(event["stream"]) for event in items(response)}
        [of_user] = [name for name in streams if name.startswith("user-")]
        by_stream = await client.get(f"{STREAMS}/{of_user}/events")
    assert "anna" not in response.text + by_stream.text
    assert items(by_stream) != []
