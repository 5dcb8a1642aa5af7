"""What a bot remembers, over HTTP: its closed trades by setup and symbol."""

import msgspec
import pytest

from events.identifiers import Symbol
from oxbot.api import memory
from oxbot.views.rows import TradeRow
from tests.api.stage import BOT, BTC, ETH, Stage, items, problem
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
    async with stage.client("viewer") as client:
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
    async with stage.client("viewer") as client:
        [record] = items(await client.get(f"{path}/memory"))

    assert (record["trades"], record["net"]) == (count, str(count))


async def test_a_bot_without_trades_remembers_nothing_and_no_bot_is_unknown(stage: Stage) -> None:
    path = await created(stage)
    async with stage.client("viewer") as client:
        assert items(await client.get(f"{path}/memory")) == []
        assert problem(await client.get(f"/api/v1/bots/{BOT}/memory"), 404, "unknown-bot")
