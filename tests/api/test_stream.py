"""The live stream as server-sent events: what comes, to whom, from where on, and how it ends."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from events.account import AccountArmed
from events.alerts import ALERTS_STREAM, AlertCleared, AlertRaised
from events.bot import BotPaused, BotStarted
from events.codec import Codec
from events.envelope import Fact
from events.fleet import FleetSwitched
from events.identifiers import (
    HOUSE,
    AccountName,
    BotId,
    FleetName,
    OwnerId,
    StreamId,
    account_stream,
    bot_stream,
    fleet_stream,
)
from events.memory import MemoryEventLog
from events.system import SYSTEM_STREAM, StreamEnded
from events.user import Role, SessionEnded, UserCreated
from events.values import EncryptedText, SubjectId
from oxbot.api.app import end_streams
from oxbot.app.live_stream import StreamLimits
from oxbot.core.account import UserId, user_stream
from tests.api.stage import BOT, Stage, json, now, problem, running, say
from tests.api.streaming import event_stream
from tests.app.test_live_stream import AwayLog
from tests.core.scenario import created

pytestmark = pytest.mark.anyio

STREAM = "/api/v1/stream"
MINE, ANOTHERS = BotId("mine"), BotId("anothers")


async def bots(stage: Stage) -> None:
    """A bot of the house, one of the trader's and one of somebody else's: three events."""
    for bot_id, owner in ((BOT, HOUSE), (MINE, OwnerId("a-trader")), (ANOTHERS, OwnerId("a-stranger"))):
        await say(stage, bot_stream(bot_id), msgspec.structs.replace(created(), bot_id=bot_id, owner=owner))


async def test_an_event_is_told_with_its_position_as_id_its_type_as_name_and_its_envelope(stage: Stage) -> None:
    async with event_stream(stage) as stream:
        assert (await stream.until("caught_up"))[-1].data == {"position": 0}
        await say(stage, bot_stream(BOT), BotPaused(reason="lunch\nbreak"))
        told = await stream.read()

    [recorded] = await stage.log.read_all()
    assert told is not None
    assert (told.id, told.event) == (1, "bot.paused")
    assert told.data == {
        "position": 1,
        "stream": "bot-bot-1",
        "version": 1,
        "type": "bot.paused",
        "occurred_at": recorded.occurred_at.isoformat().replace("+00:00", "Z"),
        "recorded_at": recorded.recorded_at.isoformat().replace("+00:00", "Z"),
        "fact": {"type": "bot.paused", "reason": "lunch\nbreak"},
    }


async def test_the_headers_keep_caches_and_proxies_from_holding_it_back(stage: Stage) -> None:
    async with event_stream(stage) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-store, no-transform"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "content-length" not in stream.headers
        assert "etag" not in stream.headers
        assert stream.headers["x-content-type-options"] == "nosniff"


async def test_it_begins_at_the_head_unless_told_where(stage: Stage) -> None:
    await bots(stage)
    async with event_stream(stage) as stream:
        assert [told.id for told in await stream.until("caught_up")] == [3]
        await say(stage, bot_stream(BOT), BotStarted())
        assert await stream.positions(1) == [4]


async def test_whoever_comes_again_misses_nothing(stage: Stage) -> None:
    await bots(stage)
    async with event_stream(stage, after=1) as stream:
        assert await stream.positions(2) == [2, 3]
        seen = stream.seen[-1].id
    await say(stage, bot_stream(BOT), BotStarted(), BotPaused())
    async with event_stream(stage, after=0, last_event_id=seen) as stream:
        assert [told.id for told in await stream.until("caught_up")] == [4, 5, 5]


async def test_history_comes_before_caught_up_and_what_happens_after_it(stage: Stage) -> None:
    await bots(stage)
    async with event_stream(stage, after=0) as stream:
        told = await stream.until("caught_up")
        assert [one.id for one in told] == [1, 2, 3, 3]
        await say(stage, bot_stream(BOT), BotStarted())
        assert await stream.positions(1) == [4]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"bots": "bot-1"}, [1, 4, 5]),
        ({"bots": "mine,anothers"}, [2, 3]),
        ({"types": "bot.started"}, [4]),
        ({"types": "bot.started,bot.paused", "bots": "bot-1,mine"}, [4, 5]),
        ({"bots": "nobody"}, []),
    ],
)
async def test_only_what_was_asked_for_is_told(stage: Stage, asked: dict[str, Any], expected: list[int]) -> None:
    await bots(stage)
    await say(stage, bot_stream(BOT), BotStarted(), BotPaused())
    async with event_stream(stage, after=0, **asked) as old, event_stream(stage, **asked) as new:
        assert [told.id for told in await old.until("caught_up")] == [*expected, 5]
        await new.until("caught_up")
        await say(stage, bot_stream(MINE), BotStarted())
        await say(stage, bot_stream(BOT), BotStarted())
        for stream in (old, new):
            wanted = [position for position, bot in ((6, MINE), (7, BOT)) if bot in asked.get("bots", bot)]
            wanted = wanted if "bot.started" in asked.get("types", "bot.started") else []
            assert await stream.positions(len(wanted)) == wanted


FACTS: list[tuple[StreamId, Fact, set[str]]] = [
    (bot_stream(BOT), BotStarted(), {"viewer", "trader", "admin"}),
    (bot_stream(MINE), BotStarted(), {"trader", "admin"}),
    (bot_stream(ANOTHERS), BotStarted(), {"admin"}),
    (bot_stream(BotId("unborn")), BotStarted(), {"admin"}),
    (fleet_stream(FleetName("test")), FleetSwitched(state="halted"), {"viewer", "trader", "admin"}),
    (account_stream(AccountName("main")), AccountArmed(until=datetime(2030, 1, 1, tzinfo=UTC)), {"admin"}),
    (user_stream(UserId("a-trader")), SessionEnded(session_id="none", why="signed_out"), {"admin"}),
    (StreamId("security"), BotStarted(), {"admin"}),
    (StreamId("anything"), BotStarted(), {"admin"}),
    (ALERTS_STREAM, AlertRaised(at=now(), rule="bot_failing", subject="bot-mine"), {"trader", "admin"}),
    (ALERTS_STREAM, AlertRaised(at=now(), rule="feed_late", subject="x", owner=HOUSE), {"viewer", "trader", "admin"}),
    (ALERTS_STREAM, AlertRaised(at=now(), rule="projection_lag", subject="x"), {"admin"}),
    (ALERTS_STREAM, AlertCleared(at=now(), rule="feed_late", subject="x", owner=HOUSE), {"viewer", "trader", "admin"}),
    (ALERTS_STREAM, AlertCleared(at=now(), rule="projection_lag", subject="x"), {"admin"}),
]


@pytest.mark.parametrize("role", get_args(Role))
async def test_everybody_sees_what_he_may_read_and_nothing_else(stage: Stage, role: Role) -> None:
    await bots(stage)
    async with event_stream(stage, role) as live:
        await live.until("caught_up")
        for name, fact, _ in FACTS:
            await say(stage, name, fact)
        await say(stage, bot_stream(BOT), BotPaused())
        expected = [4 + number for number, (_, _, who) in enumerate(FACTS) if role in who]
        assert await live.positions(len(expected) + 1) == [*expected, 4 + len(FACTS)]

    async with event_stream(stage, role, after=3) as old:
        assert await old.positions(len(expected) + 1) == [*expected, 4 + len(FACTS)]


async def test_what_is_sealed_stays_sealed_even_for_administrators(stage: Stage) -> None:
    sealed = EncryptedText(subject=SubjectId("user-x"), key_id="k", nonce=b"n" * 12, ciphertext=b"\x00\x01")
    async with event_stream(stage) as stream:
        await stream.until("caught_up")
        await say(stage, user_stream(UserId("x")), UserCreated(username="", role="viewer", sealed_username=sealed))
        told = await stream.read()

    assert told is not None
    fact = msgspec.convert(told.data["fact"], dict[str, object])
    assert fact["sealed_username"] == {
        "subject": "user-x", "key_id": "k", "nonce": "bm5ubm5ubm5ubm5u", "ciphertext": "AAE=",
    }  # fmt: skip


async def test_without_saying_that_it_accepts_event_streams_a_client_gets_what_there_is(stage: Stage) -> None:
    await bots(stage)
    async with stage.client("trader") as client:
        answer = await client.get(STREAM, params={"after": 0})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert [line for line in answer.text.split("\n") if line.startswith("id:")] == ["id: 1", "id: 2", "id: 3"]
    assert "event: caught_up" in answer.text


@pytest.mark.parametrize(
    ("params", "headers", "detail"),
    [
        ({"after": "-1"}, {}, "query"),
        ({"after": "x"}, {}, "query"),
        ({"after": str(2**63)}, {}, "query"),
        ({"types": "bot.unheard_of"}, {}, "bot.unheard_of"),
        ({"bots": ",".join(f"b{number}" for number in range(101))}, {}, "bots names more than 100"),
        ({}, {"Last-Event-ID": "../1"}, "Last-Event-ID"),
        ({"other": "1"}, {}, "query"),
    ],
)
async def test_what_cannot_be_followed_is_a_problem_before_the_stream_begins(
    stage: Stage, params: dict[str, str], headers: dict[str, str], detail: str
) -> None:
    async with stage.client("viewer") as client:
        answer = await client.get(STREAM, params=params, headers=headers)

    assert detail in problem(answer, 400, "bad-request")


async def test_a_position_that_the_log_has_not_reached_is_409(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        assert "ends at position 0" in problem(await client.get(STREAM, params={"after": 7}), 409, "position-ahead")


async def test_a_position_that_is_archived_is_410(stage: Stage) -> None:
    log = AwayLog(MemoryEventLog(Codec()))
    log.floor = 9
    stage = Stage(log=log)
    async with running(stage), stage.client("viewer") as client:
        assert "from position 9 on" in problem(await client.get(STREAM, params={"after": 0}), 410, "below-floor")


async def test_a_heartbeat_moves_the_position_on_over_what_is_not_for_the_client(stage: Stage) -> None:
    stage = Stage()
    stage.stream_limits = StreamLimits(heartbeat_seconds=0.02, check_seconds=0.005)
    async with running(stage), event_stream(stage, "viewer") as stream:
        await stream.until("caught_up")
        await say(stage, SYSTEM_STREAM, StreamEnded(reason="x"))
        while stream.seen[-1].id == 0:
            assert (await stream.until(""))[-1].data == {}
        assert stream.seen[-1].id == 1


async def test_a_client_that_takes_too_little_is_told_how_far_it_came_and_cut_off(stage: Stage) -> None:
    stage = Stage()
    stage.stream_limits = StreamLimits(kept_events=20, page_events=5, check_seconds=0.01)
    async with running(stage), event_stream(stage, room=1) as slow, event_stream(stage) as quick:
        await slow.until("caught_up")
        await quick.until("caught_up")
        for number in range(12):
            await say(stage, bot_stream(BOT), *[BotPaused(reason=str(number))] * 5)
            assert len(await quick.positions(5)) == 5
        told = await slow.until("overrun")
        assert await slow.read() is None

    sent = [one.id for one in told[:-1]]
    assert sent == list(range(1, sent[-1] + 1))
    assert told[-1].data == {"position": sent[-1]}
    assert sent[-1] < 60
    async with running(stage), event_stream(stage, after=sent[-1]) as again:
        assert await again.positions(60 - sent[-1]) == list(range(sent[-1] + 1, 61))


async def test_the_stream_ends_when_its_session_does(stage: Stage) -> None:
    async with stage.revocations.following(Quick()), event_stream(stage, "viewer") as stream:
        await stream.until("caught_up")
        await say(stage, user_stream(UserId("a-viewer")), SessionEnded(session_id="s-viewer", why="signed_out"))
        assert (await stream.until("signed_out"))[-1].event == "signed_out"
        assert await stream.read() is None


async def test_the_stream_ends_when_its_token_expires(stage: Stage) -> None:
    async with event_stream(stage, "viewer", lasts=timedelta(seconds=2)) as stream:
        await stream.until("signed_out")
        assert await stream.read() is None


async def test_the_stream_ends_when_the_process_does(stage: Stage) -> None:
    async with event_stream(stage) as stream:
        await stream.until("caught_up")
        end_streams(stage.app)
        await stream.until("closing")
        assert await stream.read() is None
        async with stage.client("viewer") as client:
            assert problem(await client.get(STREAM), 503, "unavailable")


async def test_one_user_may_open_so_many_and_all_together_so_many(stage: Stage) -> None:
    stage = Stage()
    stage.stream_limits = StreamLimits(listeners_max=3, listeners_per_user_max=2, check_seconds=0.01)
    async with running(stage):
        async with event_stream(stage), event_stream(stage), stage.client("admin") as admin:
            refused = await admin.get(STREAM)
            assert "you have 2 streams already" in problem(refused, 429, "too-many-requests")
            assert refused.headers["retry-after"] == "5"
            async with event_stream(stage, "viewer"), stage.client("trader") as trader:
                refused = await trader.get(STREAM)
                assert "this process serves 3 streams already" in problem(refused, 503, "busy")
                assert refused.headers["retry-after"] == "5"
        async with stage.client("admin") as admin:
            assert (await admin.get(STREAM)).status_code == 200


async def test_it_is_a_path_like_any_other_for_strangers_and_for_heads(stage: Stage) -> None:
    async with stage.client() as stranger, stage.client("viewer") as viewer:
        assert problem(await stranger.get(STREAM), 401, "unauthorized")
        answer = await viewer.head(STREAM, headers={"Accept": "text/event-stream"})
        assert (answer.status_code, answer.content) == (200, b"")
        described = json(await viewer.get("/openapi.json"))
    operation = msgspec.convert(described["paths"], dict[str, dict[str, dict[str, object]]])[STREAM]["get"]
    assert "text/event-stream" in msgspec.json.encode(operation).decode()


class Quick:
    """A clock whose sleeps are short."""

    async def sleep(self, seconds: float) -> None:
        """Let others run."""
        del seconds
        await asyncio.sleep(0.001)

    def now(self) -> datetime:
        """The machine's time."""
        return now()
