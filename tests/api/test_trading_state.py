"""Halting and letting go on over HTTP: one bot, the whole fleet, and what the gate can be told to hold to."""

import pytest

from events.bot import BotCreated, TradingStateSet
from events.identifiers import BotId, bot_stream
from oxbot.core.risk import limits_table
from tests.api.stage import BTC, START, Json, Stage, items, json, problem

pytestmark = pytest.mark.anyio

BOTS = "/api/v1/bots"
FLEET = "/api/v1/fleet/trading-state"
MARGIN: Json = {
    "name": "margin",
    "symbols": [BTC],
    "leverage": "3",
    "limits": {
        "leverage_max": "5",
        "drawdown_max": "0.2",
        "stop_guard": {"stops_max": 3, "lookback_candles": 288, "pause_candles": 12},
    },
    "sizing": {"method": "risk", "risk_fraction": "0.005"},
    "paper": {"half_spread": "0.0002", "seed": 7},
    "instruments": {BTC: {"kind": "perpetual", "leverage_max": "10", "maintenance_fraction": "0.005"}},
}


async def made(stage: Stage, body: Json) -> BotId:
    """A new bot that is in the views."""
    async with stage.client("trader") as client:
        response = await client.post(BOTS, json=body)
    assert response.status_code == 201, response.text
    await stage.project()
    return BotId(str(json(response)["bot_id"]))


async def switches(stage: Stage, bot_id: BotId) -> list[TradingStateSet]:
    """What the bot was told."""
    facts = [event.fact for event in await stage.log.read_stream(bot_stream(bot_id))]
    return [fact for fact in facts if isinstance(fact, TradingStateSet)]


async def test_a_bot_on_margin_is_created_as_it_was_described(stage: Stage) -> None:
    bot_id = await made(stage, MARGIN)

    created = (await stage.log.read_stream(bot_stream(bot_id)))[0].fact
    assert isinstance(created, BotCreated)
    assert str(created.limits.drawdown_max) == "0.2"
    assert created.limits.stop_guard is not None
    assert created.limits.stop_guard.stops_max == 3
    assert created.sizing is not None
    assert (created.sizing.method, str(created.sizing.risk_fraction)) == ("risk", "0.005")
    assert created.paper is not None
    assert created.paper.seed == 7
    [instrument] = created.market.instruments
    assert (instrument.kind, str(instrument.leverage_max), str(instrument.tick)) == ("perpetual", "10", "0.01")
    async with stage.client("trader") as client:
        assert json(await client.get(f"{BOTS}/{bot_id}"))["leverage"] == "3"


async def test_a_bot_is_halted_and_let_go_on(stage: Stage) -> None:
    bot_id = await made(stage, {"name": "one", "symbols": [BTC]})
    path = f"{BOTS}/{bot_id}/trading-state"
    answers = []
    async with stage.client("trader") as client:
        for body in ({"state": "halted", "reason": "news"}, {"state": "halted"}, {"state": "active"}):
            response = await client.post(path, json=body)
            answers.append((response.status_code, json(response)["trading"], json(response)["version"]))
        response = await client.post(path, json={"state": "reducing"})
        await stage.project()
        shown = json(await client.get(f"{BOTS}/{bot_id}", params={"min_position": response.headers["x-position"]}))
        portfolio = json(await client.get(f"{BOTS}/{bot_id}/portfolio"))

    assert answers == [(200, "halted", 3), (200, "halted", 3), (200, "active", 4)]
    assert (shown["trading"], shown["status"], portfolio["trading"]) == ("reducing", "created", "reducing")
    first = (await switches(stage, bot_id))[0]
    assert first == TradingStateSet(state="halted", reason="news", scope="bot", effective_at=START)


async def test_a_bot_that_is_let_go_on_in_a_halted_fleet_stays_halted_and_the_answer_says_why(stage: Stage) -> None:
    bot_id = await made(stage, {"name": "one", "symbols": [BTC]})
    path = f"{BOTS}/{bot_id}/trading-state"
    async with stage.client("trader") as client, stage.client("admin") as admin:
        await admin.post(FLEET, json={"state": "halted"})
        await client.post(path, json={"state": "reducing"})
        answer = json(await client.post(path, json={"state": "active"}))
        await client.post(path, json={"state": "reducing"})
        lifted = items(await admin.post(FLEET, json={"state": "active"}))
        await stage.project()
        shown = json(await client.get(f"{BOTS}/{bot_id}"))
    assert (answer["trading"], answer["note"]) == ("halted", "its fleet is halted")
    standing = {"bot_id": bot_id, "status": "created", "trading": "reducing", "note": "it itself is reducing"}
    assert lifted == [{"bot_id": bot_id, "standing": {**standing, "version": 7}, "refusal": ""}]
    assert (shown["trading"], shown["fleet_trading"], shown["halted"]) == ("reducing", "active", "")


async def test_the_fleets_switch_tells_every_bot_and_says_so_of_each(stage: Stage) -> None:
    one, two = [await made(stage, {"name": name, "symbols": [BTC]}) for name in ("one", "two")]
    ended = await made(stage, {"name": "three", "symbols": [BTC]})
    async with stage.client("admin") as client:
        await client.post(f"{BOTS}/{ended}/stop")
        first = await client.post(FLEET, json={"state": "halted", "reason": "flood"})
        second = await client.post(FLEET, json={"state": "halted", "reason": "flood"})

    assert (first.status_code, second.status_code) == (200, 200)
    assert json(first) == json(second)
    assert int(first.headers["x-position"]) == await stage.log.head()
    standing = {"version": 3, "status": "created", "trading": "halted", "note": ""}
    assert items(first) == [
        {"bot_id": one, "standing": {"bot_id": one, **standing}, "refusal": ""},
        {"bot_id": two, "standing": {"bot_id": two, **standing}, "refusal": ""},
        {"bot_id": ended, "standing": None, "refusal": f"bot {ended} was stopped for good; create another"},
    ]
    for bot_id in (one, two):
        said = TradingStateSet(state="halted", reason="flood", scope="fleet", effective_at=START)
        assert await switches(stage, bot_id) == [said]


@pytest.mark.parametrize("path", [FLEET, f"{BOTS}/{{bot_id}}/trading-state"])
@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "`state`"),
        ({"state": "off"}, "`$.state`"),
        ({"state": "halted", "reason": "two\nlines"}, "`$.reason`"),
        ({"state": "halted", "scope": "fleet"}, "`scope`"),
    ],
)
async def test_a_state_that_is_none_is_refused_by_name(stage: Stage, path: str, body: Json, named: str) -> None:
    bot_id = await made(stage, {"name": "one", "symbols": [BTC]})
    head = await stage.log.head()
    async with stage.client("admin") as client:
        response = await client.post(path.format(bot_id=bot_id), json=body)

    assert named in problem(response, 422, "unprocessable-content")
    assert await stage.log.head() == head


async def test_the_limits_are_the_gates_own_table(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        listed = items(await client.get("/api/v1/risk/limits"))

    assert [(row["rule"], row["limit"], row["default"]) for row in listed] == [
        (row.rule, row.limit, row.default) for row in limits_table()
    ]
    assert len(listed) > 25
