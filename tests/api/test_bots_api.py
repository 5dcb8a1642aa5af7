"""Bots over HTTP: commands that append facts, and the rows that come of them."""

from decimal import Decimal

import pytest

from events.envelope import NewEvent
from events.identifiers import BotId, bot_stream, new_event_id
from oxbot.core.candles import Candle, Series
from tests.api.stage import BTC, START, STEP, VENUE, Json, Stage, items, json, problem
from tests.core.scenario import bought

pytestmark = pytest.mark.anyio

BOTS = "/api/v1/bots"
NEW: Json = {"name": "first", "symbols": ["BTC/USDT"], "capital": "5000"}


def candle(number: int) -> Candle:
    """A candle at one price."""
    price = Decimal(100 + number)
    return Candle(START + number * STEP, price, price, price, price, Decimal(1))


async def created(stage: Stage) -> str:
    """The path of a new bot that is in the views."""
    async with stage.client("trader") as client:
        response = await client.post(BOTS, json=NEW)
    assert response.status_code == 201, response.text
    await stage.project()
    return response.headers["location"]


async def test_a_created_bot_is_found_where_the_answer_says(stage: Stage) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        bot = json(await client.get(path))
        listed = items(await client.get(BOTS))
        portfolio = json(await client.get(f"{path}/portfolio"))
        portfolios = items(await client.get("/api/v1/portfolios"))

    assert (bot["name"], bot["status"], bot["strategy"], bot["symbols"]) == ("first", "created", "ema_cross", [BTC])
    assert path == f"{BOTS}/{bot['bot_id']}"
    assert [bot | line for line in listed] == [bot]
    assert portfolio["cash"] == "5000"
    assert portfolios == [portfolio]


async def test_a_bot_that_fails_says_so_and_since_when(stage: Stage) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        well = json(await client.get(path))
        await stage.failing.failed({BotId(path.rpartition("/")[2]): "version 7 of its stream is missing"})
        bot = json(await client.get(path))
        listed = items(await client.get(BOTS))

    assert (well["status"], well["failing_since"], well["error"]) == ("created", None, None)
    assert bot["error"] == "version 7 of its stream is missing"
    assert str(bot["failing_since"]).endswith("Z")
    assert [(line["failing_since"], line["error"]) for line in listed] == [(bot["failing_since"], bot["error"])]


async def test_a_bot_is_started_paused_and_stopped(stage: Stage) -> None:
    path = await created(stage)
    bot_id = BotId(path.rpartition("/")[2])
    answers = []
    async with stage.client("trader") as client:
        for command, body in (("start", None), ("pause", {"reason": "lunch"}), ("start", None), ("stop", None)):
            response = await client.post(f"{path}/{command}", json=body)
            answers.append((response.status_code, json(response)["status"], json(response)["version"]))
        refused = await client.post(f"{path}/start")

    assert answers == [(200, "running", 3), (200, "paused", 4), (200, "running", 5), (200, "stopped", 6)]
    assert "stopped for good" in problem(refused, 409, "command-refused")
    facts = [event.fact for event in await stage.log.read_stream(bot_stream(bot_id))]
    assert "lunch" in repr(facts)


