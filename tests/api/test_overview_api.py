"""The fleet at a glance: every bot that one may read, with what it is worth and how far it fell."""

from decimal import Decimal

import msgspec
import pytest

from events.bot import BotArchived, BotStopped
from events.identifiers import BotId, OwnerId, bot_stream
from events.user import Role
from oxbot.app.equity import EquityReader
from oxbot.core.candles import Series
from oxbot.views.equity import deepest_fall, equity_curve
from tests.api.stage import VENUE, FirstDay, Stage, items, json, problem, say
from tests.core.scenario import BOT, BTC, bought, candle, deposited, running

pytestmark = pytest.mark.anyio

PATH = "/api/v1/overview"
CLOSES = (100, 120, 90, 110, 105)


async def priced(stage: Stage) -> None:
    """Five candles of the bots' symbol."""
    candles = [candle(number, str(close)) for number, close in enumerate(CLOSES)]
    await stage.candles.add([(Series(VENUE, BTC, "5m"), candles)])


async def test_a_bot_is_shown_with_its_equity_its_return_and_how_far_it_fell(stage: Stage) -> None:
    await priced(stage)
    await say(stage, bot_stream(BOT), *running(), *bought(BTC, 1, quantity="50", price="100"))
    await stage.project()
    async with stage.client("viewer") as client:
        response = await client.get(PATH)

    [line] = items(response)
    assert {name: line[name] for name in ("bot_id", "status", "trading", "strategy", "symbols", "owner")} == {
        "bot_id": BOT,
        "status": "running",
        "trading": "active",
        "strategy": "ema_cross",
        "symbols": [BTC],
        "owner": "",
    }
    assert (line["capital"], line["equity"], line["pnl"], line["total_return"]) == ("10000", "10250", "250", "0.025")
    assert (line["open_positions"], line["trades"]) == (1, 0)
    # 11,000 at the second close was the highest, 9,500 at the third the lowest after it.
    assert (line["max_drawdown"], line["current_drawdown"]) == ("0.13636364", "0.06818182")
    assert json(response)["position"] == int(response.headers["x-position"]) == await stage.log.head()
    assert (json(response)["lag_events"], json(response)["bots"]) == (0, 1)


async def test_the_return_is_of_all_that_was_put_in_in_the_overview_as_in_the_profit(stage: Stage) -> None:
    await priced(stage)
    await say(stage, bot_stream(BOT), *running(), *bought(BTC, 1, quantity="50", price="100"), deposited("2500"))
    await stage.project()
    async with stage.client("viewer") as client:
        [line] = items(await client.get(PATH))
        profit = json(await client.get(f"/api/v1/bots/{BOT}/profit"))

    assert (line["capital"], line["pnl"], line["total_return"]) == ("12500", "250", "0.02")
    assert (profit["capital"], profit["profit_all_ratio"]) == ("12500", "0.02")


async def test_the_drawdown_is_that_of_the_whole_curve_however_it_was_gone_through(stage: Stage) -> None:
    await say(stage, bot_stream(BOT), *running(), *bought(BTC, 1, quantity="50", price="100"))
    await stage.project()
    overview = stage.reads().overview
    for number, close in enumerate((100, 130, 80, 125, 131, 90, 95, 140, 139)):
        await stage.candles.add([(Series(VENUE, BTC, "5m"), [candle(number, str(close))])])
        await overview.refresh()
        _, body = await overview.of(None, head=0)
        [line] = msgspec.json.decode(body)["items"]
        equity = EquityReader(stage.views, stage.candles, FirstDay())
        holdings = await equity.holdings(BOT, stage.views)
        assert holdings is not None
        curve = equity_curve(holdings.rows, await equity.frames(holdings.bot))
        expected = deepest_fall(holdings.bot, holdings.rows, curve)
        assert abs(Decimal(line["max_drawdown"]) - expected) < Decimal("1e-8"), number


async def test_everybody_is_shown_the_bots_that_he_may_read(stage: Stage) -> None:
    for name, owner in (("bot-1", ""), ("bot-2", "a-trader"), ("bot-3", "somebody")):
        created = msgspec.structs.replace(running()[0], bot_id=BotId(name), owner=OwnerId(owner))
        await say(stage, bot_stream(BotId(name)), created, *running()[1:])
    await stage.project()
    shown: dict[str, list[object]] = {}
    roles: tuple[Role, ...] = ("viewer", "trader", "admin")
    for role in roles:
        async with stage.client(role) as client:
            shown[role] = [line["bot_id"] for line in items(await client.get(PATH))]

    assert shown == {"viewer": ["bot-1"], "trader": ["bot-1", "bot-2"], "admin": ["bot-1", "bot-2", "bot-3"]}


async def test_archived_bots_are_left_out_unless_they_are_asked_for(stage: Stage) -> None:
    for name, owner in (("bot-1", ""), ("bot-2", "a-trader"), ("bot-3", "")):
        created = msgspec.structs.replace(running()[0], bot_id=BotId(name), owner=OwnerId(owner))
        await say(stage, bot_stream(BotId(name)), created, *running()[1:])
    for name in ("bot-1", "bot-2"):
        await say(stage, bot_stream(BotId(name)), BotStopped(reason="done"), BotArchived())
    await stage.project()
    asked: dict[tuple[Role, str | None], list[tuple[object, object]]] = {}
    roles: tuple[Role, ...] = ("viewer", "trader", "admin")
    for role in roles:
        async with stage.client(role) as client:
            for archived in (None, "false", "true"):
                response = await client.get(PATH, params={"archived": archived} if archived else {})
                asked[role, archived] = [(line["bot_id"], line["archived"]) for line in items(response)]
                assert json(response)["bots"] == len(asked[role, archived])
            listed = await client.get("/api/v1/bots")
            assert [line["bot_id"] for line in items(listed)] == [name for name, _ in asked[role, None]]
            assert problem(await client.get(PATH, params={"archived": "maybe"}), 400, "bad-request")

    old, other, at_work = ("bot-1", True), ("bot-2", True), ("bot-3", False)
    assert {tuple(found) for (_, archived), found in asked.items() if archived != "true"} == {(at_work,)}
    assert asked["viewer", "true"] == [old, at_work]
    assert asked["trader", "true"] == asked["admin", "true"] == [old, other, at_work]


async def test_a_failing_bot_says_why(stage: Stage) -> None:
    await say(stage, bot_stream(BOT), *running())
    await stage.project()
    await stage.failing.failed({BOT: "ValueError: no"})
    async with stage.client("viewer") as client:
        [line] = items(await client.get(PATH))

    assert line["error"] == "ValueError: no"
    assert line["failing_since"] is not None
    assert (line["equity"], line["max_drawdown"], line["candle"]) == ("10000", None, None)


async def test_what_one_has_just_done_is_in_it_if_one_asks_for_its_position(stage: Stage) -> None:
    await say(stage, bot_stream(BOT), *running())
    await stage.project()
    async with stage.client("viewer") as client:
        assert len(items(await client.get(PATH))) == 1
        other = msgspec.structs.replace(running()[0], bot_id=BotId("bot-2"))
        await say(stage, bot_stream(BotId("bot-2")), other)
        await stage.project()
        head = await stage.log.head()
        assert len(items(await client.get(PATH, params={"min_position": str(head)}))) == 2
        problem(await client.get(PATH, params={"min_position": str(head + 1)}), 504, "position-not-reached")
