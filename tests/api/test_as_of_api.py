"""What a bot owned and had done as of a position or a moment, over HTTP."""

from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from events.bot import BotFact
from events.identifiers import BotId, bot_stream
from oxbot.core.candles import Series
from tests.api.stage import VENUE, Stage, items, json, problem, say
from tests.core.scenario import BOT, BTC, bought, candle, filled, order_id, running
from tests.views.trading import asked

pytestmark = pytest.mark.anyio

BASE = f"/api/v1/bots/{BOT}"
LISTS = ("positions", "orders", "trades", "decisions")
SOLD: list[BotFact] = [
    asked(2, "sell", "1", at=3, reduces=True, leverage="1"),
    filled(2, at=4, quantity="1", price="110", fee="0"),
]


async def traded(stage: Stage) -> tuple[int, int]:
    """A bot that bought and sold; the positions after each."""
    await say(stage, bot_stream(BOT), *running(), *bought(BTC, 1, quantity="1", price="100"))
    middle = await stage.log.head()
    await say(stage, bot_stream(BOT), *SOLD)
    await stage.project()
    return middle, await stage.log.head()


async def get(stage: Stage, path: str, **query: str) -> httpx.Response:
    """The answer to an administrator."""
    async with stage.client("admin") as client:
        return await client.get(f"{BASE}/{path}", params=query)


async def test_a_portfolio_is_that_of_the_position_that_was_asked_for(stage: Stage) -> None:
    middle, end = await traded(stage)
    then, now = await get(stage, "portfolio", as_of=str(middle)), await get(stage, "portfolio")

    assert then.headers["x-position"] == str(middle)
    assert then.headers["x-lag"] == str(end - middle)
    assert json(then)["cash"] == "9900"
    assert json(now)["cash"] == "10010"


async def test_lists_are_those_of_the_position(stage: Stage) -> None:
    middle, end = await traded(stage)
    sizes = {
        as_of: [len(items(await get(stage, name, as_of=str(as_of)))) for name in LISTS] for as_of in (2, middle, end)
    }

    assert sizes == {2: [0, 0, 0, 0], middle: [1, 1, 0, 0], end: [0, 2, 1, 0]}
    [order] = items(await get(stage, "orders", as_of=str(middle)))
    assert (order["order_id"], order["status"]) == (order_id(1), "filled")


async def test_pages_of_the_past_go_on_in_the_past(stage: Stage) -> None:
    _, end = await traded(stage)
    first = await get(stage, "orders", as_of=str(end), limit="1")
    cursor = str(json(first)["next"])
    second = await get(stage, "orders", as_of=str(end), limit="1", cursor=cursor)

    assert [items(page)[0]["number"] for page in (first, second)] == [2, 1]
    problem(await get(stage, "orders", limit="1", cursor=cursor), 400, "bad-request")


async def test_a_moment_is_the_last_position_by_then(stage: Stage) -> None:
    middle, end = await traded(stage)
    recorded = (await stage.log.read_all(limit=100))[middle - 1].recorded_at
    then = await get(stage, "portfolio", as_of=recorded.isoformat())
    later = await get(stage, "portfolio", as_of="2999-01-01T00:00:00Z")

    assert middle <= int(then.headers["x-position"]) <= end
    assert later.headers["x-position"] == str(end)
    problem(await get(stage, "portfolio", as_of="2020-01-01T00:00:00Z"), 404, "unknown-bot")


@pytest.mark.parametrize("as_of", ["", "x", "-1", "0.5", "1e3", "nan", "2024-01-01", "2024-01-01T00:00:00", "9" * 41])
async def test_what_is_neither_a_position_nor_a_moment_is_refused(stage: Stage, as_of: str) -> None:
    await traded(stage)
    problem(await get(stage, "portfolio", as_of=as_of), 400, "bad-request")


async def test_there_is_nothing_beyond_the_log_and_before_the_bot(stage: Stage) -> None:
    _, end = await traded(stage)
    for path in ("portfolio", "equity", *LISTS):
        problem(await get(stage, path, as_of=str(end + 1)), 404, "unknown-position")
        problem(await get(stage, path, as_of=str(2**63 - 1)), 404, "unknown-position")
        problem(await get(stage, path, as_of="0"), 404, "unknown-bot")


async def test_the_past_waits_for_the_views_that_hold_what_was_final_by_then(stage: Stage) -> None:
    await traded(stage)
    await say(stage, bot_stream(BOT), *bought(BTC, 3, quantity="1", price="100"))
    problem(await get(stage, "orders", as_of=str(await stage.log.head())), 504, "position-not-reached")


async def test_the_equity_of_the_past_ends_with_the_newest_candle_on_record_then(stage: Stage) -> None:
    middle, end = await traded(stage)
    series = Series(VENUE, BTC, "5m")
    candles = [candle(number, str(100 + number)) for number in range(8)]
    await stage.candles.add([(series, candles)])
    then = items(await get(stage, "equity", as_of=str(middle)))
    later = items(await get(stage, "equity", as_of=str(end)))
    now = items(await get(stage, "equity"))

    assert [point["equity"] for point in then] == ["10000"]
    assert [point["equity"] for point in later] == ["10000", "10001", "10002", "10003", "10010"]
    assert len(now) == 8


async def test_equity_comes_in_the_resolution_that_was_asked_for(stage: Stage) -> None:
    await traded(stage)
    series = Series(VENUE, BTC, "5m")
    candles = [candle(number, str(100 + number)) for number in range(30)]
    await stage.candles.add([(series, candles)])
    hours = items(await get(stage, "equity", resolution="1h"))

    assert [datetime.fromisoformat(str(point["at"])).astimezone(UTC).strftime("%H:%M") for point in hours] == [
        "00:55",
        "01:55",
        "02:25",
    ]
    problem(await get(stage, "equity", resolution="1m"), 422, "unprocessable-content")
    problem(await get(stage, "equity", resolution="soon"), 400, "bad-request")


async def test_the_past_of_a_bot_waits_for_no_event_of_anything_else(stage: Stage) -> None:
    await traded(stage)
    await say(stage, bot_stream(BotId("bot-2")), msgspec.structs.replace(running()[0], bot_id=BotId("bot-2")))
    head = await stage.log.head()
    now = await get(stage, "orders", as_of=str(head))

    assert (now.status_code, now.headers["x-position"]) == (200, str(head))
