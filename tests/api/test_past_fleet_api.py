"""All bots together as of a position: what the views showed then, and what each bot alone says of then."""

from decimal import Decimal

import httpx
import msgspec
import pytest

from events.bot import BotArchived, BotFact, BotStopped
from events.identifiers import BotId, FleetName, OwnerId, bot_stream
from events.user import Role
from oxbot.app import past_bots, past_overview
from oxbot.core.candles import Series
from tests.api.stage import VENUE, Json, Stage, items, json, problem, say
from tests.core.scenario import BTC, bought, candle, filled, running
from tests.views.trading import asked

pytestmark = pytest.mark.anyio

PREFIX = "/api/v1"
REPORTS = ("profit", "performance", "stats", "daily", "weekly", "monthly", "count", "status")
OWNERS = {"bot-1": "", "bot-2": "a-trader", "bot-3": "somebody"}
ROLES: tuple[Role, ...] = ("viewer", "trader", "admin")
SOLD: list[BotFact] = [
    asked(2, "sell", "1", at=3, reduces=True, leverage="1"),
    filled(2, at=4, quantity="1", price="110", fee="0"),
]


def turns() -> list[tuple[str, list[BotFact]]]:
    """What happens to whom, one after the other."""
    found: list[tuple[str, list[BotFact]]] = []
    for bot_id, owner in OWNERS.items():
        made = msgspec.structs.replace(
            running()[0], bot_id=BotId(bot_id), owner=OwnerId(owner), fleet=FleetName(f"f-{bot_id}")
        )
        found.append((bot_id, [made, *running()[1:]]))
        found.append((bot_id, bought(BTC, 1, quantity="1", price="100")))
    return [*found, ("bot-2", SOLD), ("bot-1", SOLD), ("bot-1", [BotStopped(reason="done"), BotArchived()])]


async def lived(stage: Stage) -> list[int]:
    """All of it, projected at the end; the position after each turn."""
    ends: list[int] = []
    for bot_id, facts in turns():
        await say(stage, bot_stream(BotId(bot_id)), *facts)
        ends.append(await stage.log.head())
    await stage.project()
    return ends


async def priced(stage: Stage) -> None:
    """Eight candles of the bots' symbol."""
    closes = (100, 120, 90, 110, 105, 130, 80, 125)
    await stage.candles.add([(Series(VENUE, BTC, "5m"), [candle(n, str(close)) for n, close in enumerate(closes)])])


async def get(client: httpx.AsyncClient, path: str, **query: object) -> httpx.Response:
    """The answer, which must be one."""
    response = await client.get(f"{PREFIX}/{path}", params={name: str(value) for name, value in query.items()})
    assert response.status_code == 200, response.text
    return response


async def walked(client: httpx.AsyncClient, path: str, **query: object) -> list[Json]:
    """All pages of a list of the past."""
    found: list[Json] = []
    cursor: dict[str, str] = {}
    while True:
        response = await get(client, path, **query, **cursor)
        found += items(response)
        if json(response)["next"] is None:
            return found
        cursor = {"cursor": str(json(response)["next"])}


async def test_the_past_of_all_is_what_the_views_showed_at_each_position(stage: Stage) -> None:
    """Without candles, so that what is held is worth as little then as now."""
    shown: dict[tuple[Role, int], tuple[list[Json], list[Json]]] = {}
    for bot_id, facts in turns():
        await say(stage, bot_stream(BotId(bot_id)), *facts)
        await stage.project()
        head = await stage.log.head()
        for role in ROLES:
            async with stage.client(role) as client:
                overview = items(await get(client, "overview", min_position=head, archived="true"))
                shown[role, head] = items(await get(client, "portfolios")), overview
    for (role, position), (portfolios, overview) in shown.items():
        async with stage.client(role) as client:
            for limit in (1, 2, 500):
                assert await walked(client, "portfolios", as_of=position, limit=limit) == portfolios
                found = await walked(client, "overview", as_of=position, limit=limit, archived="true")
                assert found == overview, (role, position)
            at_work = [line for line in overview if not line["archived"]]
            assert await walked(client, "overview", as_of=position) == at_work


async def test_every_bot_of_the_past_is_as_it_says_itself(stage: Stage) -> None:
    await priced(stage)
    ends = await lived(stage)
    compared = 0
    async with stage.client("admin") as client:
        for position in (0, 1, *ends):
            portfolios = await walked(client, "portfolios", as_of=position)
            for row in portfolios:
                assert row == json(await get(client, f"bots/{row['bot_id']}/portfolio", as_of=position))
            lines = await walked(client, "overview", as_of=position, archived="true")
            assert [line["bot_id"] for line in lines] == [row["bot_id"] for row in portfolios]
            for line in lines:
                base = f"bots/{line['bot_id']}"
                curve = items(await get(client, f"{base}/equity", as_of=position))
                held = items(await get(client, f"{base}/positions", as_of=position))
                assert line["equity"] == curve[-1]["equity"], position
                assert line["open_positions"] == len(held)
                fall = Decimal(str(line["max_drawdown"]))
                expected = deepest([Decimal(str(line["capital"])), *(Decimal(str(point["equity"])) for point in curve)])
                assert abs(fall - expected) < Decimal("1e-8")
                compared += 1
    assert compared > 15


