"""Candles, and the quality of venues' data, over HTTP."""

from datetime import datetime
from decimal import Decimal

import msgspec
import pytest

from events.identifiers import OwnerId, Symbol, VenueName, bot_stream, venue_stream
from events.user import Role
from events.venue import MarketCandleRevised, MarketGapFound, MarketRecovered, MarketStale
from oxbot.core.candles import Candle, Series
from tests.api.stage import BTC, ETH, START, STEP, VENUE, Stage, items, json, problem, say
from tests.core.scenario import BOT, created

pytestmark = pytest.mark.anyio

CANDLES = {"symbol": BTC, "timeframe": "5m"}
DAY = 288
XRP = Symbol("XRP/USDT")


def candle(number: int) -> Candle:
    """A candle of that number."""
    price = Decimal(100 + number)
    return Candle(START + number * STEP, price, price, price, price, Decimal("0.50"))


async def stored(stage: Stage) -> None:
    """A day and a bit of one symbol; the market has come to the end of the day."""
    await stage.candles.add([(Series(VENUE, BTC, "5m"), [candle(number) for number in range(DAY + 3)])])


async def test_candles_are_the_newest_closed_ones_in_order_as_text(stage: Stage) -> None:
    await stored(stage)
    async with stage.client("viewer") as client:
        response = await client.get("/api/v1/candles", params={**CANDLES, "limit": "2"})

    body = json(response)
    assert (body["venue"], body["symbol"], body["timeframe"], body["complete"]) == (VENUE, BTC, "5m", False)
    assert [(one["at"], one["close"], one["volume"]) for one in items(response)] == [
        ("2024-01-01T23:50:00Z", "386", "0.5"),
        ("2024-01-01T23:55:00Z", "387", "0.5"),
    ]


async def test_a_range_of_candles_begins_and_ends_where_it_was_asked_to(stage: Stage) -> None:
    await stored(stage)
    begin, end = (START + 10 * STEP).isoformat(), (START + 14 * STEP).isoformat()
    async with stage.client("viewer") as client:
        whole = await client.get("/api/v1/candles", params={**CANDLES, "from": begin, "to": end})
        first = await client.get("/api/v1/candles", params={**CANDLES, "from": begin, "limit": "2"})
        last = await client.get("/api/v1/candles", params={**CANDLES, "to": end, "limit": "2"})
        future = await client.get("/api/v1/candles", params={**CANDLES, "from": (START + DAY * STEP).isoformat()})

    assert [one["close"] for one in items(whole)] == ["110", "111", "112", "113"]
    assert json(whole)["complete"] is True
    assert [one["close"] for one in items(first)] == ["110", "111"]
    assert [one["close"] for one in items(last)] == ["112", "113"]
    assert items(future) == []


async def test_a_series_that_there_is_not_is_not_found_and_one_of_two_venues_must_be_named(stage: Stage) -> None:
    await stored(stage)
    async with stage.client("viewer") as client:
        problem(await client.get("/api/v1/candles", params={**CANDLES, "symbol": XRP}), 404, "not-found")
        problem(await client.get("/api/v1/candles", params={**CANDLES, "timeframe": "5 m"}), 404, "not-found")
        problem(await client.get("/api/v1/candles", params={**CANDLES, "venue": "another"}), 404, "not-found")
        problem(await client.get("/api/v1/candles", params={"symbol": BTC}), 400, "bad-request")
        problem(await client.get("/api/v1/candles", params={**CANDLES, "limit": "0"}), 400, "bad-request")
        await stage.candles.add([(Series(VenueName("another"), BTC, "5m"), [candle(0)])])
        problem(await client.get("/api/v1/candles", params=CANDLES), 409, "conflict")
        assert json(await client.get("/api/v1/candles", params={**CANDLES, "venue": VENUE}))["venue"] == VENUE


async def empty(stage: Stage, role: Role = "viewer", *, begins_at: datetime | None = None, **query: str) -> bool:
    """Whether there are candles to come; the problem must be that it is not found if not."""
    begin = {"from": begins_at.isoformat()} if begins_at else {}
    async with stage.client(role) as client:
        response = await client.get("/api/v1/candles", params={**CANDLES, **begin, **query})
    if response.status_code != 200:
        assert problem(response, 404, "not-found")
        return False
    body = json(response)
    assert (body["venue"], body["items"], body["complete"]) == (VENUE, [], True)
    assert (body["symbol"], body["timeframe"]) == (query.get("symbol", BTC), query.get("timeframe", "5m"))
    return True


