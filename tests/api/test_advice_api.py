"""Advice, what it cost and the arena over the API."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from events.bot import DecisionMade
from events.envelope import Fact
from events.identifiers import MODELS_STREAM, DecisionId, VenueName, bot_stream
from oxbot.core.candles import Series
from oxbot.views.fold import RowChange
from tests.api.stage import BOT, BTC, START, STEP, VENUE, Stage, items, json, problem, say
from tests.app.stored_views import plant
from tests.core.scenario import candle, created, deposited
from tests.views.advising import TODAY, begun, ended, opinion, received, requested

pytestmark = pytest.mark.anyio

API = "/api/v1"
DECIDED = DecisionMade(
    decision_id=DecisionId("bot-1-d1"),
    at=START + STEP,
    venue=VenueName("test"),
    symbol=BTC,
    timeframe="5m",
    window=3,
    window_digest="abc",
    strategy="ema_cross",
    strategy_version=1,
    measurements=(),
    intent="enter_long",
    mark=Decimal(100),
    equity=Decimal(10_000),
    advice_id=requested().advice_id,
)


async def lived(stage: Stage) -> None:
    """A bot that asked twice, was told once, and decided on that."""
    await say(stage, bot_stream(BOT), created(), deposited("10000"), requested(), received(requested(), opinion()))
    await say(stage, bot_stream(BOT), DECIDED)
    await stage.candles.add([(Series(VENUE, BTC, "5m"), [candle(0, "100"), candle(1, "101")])])
    await stage.project()


async def test_advice_is_listed_with_its_answer_and_what_was_decided_on_it(stage: Stage) -> None:
    await lived(stage)
    async with stage.client("viewer") as client:
        [found] = items(await client.get(f"{API}/bots/{BOT}/advice"))
        [decision] = items(await client.get(f"{API}/bots/{BOT}/decisions"))
        [spent] = items(await client.get(f"{API}/bots/{BOT}/spending"))
    assert (found["outcome"], found["cost"], found["decisions"]) == ("answered", "0.002", ["bot-1-d1"])
    advice = msgspec.convert(decision["advice"], dict[str, object])
    named = ("advice_id", "model", "resolved_model", "template", "prompt", "answer")
    assert [advice[name] for name in named] == [
        found["advice_id"], "deep", "deep-3.2", "market/1", found["prompt"], found["answer"],
    ]  # fmt: skip
    assert advice["opinion"] == msgspec.convert(found["opinions"], list[object])[0]
    assert (spent["day"], spent["model"], spent["cost"]) == ("2026-11-20", "deep", "0.002")


async def test_advice_of_no_bot_is_not_found(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        for listing in ("advice", "spending"):
            problem(await client.get(f"{API}/bots/nobody/{listing}"), 404, "unknown-bot")


async def test_models_and_their_days_are_read_at_their_own_position(stage: Stage) -> None:
    calls: list[Fact] = [begun(1), ended(begun(1)), begun(2, at=TODAY + timedelta(days=1)), begun(3, model="small")]
    await say(stage, MODELS_STREAM, *calls)
    async with stage.client("admin") as client:
        assert items(await client.get(f"{API}/models")) == []
        await stage.project()
        listed = await client.get(f"{API}/models", params={"min_position": "4"})
        days = await client.get(f"{API}/models/deep/days", params={"limit": "1"})
        rest = await client.get(f"{API}/models/deep/days", params={"cursor": str(json(days)["next"])})
    assert [(each["model"], each["calls"], each["open_calls"]) for each in items(listed)] == [
        ("deep", 2, 1),
        ("small", 1, 1),
    ]
    assert listed.headers["x-position"] == "4"
    assert [each["day"] for each in (*items(days), *items(rest))] == ["2026-11-21", "2026-11-20"]
    assert items(rest)[0]["outcomes"] == [["answered", 1]]


@pytest.mark.parametrize("name", ["nobody", "NOT A NAME", "x" * 65, "%00"])
async def test_a_model_that_was_never_called_is_not_found(stage: Stage, name: str) -> None:
    async with stage.client("admin") as client:
        problem(await client.get(f"{API}/models/{name}/days"), 404, "not-found")


async def test_the_arena_ranks_and_labels(stage: Stage) -> None:
    await lived(stage)
    async with stage.client("viewer") as client:
        board = await client.get(f"{API}/arena", params={"fleet": "fleet-1"})
        none = await client.get(f"{API}/arena", params={"fleet": "other"})
    [line] = items(board)
    assert (line["bot_id"], line["rank"], line["contest"], line["unranked"]) == (BOT, 1, 1, "")
    assert (line["equity"], line["pnl_net"], line["max_drawdown"]) == ("10000", "-0.002", "0")
    # The stage's model knows of the first day of the market.
    assert (line["contaminated"], line["resolved"], line["coverage"]) == (True, [["deep-3.2", 1]], "1")
    assert (json(board)["bots"], items(none)) == (1, [])
    assert board.headers["x-position"] == str(json(board)["position"])


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "201"}, {"fleets": "main"}])
async def test_the_arena_refuses_what_it_does_not_know(stage: Stage, query: dict[str, str]) -> None:
    async with stage.client("viewer") as client:
        problem(await client.get(f"{API}/arena", params=query), 400, "bad-request")


async def test_a_bot_whose_arena_row_is_not_made_yet_is_left_out(stage: Stage) -> None:
    """Rows that an older program made serve until they are made anew."""
    await lived(stage)
    [listed] = await stage.views.across("bots", limit=2)
    await plant(stage.views, RowChange("bots", "bot-9", "", listed.body.replace(b'"bot-1"', b'"bot-9"')))
    async with stage.client("admin") as client:
        assert json(await client.get(f"{API}/arena"))["bots"] == 1
        assert len(items(await client.get(f"{API}/bots"))) == 2
