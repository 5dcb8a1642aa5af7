"""What bots earned over HTTP: each of them, in the past, and all together that one may read."""

import httpx
import msgspec
import pytest

from events.identifiers import BotId, OwnerId, bot_stream
from events.user import Role
from oxbot.core.candles import Series
from oxbot.views.fold import RowChange
from oxbot.views.rows import numbered
from tests.api.stage import VENUE, Stage, items, json, problem, say
from tests.app.stored_views import plant
from tests.core.scenario import BOT, BTC, bought, candle, filled, order_id, running
from tests.views.trading import asked

pytestmark = pytest.mark.anyio

REPORTS = ("profit", "performance", "stats", "daily", "weekly", "monthly", "count", "status")


async def traded(stage: Stage, bot_id: str = BOT, *, owner: str = "", quote: str = "USDT") -> int:
    """A bot that bought, sold for 10 more and bought again; the position after the sale."""
    stream = bot_stream(BotId(bot_id))
    created = msgspec.structs.replace(running()[0], bot_id=BotId(bot_id), owner=OwnerId(owner), quote=quote)
    await say(stage, stream, created, *running()[1:], *bought(BTC, 1, quantity="1", price="100"))
    sold = asked(2, "sell", "1", at=3, reduces=True, leverage="1")
    await say(stage, stream, sold, filled(2, at=4, quantity="1", price="110", fee="0"))
    middle = await stage.log.head()
    await say(
        stage,
        stream,
        msgspec.structs.replace(asked(3, "buy", "2", at=5, leverage="1"), order_id=order_id(3)),
        filled(3, at=5, quantity="2", price="100", fee="0"),
    )
    await stage.project()
    return middle


async def priced(stage: Stage) -> None:
    """Eight candles, the last of them at 107."""
    candles = [candle(number, str(100 + number)) for number in range(8)]
    await stage.candles.add([(Series(VENUE, BTC, "5m"), candles)])


async def test_a_bots_profit_is_that_of_its_closed_trades_and_of_its_open_ones_at_the_newest_close(
    stage: Stage,
) -> None:
    await priced(stage)
    await traded(stage)
    async with stage.client("viewer") as client:
        earned = json(await client.get(f"/api/v1/bots/{BOT}/profit"))
        [trade] = items(await client.get(f"/api/v1/bots/{BOT}/status"))
        [pair] = items(await client.get(f"/api/v1/bots/{BOT}/performance"))

    assert (earned["profit_closed_coin"], earned["profit_all_coin"], earned["capital"]) == ("10", "24", "10000")
    assert (trade["profit_abs"], trade["current_rate"], trade["bot_id"]) == ("14", "107", BOT)
    assert (pair["pair"], pair["count"], pair["profit_abs"]) == (BTC, 1, "10")


async def test_reports_of_the_past_are_of_then_at_the_prices_of_then(stage: Stage) -> None:
    await priced(stage)
    middle = await traded(stage)
    async with stage.client("viewer") as client:
        then = await client.get(f"/api/v1/bots/{BOT}/profit", params={"as_of": str(middle)})
        before = await client.get(f"/api/v1/bots/{BOT}/status", params={"as_of": str(middle - 2)})

    assert then.headers["x-position"] == str(middle)
    assert (json(then)["profit_all_coin"], json(then)["trade_count"]) == ("10", 1)
    [trade] = items(before)
    assert (trade["current_rate"], trade["profit_abs"]) == ("100", "0")


@pytest.mark.parametrize("report", REPORTS)
async def test_every_report_is_given_of_one_bot_and_of_all(stage: Stage, report: str) -> None:
    await priced(stage)
    await traded(stage)
    async with stage.client("viewer") as client:
        one = await client.get(f"/api/v1/bots/{BOT}/{report}")
        every = await client.get(f"/api/v1/{report}")

    assert (one.status_code, every.status_code) == (200, 200)
    assert json(one) == json(every)
    assert one.headers["x-position"] == every.headers["x-position"]


async def test_all_together_are_those_that_one_may_read_with_the_same_money(stage: Stage) -> None:
    await priced(stage)
    await traded(stage)
    await traded(stage, "bot-2", owner="a-trader")
    await traded(stage, "bot-3", owner="somebody")
    await traded(stage, "bot-4", quote="USDC")
    found: dict[str, tuple[object, ...]] = {}
    roles: tuple[Role, ...] = ("viewer", "trader", "admin")
    for role in roles:
        async with stage.client(role) as client:
            earned = json(await client.get("/api/v1/profit"))
            found[role] = tuple(earned[name] for name in ("profit_closed_coin", "capital", "bots", "left_out"))
    async with stage.client("admin") as client:
        other = json(await client.get("/api/v1/profit", params={"quote": "USDC"}))
        # What was read once is not read again, and answers the same.
        again = json(await client.get("/api/v1/profit"))

    assert found["viewer"][2:] == (1, 1)
    assert found["trader"] == ("20", "20000", 2, 1)
    assert found["admin"] == ("30", "30000", 3, 1)
    assert (other["stake_currency"], other["profit_closed_coin"]) == ("USDC", "10")
    assert again["profit_closed_coin"] == "30"