@pytest.mark.parametrize(
    ("change", "kind", "named"),
    [
        ({"strategy": "magic"}, "unknown-strategy", "magic"),
        ({"parameters": {"fast": "900"}}, "invalid-parameter", "fast"),
        ({"parameters": {"quick": "1"}}, "invalid-parameter", "quick"),
        ({"symbols": ["DOGE/USDT"]}, "unknown-symbol", "DOGE/USDT"),
        ({"symbols": ["BTC/USDT", "BTC/USDT"]}, "invalid-command", "symbols"),
        ({"symbols": []}, "unknown-symbol", "symbols"),
        ({"name": "<script>"}, "invalid-command", "name"),
        ({"capital": "-1"}, "invalid-command", "capital"),
        ({"capital": "NaN"}, "unprocessable-content", "`$.capital`"),
        ({"capital": "1E+999999999"}, "unprocessable-content", "`$.capital`"),
        ({"capital": "1E-999999999"}, "unprocessable-content", "`$.capital`"),
        ({"capital": "a lot"}, "unprocessable-content", "`$.capital`"),
        ({"limits": {"exposure_fraction_max": "1E+99"}}, "unprocessable-content", "`$.limits.exposure_fraction_max`"),
        ({"limits": {"positions_max": 0}}, "invalid-limits", "positions_max"),
        ({"parameters": {"size_fraction": "0.9"}}, "invalid-command", "position_fraction_max"),
        ({"laverage": 10}, "unprocessable-content", "`laverage`"),
        ({"leverage": "10"}, "invalid-command", "leverage 10 is more than the limit leverage_max 1"),
        ({"leverage": "0.5"}, "invalid-command", "leverage must be 1 to 125"),
        ({"leverage": "NaN"}, "unprocessable-content", "`$.leverage`"),
        ({"limits": {"drawdown_mx": "0.1"}}, "unprocessable-content", "unknown field `drawdown_mx` - at `$.limits`"),
        ({"limits": {"drawdown_max": "1.1"}}, "invalid-limits", "limit drawdown_max must be above 0 and at most 1"),
        (
            {"limits": {"stop_guard": {"stops_max": 3, "lookback_candles": 9, "pause_candles": 9, "all": True}}},
            "unprocessable-content",
            "unknown field `all` - at `$.limits.stop_guard`",
        ),
        (
            {"limits": {"stop_guard": {"stops_max": 0, "lookback_candles": 9, "pause_candles": 9}}},
            "invalid-limits",
            "limit stop_guard.stops_max",
        ),
        ({"limits": {"stop_guard": {"stops_max": 3}}}, "unprocessable-content", "`$.limits.stop_guard`"),
        ({"sizing": {"method": "martingale"}}, "unprocessable-content", "`$.sizing.method`"),
        ({"sizing": {"risk_fraction": "2"}}, "invalid-sizing", "sizing risk_fraction must be above 0 and at most 1"),
        ({"sizing": {"risk": "0.01"}}, "unprocessable-content", "unknown field `risk` - at `$.sizing`"),
        ({"paper": {"half_spread": "0.2"}}, "invalid-command", "paper half_spread must be at least 0"),
        ({"paper": {"slippage": "0.2"}}, "unprocessable-content", "unknown field `slippage` - at `$.paper`"),
        ({"paper": {"funding_rate": "1E-99"}}, "unprocessable-content", "`$.paper.funding_rate`"),
        ({"instruments": {"ETH/USDT": {}}}, "unknown-symbol", "instruments names 'ETH/USDT'"),
        (
            {"instruments": {BTC: {"kind": "option"}}},
            "unprocessable-content",
            "`$.instruments.BTC/USDT.kind` must be one of spot, perpetual, not 'option'",
        ),
        ({"instruments": {BTC: {"tick": "1"}}}, "unprocessable-content", "unknown field `tick`"),
        ({"instruments": {BTC: {"leverage_max": "1E+99"}}}, "unprocessable-content", "`$.instruments.BTC/USDT"),
        ({"instruments": {BTC: {"leverage_max": "5"}}}, "invalid-command", "spot has no leverage"),
        (
            {"instruments": {BTC: {"kind": "perpetual", "maintenance_fraction": "0.6"}}},
            "invalid-command",
            "BTC/USDT: maintenance_fraction",
        ),
        ({"name": 7}, "unprocessable-content", "`$.name` must be text, not 7"),
        ({"symbols": []}, "unknown-symbol", "at least one symbol"),
        ({"limits": {"positions_max": 10**23}}, "invalid-limits", "must be below 1000000000000000"),
        ({"limits": {"positions_max": 1.5}}, "unprocessable-content", "at least 1 and below 1000000000000000, not 1.5"),
        ({"limits": 5}, "unprocessable-content", "`$.limits` must be an object with fields such as"),
        ({"paper": {"seed": 10**23}}, "invalid-command", "paper seed must be at least"),
        ({"fees": {"maker": "0.002"}}, "invalid-command", "fee maker 0.002 must not be above taker 0.001"),
        ({"fees": {"buys_pay_in": "gold"}}, "unprocessable-content", "one of quote, base, not 'gold'"),
        ({"parameters": {"fast": "NaN"}}, "invalid-parameter", "at least 2 and at most 5000, not NaN"),
        ({"strategy": "trinity", "parameters": {"allow_short": True}}, "invalid-command", "allow_short is true"),
    ],
)
async def test_a_bot_that_cannot_be_is_refused_by_name_and_nothing_is_recorded(
    stage: Stage, change: Json, kind: str, named: str
) -> None:
    async with stage.client("trader") as client:
        response = await client.post(BOTS, json=NEW | change)

    assert named in problem(response, 422, kind)
    assert await stage.log.head() == 0


async def test_what_is_refused_leaves_nothing_in_the_database(stored_stage: Stage) -> None:
    changes: list[Json] = [
        {"strategy": "magic"},
        {"parameters": {"fast": "900"}},
        {"parameters": {"quick": "1"}},
        {"symbols": ["DOGE/USDT"]},
        {"capital": "NaN"},
        {"limits": {"positions_max": 0}},
        {"instruments": {BTC: {"leverage_max": "5"}}},
    ]
    async with stored_stage.client("trader") as client:
        statuses = [(await client.post(BOTS, json=NEW | change)).status_code for change in changes]

    assert statuses == [422] * len(changes)
    assert await stored_stage.log.head() == 0