def deepest(curve: list[Decimal]) -> Decimal:
    """How far it fell, written out once more."""
    highest = [max(curve[: number + 1]) for number in range(len(curve))]
    return max((high - value) / high if high else high for high, value in zip(highest, curve, strict=True))


@pytest.mark.parametrize("name", REPORTS)
async def test_a_report_of_a_fleet_in_the_past_is_that_of_its_only_bot(stage: Stage, name: str) -> None:
    await priced(stage)
    ends = await lived(stage)
    async with stage.client("admin") as client:
        for position in ends[1:]:
            for bot_id in [row["bot_id"] for row in await walked(client, "portfolios", as_of=position)]:
                of_fleet = await get(client, name, as_of=position, fleet=f"f-{bot_id}")
                assert json(of_fleet) == json(await get(client, f"bots/{bot_id}/{name}", as_of=position))
                assert of_fleet.headers["x-position"] == str(position)


@pytest.mark.parametrize("name", REPORTS)
async def test_a_report_of_all_in_the_past_is_what_it_was(stage: Stage, name: str) -> None:
    shown: dict[tuple[Role, int], Json] = {}
    for bot_id, facts in turns():
        await say(stage, bot_stream(BotId(bot_id)), *facts)
        await stage.project()
        for role in ROLES:
            async with stage.client(role) as client:
                shown[role, await stage.log.head()] = json(await get(client, name))
    for (role, position), told in shown.items():
        async with stage.client(role) as client:
            assert json(await get(client, name, as_of=position)) == told, (role, position)


async def test_pages_of_the_past_are_all_of_one_position_though_the_log_goes_on(stage: Stage) -> None:
    ends = await lived(stage)
    async with stage.client("admin") as client:
        for path in ("portfolios", "overview"):
            first = await get(client, path, as_of="2999-01-01T00:00:00Z", limit=1)
            head = int(first.headers["x-position"])
            assert head >= ends[-1]
            await say(stage, bot_stream(BotId("bot-3")), *SOLD[:1])
            await stage.project()
            cursor = json(first)["next"]
            second = await get(client, path, as_of="2999-01-01T00:00:00Z", limit=1, cursor=cursor)
            assert second.headers["x-position"] == str(head)
            for query in ({}, {"as_of": str(head)}):
                refused = await client.get(f"{PREFIX}/{path}", params={"cursor": str(cursor), **query})
                problem(refused, 400, "bad-request")


async def test_the_past_of_all_is_folded_in_bounded_pages(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await priced(stage)
    ends = await lived(stage)
    monkeypatch.setattr(past_bots, "PAGE_BOTS", 2)
    monkeypatch.setattr(past_bots, "TOGETHER_BOTS", 2)
    monkeypatch.setattr(past_overview, "CANDLES_MAX", 0)
    async with stage.client("admin") as client, stage.client("trader") as trader:
        for path in ("portfolios", "overview"):
            assert len(items(await get(client, path, as_of=ends[-3]))) == 2
            assert len(await walked(client, path, as_of=ends[-3])) == 3
        [line, *_] = items(await get(client, "overview", as_of=ends[-3]))
        assert (line["max_drawdown"], line["equity"] is None) == (None, False)
        for name in REPORTS:
            refused = await client.get(f"{PREFIX}/{name}", params={"as_of": str(ends[-1])})
            problem(refused, 422, "too-many-bots")
            await get(trader, name, as_of=ends[-1])
            await get(client, name, as_of=ends[1])


async def test_what_there_was_not_is_told_as_of_a_single_bot(stage: Stage) -> None:
    ends = await lived(stage)
    async with stage.client("admin") as client:
        for path in ("portfolios", "overview", *REPORTS):
            beyond = await client.get(f"{PREFIX}/{path}", params={"as_of": str(ends[-1] + 1)})
            problem(beyond, 404, "unknown-position")
            problem(await client.get(f"{PREFIX}/{path}", params={"as_of": "soon"}), 400, "bad-request")
        assert items(await get(client, "portfolios", as_of=0)) == items(await get(client, "overview", as_of=0)) == []
        problem(await client.get(f"{PREFIX}/profit", params={"as_of": "0"}), 404, "not-found")
        await say(stage, bot_stream(BotId("bot-3")), *SOLD)
        for path in ("portfolios", "overview", "profit"):
            waiting = await client.get(f"{PREFIX}/{path}", params={"as_of": str(await stage.log.head())})
            problem(waiting, 504, "position-not-reached")
