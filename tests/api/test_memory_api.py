"""What a bot remembers, over HTTP: its closed trades by setup and symbol."""

import msgspec
import pytest

from events.identifiers import Symbol
from oxbot.api import memory
from oxbot.api.paging import write_cursor
from oxbot.views.rows import TradeRow
from tests.api.stage import BOT, BTC, ETH, Json, Stage, items, json, problem
from tests.api.test_bots_api import created
from tests.api.test_paging import trade

pytestmark = pytest.mark.anyio


def earned(number: int, net: str, *, symbol: Symbol = BTC, setup: str = "pullback") -> TradeRow:
    """A closed trade of 100 with this result."""
    return msgspec.structs.replace(trade(number), net=net, symbol=symbol, setup=setup, entry_cost="100")


async def test_records_are_added_up_by_setup_and_symbol_the_best_first(stage: Stage) -> None:
    path = await created(stage)
    bot_id = path.rpartition("/")[2]
    trades = [
        earned(1, "5"),
        earned(2, "-2"),
        earned(3, "9", symbol=ETH),
        earned(4, "-1.5", setup="breakout"),
        earned(5, "0"),
    ]
    await stage.store(*(msgspec.structs.replace(row, bot_id=bot_id) for row in trades))
    async with stage.client("trader") as client:
        listed = items(await client.get(f"{path}/memory"))

    assert [(row["setup"], row["symbol"], row["trades"], row["wins"]) for row in listed] == [
        ("pullback", ETH, 1, 1),
        ("pullback", BTC, 3, 1),
        ("breakout", BTC, 1, 0),
    ]
    best, mixed, _ = listed
    assert mixed | {"win_rate": None} == {
        "setup": "pullback",
        "symbol": BTC,
        "trades": 3,
        "wins": 1,
        "net": "3",
        "won": "5",
        "entry_cost": "300",
        "win_rate": None,
        "expectancy": "0.01",
    }
    assert (best["win_rate"], best["expectancy"]) == ("1", "0.09")
    assert str(mixed["win_rate"]).startswith("0.33333333")


async def test_every_trade_counts_once_however_many_there_are(stage: Stage) -> None:
    path = await created(stage)
    count = memory.PAGE + 3
    rows = [msgspec.structs.replace(earned(number, "1"), bot_id=path.rpartition("/")[2]) for number in range(count)]
    await stage.store(*rows)
    async with stage.client("trader") as client:
        [record] = items(await client.get(f"{path}/memory"))

    assert (record["trades"], record["net"]) == (count, str(count))


async def several(stage: Stage) -> str:
    """The path of a bot that remembers six records, two of them of the same expectancy."""
    path = await created(stage)
    trades = [
        earned(1, "5"),
        earned(2, "9", symbol=ETH),
        earned(3, "-1.5", setup="breakout"),
        earned(4, "5", setup="a setup\nof two lines, \u00e9"),
        earned(5, "-3", symbol=ETH, setup="breakout"),
        earned(6, "0", setup=""),
    ]
    await stage.store(*(msgspec.structs.replace(row, bot_id=path.rpartition("/")[2]) for row in trades))
    return path


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"symbol": ETH}, [("pullback", ETH), ("breakout", ETH)]),
        ({"setup": "breakout"}, [("breakout", BTC), ("breakout", ETH)]),
        ({"setup": "breakout", "symbol": BTC}, [("breakout", BTC)]),
        ({"setup": ""}, [("", BTC)]),
        ({"setup": "no such"}, []),
        ({"symbol": "null"}, []),
    ],
)
async def test_records_are_chosen_by_symbol_and_setup(
    stage: Stage, query: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    path = await several(stage)
    async with stage.client("trader") as client:
        listed = items(await client.get(f"{path}/memory", params=query))
    assert [(row["setup"], row["symbol"]) for row in listed] == expected


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_pages_hold_each_record_once_in_their_order(stage: Stage, limit: int) -> None:
    path = await several(stage)
    async with stage.client("trader") as client:
        whole = items(await client.get(f"{path}/memory"))
        found, cursor, pages = [], "", 0
        while pages < 7:
            response = await client.get(f"{path}/memory", params={"limit": limit, "cursor": cursor})
            pages += 1
            found += items(response)
            if json(response)["next"] is None:
                break
            cursor = str(json(response)["next"])
    assert found == whole
    assert (len(whole), pages) == (6, -(-6 // limit))


async def test_a_page_goes_on_where_the_last_one_ended_though_a_record_has_moved(stage: Stage) -> None:
    path = await several(stage)
    async with stage.client("trader") as client:
        first = await client.get(f"{path}/memory", params={"limit": 1})
        better = msgspec.structs.replace(earned(7, "99"), bot_id=path.rpartition("/")[2], symbol=ETH)
        await stage.store(better)
        rest = items(await client.get(f"{path}/memory", params={"cursor": str(json(first)["next"])}))
    assert [row["symbol"] for row in items(first)] == [ETH]
    assert ("pullback", ETH) not in {(row["setup"], row["symbol"]) for row in rest}
    assert len(rest) == 5


@pytest.mark.parametrize("key", ["x", "NaN " + "0" * 32, "1e999 " + "0" * 32, "0.05 " + "0" * 32])
async def test_a_cursor_that_this_list_did_not_give_is_refused(stage: Stage, key: str) -> None:
    path = await several(stage)
    listing = f"memory {path.rpartition('/')[2]} {memory._digest(repr(msgspec.UNSET), repr(msgspec.UNSET))}"
    async with stage.client("trader") as client:
        given = str(json(await client.get(f"{path}/memory", params={"limit": 1}))["next"])
        made_up = await client.get(f"{path}/memory", params={"cursor": write_cursor(listing, key)})
        elsewhere = await client.get(f"{path}/memory", params={"cursor": given, "symbol": ETH})
    for response in (made_up, elsewhere):
        assert "the cursor does not belong" in problem(response, 400, "bad-request")


async def test_a_bot_without_trades_remembers_nothing_and_no_bot_is_unknown(stage: Stage) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        assert items(await client.get(f"{path}/memory")) == []
        assert problem(await client.get(f"/api/v1/bots/{BOT}/memory"), 404, "unknown-bot")


async def test_what_chooses_records_and_pages_is_described(stage: Stage) -> None:
    async with stage.client("trader") as client:
        paths = msgspec.convert(json(await client.get("/openapi.json"))["paths"], dict[str, dict[str, Json]])
    described = msgspec.convert(paths["/api/v1/bots/{bot_id}/memory"]["get"]["parameters"], list[Json])
    assert [each["name"] for each in described if each.get("in") == "query"] == [
        "min_position",
        "limit",
        "cursor",
        "symbol",
        "setup",
    ]
    assert {"/api/v1/bots/{bot_id}/deposits", "/api/v1/bots/{bot_id}/withdrawals"} < set(paths)