async def test_a_symbol_of_the_market_that_has_no_candles_yet_has_an_empty_page(stage: Stage) -> None:
    assert await empty(stage, symbol=ETH)
    assert await empty(stage, symbol=ETH, venue=VENUE, limit="3")
    assert await empty(stage, symbol=ETH, begins_at=START)
    assert not await empty(stage, symbol=ETH, venue="another")
    assert not await empty(stage, symbol=XRP)


async def test_a_timeframe_of_which_there_are_none_has_an_empty_page_where_the_symbol_is_known(stage: Stage) -> None:
    await stage.candles.add([(Series(VENUE, XRP, "5m"), [candle(0)])])
    assert await empty(stage, symbol=XRP, timeframe="1h")
    assert not await empty(stage, symbol=XRP, timeframe="hour")


async def test_a_symbol_that_only_a_bot_knows_has_an_empty_page_for_whoever_may_read_the_bot(stage: Stage) -> None:
    bot = created()
    instrument = msgspec.structs.replace(bot.market.instruments[0], symbol=XRP)
    market = msgspec.structs.replace(bot.market, instruments=(instrument,))
    await say(stage, bot_stream(BOT), msgspec.structs.replace(bot, market=market, owner=OwnerId("a-trader")))
    await stage.project()

    assert await empty(stage, "trader", symbol=XRP)
    assert await empty(stage, "admin", symbol=XRP)
    assert not await empty(stage, "viewer", symbol=XRP)
    assert not await empty(stage, "trader", symbol="SOL/USDT")


async def test_venues_say_how_old_candles_are_and_what_goes_on(stage: Stage) -> None:
    await stage.candles.add([(Series(VENUE, BTC, "5m"), [candle(DAY - 1)]), (Series(VENUE, ETH, "5m"), [candle(0)])])
    expected = START + 2 * STEP
    await say(
        stage,
        venue_stream(VENUE),
        MarketStale(at=START, symbol=ETH, timeframe="5m", expected=expected, reason="no answer"),
    )
    async with stage.client("viewer") as client:
        [venue] = items(await client.get("/api/v1/venues"))

    series = msgspec.convert(venue["series"], list[dict[str, object]])
    assert [(one["symbol"], one["age_seconds"], one["stale_since"]) for one in series] == [
        (BTC, 0.0, None),
        (ETH, (DAY - 1) * 300.0, "2024-01-01T00:10:00Z"),
    ]
    [going_on] = msgspec.convert(venue["open"], list[dict[str, object]])
    assert (going_on["kind"], going_on["words"], going_on["ended_at"]) == ("stale", "no answer", None)
    assert (venue["venue"], venue["clock"], venue["incidents"]) == (VENUE, "own", 1)


async def test_incidents_that_are_over_stay_on_record(stage: Stage) -> None:
    await stored(stage)
    async with stage.client("viewer") as client:
        [venue] = items(await client.get("/api/v1/venues"))
        assert venue["incidents"] == 0
        await say(
            stage,
            venue_stream(VENUE),
            MarketStale(at=START, symbol=BTC, timeframe="5m", expected=START),
            MarketGapFound(at=START + STEP, symbol=BTC, timeframe="5m", first=START, last=START + STEP),
            MarketRecovered(at=START + 2 * STEP, symbol=BTC, timeframe="5m", backfilled=3),
            MarketCandleRevised(at=START, symbol=BTC, timeframe="5m", open_time=START, words="close 1, not 2"),
        )
        first = await client.get(f"/api/v1/venues/{VENUE}/incidents", params={"limit": "2"})
        rest = await client.get(f"/api/v1/venues/{VENUE}/incidents", params={"cursor": str(json(first)["next"])})
        [venue] = items(await client.get("/api/v1/venues"))
        problem(await client.get("/api/v1/venues/nowhere/incidents"), 404, "not-found")

    assert [one["kind"] for one in (*items(first), *items(rest))] == ["revised", "gap", "stale"]
    [stale] = items(rest)
    assert (stale["ended_at"], stale["backfilled"]) == ("2024-01-01T00:10:00Z", 3)
    assert (venue["incidents"], venue["open"]) == (3, [])