@pytest.mark.parametrize(
    ("field", "number", "named"),
    [
        ("capital", "1e400", "`$.capital` must be a number of at most 40 digits, above 0 and below 1000000000000000"),
        ("capital", "1e99999999999999999999", "`$.capital` must be"),
        ("leverage", "1e400", "`$.leverage` must be a number of at most 40 digits, at least 1 and at most 125"),
    ],
)
async def test_a_number_beyond_all_bounds_is_named_by_its_field(
    stage: Stage, field: str, number: str, named: str
) -> None:
    content = f'{{"name": "first", "symbols": ["{BTC}"], "{field}": {number}}}'
    async with stage.client("trader") as client:
        response = await client.post(BOTS, content=content, headers={"content-type": "application/json"})

    assert named in problem(response, 422, "unprocessable-content")


async def test_what_somebody_else_sends_is_not_repeated(stage: Stage) -> None:
    """A password that is a number may still be one."""
    async with stage.client() as client:
        response = await client.post("/api/v1/sessions", json={"username": "admin", "password": 12345678})

    assert "12345678" not in response.text
    assert "`$.password`" in problem(response, 422, "unprocessable-content")


async def test_who_stops_a_bot_over_http_is_told_what_becomes_of_what_it_holds(stage: Stage) -> None:
    path = await created(stage)
    bot_id = BotId(path.rpartition("/")[2])
    events = [
        NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact)
        for fact in bought(BTC, 1, quantity="2", price="100")
    ]
    await stage.log.append(bot_stream(bot_id), events, expected=2)
    async with stage.client("trader") as client:
        stopped = await client.post(f"{path}/stop")

    assert json(stopped)["note"] == "BTC/USDT is sold at the next open"


@pytest.mark.parametrize("command", ["start", "pause", "stop", "trading-state"])
@pytest.mark.parametrize("bot_id", ["nobody", "a%00b", "A", "..%2f..", "x" * 65, "%F0%9F%A4%96", "' or 1=1"])
async def test_a_command_to_no_bot_is_404(stage: Stage, command: str, bot_id: str) -> None:
    async with stage.client("trader") as client:
        body = {"state": "halted"} if command == "trading-state" else None
        response = await client.post(f"{BOTS}/{bot_id}/{command}", json=body)

    assert response.status_code == 404
    assert await stage.log.head() == 0


@pytest.mark.parametrize(
    "rest", ["", "/portfolio", "/positions", "/orders", "/trades", "/decisions", "/equity", "/memory"]
)
@pytest.mark.parametrize("bot_id", ["nobody", "a%20b", "A", "x" * 65])
async def test_reading_of_no_bot_is_404(stage: Stage, rest: str, bot_id: str) -> None:
    async with stage.client("trader") as client:
        assert problem(await client.get(f"{BOTS}/{bot_id}{rest}"), 404, "unknown-bot")


@pytest.mark.parametrize("reason", ["x" * 201, "line\nbreak", "end\n", "nul\x00", "\x7f"])
async def test_a_reason_that_is_no_line_of_text_is_refused(stage: Stage, reason: str) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        response = await client.post(f"{path}/stop", json={"reason": reason})

    assert "`$.reason`" in problem(response, 422, "unprocessable-content")


async def test_the_equity_curve_marks_what_the_bot_holds_in_the_range_that_is_asked_for(stage: Stage) -> None:
    path = await created(stage)
    candles = [candle(number) for number in range(10)]
    await stage.candles.add([(Series(VENUE, BTC, "5m"), candles)])
    async with stage.client("trader") as client:
        everything = items(await client.get(f"{path}/equity"))
        window = {"from": "2024-01-01T00:10:00Z", "to": "2024-01-01T02:20:00+02:00"}
        some = items(await client.get(f"{path}/equity", params=window))
        few = items(await client.get(f"{path}/equity", params={"points": "2"}))

    assert len(everything) == 10
    assert everything[0] == {"at": "2024-01-01T00:00:00Z", "cash": "5000", "equity": "5000"}
    assert [point["at"] for point in some] == ["2024-01-01T00:10:00Z", "2024-01-01T00:15:00Z"]
    assert len(few) == 2
    assert few[-1] == everything[-1]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("from=yesterday", "`$.from`"),
        ("from=2024-01-01T00:00:00", "`$.from`"),
        ("from=2024-01-01T00:00:00+00:00", "`$.from`"),
        ("from=0001-01-01T00:00:00%2B23:59", "`from`"),
        ("to=9999-12-31T23:59:59-23:59", "`to`"),
        ("from=2024-01-02T00:00:00Z&to=2024-01-01T00:00:00Z", "`from` must be before `to`"),
        ("points=1", "`$.points`"),
        ("points=5001", "`$.points`"),
        ("till=2024-01-01T00:00:00Z", "`till`"),
    ],
)
async def test_a_range_that_cannot_be_is_refused_by_name(stage: Stage, query: str, named: str) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        assert named in problem(await client.get(f"{path}/equity?{query}"), 400, "bad-request")
