"""The live stream over a WebSocket: who may open it, what its first message must be, and how it ends."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from starlette.types import Message

from events.bot import BotPaused, BotStarted
from events.identifiers import BotId, OwnerId, bot_stream
from events.user import Role
from oxbot.api.app import create_app, end_streams
from oxbot.api.options import ApiOptions
from oxbot.api.tokens import LIFETIME, SignedIn
from oxbot.app.live_stream import StreamLimits
from oxbot.core.account import UserId
from tests.api.stage import BOT, Stage, now, running, say
from tests.api.streaming import SECONDS, Socket, Told, scope, socket
from tests.core.scenario import created

pytestmark = pytest.mark.anyio

MINE = BotId("mine")


def token(stage: Stage, role: Role = "admin", *, lasts: timedelta = LIFETIME) -> str:
    """An access token of somebody of that role."""
    return stage.tokens.issue(SignedIn(UserId(f"a-{role}"), role), at=now() - LIFETIME + lasts)


async def opened(client: Socket) -> None:
    """Return once the server has accepted it."""
    assert (await client.next())["type"] == "websocket.accept"


async def test_after_a_token_it_tells_what_the_event_stream_tells(stage: Stage) -> None:
    await say(stage, bot_stream(BOT), created(), BotPaused())
    async with socket(stage) as client:
        await opened(client)
        client.say({"access_token": token(stage), "after": 1})
        first = await client.told()
        assert (first.event, first.id, first.data["position"]) == ("bot.paused", 2, 2)
        assert first.data["fact"] == {"type": "bot.paused"}
        assert await client.told() == Told("caught_up", 2, {"position": 2})
        await say(stage, bot_stream(BOT), BotStarted())
        assert (await client.told()).event == "bot.started"


async def test_what_it_asks_for_and_may_read_is_all_that_it_gets(stage: Stage) -> None:
    for bot_id, owner in ((BOT, ""), (MINE, "a-trader"), (BotId("other"), "a-stranger")):
        fact = msgspec.structs.replace(created(), bot_id=bot_id, owner=OwnerId(owner))
        await say(stage, bot_stream(bot_id), fact, BotStarted())
    async with socket(stage) as all_of_it, socket(stage) as one:
        await opened(all_of_it)
        await opened(one)
        all_of_it.say({"access_token": token(stage, "trader"), "after": 0})
        one.say({"access_token": token(stage, "trader"), "after": 0, "bots": [MINE, "other"], "types": ["bot.started"]})
        assert [(await all_of_it.told()).id for _ in range(5)] == [1, 2, 3, 4, 6]
        assert [(await one.told()).id for _ in range(2)] == [4, 6]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "http://oxbot.test.evil.test",
        "null",
        "http://[",
        "ftp://oxbot.test",
        "http://oxbot.test:80",
    ],
)
async def test_a_page_of_another_origin_may_not_open_it(stage: Stage, origin: str) -> None:
    async with socket(stage, origin=origin) as client:
        assert await client.next() == {"type": "websocket.close", "code": 1008, "reason": ""}


async def test_our_own_page_may_and_one_that_is_allowed() -> None:
    stage = Stage()
    stage.app = create_app(stage.open_services, ApiOptions(allowed_origins=("https://desk.test",)))
    async with running(stage):
        for origin in ("http://oxbot.test", "https://oxbot.test", "https://desk.test", None):
            async with socket(stage, origin=origin) as client:
                await opened(client)


async def test_no_other_path_has_a_socket(stage: Stage) -> None:
    for path in ("/api/v1/stream", "/api/v1/bots", "/ws", "/api/v1/stream/ws/"):
        async with socket(stage, path=path) as client:
            assert (await client.next())["type"] == "websocket.close"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 400),
        ("x", 400),
        ("[]", 400),
        ("{}", 400),
        ('{"access_token": 1}', 400),
        ('{"access_token": "x", "other": 1}', 400),
        ('{"access_token": "x", "after": -1}', 400),
        ("[" * 10_000, 400),
        ('{"access_token": "' + "x" * 20_000 + '"}', 400),
        ('{"access_token": "x.y.z"}', 401),
        ('{"access_token": "oxb_' + "a" * 43 + '"}', 401),
    ],
)
async def test_whoever_does_not_say_who_he_is_is_refused(stage: Stage, text: str, status: int) -> None:
    async with socket(stage) as client:
        await opened(client)
        client.say_text(text)
        refused = await client.told()
        assert (refused.event, refused.data["status"]) == ("refused", status)
        assert await client.code() == 4000 + status


@pytest.mark.parametrize(
    ("asked", "status"),
    [({"after": 9}, 409), ({"after": 2**63}, 400), ({"types": ["bot.unheard_of"]}, 400)],
)
async def test_what_cannot_be_followed_is_refused_as_over_http(
    stage: Stage, asked: dict[str, object], status: int
) -> None:
    async with socket(stage) as client:
        await opened(client)
        client.say({"access_token": token(stage, "viewer"), **asked})
        assert (await client.told()).data["status"] == status
        assert await client.code() == 4000 + status


async def test_silence_is_refused_before_long() -> None:
    stage = Stage()
    stage.stream_limits = StreamLimits(stranger_seconds=0.01)
    async with running(stage), socket(stage) as client:
        await opened(client)
        assert (await client.told()).data["status"] == 408


async def test_only_so_many_may_stand_at_the_door() -> None:
    stage = Stage()
    stage.stream_limits = StreamLimits(strangers_max=1, check_seconds=0.01)
    async with running(stage), socket(stage) as first:
        await opened(first)
        async with socket(stage) as second:
            assert (await second.next())["type"] == "websocket.close"
        first.say({"access_token": token(stage)})
        assert (await first.told()).event == "caught_up"
        async with socket(stage) as third:
            await opened(third)


async def test_whoever_leaves_at_the_door_leaves_his_place() -> None:
    stage = Stage()
    stage.stream_limits = StreamLimits(strangers_max=1)
    async with running(stage):
        for _ in range(3):
            async with socket(stage) as client:
                await opened(client)


async def test_sockets_and_event_streams_count_together() -> None:
    stage = Stage()
    stage.stream_limits = StreamLimits(listeners_per_user_max=1, check_seconds=0.01)
    async with running(stage), socket(stage) as first, socket(stage) as second:
        for client in (first, second):
            await opened(client)
            client.say({"access_token": token(stage)})
            told = await client.told()
        assert (told.event, told.data["status"]) == ("refused", 429)
        assert await second.code() == 4429


async def test_it_ends_with_its_token(stage: Stage) -> None:
    async with socket(stage) as client:
        await opened(client)
        client.say({"access_token": token(stage, lasts=timedelta(seconds=2))})
        assert (await client.told()).event == "caught_up"
        while (told := (await client.told()).event) == "heartbeat":
            pass
        assert told == "signed_out"
        assert await client.code() == 4401


async def test_it_ends_with_the_process(stage: Stage) -> None:
    async with socket(stage) as client:
        await opened(client)
        client.say({"access_token": token(stage)})
        await client.told()
        end_streams(stage.app)
        assert (await client.told()).event == "closing"
        assert await client.code() == 1012


async def test_it_ends_if_its_client_says_anything_more(stage: Stage) -> None:
    async with socket(stage) as client:
        await opened(client)
        client.say({"access_token": token(stage)})
        await client.told()
        client.say({"access_token": token(stage)})
        assert await client.code() == 1008


async def test_it_ends_when_its_client_leaves(stage: Stage) -> None:
    async with socket(stage) as client:
        await opened(client)
        client.say({"access_token": token(stage)})
        await client.told()
        assert stage.app.state.services.stream.listeners == 1
    assert stage.app.state.services.stream.listeners == 0


async def test_heartbeats_are_messages() -> None:
    stage = Stage()
    stage.stream_limits = StreamLimits(heartbeat_seconds=0.01, check_seconds=0.005)
    async with running(stage), socket(stage) as client:
        await opened(client)
        client.say({"access_token": token(stage)})
        assert [(await client.told()).event for _ in range(3)] == ["caught_up", "heartbeat", "heartbeat"]


async def test_a_client_that_is_gone_in_the_middle_of_a_message_is_no_error(stage: Stage) -> None:
    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            raise OSError("gone")

    incoming: asyncio.Queue[Message] = asyncio.Queue()
    incoming.put_nowait({"type": "websocket.connect"})
    hello = msgspec.json.encode({"access_token": token(stage)}).decode()
    incoming.put_nowait({"type": "websocket.receive", "text": hello})
    async with asyncio.timeout(SECONDS):
        await stage.app(scope("websocket", "/api/v1/stream/ws", []) | {"subprotocols": []}, incoming.get, send)
    assert stage.app.state.services.stream.listeners == 0