async def test_without_any_bot_to_read_there_is_no_report_of_all(stage: Stage) -> None:
    await traded(stage, "bot-3", owner="somebody")
    async with stage.client("viewer") as client:
        problem(await client.get("/api/v1/profit"), 404, "not-found")
        problem(await client.get("/api/v1/bots/bot-3/profit"), 404, "unknown-bot")
    async with stage.client("admin") as client:
        problem(await client.get("/api/v1/profit", params={"fleet": "another"}), 404, "not-found")


@pytest.mark.parametrize("older", [{"entry_cost": "0"}, {"entry_cost": None}])
async def test_trades_stored_before_their_cost_was_written_are_reported_without_a_ratio(
    stage: Stage, older: dict[str, str | None]
) -> None:
    await priced(stage)
    await traded(stage)
    body = await stage.views.row("trades", BOT, numbered(1))
    assert body is not None
    row = {**msgspec.json.decode(body, type=dict[str, object]), **older}
    without = {name: value for name, value in row.items() if value is not None}
    await plant(stage.views, RowChange("trades", BOT, numbered(1), msgspec.json.encode(without)))
    answers: dict[str, httpx.Response] = {}
    async with stage.client("viewer") as client:
        for report in REPORTS:
            answers[report] = await client.get(f"/api/v1/bots/{BOT}/{report}")
            assert json(answers[report]) == json(await client.get(f"/api/v1/{report}"))
        served = json(await client.get("/openapi.json"))

    assert {answered.status_code for answered in answers.values()} == {200}
    earned = json(answers["profit"])
    assert (earned["profit_closed_coin"], earned["profit_closed_ratio"]) == ("10", "0.001")
    # The open position is of 200, at 14 more.
    assert (earned["profit_closed_ratio_mean"], earned["profit_all_ratio_mean"]) == (None, "0.07")
    assert (earned["best_trade"], earned["best_pair"], earned["best_pair_profit_ratio"]) == (None, BTC, None)
    [pair] = items(answers["performance"])
    assert (pair["profit_abs"], pair["profit_ratio"], pair["profit_pct"]) == ("10", None, None)
    schemas = msgspec.convert(served["components"], dict[str, dict[str, dict[str, object]]])["schemas"]
    shape = msgspec.convert(schemas["Profit"]["properties"], dict[str, dict[str, object]])
    assert {"type": "null"} in msgspec.convert(shape["profit_closed_ratio_mean"]["anyOf"], list[object])
    assert "null where none of them is known" in str(schemas["Profit"]["description"])


async def test_the_figures_of_the_balance_are_in_the_profit_of_one_and_of_all(stage: Stage) -> None:
    candles = [candle(number, "100") for number in range(280)]
    await stage.candles.add([(Series(VENUE, BTC, "5m"), candles)])
    await traded(stage)
    async with stage.client("viewer") as client:
        one = json(await client.get(f"/api/v1/bots/{BOT}/profit"))
        every = json(await client.get("/api/v1/profit"))

    assert one == every
    shown = {name: one[name] for name in ("days", "trading_days", "best_trade", "best_trade_abs", "worst_trade_abs")}
    assert shown == {"days": 0, "trading_days": 1, "best_trade": "0.1", "best_trade_abs": "10", "worst_trade_abs": "10"}
    assert (one["avg_duration_seconds"], one["winrate"], one["max_drawdown"]) == (1200.0, "1", "0")
    # Less than two days of a balance without a fall: nothing to divide by.
    assert {one[name] for name in ("sharpe", "sortino", "calmar", "cagr", "profit_factor", "expectancy_ratio")} == {
        None
    }


async def test_days_are_as_many_as_asked_for(stage: Stage) -> None:
    await priced(stage)
    await traded(stage)
    async with stage.client("viewer") as client:
        days = json(await client.get(f"/api/v1/bots/{BOT}/daily", params={"timescale": "3"}))
        problem(await client.get(f"/api/v1/bots/{BOT}/daily", params={"timescale": "0"}), 400, "bad-request")

    found = msgspec.convert(days["data"], list[dict[str, object]])
    assert [(day["date"], day["abs_profit"]) for day in found] == [
        ("2024-01-01", "10"),
        ("2023-12-31", "0"),
        ("2023-12-30", "0"),
    ]
